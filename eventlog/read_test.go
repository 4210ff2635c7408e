package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// threeBlocks stores the numbers 1 to 3, 4 to 6 and 7 to 9, ten seconds apart,
// and opens the log anew, so that nothing is at hand.
func threeBlocks(t *testing.T, opts Options) *rig {
	now := at(0)
	opts.Now = func() time.Time { return now }
	r := start(t, memory(MemoryOptions{}), opts)
	for i := range 3 {
		r.append(numbered("acme", fmt.Sprint("b", i), 3)...)
		now = now.Add(10 * time.Second)
	}
	return r.reopen()
}

func TestRead(t *testing.T) {
	r := threeBlocks(t, Options{})
	for _, fresh := range []bool{true, false} { // from the engine, then from the cache
		for seq, want := range map[uint64]uint64{0: 1, 1: 1, 3: 1, 4: 4, 6: 4, 7: 7, 9: 7} {
			b, err := r.Block(t.Context(), part, seq)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, fmt.Sprintf("block of %d (fresh %v)", seq, fresh), b.First, want)
		}
	}
	if _, err := r.Block(t.Context(), part, 10); !errors.Is(err, io.EOF) {
		t.Errorf("block of 10: got %v, want io.EOF", err)
	}
	for when, want := range map[int]uint64{-100: 1, 0: 1, 1: 4, 10: 4, 11: 7, 20: 7, 21: 10} {
		got, err := r.Since(t.Context(), part, at(when))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("since %d s", when), got, want)
	}
	for seq, want := range map[uint64]int{1: 0, 3: 0, 4: 10, 9: 20} {
		got, err := r.AcceptedAt(t.Context(), part, seq)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("acceptance of %d", seq), got, at(want))
	}
	if _, err := r.AcceptedAt(t.Context(), part, 10); !errors.Is(err, io.EOF) {
		t.Errorf("acceptance of 10: got %v, want io.EOF", err)
	}
	equal(t, "first", r.First(part), 1)
	equal(t, "wait for what is there", r.Wait(t.Context(), part, 9), nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	cancel(gone)
	equal(t, "wait", r.Wait(ctx, part, 10), gone)
	if _, err := r.Block(ctx, part, 1); !errors.Is(err, gone) {
		t.Errorf("block: got %v, want %v", err, gone)
	}
}

func TestEmpty(t *testing.T) {
	r := start(t, memory(MemoryOptions{}), Options{})
	equal(t, "first", r.First(part), 1)
	equal(t, "last", r.Last(part), 0)
	if _, err := r.Block(t.Context(), part, 1); !errors.Is(err, io.EOF) {
		t.Errorf("block: got %v, want io.EOF", err)
	}
	since, err := r.Since(t.Context(), part, at(0))
	equal(t, "since", since, 1)
	equal(t, "since", err, nil)
	n, err := r.Before(t.Context(), part, "acme", 1)
	equal(t, "before", n, 0)
	equal(t, "before", err, nil)
}

// TestDamagedBlock reads around a block that is damaged in its directory or in
// its frames: it is named once, in the list and in the log.
func TestDamagedBlock(t *testing.T) {
	for name, offset := range map[string]func(*Header) int{
		"directory": func(*Header) int { return HeaderSize + 3 },
		"frames":    func(h *Header) int { return h.Size() - 1 },
	} {
		var lines strings.Builder
		r := threeBlocks(t, Options{Logger: slog.New(slog.NewTextHandler(&lines, nil))})
		s, err := r.parts[part].store.Next(t.Context(), 4)
		if err != nil {
			t.Fatal(err)
		}
		if !r.mem.Corrupt(part, 4, offset(&s.Header)) {
			t.Fatal("not corrupted")
		}
		r = r.reopen()
		for range 3 {
			for _, seq := range []uint64{4, 5, 6} {
				b, err := r.Block(t.Context(), part, seq)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, name+": block after the damage", b.First, 7)
			}
		}
		list := r.Damage(part)
		if len(list) != 1 || list[0].First != 4 || list[0].Last != 6 {
			t.Errorf("%s: damage: got %v, want events 4 to 6", name, list)
		}
		if got := r.Lost(part, 4, 6); !strings.HasPrefix(got, "damage: ") {
			t.Errorf("%s: lost: got %q, want damage", name, got)
		}
		equal(t, name+": lines", strings.Count(lines.String(), "log block is damaged"), 1)
		// A duplicate of an event that cannot be delivered is not a duplicate.
		equal(t, name+": event of the block again", r.append(numbered("acme", "b1", 1)...), Appended{Accepted: 1, Last: 10})
		if err := r.Trim(t.Context(), part, 11); err != nil {
			t.Fatal(err)
		}
		equal(t, name+": first is kept for its totals", r.First(part), 1)
	}
}

// Who follows the log and meets what cannot be read at its end waits for more, and
// does not ask again and again.
func TestWaitBehindDamage(t *testing.T) {
	for name, next := range map[string]func(r *rig, seq uint64) error{
		"Block":   func(r *rig, seq uint64) error { _, err := r.Block(t.Context(), part, seq); return err },
		"Outline": func(r *rig, seq uint64) error { _, err := r.Outline(t.Context(), part, seq); return err },
		"Reader":  func(r *rig, seq uint64) error { _, err := r.Reader(part).Next(t.Context(), seq); return err },
	} {
		for how, spoil := range map[string]func(m *Memory, seq uint64) bool{
			"damaged": func(m *Memory, seq uint64) bool { return m.Corrupt(part, seq, HeaderSize) },
			"lost":    func(m *Memory, seq uint64) bool { return m.Lose(part, seq) },
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				r := threeBlocks(t, Options{})
				for _, seq := range []uint64{9, 5} {
					if !spoil(r.mem, seq) {
						t.Fatalf("nothing at %d", seq)
					}
				}
				waits := func(seq uint64) bool {
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
					defer cancel()
					return r.Wait(ctx, part, seq) != nil
				}
				for _, seq := range []uint64{7, 4, 8} {
					if err := next(r, seq); !errors.Is(err, io.EOF) {
						t.Fatalf("%d: got %v, want io.EOF", seq, err)
					}
					equal(t, fmt.Sprintf("wait at %d", seq), waits(seq), true)
				}
				equal(t, "wait at 1, which can be read", waits(1), false)
				r.append(numbered("acme", "more", 1)...)
				for _, seq := range []uint64{4, 10} {
					equal(t, fmt.Sprintf("wait at %d for what came", seq), waits(seq), false)
				}
				equal(t, "what came", next(r, 7), nil)
			})
		}
	}
}

func TestTrim(t *testing.T) {
	r := start(t, memory(MemoryOptions{}), Options{snapshotEvery: 1})
	for i := range 4 {
		r.append(numbered("acme", fmt.Sprint(i), 2)...)
	}
	r.mem.Corrupt(part, 3, HeaderSize)
	r = r.reopen()
	_, _ = r.Block(t.Context(), part, 3)
	equal(t, "damage", len(r.Damage(part)), 1)
	if err := r.Trim(t.Context(), part, 6); err != nil {
		t.Fatal(err)
	}
	equal(t, "first", r.First(part), 5)
	equal(t, "damage of what is gone", len(r.Damage(part)), 0)
	equal(t, "lost", r.Lost(part, 1, 4), "retention")
	equal(t, "lost", r.Lost(part, 5, 6), "missing from the log")
	if err := r.Trim(t.Context(), part, 100); err != nil {
		t.Fatal(err)
	}
	equal(t, "first", r.First(part), 7)
	r = r.reopen()
	equal(t, "next", r.append(event{ns: "acme", id: "x"}).Last, 9)
	_, total := r.Position(part, "acme")
	equal(t, "total", total, 9)
}

// slowTrim takes a while to remove anything.
type slowTrim struct{ Partition }

func (s slowTrim) Trim(ctx context.Context, seq uint64) error {
	time.Sleep(2 * time.Millisecond)
	return s.Partition.Trim(ctx, seq)
}

// What is appended waits for a part of what is removed, not for all of it.
func TestAppendWhileMuchIsTrimmed(t *testing.T) {
	const blocks = 15
	r := start(t, memory(MemoryOptions{}), Options{snapshotEvery: 1, trimStep: 1})
	for i := range blocks {
		r.append(numbered("acme", fmt.Sprint(i, "-"), 2)...)
	}
	p := r.partition(part)
	p.store = slowTrim{p.store} // nobody uses it at the moment
	var trimmed atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Trim(t.Context(), part, 2*blocks); err != nil {
			t.Error(err)
		}
		trimmed.Store(true)
	})
	time.Sleep(4 * time.Millisecond)
	r.append(event{ns: "acme", id: "x"})
	equal(t, "all was trimmed before an event was stored", trimmed.Load(), false)
	wg.Wait()
	equal(t, "first", r.First(part), 2*blocks-1)
}

// TestTrimmedInMemory asks for blocks that were removed and are in memory still: as
// the tail, and in the cache of those that were read.
func TestTrimmedInMemory(t *testing.T) {
	for _, reopened := range []bool{false, true} {
		r := start(t, memory(MemoryOptions{}), Options{snapshotEvery: 1})
		for i := range 4 {
			r.append(numbered("acme", fmt.Sprint(i), 2)...)
		}
		if reopened {
			r = r.reopen()
		}
		for seq := uint64(1); seq <= 8; seq++ {
			b, err := r.Block(t.Context(), part, seq)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "before: block", b.First, (seq-1)/2*2+1)
		}
		if err := r.Trim(t.Context(), part, 6); err != nil {
			t.Fatal(err)
		}
		reader := r.Reader(part)
		for seq := uint64(1); seq <= 8; seq++ {
			b, err := r.Block(t.Context(), part, seq)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "block", b.First, max(5, (seq-1)/2*2+1))
			if b, err = reader.Next(t.Context(), seq); err != nil {
				t.Fatal(err)
			}
			equal(t, "next of a reader", b.First, max(5, (seq-1)/2*2+1))
		}
	}
}

// TestForeignBlocks opens a log with blocks of another one.
func TestForeignBlocks(t *testing.T) {
	r := threeBlocks(t, Options{})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), r.mem.Restart(MemoryOptions{}), Options{ID: LogID{9}, Partitions: []string{part}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Block(t.Context(), part, 1); !errors.Is(err, io.EOF) {
		t.Errorf("block: got %v, want io.EOF", err)
	}
	equal(t, "damage", len(l.Damage(part)), 3)
}

// TestMemoryBounds appends many tiny blocks, and blocks of some size, and reads
// them all: what is kept stays within its bounds.
func TestMemoryBounds(t *testing.T) {
	const limit = 200_000
	r := start(t, memory(MemoryOptions{}), Options{CacheBytes: limit})
	for i := range 600 {
		r.append(event{ns: "acme", id: fmt.Sprint(i)})
	}
	for i := range 40 {
		r.append(event{ns: "acme", id: fmt.Sprint("large", i), body: strings.Repeat("x", 20_000)})
	}
	p := r.parts[part]
	for _, b := range p.tail.blocks {
		if cap(b.raw) > 2*len(b.raw) || cap(b.Entries) > 2*len(b.Entries) {
			t.Fatalf("tail: a block of %d bytes occupies %d", len(b.raw), cap(b.raw))
		}
	}
	for round := range 2 {
		r.all(1)
		sum := 0
		for _, b := range p.tail.blocks {
			sum += b.MemSize()
		}
		equal(t, "size of the tail", p.tail.bytes, sum)
		cached := 0
		for _, c := range r.cache.blocks {
			cached += c.b.MemSize()
		}
		if sum > limit/2 || cached > limit/2 || r.cache.bytes > limit/2 || len(r.cache.blocks) == 0 {
			t.Errorf("round %d: got %d bytes in the tail, %d in the cache (%d by its count), want at most %d", round, sum, cached, r.cache.bytes, limit/2)
		}
	}
}
