package deliver

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
)

func TestStreamThatEndsBehindALoss(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		w.stream(1, "acme", func(s *Stream) { s.Until = time.Now().Add(time.Hour) })
		w.post("acme", "a", 2)
		w.expect(1, sluice.Ledger{Accepted: 2, Delivered: 2})
		w.change(1, func(s *Stream) { s.Paused = true })
		w.post("acme", "a", 2)
		w.post("acme", "a", 3)
		time.Sleep(2 * time.Hour)
		w.post("beta", "a", 1)
		w.post("acme", "a", 1)
		w.expect(1, sluice.Ledger{Accepted: 7, Delivered: 2, Pending: 5})
		w.stop()
		if !w.engine.Lose("audit", 5) {
			t.Fatal("no block at 5")
		}
		w.start()
		w.change(1, func(s *Stream) { s.Paused = false })
		w.expect(1, sluice.Ledger{Accepted: 7, Delivered: 4, Expired: 3})
	})
}

func TestLossAtTheEndOfAStream(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		w.stream(1, "acme")
		w.post("acme", "a", 1)
		w.expect(1, sluice.Ledger{Accepted: 1, Delivered: 1})
		w.change(1, func(s *Stream) { s.Paused = true })
		w.post("acme", "a", 1)
		w.expect(1, sluice.Ledger{Accepted: 2, Delivered: 1, Pending: 1})
		l := w.lane(1)
		l.mu.Lock()
		defer l.mu.Unlock()
		end := Start{Seq: l.rec.Cursor + 1, Total: l.rec.Total + 1}
		l.rec.End = &end
		at := l.lose(Start{Seq: end.Seq, Total: l.rec.Total}, hole{First: end.Seq, Last: end.Seq, Cause: "missing from the log"})
		if at != end || l.rec.Expired != 1 {
			t.Errorf("lane after the loss: got %+v with %d expired, want %+v with 1", at, l.rec.Expired, end)
		}
	})
}

func TestHoleOfOthersBeforeTheEndOfAStream(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		w.stream(1, "beta", func(s *Stream) {
			s.Until, s.Paused = time.Now().Add(time.Hour), true
			s.Filter.ExcludedEventTypes = []string{"b"}
		})
		w.post("acme", "a", 3)
		w.post("acme", "a", 2)
		w.post("beta", "b", 4)
		time.Sleep(2 * time.Hour)
		w.stop()
		w.engine.Lose("audit", 1)
		w.start()
		w.post("acme", "a", 1) // after the end, and of no concern to the stream
		w.post("beta", "b", 1)
		w.change(1, func(s *Stream) { s.Paused = false })
		w.expect(1, sluice.Ledger{Accepted: 4, Filtered: 4})
	})
}

func TestUntilBoundsWhatAPausedStreamAccepts(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		w.stream(1, "acme", func(s *Stream) { s.Until, s.Paused = time.Now().Add(time.Hour), true })
		w.post("acme", "a", 3)
		time.Sleep(2 * time.Hour)
		w.post("acme", "a", 4)
		w.expect(1, sluice.Ledger{Accepted: 3, Pending: 3})
		w.crash()
		w.expect(1, sluice.Ledger{Accepted: 3, Pending: 3})
		w.change(1, func(s *Stream) { s.Paused = false })
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
		if got := w.status(1); got != sluice.StatusDone {
			t.Errorf("status %q, want done", got)
		}
	})
}

// A clock that was ahead when events came has been set back, and the process died:
// what the log accepted after the end is not the stream's, whether it was read or not.
func TestClockSetBackAfterTheEnd(t *testing.T) {
	for _, paused := range []bool{false, true} {
		simulate(t, Options{}, func(t *testing.T, w *world) {
			w.stream(1, "acme", func(s *Stream) { s.Until, s.Paused = time.Now().Add(time.Hour), paused })
			w.post("acme", "a", 3)
			time.Sleep(time.Minute)
			kept := w.store.Snapshot()
			w.ahead.Store(int64(2 * time.Hour))
			w.post("acme", "a", 4)
			w.ahead.Store(0)
			w.stop()
			w.use(kept)
			w.load(t.Context()) // and before anything runs
			if got := w.ledger(1); got.Accepted != 3 {
				t.Errorf("paused %v: got %+v, want 3 accepted", paused, got)
			}
			if err := w.log.Close(); err != nil {
				t.Error(err)
			}
			w.start()
			w.post("acme", "a", 2) // accepted when the last ones were: times never go back
			w.change(1, func(s *Stream) { s.Paused = false })
			w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
		})
	}
}

func TestReplayOfThePastIsBounded(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		w.post("acme", "a", 3)
		until := time.Now()
		time.Sleep(time.Hour)
		w.post("acme", "a", 4)
		w.stream(1, "acme", func(s *Stream) {
			s.Until, s.Paused, s.Start = until, true, map[string]Start{"audit": {}}
		})
		w.expect(1, sluice.Ledger{Accepted: 3, Pending: 3})
		w.change(1, func(s *Stream) { s.Paused = false })
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
	})
}

// TestAcceptedRightAfterAStart looks at a stream that has ended, and whose last events
// the tail has not met again yet.
func TestAcceptedRightAfterAStart(t *testing.T) {
	for _, paused := range []bool{false, true} {
		for _, later := range []int{0, 2} {
			simulate(t, Options{}, func(t *testing.T, w *world) {
				until := time.Now().Add(time.Hour)
				w.stream(1, "acme", func(s *Stream) { s.Until, s.Paused, s.Filter.ExcludedEventTypes = until, paused, []string{"b"} })
				time.Sleep(time.Hour - time.Second)
				w.post("acme", "b", 3)
				kept := w.store.Snapshot()
				time.Sleep(2 * time.Second)
				if later > 0 {
					w.post("acme", "b", later)
				}
				want := sluice.Ledger{Accepted: 3, Filtered: 3}
				if paused {
					want = sluice.Ledger{Accepted: 3, Pending: 3}
				}
				w.expect(1, want)
				w.stop()
				w.use(kept)
				w.load(t.Context())
				if got := w.ledger(1); got.Accepted != 3 {
					t.Errorf("paused %v, %d later: ledger before anything runs: got %+v, want 3 accepted", paused, later, got)
				}
				if err := w.log.Close(); err != nil {
					t.Error(err)
				}
				w.start()
				w.expect(1, want)
			})
		}
	}
}

// TestEndIsKeptWhenWhatToldOfItIsLost loses events of a stream, and the first event
// after its end: how many were the stream's is known from before.
func TestEndIsKeptWhenWhatToldOfItIsLost(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		w.stream(1, "beta", func(s *Stream) { s.Until, s.Paused = time.Now().Add(10*time.Minute), true })
		w.post("beta", "a", 2)
		w.post("beta", "a", 3)
		w.post("acme", "a", 2)
		time.Sleep(20 * time.Minute) // no block carries the totals of all namespaces before an hour is over
		w.post("acme", "a", 1)
		w.post("beta", "a", 1)
		w.post("beta", "a", 1)
		w.expect(1, sluice.Ledger{Accepted: 5, Pending: 5})
		w.stop()
		for _, seq := range []uint64{3, 6, 9} {
			if !w.engine.Lose("audit", seq) {
				t.Fatalf("no block at %d", seq)
			}
		}
		w.start()
		w.expect(1, sluice.Ledger{Accepted: 5, Pending: 5})
		w.change(1, func(s *Stream) { s.Paused = false })
		w.expect(1, sluice.Ledger{Accepted: 5, Delivered: 2, Expired: 3})
		if got := w.status(1); got != sluice.StatusDone {
			t.Errorf("status %q, want done", got)
		}
	})
}

// TestDoneWhenAllThatIsLeftExpired has a destination that takes nothing: the stream
// is done as soon as nothing can come any more, not when it takes something.
func TestDoneWhenAllThatIsLeftExpired(t *testing.T) {
	opts := Options{Protect: time.Hour, Retention: map[string]Retention{"audit": {Age: time.Hour}}}
	simulate(t, opts, func(t *testing.T, w *world) {
		r := w.stream(1, "beta", func(s *Stream) { s.Until = time.Now().Add(time.Hour) })
		r.refuse = unavailable
		w.post("beta", "a", 2)
		time.Sleep(2 * time.Hour)
		w.post("acme", "a", 1)
		w.post("beta", "a", 1)
		w.post("acme", "a", 1)
		for range 100 {
			time.Sleep(time.Second)
			synctest.Wait()
			if l := w.ledger(1); l.Expired > 0 {
				break
			}
		}
		if l, want := w.ledger(1), (sluice.Ledger{Accepted: 2, Expired: 2}); l != want || w.status(1) != sluice.StatusDone {
			t.Errorf("got %+v, %s, want %+v, done", l, w.status(1), want)
		}
	})
}
