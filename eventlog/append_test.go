package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestAppend(t *testing.T) {
	r := start(t, memory(MemoryOptions{}), Options{Partitions: []string{"audit", "git"}})
	got, err := r.Append(t.Context(), map[string]*Batch{
		"audit": batchOf(numbered("acme", "a", 3)...),
		"git":   batchOf(event{ns: "acme", typ: "git.push", id: "g"}, event{ns: "acme", typ: "git.push", id: "g"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "audit", got["audit"], Appended{Accepted: 3, Last: 3})
	equal(t, "git", got["git"], Appended{Accepted: 1, Duplicates: 1, Last: 1})
	got, err = r.Append(t.Context(), map[string]*Batch{"audit": {}, "git": batchOf(event{ns: "acme", typ: "git.push", id: "h"})})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "results", len(got), 1)
	equal(t, "second to git", got["git"], Appended{Accepted: 1, Last: 2})
	st := r.Stats("git")
	equal(t, "events", st.Events, 2)
	equal(t, "duplicates", st.Dup, 1)
	equal(t, "ready", st.Ready, true)
}

// TestRequestsThatAreReadyShareASync has more requests than processors: those that
// only wait for one join the group that is about to be stored.
func TestRequestsThatAreReadyShareASync(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const requests = 64
	r := start(t, memory(MemoryOptions{}), Options{})
	before := r.Stats(part).Blocks
	var wg sync.WaitGroup
	for i := range requests {
		wg.Go(func() { r.append(event{ns: "acme", id: fmt.Sprint(i)}) })
	}
	wg.Wait()
	if got := r.Stats(part).Blocks - before; got > requests/4 {
		t.Errorf("%d requests at once: got %d blocks, want at most %d", requests, got, requests/4)
	}
}

func TestDuplicates(t *testing.T) {
	r := start(t, memory(MemoryOptions{}), Options{recentEvents: 2000})
	first := event{ns: "acme/web", id: "1", body: "x"}
	equal(t, "in one request", r.append(first, first, first), Appended{Accepted: 1, Duplicates: 2, Last: 1})
	equal(t, "in the next", r.append(first), Appended{Duplicates: 1, Last: 1})
	equal(t, "other bytes", r.append(event{ns: "acme/web", id: "1", body: "y"}), Appended{Accepted: 1, Last: 2})
	equal(t, "either of them", r.append(first, event{ns: "acme/web", id: "1", body: "y"}), Appended{Duplicates: 2, Last: 2})
	equal(t, "clashes", r.Stats(part).Clashes, 1)
	equal(t, "duplicates", r.Stats(part).Dup, 5)
	equal(t, "another tenant", r.append(event{ns: "globex/web", id: "1", body: "x"}), Appended{Accepted: 1, Last: 3})
	equal(t, "clashes after another tenant", r.Stats(part).Clashes, 1)

	r = r.reopen()
	equal(t, "after a start", r.append(first, event{ns: "globex/web", id: "1", body: "x"}), Appended{Duplicates: 2, Last: 3})
	r.append(numbered("acme", "n", 1999)...)
	equal(t, "newest that is kept", r.append(event{ns: "globex/web", id: "1", body: "x"}), Appended{Duplicates: 1, Last: 3})
	equal(t, "one too old", r.append(event{ns: "acme/web", id: "1", body: "y"}), Appended{Accepted: 1, Last: 2003})
	r = r.reopen()
	equal(t, "too old after a start", r.append(event{ns: "globex/web", id: "1", body: "x"}), Appended{Accepted: 1, Last: 2004})
	equal(t, "events", len(r.all(1)), 2004)
}

// TestSameTopLevel gives the same bytes to two tenants whose ids have the same
// hash, which nobody can rule out.
func TestSameTopLevel(t *testing.T) {
	r := start(t, memory(MemoryOptions{}), Options{})
	e := event{ns: "acme", id: "1"}
	for _, round := range []string{"stored", "being committed"} {
		r.append(e)
		other := batchOf(e)
		other.dir.tops[0].Name, other.dir.namespaces[0] = "globex", Namespace{Path: "globex", Folded: "globex"}
		got, err := r.Append(t.Context(), map[string]*Batch{part: other})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, round+": accepted", got[part].Accepted, 1)
		e.id = "2"
	}
}

// gate makes engines wait in front of a block until it is opened.
type gate chan struct{}

func (g gate) before(string, []byte) error { <-g; return nil }

// appending starts one append of one request for each list of events.
func appending(r *rig, requests ...[]event) (returned func() int, wait func() []error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	n := 0
	errs := make([]error, len(requests))
	for i, events := range requests {
		wg.Go(func() {
			_, err := r.try(events...)
			mu.Lock()
			defer mu.Unlock()
			errs[i] = err
			n++
		})
	}
	returned = func() int { mu.Lock(); defer mu.Unlock(); return n }
	return returned, func() []error { wg.Wait(); return errs }
}

// TestDuplicateWaits appends an event again while it is being committed, and
// while it waits behind a commit.
func TestDuplicateWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := make(gate)
		r := start(t, memory(MemoryOptions{Before: g.before}), Options{})
		a, b := numbered("acme", "a", 2), numbered("acme", "b", 2)
		_, wait := appending(r, a)
		synctest.Wait() // a is being committed
		_, waitB := appending(r, b)
		synctest.Wait() // b is behind it
		returned, again := appending(r, a, b)
		synctest.Wait()
		equal(t, "returned before the commit", returned(), 0)
		g <- struct{}{}
		synctest.Wait()
		equal(t, "returned after the first commit", returned(), 1)
		g <- struct{}{}
		for _, err := range append(append(wait(), waitB()...), again()...) {
			equal(t, "append", err, nil)
		}
		equal(t, "events", r.Last(part), 4)
		equal(t, "duplicates", r.Stats(part).Dup, 4)
		_ = r.stop()
	})
}

func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := make(gate, 1)
		m := memory(MemoryOptions{Before: g.before})
		r := start(t, m, Options{})
		g <- struct{}{}
		stored := event{ns: "acme", id: "stored"}
		r.append(stored)
		m.SetCapacity(1)
		big := numbered("acme", "big", 3)
		for i := range big {
			big[i].body = strings.Repeat("x", MaxRaw-2000)
		}
		// One group being committed, one full behind it, one that waits for room.
		_, wait := appending(r, big[:1])
		synctest.Wait()
		_, wait2 := appending(r, big[1:2])
		synctest.Wait()
		_, wait3 := appending(r, []event{stored, big[2]}, []event{big[0]}, []event{big[1]})
		synctest.Wait()
		close(g)
		for i, err := range append(append(wait(), wait2()...), wait3()...) {
			if !errors.Is(err, ErrFull) {
				t.Errorf("append %d: got %v, want ErrFull", i, err)
			}
		}
		equal(t, "last", r.Last(part), 1)
		seq, total := r.Position(part, "acme")
		equal(t, "position", [2]uint64{seq, total}, [2]uint64{1, 1})
		equal(t, "stored duplicate", r.append(stored), Appended{Duplicates: 1, Last: 1})

		m.SetCapacity(0)
		for i, e := range big {
			equal(t, "after there is space", r.append(e), Appended{Accepted: 1, Last: uint64(2 + i)})
		}
		equal(t, "events", len(r.all(1)), 4)
		equal(t, "healthy", r.Cause(), nil)
		_ = r.stop()
	})
}

func TestFailed(t *testing.T) {
	for _, kept := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			g := make(gate, 1)
			broken := errors.New("no such sector")
			opts := MemoryOptions{Before: g.before}
			fail := func(string, []byte) error { <-g; return broken }
			calls := 0
			count := func(p string, b []byte) error {
				if calls++; calls > 1 {
					return fail(p, b)
				}
				return nil
			}
			opts.Before = count
			if kept {
				opts = MemoryOptions{After: count}
			}
			m := memory(opts)
			r := start(t, m, Options{Partitions: []string{part, "git"}})
			r.append(event{ns: "acme", id: "1"})
			_, wait := appending(r, numbered("acme", "a", 2))
			synctest.Wait()
			_, wait2 := appending(r, numbered("acme", "a", 1), numbered("acme", "b", 1))
			synctest.Wait()
			close(g)
			for _, err := range append(wait(), wait2()...) {
				if !errors.Is(err, ErrFailed) || !errors.Is(err, broken) {
					t.Errorf("append: got %v, want ErrFailed with its cause", err)
				}
			}
			<-r.Failed()
			if err := r.Cause(); !errors.Is(err, broken) {
				t.Errorf("cause: got %v, want %v", err, broken)
			}
			for _, p := range []string{part, "git"} {
				_, err := r.Append(t.Context(), map[string]*Batch{p: batchOf(event{ns: "acme", id: "2"})})
				if !errors.Is(err, ErrFailed) && !errors.Is(err, ErrClosed) {
					t.Errorf("append to %s later: got %v, want ErrFailed", p, err)
				}
			}
			equal(t, "tries", calls, 2)
			equal(t, "last", r.Last(part), 1)
			if err := r.stop(); !errors.Is(err, broken) {
				t.Errorf("run: got %v, want %v", err, broken)
			}
			r = start(t, m.Restart(MemoryOptions{Log: testID()}), Options{})
			want := Appended{Accepted: 2, Last: 3}
			if kept {
				want = Appended{Duplicates: 2, Last: 3}
			}
			equal(t, "repeated after a start", r.append(numbered("acme", "a", 2)...), want)
			_ = r.stop()
		})
	}
}

// TestRunEndsWhenFailed waits for Run alone: one partition's failure ends all.
func TestRunEndsWhenFailed(t *testing.T) {
	m := memory(MemoryOptions{Before: func(string, []byte) error { return errors.New("broken") }})
	l, err := Open(t.Context(), m, Options{ID: testID()})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- l.Run(context.Background()) }()
	_, _ = l.Append(t.Context(), map[string]*Batch{"git": batchOf(event{ns: "acme", id: "1"})})
	if err := <-done; !errors.Is(err, ErrFailed) {
		t.Errorf("run: got %v, want ErrFailed", err)
	}
}

func TestLargeEvent(t *testing.T) {
	r := start(t, memory(MemoryOptions{}), Options{})
	large := event{ns: "acme", id: "large", body: strings.Repeat("x", 3*MaxRaw)}
	r.append(event{ns: "acme", id: "1"}, large, event{ns: "acme", id: "2"})
	for seq, count := range map[uint64]uint32{1: 1, 2: 1, 3: 1} {
		b, err := r.Block(t.Context(), part, seq)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("events in the block of %d", seq), b.Count, count)
	}
	equal(t, "large event", r.all(1)[1] == string(large.payload()), true)

	huge := &Batch{}
	event{ns: "acme", id: "3"}.add(huge)
	event{ns: "acme", id: "huge", body: strings.Repeat("x", MaxEvent)}.add(huge)
	if _, err := r.Append(t.Context(), map[string]*Batch{part: huge}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("huge event: got %v, want ErrTooLarge", err)
	}
	equal(t, "last", r.Last(part), 3)
}

// TestManyNamespaces sends as many namespaces as a batch takes, each of its own
// tenant.
func TestManyNamespaces(t *testing.T) {
	r := start(t, memory(MemoryOptions{}), Options{})
	b := &Batch{}
	for i := 0; !b.Full(); i++ {
		event{ns: fmt.Sprintf("t%d/p", i), id: "1", source: fmt.Sprint(i % 1000)}.add(b)
	}
	got, err := r.Append(t.Context(), map[string]*Batch{part: b})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "accepted", got[part].Accepted, maxDictionary)
	for i, p := range r.all(1) {
		if !strings.Contains(p, fmt.Sprintf(`"t%d/p"`, i)) {
			t.Fatalf("event %d: got %s", i, p)
		}
	}
	_, total := r.Position(part, "t59999")
	equal(t, "total of the last tenant", total, 1)
}

// TestProducers appends from a hundred goroutines, and reads at the same time.
func TestProducers(t *testing.T) {
	r := start(t, memory(MemoryOptions{}), Options{CacheBytes: 1 << 16, recentEvents: 3000})
	const producers, requests, size = 100, 12, 7
	ctx, stop := context.WithCancel(t.Context())
	var readers, writers sync.WaitGroup
	for range 4 {
		readers.Go(func() { follow(ctx, t, r) })
	}
	for p := range producers {
		writers.Go(func() {
			for i := range requests {
				events := numbered(fmt.Sprintf("t%d", p%9), fmt.Sprintf("%d-%d-", p, i), size)
				got := r.append(append(events, events[0])...)
				if got.Accepted != size || got.Duplicates != 1 {
					t.Errorf("append: got %+v, want %d accepted and a duplicate", got, size)
				}
			}
		})
	}
	writers.Wait()
	stop()
	readers.Wait()
	seen := map[string]bool{}
	for _, p := range r.all(1) {
		seen[p] = true
	}
	equal(t, "different events", len(seen), producers*requests*size)
	equal(t, "last", r.Last(part), producers*requests*size)
	var sum uint64
	last, totals := r.Totals(part)
	for scope, n := range totals {
		if scope != "" {
			sum += n
		}
	}
	equal(t, "sum of totals", sum, last)
}

// follow reads from the first event on and waits at the tail.
func follow(ctx context.Context, t *testing.T, r *rig) {
	for seq := uint64(1); ; {
		if err := r.Wait(ctx, part, seq); err != nil {
			return
		}
		b, err := r.Block(ctx, part, seq)
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("block %d: %v", seq, err)
			}
			return
		}
		if b.First != seq {
			t.Errorf("block: got first number %d, want %d", b.First, seq)
			return
		}
		for i := range b.Entries {
			if p, err := b.Payload(i); err != nil || !bytes.HasPrefix(p, []byte(`{"id":"`)) {
				t.Errorf("event %d: got %q, %v", seq+uint64(i), p, err)
			}
		}
		b.ByTop()
		seq = b.Last() + 1
	}
}

// TestContext gives up at each place where Append waits.
func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := make(gate)
		r := start(t, memory(MemoryOptions{Before: g.before}), Options{})
		_, wait := appending(r, numbered("acme", "a", 1))
		synctest.Wait()
		full := event{ns: "acme", id: "full", body: strings.Repeat("x", MaxRaw)}
		_, wait2 := appending(r, []event{full})
		synctest.Wait()
		gone := errors.New("the producer is gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		errs := make(chan error)
		for _, e := range []event{{ns: "acme", id: "room"}, {ns: "acme", id: "a0"}} { // no room; a duplicate on its way
			go func() {
				_, err := r.Append(ctx, map[string]*Batch{part: batchOf(e)})
				errs <- err
			}()
		}
		synctest.Wait()
		cancel(gone)
		for range 2 {
			if err := <-errs; !errors.Is(err, gone) {
				t.Errorf("append: got %v, want %v", err, gone)
			}
		}
		close(g)
		for _, err := range append(wait(), wait2()...) {
			equal(t, "append", err, nil)
		}
		equal(t, "last", r.Last(part), 2)
		_ = r.stop()
	})
}

// TestRunCommitsWhatWasAccepted ends Run while events wait behind a commit.
func TestRunCommitsWhatWasAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := make(gate)
		var anchor Anchor
		r := start(t, memory(MemoryOptions{Before: g.before}), Options{
			SaveAnchor: func(_ context.Context, _ string, a Anchor) error { anchor = a; return nil },
		})
		_, wait := appending(r, numbered("acme", "a", 1))
		synctest.Wait()
		_, wait2 := appending(r, numbered("acme", "b", 2))
		synctest.Wait()
		stopped := make(chan error)
		go func() { stopped <- r.stop() }()
		synctest.Wait()
		close(g)
		for _, err := range append(wait(), wait2()...) {
			equal(t, "append", err, nil)
		}
		equal(t, "stop", <-stopped, nil)
		equal(t, "anchor", anchor.Seq, 3)
		if _, err := r.try(event{ns: "acme", id: "late"}); !errors.Is(err, ErrClosed) {
			t.Errorf("append later: got %v, want ErrClosed", err)
		}
		n := r.mem.Restart(MemoryOptions{Log: testID()})
		again := start(t, n, Options{})
		equal(t, "events", len(again.all(1)), 3)
		_ = again.stop()
	})
}

// TestStopWhileRebuilding ends Run before the recent ids are known: what is
// appended then must not be stored, for it could be a duplicate.
func TestStopWhileRebuilding(t *testing.T) {
	r := start(t, memory(MemoryOptions{}), Options{})
	e := event{ns: "acme", id: "1"}
	r.append(e)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), r.mem.Restart(MemoryOptions{Log: testID()}), r.opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.parts[part].rebuild(ctx)
	if _, err := l.Append(t.Context(), map[string]*Batch{part: batchOf(e)}); !errors.Is(err, ErrClosed) {
		t.Errorf("append: got %v, want ErrClosed", err)
	}
}

func TestClockGoesBack(t *testing.T) {
	now := at(0)
	r := start(t, memory(MemoryOptions{}), Options{Now: func() time.Time { return now }})
	want := []time.Time{at(0), at(0), at(5), at(5), at(5)}
	for i, set := range []time.Time{at(0), at(-3600), at(5), at(4)} {
		now = set
		r.append(event{ns: "acme", id: fmt.Sprint(i)})
	}
	now = at(-100)
	r = r.reopen()
	r.append(event{ns: "acme", id: "last"})
	for i, want := range want {
		got, err := r.AcceptedAt(t.Context(), part, uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("acceptance of %d", i+1), got, want)
	}
}
