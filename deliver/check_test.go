package deliver

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// counted is a receiver that counts how often it was opened and closed, and whose
// checks take a minute.
type counted struct {
	*receiver
	opened, closed atomic.Int32
}

func (c *counted) Check(context.Context, func(destination.Stage)) bool {
	time.Sleep(time.Minute) // simulated
	return c.closed.Load() == 0
}

func (c *counted) Close() error {
	c.closed.Add(1)
	return nil
}

// TestCheckUsesTheDestination: it opens none of its own, and the stream's is not
// closed before its end.
func TestCheckUsesTheDestination(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		c := &counted{}
		w.stream(1, "acme", func(s *Stream) {
			c.receiver = w.dests[1]
			s.Open = func() (destination.Destination, error) {
				c.opened.Add(1)
				return c, nil
			}
		})
		w.post("acme", "a", 3)
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
		ok := false
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			ok, err = w.d.Check(context.Background(), 1, func(destination.Stage) {})
		}()
		synctest.Wait()
		if _, err := w.d.Remove(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
		delete(w.confs, 1)
		<-done
		if !ok || err != nil || c.opened.Load() != 1 || c.closed.Load() != 1 {
			t.Errorf("Check of a stream that is removed meanwhile: got %t, %v, opened %d, closed %d, want true, nil, once, once after it",
				ok, err, c.opened.Load(), c.closed.Load())
		}
		if _, err := w.d.Check(context.Background(), 1, func(destination.Stage) {}); err == nil {
			t.Error("Check of a stream that was removed: got nil, want an error")
		}
	})
}
