package eventlog

import (
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
)

// The largest event that may be taken in, 32 MiB, can be stored with the id that it
// is given.
func TestLargestEventWithAnIDOfOurs(t *testing.T) {
	const largest = 32 << 20
	head := `{"event_type":"user.login","entity_path":"acme","text":"`
	scanner := sluice.Scanner{MaxEvent: largest, NewID: func(dst []byte) []byte {
		return append(dst, "0190b5a4-7c3e-7000-8000-000000000000"...)
	}}
	out, env, _, err := scanner.Scan(nil, []byte(head+strings.Repeat("x", largest-len(head)-2)+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	b := &Batch{}
	b.Add(out, &env, "token-1")
	r := start(t, memory(MemoryOptions{}), Options{})
	if _, err := r.Append(t.Context(), map[string]*Batch{part: b}); err != nil {
		t.Fatalf("append: %v", err)
	}
	equal(t, "the event as stored", r.all(1)[0] == string(out), true)
}
