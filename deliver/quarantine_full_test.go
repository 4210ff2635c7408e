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
