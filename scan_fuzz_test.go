package sluice_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicelog/sluice"
)

// oracle is what an independent parser says of the value at the start of src.
type oracle struct {
	object    bool
	end       int  // behind the value in src
	deep      bool // nested deeper than an event may be
	duplicate bool // a top-level key appears twice
	compact   []byte
}

// ask returns nil when no valid JSON value stands at the start of src.
func ask(src []byte) *oracle {
	options := jsontext.AllowDuplicateNames(true)
	d := jsontext.NewDecoder(bytes.NewReader(src), options)
	value, err := d.ReadValue()
	if err != nil {
		return nil
	}
	o := &oracle{object: value.Kind() == '{', end: int(d.InputOffset()), compact: bytes.Clone(value)}
	if err := (*jsontext.Value)(&o.compact).Compact(options); err != nil {
		return nil
	}
	names := map[string]bool{}
	d = jsontext.NewDecoder(bytes.NewReader(o.compact), options)
	for {
		token, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return o
		}
		if err != nil {
			return nil
		}
		o.deep = o.deep || d.StackDepth() > sluice.MaxEventDepth
		if kind, length := d.StackIndex(d.StackDepth()); d.StackDepth() == 1 && kind == '{' && length%2 == 1 {
			o.duplicate = o.duplicate || names[token.String()]
			names[token.String()] = true
		}
	}
}

// FuzzScan holds the scanner against jsontext, and its answers against each other.
func FuzzScan(f *testing.F) {
	for _, file := range []string{"gitlab.ndjson", "github.ndjson", "bench_gitlab.json", "bench_github.json"} {
		for _, line := range readEvents(f, file) {
			f.Add(line, "")
			f.Add(line, "acme")
		}
	}
	for _, members := range []string{
		`"a":1,"\u0061":2`, `"é":"\ud83d\ude00","n":[-0.5e-7,0]`, ` "a" : [ { } , [ ] ] `, "\"a\":\"\xff\"", `"@timestamp":1,"org":["x"]`,
	} {
		f.Add([]byte(with(members)), "")
		f.Add([]byte(`{"action":"git.push","business":"B",`+members+"} \n{"), "b")
	}
	f.Fuzz(func(t *testing.T, src []byte, top string) {
		s := newScanner()
		s.TopLevel = top
		given := bytes.Clone(src)
		out, env, n, err := s.Scan([]byte("dst"), src)
		if !bytes.Equal(src, given) {
			t.Fatalf("got src changed to %q, want %q", src, given)
		}
		judge(t, src, ask(src), n, err)
		if err != nil {
			if string(out) != "dst" {
				t.Errorf("got out %q with an error, want dst as it was", out)
			}
			return
		}
		checkAccepted(t, s, src[:n], out[len("dst"):], env)
	})
}

// judge compares the verdict on src with the oracle's.
func judge(t *testing.T, src []byte, want *oracle, n int, err error) {
	t.Helper()
	code := ""
	if err != nil {
		refusal := scanError(t, err)
		if code = refusal.Code; refusal.Offset < 0 || refusal.Offset > len(src) {
			t.Errorf("got offset %d in %d bytes, want it within", refusal.Offset, len(src))
		}
	}
	unreadable := code == sluice.CodeMalformedJSON || code == sluice.CodeInvalidUTF8
	switch {
	case unreadable || code == sluice.CodeNotAnObject || code == sluice.CodeTooDeep:
		if n != 0 {
			t.Errorf("got n %d with %s, want 0", n, code)
		}
	case want != nil && n != want.end:
		t.Errorf("got n %d with code %q, want %d", n, code, want.end)
	}
	switch {
	case want == nil:
		// A value that is cut short may still be known to be no object, or too deep.
		if !unreadable && code != sluice.CodeNotAnObject && code != sluice.CodeTooDeep {
			t.Errorf("got code %q for %q, want it refused as malformed", code, src)
		}
	case unreadable:
		t.Errorf("got %v for valid JSON %q", err, src)
	case want.object == (code == sluice.CodeNotAnObject):
		t.Errorf("got code %q, want an object: %v", code, want.object)
	case want.object && want.deep != (code == sluice.CodeTooDeep):
		t.Errorf("got code %q, want too deep: %v", code, want.deep)
	case want.object && !want.deep && want.duplicate != (code == sluice.CodeDuplicateKey):
		t.Errorf("got code %q, want duplicate keys: %v", code, want.duplicate)
	}
}

// checkAccepted checks the promises about an event that was accepted.
func checkAccepted(t *testing.T, s *sluice.Scanner, src, event []byte, env sluice.Envelope) {
	t.Helper()
	want := bytes.Clone(ask(src).compact)
	if made := []byte(`{"id":"made",`); bytes.HasPrefix(event, made) && !bytes.HasPrefix(want, made) {
		want = append(made, want[1:]...)
	}
	if !bytes.Equal(event, want) {
		t.Errorf("got %q, want %q", event, want)
	}
	if got := event[env.IDOffset:][:len(env.ID)]; len(got) == 0 || !bytes.Equal(got, env.ID) {
		t.Errorf("got %q at the id's offset, want %q", got, env.ID)
	}
	if len(env.Type) == 0 || env.Class != sluice.ClassOf(string(env.Type)) {
		t.Errorf("got type %q, class %q; want a type and its class", env.Type, env.Class)
	}
	if ns := string(env.Namespace); ns == "" && s.TopLevel != "" ||
		ns != "" && sluice.CheckNamespace(ns) != nil ||
		!sluice.Within(sluice.FoldNamespace(ns), sluice.FoldNamespace(s.TopLevel)) {
		t.Errorf("got namespace %q, want one within %q", ns, s.TopLevel)
	}
	first := shown(env)
	again, second, n, err := s.Scan(nil, append(bytes.Clone(event), " \x01]"...))
	if err != nil || n != len(event) || !bytes.Equal(again, event) || shown(second) != first || second.IDOffset != env.IDOffset {
		t.Errorf("scanned again: got %q, %s, n %d, error %v; want %q, %s, %d, nil", again, shown(second), n, err, event, first, len(event))
	}
}
