package sluice

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a namespace path.
const (
	MaxNamespaceSegments = 20
	MaxNamespaceSegment  = 255 // bytes
)

// Instance is the namespace of streams and events that belong to the whole
// installation rather than to one top-level namespace.
const Instance = ""

// CheckNamespace reports why path is not a namespace, nil when it is one. The
// instance ("") is not a path: callers that allow it test for it first.
func CheckNamespace(path string) error {
	if path == "" {
		return fmt.Errorf("namespace is empty")
	}
	segments := 0
	for rest, more := path, true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if segments++; segments > MaxNamespaceSegments {
			return fmt.Errorf("namespace has more than %d segments", MaxNamespaceSegments)
		}
		if err := checkSegment(segment); err != nil {
			return err
		}
	}
	return nil
}

func checkSegment(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("namespace has an empty segment")
	case s == "." || s == "..":
		return fmt.Errorf("namespace has a %q segment", s)
	case len(s) > MaxNamespaceSegment:
		return fmt.Errorf("namespace has a segment of more than %d bytes", MaxNamespaceSegment)
	case !utf8.ValidString(s):
		return fmt.Errorf("namespace is not UTF-8")
	}
	for _, r := range s {
		if r < ' ' || r >= 0x7f && unicode.IsControl(r) {
			return fmt.Errorf("namespace has a control character")
		}
	}
	return nil
}

// FoldNamespace returns the form in which namespaces are compared and used as
// keys: two paths name the same namespace when their folded forms are equal.
func FoldNamespace(path string) string {
	for i := range len(path) {
		if c := path[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return strings.ToLower(path)
		}
	}
	return path
}

// TopLevel returns the first segment of path: the tenant. It is "" for the
// instance.
func TopLevel(path string) string {
	top, _, _ := strings.Cut(path, "/")
	return top
}

// Within reports whether the namespace path is scope or lies below it. Both
// must be folded. Everything lies within the instance (""); "acme/web" holds
// "acme/web/shop" and never "acme/website".
func Within(path, scope string) bool {
	if scope == Instance {
		return true
	}
	return strings.HasPrefix(path, scope) && (len(path) == len(scope) || path[len(scope)] == '/')
}
