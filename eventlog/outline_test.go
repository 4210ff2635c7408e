package eventlog

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// Outlines come from the tail, from what was read before, and from the engine.
func TestOutline(t *testing.T) {
	r := threeBlocks(t, Options{})
	for _, fresh := range []bool{true, false} {
		for seq, want := range map[uint64]uint64{0: 1, 1: 1, 3: 1, 4: 4, 6: 4, 7: 7, 9: 7} {
			o, err := r.Outline(t.Context(), part, seq)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, fmt.Sprintf("outline of %d (fresh %v)", seq, fresh), o.First, want)
			for i := range o.Entries {
				got, err := o.Event(i)
				if err != nil {
					t.Fatal(err)
				}
				n := o.First - 1 + uint64(i)
				equal(t, "event", string(got), string(event{ns: "acme", id: fmt.Sprintf("b%d%d", n/3, n%3)}.payload()))
			}
		}
	}
	r.append(event{ns: "acme", id: "new"})
	o, err := r.Outline(t.Context(), part, 10)
	if err != nil || o.block == nil {
		t.Errorf("the newest event: got %v and error %v, want what is in memory", o, err)
	}
	if _, err := r.Outline(t.Context(), part, 11); !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: got %v, want io.EOF", err)
	}
}

// A block whose directory is damaged is passed over and named, as by Block.
func TestOutlineDamagedDirectory(t *testing.T) {
	r := threeBlocks(t, Options{})
	if !r.mem.Corrupt(part, 4, HeaderSize+3) {
		t.Fatal("not corrupted")
	}
	r = r.reopen()
	o, err := r.Outline(t.Context(), part, 5)
	if err != nil || o.First != 7 {
		t.Errorf("got %v and error %v, want the next block", o, err)
	}
	if got := r.Lost(part, 4, 6); !strings.HasPrefix(got, "damage: ") {
		t.Errorf("lost: got %q, want damage", got)
	}
}

// What is kept stays within its bounds, and is let go when the log is trimmed.
func TestOutlinesAreBounded(t *testing.T) {
	const limit = 80_000
	r := start(t, memory(MemoryOptions{}), Options{CacheBytes: limit, snapshotEvery: 1})
	for i := range 600 {
		r.append(event{ns: "acme", id: fmt.Sprint(i), body: strings.Repeat("x", i)})
	}
	r = r.reopen()
	for seq := uint64(1); seq <= 600; seq++ {
		o, err := r.Outline(t.Context(), part, seq)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Event(int(seq - o.First)); err != nil {
			t.Fatal(err)
		}
		sum := 0
		for _, o := range r.outlines.list {
			sum += o.size()
		}
		if sum != r.outlines.bytes || sum > limit/8 && len(r.outlines.list) > 1 || len(r.outlines.list) > maxOutlines {
			t.Fatalf("got %d outlines of %d bytes (%d by their count), want at most %d bytes", len(r.outlines.list), sum, r.outlines.bytes, limit/8)
		}
	}
	if err := r.Trim(t.Context(), part, 600); err != nil {
		t.Fatal(err)
	}
	equal(t, "first", r.First(part), 600)
	for _, o := range r.outlines.list {
		if o.First < 600 {
			t.Errorf("the outline of %d is kept although its block is gone", o.First)
		}
	}
}
