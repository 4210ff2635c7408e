package githook

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzUpdates reads what a hook is given: each line is an update with two object
// ids and a ref, or the input is refused.
func FuzzUpdates(f *testing.F) {
	a, b := strings.Repeat("a", 40), strings.Repeat("0", 64)
	for _, in := range []string{a + " " + b + " refs/heads/main\n", b + " " + a + " refs/tags/\xff\n" + a + " " + a + " x y", a + " " + a, "\n", "", a + "  refs/heads/main"} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		list, err := parseUpdates(strings.NewReader(in))
		if err != nil {
			return
		}
		if lines := strings.Count(in, "\n") + 1; len(list) > lines {
			t.Fatalf("%d lines: got %d updates", lines, len(list))
		}
		for _, u := range list {
			if !isObjectID(u.old) || !isObjectID(u.new) || u.ref == "" || strings.Contains(u.ref, "\n") {
				t.Errorf("%q: got %+v", in, u)
			}
		}
	})
}

// FuzzSpooled reads events of spool files that are anything at all: what is read is
// written as it was.
func FuzzSpooled(f *testing.F) {
	f.Add([]byte(`{"id":"a","ref":"refs/heads/main"}`))
	f.Add([]byte(`{"id":7}`))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, line []byte) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return
		}
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var again event
		if err := json.Unmarshal(b, &again); err != nil || again.ID != e.ID || again.Ref != e.Ref {
			t.Errorf("%q: written and read again it is %+v (%v)", line, again, err)
		}
	})
}
