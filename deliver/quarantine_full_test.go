package deliver

import (
	"testing"

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
