package deliver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

func simulate(t *testing.T, opts Options, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, opts)
		f(t, w)
		w.stop()
	})
}

func TestDeliversInOrder(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		w.post("acme", "before", 3)
		r := w.stream(1, "acme")
		all := w.stream(2, sluice.Instance)
		ids := w.post("acme/web", "user.add", 250)
		w.post("other", "user.add", 10)
		w.expect(1, sluice.Ledger{Accepted: 250, Delivered: 250})
		w.expect(2, sluice.Ledger{Accepted: 260, Delivered: 260})
		if got := r.received(); !slices.Equal(got, ids) {
			t.Errorf("received %d events out of order or not at all, want %d", len(got), len(ids))
		}
		if got := len(all.received()); got != 260 {
			t.Errorf("instance stream received %d events, want 260", got)
		}
	})
}

func TestFilterAndRestart(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme", func(s *Stream) { s.Filter.EventTypes = []string{"a"} })
		w.post("acme", "a", 5)
		w.post("acme", "b", 7)
		w.expect(1, sluice.Ledger{Accepted: 12, Delivered: 5, Filtered: 7})
		for range 3 {
			w.stop()
			w.start()
			w.post("acme", "b", 1)
			w.post("acme", "a", 1)
		}
		w.expect(1, sluice.Ledger{Accepted: 18, Delivered: 8, Filtered: 10})
		if got := len(r.received()); got != 8 {
			t.Errorf("received %d, want 8", got)
		}
		w.change(1, func(s *Stream) { s.Filter = sluice.Filter{} })
		w.post("acme", "b", 2)
		w.expect(1, sluice.Ledger{Accepted: 20, Delivered: 10, Filtered: 10})
	})
}

func TestPauseResume(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		w.stream(1, "acme")
		w.post("acme", "a", 5)
		w.expect(1, sluice.Ledger{Accepted: 5, Delivered: 5})
		w.change(1, func(s *Stream) { s.Paused = true })
		w.post("acme", "a", 500)
		w.expect(1, sluice.Ledger{Accepted: 505, Delivered: 5, Pending: 500})
		if got := w.status(1); got != sluice.StatusPaused {
			t.Errorf("status %q, want paused", got)
		}
		w.stop()
		w.start()
		w.expect(1, sluice.Ledger{Accepted: 505, Delivered: 5, Pending: 500})
		w.change(1, func(s *Stream) { s.Paused = false })
		w.expect(1, sluice.Ledger{Accepted: 505, Delivered: 505})
	})
}

func TestUnavailableIsRetriedForEver(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		healthy := w.stream(2, "acme")
		r.set(func(r *receiver) { r.refuse = unavailable })
		w.post("acme", "a", 300)
		time.Sleep(3 * time.Hour)
		w.expect(1, sluice.Ledger{Accepted: 300, Pending: 300})
		if got := w.status(1); got != sluice.StatusFailing {
			t.Errorf("status %q, want failing", got)
		}
		w.expect(2, sluice.Ledger{Accepted: 300, Delivered: 300})
		_ = healthy
		r.set(func(r *receiver) { r.refuse = nil })
		time.Sleep(6 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 300, Delivered: 300})
		if got := w.status(1); got != sluice.StatusActive {
			t.Errorf("status %q, want active", got)
		}
	})
}

func TestRefusingEverythingHoldsAndQuarantinesNothing(t *testing.T) {
	for _, single := range []bool{false, true} {
		simulate(t, Options{}, func(t *testing.T, w *world) {
			r := w.stream(1, "acme")
			r.set(func(r *receiver) { r.refuse, r.single = rejectAll, single })
			w.post("acme", "a", 300)
			time.Sleep(24 * time.Hour)
			w.expect(1, sluice.Ledger{Accepted: 300, Pending: 300})
			if got := w.status(1); got != sluice.StatusHeld {
				t.Errorf("status %q, want held", got)
			}
			r.set(func(r *receiver) { r.refuse = nil })
			time.Sleep(6 * time.Minute)
			w.expect(1, sluice.Ledger{Accepted: 300, Delivered: 300})
		})
	}
}

func TestPoisonIsIsolated(t *testing.T) {
	for _, single := range []bool{false, true} {
		simulate(t, Options{}, func(t *testing.T, w *world) {
			r := w.stream(1, "acme")
			r.set(func(r *receiver) {
				r.limits.Events = 500
				r.refuse, r.single = poison(destination.RejectedBatch, "e250"), single
			})
			w.post("acme", "a", 500)
			w.expect(1, sluice.Ledger{Accepted: 500, Delivered: 499, Quarantined: 1})
			if got := len(r.received()); got != 499 {
				t.Errorf("received %d, want 499", got)
			}
			if n := r.sent(); n > 21 {
				t.Errorf("took %d requests, want at most 21", n)
			}
			q, err := w.d.Quarantine(context.Background(), 1, 10)
			if err != nil || len(q) != 1 || q[0].ID != "e250" || q[0].Reason != "bad e250" {
				t.Errorf("quarantine: got %+v, %v", q, err)
			}
			w.stop()
			w.start()
			r.set(func(r *receiver) { r.refuse = nil })
			if n, err := w.d.Redeliver(context.Background(), 1, QuarantineChoice{}); n != 1 || err != nil {
				t.Errorf("redeliver: got %d, %v", n, err)
			}
			w.expect(1, sluice.Ledger{Accepted: 500, Delivered: 500})
		})
	}
}

func TestPoisonAsOnlyEventIsProvedByCheck(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		r.set(func(r *receiver) { r.refuse, r.check = poison(destination.RejectedBatch, "e1"), true })
		w.post("acme", "a", 1)
		w.expect(1, sluice.Ledger{Accepted: 1, Quarantined: 1})
		if st, _ := w.d.laneState(w.d.streams[1].lanes[0]); st.QuarantineUsed != 1.0/maxQuarantined {
			t.Errorf("used of the quarantine: got %v, want one event of %d", st.QuarantineUsed, maxQuarantined)
		}
		if n, err := w.d.Drop(context.Background(), 1, QuarantineChoice{}); n != 1 || err != nil {
			t.Errorf("drop: got %d, %v", n, err)
		}
		w.expect(1, sluice.Ledger{Accepted: 1, Expired: 1})
	})
}

// A destination that takes no test events leaves a refused event that is the only
// one unproved, until others come.
func TestPoisonAsOnlyEventIsProvedByLaterOnes(t *testing.T) {
	for _, single := range []bool{false, true} {
		simulate(t, Options{}, func(t *testing.T, w *world) {
			w.stream(1, "acme").set(func(r *receiver) {
				r.refuse, r.single = fates(map[string]destination.Class{"e1": destination.RejectedBatch, "e2": destination.RejectedBatch}), single
			})
			w.post("acme", "a", 1)
			w.expect(1, sluice.Ledger{Accepted: 1, Pending: 1})
			if got := w.status(1); got != sluice.StatusHeld {
				t.Errorf("status %q, want held", got)
			}
			w.post("acme", "a", 4)
			time.Sleep(20 * time.Minute)
			w.expect(1, sluice.Ledger{Accepted: 5, Delivered: 3, Quarantined: 2})
		})
	}
}

// What proves that a probe is refused for what it is comes in its order.
func TestProofOfARefusedProbeKeepsTheOrder(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		r.set(func(r *receiver) {
			r.refuse = func([]destination.Event) *destination.Error {
				return &destination.Error{Class: destination.Misconfigured, Status: 403, Message: "no"}
			}
		})
		ids := w.post("acme", "a", 9)
		time.Sleep(time.Hour) // several probes
		r.set(func(r *receiver) { r.refuse = poison(destination.RejectedBatch, "e1") })
		time.Sleep(time.Hour)
		w.expect(1, sluice.Ledger{Accepted: 9, Delivered: 8, Quarantined: 1})
		if got := r.received(); !slices.Equal(got, ids[1:]) {
			t.Errorf("received %v, want %v", got, ids[1:])
		}
	})
}

func TestStuckEventIsQuarantinedWhileOthersPass(t *testing.T) {
	for _, strict := range []bool{false, true} {
		simulate(t, Options{}, func(t *testing.T, w *world) {
			r := w.stream(1, "acme", func(s *Stream) { s.Strict = strict })
			r.set(func(r *receiver) { r.refuse = poison(destination.Unavailable, "e100") })
			w.post("acme", "a", 300)
			time.Sleep(24 * time.Hour)
			want := sluice.Ledger{Accepted: 300, Delivered: 299, Quarantined: 1}
			if strict {
				want = sluice.Ledger{Accepted: 300, Delivered: 99, Pending: 201}
			}
			w.expect(1, want)
		})
	}
}

func TestMisconfiguredHoldsAndProbes(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		r.set(func(r *receiver) {
			r.refuse = func([]destination.Event) *destination.Error {
				return &destination.Error{Class: destination.Misconfigured, Status: 403, Message: "forbidden"}
			}
		})
		w.post("acme", "a", 30)
		w.expect(1, sluice.Ledger{Accepted: 30, Pending: 30})
		if got := w.status(1); got != sluice.StatusHeld {
			t.Errorf("status %q, want held", got)
		}
		r.set(func(r *receiver) { r.refuse = nil })
		time.Sleep(6 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 30, Delivered: 30})
	})
}

// What net/http returns of a try that ended with its deadline is its cause.
func TestEndOfATryIsADeadline(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 0, noAnswer(time.Second))
	defer cancel()
	<-ctx.Done()
	if e := destination.Classify(context.Cause(ctx)); !e.TimedOut || e.Class != destination.Unavailable {
		t.Errorf("a try without an answer: got %v, timed out %t, want unavailable and timed out", e, e.TimedOut)
	}
}

func TestRemoveReturnsTheLastLedger(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		w.stream(1, "acme")
		w.post("acme", "a", 30)
		w.expect(1, sluice.Ledger{Accepted: 30, Delivered: 30})
		st, err := w.d.Remove(context.Background(), 1)
		if err != nil || st.Ledger != (sluice.Ledger{Accepted: 30, Delivered: 30}) {
			t.Errorf("last state: got %+v, %v", st.Ledger, err)
		}
		delete(w.confs, 1)
		for rec, err := range w.store.List(context.Background(), lanePrefix) {
			t.Errorf("left behind: %s %v", rec.Key, err)
		}
		w.post("acme", "a", 1)
		w.stop()
		w.start()
	})
}

// A stream that was halted sends nothing, and its records say what was told; it is
// removed, or put again, and goes on where it stood, also after a crash.
func TestHalt(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		w.post("acme", "a", 30)
		synctest.Wait()
		st, err := w.d.Halt(context.Background(), 1)
		if want := w.stored(1); err != nil || st.Ledger.Delivered != want {
			t.Errorf("halt: got %+v (%v), and %d delivered are stored", st.Ledger, err, want)
		}
		had := len(r.received())
		w.post("acme", "a", 7)
		time.Sleep(time.Minute)
		if got := len(r.received()); got != had {
			t.Errorf("%d events were sent after the halt", got-had)
		}
		w.put(w.confs[1])
		w.expect(1, sluice.Ledger{Accepted: 37, Delivered: 37})
		for range 2 {
			if _, err := w.d.Halt(context.Background(), 1); err != nil {
				t.Errorf("halt: %v", err)
			}
		}
		w.post("acme", "a", 3)
		w.stop()
		w.start()
		w.expect(1, sluice.Ledger{Accepted: 40, Delivered: 40})
		if _, err := w.d.Halt(context.Background(), 1); err != nil {
			t.Errorf("halt: %v", err)
		}
		st, err = w.d.Remove(context.Background(), 1)
		if err != nil || st.Ledger != (sluice.Ledger{Accepted: 40, Delivered: 40}) {
			t.Errorf("last state: got %+v, %v", st.Ledger, err)
		}
		delete(w.confs, 1)
	})
}

// stored returns how many delivered events the records of a stream count.
func (w *world) stored(id sluice.StreamID) (n uint64) {
	w.t.Helper()
	for rec, err := range w.store.List(context.Background(), fmt.Sprintf("%s%d/", lanePrefix, id)) {
		var r record
		if err := errors.Join(err, json.Unmarshal(rec.Value, &r)); err != nil {
			w.t.Fatal(err)
		}
		n += r.Delivered
	}
	return n
}

func TestUntilEndsAStream(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		w.stream(1, "acme", func(s *Stream) { s.Until = time.Now().Add(time.Hour) })
		w.post("acme", "a", 3)
		time.Sleep(2 * time.Hour)
		w.post("acme", "a", 4)
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
		if got := w.status(1); got != sluice.StatusDone {
			t.Errorf("status %q, want done", got)
		}
	})
}

// What was in quarantine arrives with the bytes that were stored.
func TestRedeliveredBytesAreUnchanged(t *testing.T) {
	payload := json.RawMessage("{\"id\":\"e1\",\"a\":\"<&>\\u003c \u2028\",\"n\":12345678901234567890.50}")
	value, err := encodeCopy(&Quarantined{ID: "e1", Payload: payload, Reason: "<no>"})
	if err != nil {
		t.Fatal(err)
	}
	var q Quarantined
	if err := json.Unmarshal(value, &q); err != nil {
		t.Fatal(err)
	}
	if got, want := string(q.event().Payload), string(payload); got != want {
		t.Errorf("payload: got %s, want %s", got, want)
	}
	if bytes.HasSuffix(value, []byte("\n")) {
		t.Error("the record ends with a line break, want none")
	}
}
