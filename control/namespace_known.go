package control

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sluicelog/sluice"
)

// known is a namespace.
type known struct {
	id       int64
	path     string
	kind     string // declared, or ""
	children bool
}

// knownEntry is a namespace in memory, of which there are many: its path is the
// folded one unless another spelling is kept.
type knownEntry struct {
	id       int64
	kind     kindCode
	children bool
	spelled  bool // see namespaces.spelled
}

// kindCode is a declared kind, zero for none.
type kindCode uint8

const (
	codeGroup kindCode = iota + 1
	codeProject
)

func codeOf(kind string) kindCode {
	switch kind {
	case Group:
		return codeGroup
	case Project:
		return codeProject
	}
	return 0
}

func (c kindCode) kind() string { return [...]string{"", Group, Project}[c] }

// view shows the namespace. Its kind is the declared one, or else project for a
// leaf of two or more segments, which is what most such leaves are.
func (k known) view() Namespace {
	n := Namespace{ID: k.id, Path: k.path, Kind: k.kind}
	switch {
	case n.Kind != "":
	case !k.children && strings.Contains(k.path, "/"):
		n.Kind = Project
	default:
		n.Kind = Group
	}
	return n
}

// namespaces holds every namespace that is stored.
type namespaces struct {
	creating sync.Mutex // held while namespaces are stored

	mu       sync.RWMutex
	byPath   map[string]knownEntry // by folded path
	spelled  map[string]string     // by folded path, where it is spelled otherwise
	within   map[string][]string   // the folded paths within each folded top-level namespace, itself included
	overflow uint64                // met and not stored, for there are too many
}

func (n *namespaces) init() {
	n.byPath, n.spelled, n.within = map[string]knownEntry{}, map[string]string{}, map[string][]string{}
}

func (n *namespaces) get(folded string) (known, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.find(folded)
}

// find is get for who holds mu.
func (n *namespaces) find(folded string) (known, bool) {
	e, ok := n.byPath[folded]
	if !ok {
		return known{}, false
	}
	return n.known(folded, e), true
}

func (n *namespaces) known(folded string, e knownEntry) known {
	k := known{id: e.id, path: folded, kind: e.kind.kind(), children: e.children}
	if e.spelled {
		k.path = n.spelled[folded]
	}
	return k
}

func (n *namespaces) put(r *namespaceRecord) {
	folded := strings.Clone(sluice.FoldNamespace(r.Path))
	n.mu.Lock()
	defer n.mu.Unlock()
	e, there := n.byPath[folded]
	e.id, e.kind, e.spelled = r.ID, codeOf(r.Kind), r.Path != folded
	if e.spelled {
		n.spelled[folded] = strings.Clone(r.Path) // not a part of a block's directory
	}
	n.byPath[folded] = e
	if there {
		return
	}
	top := sluice.TopLevel(folded)
	n.within[top] = append(n.within[top], folded)
	if up := parent(folded); up != "" {
		if e, ok := n.byPath[up]; ok && !e.children {
			e.children = true
			n.byPath[up] = e
		}
	}
}

// below returns how many there are within a folded top-level namespace.
func (n *namespaces) below(top string) int {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return len(n.within[top])
}

// room refuses a namespace that is not known when, with it and those above it that
// are not known, there would be more than most below the top-level one: who declares
// them takes everybody's memory.
func (n *namespaces) room(folded string, most int) error {
	unknown := 0
	for path := folded; path != ""; path = parent(path) {
		if _, ok := n.get(path); !ok {
			unknown++
		}
	}
	if unknown == 0 || n.below(sluice.TopLevel(folded))+unknown <= 1+most {
		return nil
	}
	return sluice.Errorf(sluice.Conflict, "the namespace has %d others below it, which is the limit", most).
		WithHint("those that are known can be declared; events of others are recorded and delivered all the same")
}

// parent returns the path above, "" for a top-level namespace.
func parent(path string) string {
	return path[:max(0, strings.LastIndexByte(path, '/'))]
}

func (s *Service) loadNamespaces(ctx context.Context) error {
	var stored []namespaceRecord
	for r, err := range s.store.List(ctx, namespaceRecords) {
		if err != nil {
			return err
		}
		var rec namespaceRecord
		if err := json.Unmarshal(r.Value, &rec); err != nil {
			return fmt.Errorf("read record %q: %w", r.Key, err)
		}
		if rec.pending() {
			s.outboxes.wake(r.Key)
		}
		rec.outbox = outbox{}
		stored = append(stored, rec)
	}
	// Parents come first, as they do when namespaces are created.
	slices.SortFunc(stored, func(a, b namespaceRecord) int {
		return strings.Count(a.Path, "/") - strings.Count(b.Path, "/")
	})
	for i := range stored {
		s.namespaces.put(&stored[i])
	}
	return nil
}
