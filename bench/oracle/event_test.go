package oracle

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestPostedEventIsTheStoredOneWithSpace(t *testing.T) {
	m := maker{seed: 7}
	spaced := 0
	for i := range uint64(200) {
		n := newNumber(i, int(i%6), i%3 == 0)
		stored, posted := m.appendEvent(nil, n, ownID(n), false), m.appendEvent(nil, n, ownID(n), true)
		if !bytes.Equal(stored, posted) {
			spaced++
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, posted); err != nil || compact.String() != string(stored) {
			t.Fatalf("event %d: got %q, %v, want %q", n, compact.String(), err, stored)
		}
		if got, ok := numberOf(stored); got != n || !ok {
			t.Errorf("number: got %d, %v, want %d", got, ok, n)
		}
		if got, want := n.serial(), i; got != want {
			t.Errorf("serial: got %d, want %d", got, want)
		}
	}
	if spaced == 0 {
		t.Error("got no event with white space")
	}
}

func TestFilter(t *testing.T) {
	f := filter{Types: []string{"a", "b"}, Excluded: []string{"b"}, Namespaces: []string{"acme/Web"}}
	for _, c := range []struct {
		kind, namespace string
		want            bool
	}{
		{"a", "acme/web", true}, {"a", "ACME/WEB/shop", true}, {"a", "acme/website", false},
		{"a", "acme", false}, {"b", "acme/web", false}, {"c", "acme/web", false},
	} {
		if got := f.wants(c.kind, c.namespace); got != c.want {
			t.Errorf("%s in %s: got %v, want %v", c.kind, c.namespace, got, c.want)
		}
	}
}
