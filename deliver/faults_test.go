package deliver

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/store"
)

// fates refuses single events by id.
func fates(classes map[string]destination.Class) func([]destination.Event) *destination.Error {
	return func(events []destination.Event) *destination.Error {
		for _, e := range events {
			if c, ok := classes[string(e.ID)]; ok {
				return &destination.Error{Class: c, Status: 400, Message: "bad " + string(e.ID)}
			}
		}
		return nil
	}
}

func TestQuarantineNeverLiesBeyondTheCursor(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		r.set(func(r *receiver) {
			r.single, r.check = true, true
			r.refuse = fates(map[string]destination.Class{"e1": destination.Unavailable, "e2": destination.RejectedBatch})
		})
		w.post("acme", "a", 5)
		w.expect(1, sluice.Ledger{Accepted: 5, Pending: 5})
		w.crash()
		r.set(func(r *receiver) { r.refuse = nil })
		time.Sleep(10 * time.Minute)
		// Whether e2 was refused once more after the crash is a matter of timing.
		if _, err := w.d.Redeliver(context.Background(), 1, QuarantineChoice{}); err != nil {
			t.Error(err)
		}
		w.expect(1, sluice.Ledger{Accepted: 5, Delivered: 5})
	})
}

func TestFilterChangedWithEventsDeliveredBeyondTheCursor(t *testing.T) {
	for _, tc := range []struct {
		excluded string
		want     sluice.Ledger
	}{
		{"head", sluice.Ledger{Accepted: 11, Delivered: 10, Filtered: 1}},
		{"rest", sluice.Ledger{Accepted: 11, Delivered: 10, Pending: 1}},
	} {
		simulate(t, Options{}, func(t *testing.T, w *world) {
			r := w.stream(1, "acme")
			r.set(func(r *receiver) {
				r.single = true
				r.refuse = fates(map[string]destination.Class{"e1": destination.Unavailable})
			})
			w.change(1, func(s *Stream) { s.Paused = true })
			w.post("acme", "head", 1)
			w.post("acme", "rest", 10)
			w.change(1, func(s *Stream) { s.Paused = false })
			time.Sleep(time.Minute)
			w.change(1, func(s *Stream) { s.Filter.ExcludedEventTypes = []string{tc.excluded} })
			time.Sleep(time.Minute)
			if l := w.ledger(1); l.Filtered != tc.want.Filtered || l.Accepted != tc.want.Accepted {
				t.Errorf("excluding %q: got %+v, want %+v", tc.excluded, l, tc.want)
			}
			r.set(func(r *receiver) { r.refuse = nil })
			time.Sleep(10 * time.Minute)
			tc.want.Delivered, tc.want.Pending = tc.want.Delivered+tc.want.Pending, 0
			w.expect(1, tc.want)
		})
	}
}

func TestWhatWasDeliveredCountsWhileTheDestinationIsDown(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		r.set(func(r *receiver) {
			r.single = true
			r.refuse = fates(map[string]destination.Class{"e1": destination.Unavailable})
		})
		w.post("acme", "head", 1)
		w.post("acme", "rest", 10)
		w.expect(1, sluice.Ledger{Accepted: 11, Pending: 11})
		r.set(func(r *receiver) { r.refuse = unavailable })
		w.post("acme", "rest", 1)
		w.change(1, func(s *Stream) { s.Filter.ExcludedEventTypes = []string{"head"} })
		w.expect(1, sluice.Ledger{Accepted: 12, Delivered: 10, Filtered: 1, Pending: 1})
	})
}

func TestDamageIsExpiredWhereverItLies(t *testing.T) {
	for _, how := range []string{"lose", "corrupt"} {
		for _, paused := range []bool{false, true} {
			for at := range 5 {
				t.Run(fmt.Sprintf("%s %d paused %v", how, at, paused), func(t *testing.T) {
					simulate(t, Options{}, func(t *testing.T, w *world) { damage(t, w, how, at, paused) })
				})
			}
		}
	}
}

// damage damages the at-th of five blocks that no stream has settled.
func damage(t *testing.T, w *world, how string, at int, paused bool) {
	r := w.stream(1, "acme")
	w.stream(2, sluice.Instance)
	w.post("acme", "a", 10)
	w.post("beta", "a", 5)
	w.expect(1, sluice.Ledger{Accepted: 10, Delivered: 10})
	time.Sleep(5 * time.Second) // for the checkpoint
	if paused {
		for id := range w.confs {
			w.change(id, func(s *Stream) { s.Paused = true })
		}
		w.expect(1, sluice.Ledger{Accepted: 10, Delivered: 10})
	}
	kept := w.store.Snapshot()
	for i, ns := range []string{"acme", "acme", "beta", "acme", "acme"} {
		seq, _ := w.log.Position("audit", ns)
		w.post(ns, "a", 10)
		if i == at {
			if how == "lose" && !w.engine.Lose("audit", seq+1) || how == "corrupt" && !w.engine.Corrupt("audit", seq+1, 300) {
				t.Fatalf("no block at %d", seq+1)
			}
		}
	}
	w.stop()
	w.use(kept)
	r.set(func(r *receiver) { r.got = nil })
	w.start()
	for id := range w.confs {
		w.change(id, func(s *Stream) { s.Paused = false })
	}
	w.post("beta", "a", 1)
	w.post("acme", "a", 1)
	lost := uint64(10)
	want := sluice.Ledger{Accepted: 51, Delivered: 51}
	all := sluice.Ledger{Accepted: 67, Delivered: 67 - lost, Expired: lost}
	switch {
	case how == "lose" && at == 4: // nothing is left that tells of the newest block
		want = sluice.Ledger{Accepted: 41, Delivered: 41}
		all = sluice.Ledger{Accepted: 57, Delivered: 57}
	case at != 2:
		want.Delivered, want.Expired = 51-lost, lost
	}
	w.expect(1, want)
	w.expect(2, all)
	w.stop()
	w.start()
	w.expect(1, want)
	w.expect(2, all)
}

// The block behind a loss may be of others, and too late for the stream: what was
// lost still counts.
// A loss that does not show yet, and ends where the stream does, shows by the end.
// What was filtered between a hole that held nothing of a stream and the end of the
// stream is not taken for what was lost.
func TestRetentionNeedsNoStream(t *testing.T) {
	retention := map[string]Retention{"audit": {Age: time.Hour}}
	simulate(t, Options{Retention: retention}, func(t *testing.T, w *world) {
		for range 10 {
			w.post("acme", "a", 1)
			time.Sleep(time.Hour)
		}
		if got := w.log.First("audit"); got < 5 {
			t.Errorf("first event kept: got %d, want at least 5", got)
		}
	})
}

func TestStreamIsDoneWithoutALaterEvent(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		w.stream(1, "acme", func(s *Stream) { s.Until = time.Now().Add(time.Hour) })
		w.post("acme", "a", 3)
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
		time.Sleep(time.Hour)
		if got := w.status(1); got != sluice.StatusDone {
			t.Errorf("status %q, want done", got)
		}
		w.stop()
		w.start()
		w.post("acme", "a", 3)
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
	})
}

// A lane whose end is known may meet the tail before it, when the tail lags.
func TestEndThatTheTailHasNotReached(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		const held = 1 << 40
		w.busy.Store(true)
		w.d.used.Add(held) // the tail waits for memory
		w.post("acme", "a", 5)
		time.Sleep(time.Minute)
		until := time.Now()
		time.Sleep(time.Minute)
		w.post("acme", "a", 7)
		w.stream(1, "acme", func(s *Stream) {
			s.Start, s.Until = map[string]Start{"audit": {}, "git": {}}, until
		})
		time.Sleep(time.Minute)
		w.d.used.Add(-held)
		w.expect(1, sluice.Ledger{Accepted: 5, Delivered: 5})
		w.post("acme", "a", 3)
		w.expect(1, sluice.Ledger{Accepted: 5, Delivered: 5})
		if got := w.status(1); got != sluice.StatusDone {
			t.Errorf("status: got %s, want %s", got, sluice.StatusDone)
		}
	})
}

func TestDoneStreamRedelivers(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme", func(s *Stream) { s.Until = time.Now().Add(time.Hour) })
		r.set(func(r *receiver) { r.refuse, r.check = poison(destination.RejectedBatch, "e2"), true })
		w.post("acme", "a", 3)
		time.Sleep(2 * time.Hour)
		w.post("acme", "a", 1)
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 2, Quarantined: 1})
		r.set(func(r *receiver) { r.refuse = nil })
		if n, err := w.d.Redeliver(context.Background(), 1, QuarantineChoice{}); n != 1 || err != nil {
			t.Errorf("redeliver: got %d, %v", n, err)
		}
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
	})
}

func TestSeveralStuckEvents(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		r.set(func(r *receiver) { r.refuse = poison(destination.Unavailable, "e5", "e6", "e7") })
		w.post("acme", "a", 100)
		time.Sleep(48 * time.Hour)
		w.expect(1, sluice.Ledger{Accepted: 100, Delivered: 97, Quarantined: 3})
	})
}

func TestOffenderIsIsolatedWhereverItLies(t *testing.T) {
	for at := 1; at <= 500; at += 13 {
		simulate(t, Options{}, func(t *testing.T, w *world) {
			r := w.stream(1, "acme")
			id := fmt.Sprintf("e%d", at)
			r.set(func(r *receiver) {
				r.limits.Events, r.refuse, r.check = 500, poison(destination.RejectedBatch, id), true
			})
			w.post("acme", "a", 500)
			w.expect(1, sluice.Ledger{Accepted: 500, Delivered: 499, Quarantined: 1})
			if n := r.sent(); n > 21 {
				t.Errorf("offender %d of 500: %d requests, want at most 21", at, n)
			}
		})
	}
}

func TestHangingDestinationsDoNotDelayAQuickOne(t *testing.T) {
	simulate(t, Options{Senders: 4}, func(t *testing.T, w *world) {
		for id := sluice.StreamID(2); id <= 51; id++ {
			w.stream(id, "acme").set(func(r *receiver) { r.delay = 30 * time.Second })
		}
		quick := w.stream(1, "acme")
		w.post("acme", "a", 1)
		time.Sleep(time.Minute) // by now it is known who is slow
		for range 20 {
			before := len(quick.received())
			w.post("acme", "a", 1)
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if got := len(quick.received()); got != before+1 {
				t.Fatalf("after 100 ms the quick one has %d events, want %d", got, before+1)
			}
			time.Sleep(5 * time.Second)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if used := w.d.used.Load(); used != 0 {
			t.Errorf("memory in use at the end: %d, want 0", used)
		}
	})
}

func TestSlowSendsDoNotKeepTheTailFromItsMemory(t *testing.T) {
	simulate(t, Options{Memory: 64 << 10}, func(t *testing.T, w *world) {
		for id := sluice.StreamID(2); id <= 101; id++ {
			w.stream(id, fmt.Sprintf("t%d", id)).set(func(r *receiver) { r.delay = 10 * time.Minute })
		}
		quick := w.stream(1, "acme")
		for id := 2; id <= 101; id++ {
			w.post(fmt.Sprintf("t%d", id), "a", 20)
		}
		time.Sleep(30 * time.Second)
		w.post("acme", "a", 1)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := len(quick.received()); got != 1 {
			t.Errorf("the quick stream received %d events, want 1", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if used := w.d.used.Load(); used != 0 {
			t.Errorf("memory in use at the end: %d, want 0", used)
		}
	})
}

func TestPanickingDestinationCostsATry(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		panics := 3
		w.stream(1, "acme").set(func(r *receiver) {
			r.refuse = func([]destination.Event) *destination.Error {
				if panics--; panics >= 0 {
					panic("a mistake")
				}
				return nil
			}
		})
		w.post("acme", "a", 5)
		time.Sleep(time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 5, Delivered: 5})
	})
}

// A panic in Check proves nothing: the refused events stay pending.
func TestPanickingCheckIsNoProof(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		r.set(func(r *receiver) {
			r.refuse = func([]destination.Event) *destination.Error {
				return &destination.Error{Class: destination.RejectedBatch, Message: "no"}
			}
			r.explode = true
		})
		w.post("acme", "a", 2)
		time.Sleep(time.Hour)
		w.expect(1, sluice.Ledger{Accepted: 2, Pending: 2})
		r.set(func(r *receiver) { r.refuse, r.explode = nil, false })
		time.Sleep(time.Hour)
		w.expect(1, sluice.Ledger{Accepted: 2, Delivered: 2})
	})
}

// A full disk, and another program that locks the records, pass by themselves.
func TestStoreHealsWithoutARestart(t *testing.T) {
	for _, trouble := range []error{store.ErrFull, store.ErrBusy} {
		t.Run(trouble.Error(), func(t *testing.T) {
			simulate(t, Options{}, func(t *testing.T, w *world) { testTrouble(t, w, trouble) })
		})
	}
}

// testTrouble has a store answer an error for a minute.
func testTrouble(t *testing.T, w *world, trouble error) {
	var sick atomic.Bool
	var tries atomic.Int64
	w.store.SetBefore(func(store.Change) error {
		if sick.Load() {
			tries.Add(1)
			return trouble
		}
		return nil
	})
	r := w.stream(1, "acme")
	r.set(func(r *receiver) { r.refuse, r.check = poison(destination.RejectedBatch, "e3"), true })
	sick.Store(true)
	w.post("acme", "a", 10)
	time.Sleep(time.Minute)
	synctest.Wait()
	if n := tries.Load(); n == 0 || n > 1000 {
		t.Errorf("tried %d times in a minute", n)
	}
	sick.Store(false)
	w.expect(1, sluice.Ledger{Accepted: 10, Delivered: 9, Quarantined: 1})
}

// TestKilledAtEveryStoreChange plays one scenario again and again, and kills the
// process at its n-th change of the store, before or after it is carried out.
func TestKilledAtEveryStoreChange(t *testing.T) {
	for _, carried := range []bool{false, true} {
		for n := 1; ; n++ {
			killed := false
			simulate(t, Options{}, func(t *testing.T, w *world) { killed = killAt(t, w, n, carried) })
			if t.Failed() {
				t.Fatalf("killed at change %d, carried out: %v", n, carried)
			}
			if !killed {
				break
			}
		}
	}
}

// killAt plays the scenario and reports whether it was long enough to be killed.
func killAt(t *testing.T, w *world, n int, carried bool) bool {
	var mu sync.Mutex // of both
	var kept *store.Memory
	changes := 0
	hook := func(store.Change) error {
		mu.Lock()
		defer mu.Unlock()
		if changes++; changes == n {
			kept = w.store.Snapshot()
		}
		return nil
	}
	w.stop()
	if carried {
		w.store.SetAfter(hook)
	} else {
		w.store.SetBefore(hook)
	}
	w.start()
	filter := sluice.Filter{ExcludedEventTypes: []string{"b"}}
	bad := map[string]destination.Class{"e3": destination.RejectedBatch, "e14": destination.RejectedBatch}
	for id := sluice.StreamID(1); id <= 2; id++ {
		w.stream(id, "acme", func(s *Stream) { s.Filter = filter }).set(func(r *receiver) {
			r.refuse, r.single, r.check = fates(bad), id == 2, true
		})
	}
	want := sluice.Ledger{Accepted: 24, Delivered: 14, Filtered: 8, Quarantined: 2}
	for i := range 4 {
		w.post("acme", "a", 4)
		w.post("acme", "b", 2)
		time.Sleep(700 * time.Millisecond)
		if i == 1 {
			w.change(1, func(s *Stream) { s.Paused = true })
			time.Sleep(200 * time.Millisecond)
			w.change(1, func(s *Stream) { s.Paused = false })
		}
	}
	w.expect(1, want)
	w.expect(2, want)
	if _, err := w.d.Drop(context.Background(), 1, QuarantineChoice{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	w.stop()
	if kept == nil {
		w.start()
		return false
	}
	w.use(kept)
	w.start()
	time.Sleep(time.Minute)
	w.expect(2, want)
	if _, err := w.d.Drop(context.Background(), 1, QuarantineChoice{}); err != nil {
		t.Fatal(err)
	}
	want.Expired, want.Quarantined = 2, 0
	w.expect(1, want)
	for id, r := range w.dests {
		if got := different(r.received()); got != 14 {
			t.Errorf("stream %d received %d different events, want 14", id, got)
		}
	}
	return true
}

func different(ids []string) int {
	set := map[string]bool{}
	for _, id := range ids {
		set[id] = true
	}
	return len(set)
}
