package deliver

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
)

// A lane that fell behind for a moment must not wait until all those that are
// further behind have caught up.
func TestLaneNearTheTailDoesNotStarve(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		const lagging = 40
		for id := sluice.StreamID(2); id < 2+lagging; id++ {
			r := w.stream(id, "acme", func(s *Stream) { s.Paused = true })
			r.set(func(r *receiver) { r.delay, r.limits.Events = 500*time.Millisecond, 5 })
		}
		for range 200 {
			w.post("acme", "a", 20)
		}
		near := w.stream(1, "beta")
		for id := sluice.StreamID(2); id < 2+lagging; id++ {
			w.change(id, func(s *Stream) { s.Paused = false })
		}
		time.Sleep(5 * time.Second)
		near.set(func(r *receiver) { r.refuse = unavailable })
		w.post("beta", "a", 1)
		time.Sleep(100 * time.Millisecond)
		near.set(func(r *receiver) { r.refuse = nil })
		start := time.Now()
		for len(near.received()) == 0 && time.Since(start) < time.Hour {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if waited := time.Since(start); waited > 30*time.Second {
			t.Errorf("a lane near the tail waited %s behind lanes that catch up, want seconds", waited)
		}
	})
}
