package deliver

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// What was delivered before the event that finds no room is delivered.
func TestFullQuarantineHoldsNothingInFrontOfIt(t *testing.T) {
	for _, single := range []bool{false, true} {
		simulate(t, Options{QuarantineBytes: 10}, func(t *testing.T, w *world) {
			w.stream(1, "acme").set(func(r *receiver) {
				r.single, r.check, r.refuse = single, true, fates(map[string]destination.Class{"e6": destination.RejectedBatch})
			})
			w.post("acme", "a", 10)
			w.expect(1, sluice.Ledger{Accepted: 10, Delivered: 5, Pending: 5})
			w.crash()
			w.expect(1, sluice.Ledger{Accepted: 10, Delivered: 5, Pending: 5})
		})
	}
}

// A destination that takes other events passes each probe; that must not make the
// probes of a stream whose quarantine stays full frequent.
func TestFullQuarantineIsProbedSlowly(t *testing.T) {
	simulate(t, Options{QuarantineBytes: 10}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		r.set(func(r *receiver) {
			r.check, r.refuse = true, fates(map[string]destination.Class{"e1": destination.RejectedBatch})
		})
		w.post("acme", "a", 3)
		time.Sleep(time.Hour)
		synctest.Wait()
		var before int
		r.set(func(r *receiver) { before = r.sends })
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		const most = 6 * 60 / 5 * 2 * 6 // half of five minutes at least, some sends each time
		r.set(func(r *receiver) {
			if n := r.sends - before; n == 0 || n > most {
				t.Errorf("got %d sends in six hours, want some, and at most %d", n, most)
			}
		})
	})
}

// Events in a full quarantine are tried again as soon as somebody asks for it, though
// the one that finds no room is refused each time: they may make room for it.
func TestFullQuarantineIsRedelivered(t *testing.T) {
	simulate(t, Options{QuarantineBytes: 400}, func(t *testing.T, w *world) { // room for one
		r := w.stream(1, "acme")
		r.set(func(r *receiver) { r.check, r.refuse = true, poison(destination.RejectedBatch, "e1") })
		w.post("acme", "a", 3)
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 2, Quarantined: 1})
		r.set(func(r *receiver) { r.refuse = poison(destination.RejectedBatch, "e4") })
		w.post("acme", "a", 200)
		time.Sleep(time.Hour)
		if got := w.status(1); got != sluice.StatusHeld {
			t.Errorf("status %q, want held", got)
		}
		if n, err := w.d.Redeliver(t.Context(), 1, QuarantineChoice{}); n != 1 || err != nil {
			t.Fatalf("redeliver: got %d and error %v, want 1", n, err)
		}
		w.expect(1, sluice.Ledger{Accepted: 203, Delivered: 202, Quarantined: 1})
	})
}
