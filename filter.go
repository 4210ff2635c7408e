package sluice

import (
	"fmt"
	"slices"
)

// Limits of a filter.
const (
	MaxFilterTypes = 1000
	MaxTypeLength  = 255 // bytes
)

// Filter says which events of its scope a stream wants. An empty list means
// everything; all lists must match.
type Filter struct {
	EventTypes         []string `json:"event_types"`
	ExcludedEventTypes []string `json:"excluded_event_types"`
	// Namespaces are paths; each includes everything below it.
	Namespaces []string `json:"namespaces"`
}

// Empty reports whether f lets every event pass.
func (f *Filter) Empty() bool {
	return len(f.EventTypes) == 0 && len(f.ExcludedEventTypes) == 0 && len(f.Namespaces) == 0
}

// Check reports what is wrong with f for a stream of the given top-level
// namespace (or [Instance]).
func (f *Filter) Check(namespace string) error {
	for _, list := range [][]string{f.EventTypes, f.ExcludedEventTypes} {
		if len(list) > MaxFilterTypes {
			return fmt.Errorf("a filter has at most %d event types", MaxFilterTypes)
		}
		for _, t := range list {
			if t == "" || len(t) > MaxTypeLength {
				return fmt.Errorf("event type %q: must have 1 to %d bytes", t, MaxTypeLength)
			}
		}
	}
	for _, t := range f.ExcludedEventTypes {
		if slices.Contains(f.EventTypes, t) {
			return fmt.Errorf("event type %q is both wanted and excluded", t)
		}
	}
	for _, n := range f.Namespaces {
		if err := CheckNamespace(n); err != nil {
			return err
		}
		if !Within(FoldNamespace(n), FoldNamespace(namespace)) {
			return fmt.Errorf("namespace %q does not lie below %q", n, namespace)
		}
	}
	return nil
}

// A Matcher is a filter made ready to be asked often. It may be used by several
// goroutines at once.
type Matcher struct {
	all        bool
	types      map[string]bool
	excluded   map[string]bool
	namespaces []string // folded
}

// Matcher returns f in the form that answers quickly.
func (f *Filter) Matcher() *Matcher {
	if f.Empty() {
		return everything
	}
	m := &Matcher{types: set(f.EventTypes), excluded: set(f.ExcludedEventTypes)}
	for _, n := range f.Namespaces {
		m.namespaces = append(m.namespaces, FoldNamespace(n))
	}
	return m
}

// everything is the matcher of all filters that are empty.
var everything = &Matcher{all: true}

func set(list []string) map[string]bool {
	if len(list) == 0 {
		return nil
	}
	m := make(map[string]bool, len(list))
	for _, s := range list {
		m[s] = true
	}
	return m
}

// All reports whether every event matches.
func (m *Matcher) All() bool { return m.all }

// Type reports whether events of type t pass as far as their type goes.
func (m *Matcher) Type(t string) bool {
	return (len(m.types) == 0 || m.types[t]) && !m.excluded[t]
}

// Namespace reports whether events of the folded namespace pass as far as their
// namespace goes.
func (m *Matcher) Namespace(folded string) bool {
	if len(m.namespaces) == 0 {
		return true
	}
	for _, n := range m.namespaces {
		if Within(folded, n) {
			return true
		}
	}
	return false
}
