package deliver

import (
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// While one event is not accepted, others are, but no more than 256 of them: so many
// may come again when the process dies, for the cursor stands before the one.
func TestFewEventsAreDeliveredBeyondTheCursor(t *testing.T) {
	const most, events = 256, 2000
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		r.set(func(r *receiver) {
			r.single, r.check, r.limits.Events = true, true, most // as HTTP with single events
			r.refuse = poison(destination.Unavailable, "e1")
		})
		w.post("acme", "a", events)
		time.Sleep(10 * time.Minute) // simulated
		if got := len(r.different()); got < most/2 || got > most {
			t.Errorf("delivered beyond the first event, which is not: got %d, want at most %d", got, most)
		}
		w.expect(1, sluice.Ledger{Accepted: events, Pending: events})
		r.set(func(r *receiver) { r.refuse = nil })
		time.Sleep(10 * time.Minute) // simulated
		w.expect(1, sluice.Ledger{Accepted: events, Delivered: events})
		if got := len(r.received()); got != events {
			t.Errorf("arrived: got %d, want each of %d events once", got, events)
		}
	})
}
