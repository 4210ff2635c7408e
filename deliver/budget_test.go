package deliver

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
)

// However many destinations hang, what their sends hold stays within the memory
// for them, but for the little that each may always take.
func TestSlowSendsShareTheirMemory(t *testing.T) {
	const streams, memory = 60, 1 << 20
	simulate(t, Options{Memory: memory}, func(t *testing.T, w *world) {
		for id := sluice.StreamID(1); id <= streams; id++ {
			w.stream(id, "acme", func(s *Stream) { s.Paused = true }).set(func(r *receiver) {
				r.delay, r.limits.Events = 20*time.Second, 100_000
			})
		}
		for range 20 {
			w.post("acme", "a", 1000)
		}
		for id := sluice.StreamID(1); id <= streams; id++ {
			w.change(id, func(s *Stream) { s.Paused = false })
		}
		most := int64(0)
		for range 100 {
			time.Sleep(time.Second)
			synctest.Wait()
			most = max(most, w.d.slowBytes.Load())
		}
		if limit := int64(memory/2 + streams*cautiousBytes); most == 0 || most > limit {
			t.Errorf("slow sends held %d bytes, want at most %d and some", most, limit)
		}
		time.Sleep(24 * time.Hour)
		for id := sluice.StreamID(1); id <= streams; id++ {
			w.expect(id, sluice.Ledger{Accepted: 20_000, Delivered: 20_000})
		}
		if got := w.d.slowBytes.Load(); got != 0 {
			t.Errorf("memory in use at the end: %d, want 0", got)
		}
	})
}
