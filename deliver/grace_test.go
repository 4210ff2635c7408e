package deliver

import (
	"slices"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// What is being sent when the server stops has the time of grace to end, and is not
// sent again; what has no answer by then is. No lane gets another turn.
func TestStopLetsSendsEnd(t *testing.T) {
	const grace = 2 * time.Second
	simulate(t, Options{Grace: grace}, func(t *testing.T, w *world) {
		limits := destination.Limits{Events: 3, Bytes: 1 << 20, Timeout: 2 * time.Hour}
		steady := &receiver{limits: limits, delay: time.Second, late: time.Second}
		hanging := &receiver{limits: limits, delay: time.Hour, late: time.Second}
		for id, r := range map[sluice.StreamID]*receiver{1: steady, 2: hanging} {
			w.stream(id, "acme", func(conf *Stream) {
				conf.Open = func() (destination.Destination, error) { return r, nil }
			})
		}
		ids := w.post("acme", "a", 10)
		time.Sleep(time.Second / 2)
		began := time.Now()
		w.stop()
		if took := time.Since(began); took != grace {
			t.Errorf("the stop took %s, want %s", took, grace)
		}
		if got := steady.received(); !slices.Equal(got, ids[:3]) {
			t.Errorf("received by the end of the stop: got %v, want the batch that was under way, %v", got, ids[:3])
		}
		hanging.set(func(r *receiver) { r.delay = 0 })
		time.Sleep(time.Minute)
		w.start()
		time.Sleep(time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 10, Delivered: 10})
		w.expect(2, sluice.Ledger{Accepted: 10, Delivered: 10})
		if got := steady.received(); !slices.Equal(got, ids) {
			t.Errorf("received: got %v, want each event once: %v", got, ids)
		}
		if got, want := hanging.received(), append(slices.Clone(ids[:3]), ids...); !slices.Equal(got, want) {
			t.Errorf("received by the destination that hung: got %v, want %v", got, want)
		}
	})
}
