package eventlog

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Frames returns what outlines do, whatever was wanted before, and errors where
// they do.
func TestFrames(t *testing.T) {
	r := start(t, memory(MemoryOptions{}), Options{CacheBytes: 1})
	rnd := rand.New(rand.NewPCG(1, 2))
	for b := range 6 {
		var events []event
		for i := range 200 {
			body := make([]byte, rnd.IntN(2000))
			for j := range body {
				body[j] = byte('a' + rnd.IntN(26))
			}
			events = append(events, event{ns: "acme", id: fmt.Sprint(b, "-", i), body: string(body)})
		}
		r.append(events...)
	}
	r.append(event{ns: "acme", id: "large", body: strings.Repeat("x", keptRaw)}, event{ns: "acme", id: "last"})
	if o, err := r.Outline(t.Context(), part, 201); err != nil || !r.mem.Corrupt(part, 201, o.Size()-7) {
		t.Fatalf("not corrupted: %v", err)
	}
	r = r.reopen()
	var frames Frames
	damaged := 0
	for range 2 {
		for seq := uint64(1); seq <= r.Stored(part); {
			o, err := r.Outline(t.Context(), part, seq)
			if err != nil {
				t.Fatal(err)
			}
			frames.Open(o)
			for range 4 {
				var wanted []int
				for i := range o.Entries {
					if rnd.IntN(20) == 0 {
						wanted = append(wanted, i)
					}
				}
				frames.Decode(slices.Values(wanted))
				for _, i := range wanted {
					if !frames.Has(i) {
						t.Errorf("event %d of block %d was wanted and is not there", i, o.First)
					}
				}
				i := rnd.IntN(len(o.Entries)) // also one that was not wanted
				for _, i := range append(wanted, i) {
					want, wantErr := o.Event(i)
					got, err := frames.Event(i)
					if string(got) != string(want) || (err == nil) != (wantErr == nil) {
						t.Fatalf("event %d of block %d: got %.100s and error %v, want %.100s and error %v", i, o.First, got, err, want, wantErr)
					}
					if err != nil {
						damaged++
					} else if got[:len(got)+1][len(got)] != '\n' {
						t.Errorf("event %d of block %d: no newline follows", i, o.First)
					}
				}
			}
			seq = o.Last() + 1
		}
	}
	if damaged == 0 {
		t.Error("no event was damaged")
	}
	if cap(frames.raw) > keptRaw {
		t.Errorf("a small block after a large one: got %d bytes kept, want %d at most", cap(frames.raw), keptRaw)
	}
}
