package eventlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// A reader returns the blocks that the log does, also those that others have in
// memory, and leaves these as they are.
func TestReader(t *testing.T) {
	r := start(t, memory(MemoryOptions{}), Options{CacheBytes: 1 << 20})
	for b := range 8 {
		var events []event
		for i := range 50 {
			events = append(events, event{ns: "acme", id: fmt.Sprint(b, "-", i), body: strings.Repeat(string(rune('a'+b)), 20*b+i)})
		}
		r.append(events...)
	}
	r.append(event{ns: "acme", id: "large", body: strings.Repeat("x", keptRaw)})
	r.append(event{ns: "acme", id: "last"})
	if o, err := r.Outline(t.Context(), part, 101); err != nil || !r.mem.Corrupt(part, 101, o.Size()-7) {
		t.Fatalf("not corrupted: %v", err)
	}
	r = r.reopen()
	var shared []*Block // some are known to the log when the reader comes by
	for _, seq := range []uint64{60, 210} {
		b, err := r.Block(t.Context(), part, seq)
		if err != nil {
			t.Fatal(err)
		}
		shared = append(shared, b)
	}
	reader := r.Reader(part)
	events := 0
	for seq := uint64(1); ; {
		got, err := reader.Next(t.Context(), seq)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // loading once more changes nothing
			if err := reader.Load(got); err != nil {
				t.Fatal(err)
			}
		}
		want, err := r.Block(t.Context(), part, seq)
		if err != nil || want.First != got.First || len(want.Entries) != len(got.Entries) {
			t.Fatalf("block behind %d: got %d, want %d (%v)", seq, got.First, want.First, err)
		}
		for i := range got.Entries {
			a, errA := got.Payload(i)
			b, errB := want.Payload(i)
			if errA != nil || errB != nil || !bytes.Equal(a, b) {
				t.Fatalf("event %d of block %d: got %.80s and %v, want %.80s and %v", i, got.First, a, errA, b, errB)
			}
			events++
		}
		seq = got.Last() + 1
	}
	if want := 7*50 + 2; events != want { // all but those of the damaged block
		t.Errorf("events: got %d, want %d", events, want)
	}
	for _, b := range shared {
		for i := range b.Entries {
			p, err := b.Payload(i)
			if err != nil || !bytes.Contains(p, fmt.Appendf(nil, `"%d-%d"`, (b.First-1)/50, i)) {
				t.Fatalf("event %d of a block that others have: %.80s, %v", i, p, err)
			}
		}
	}
}
