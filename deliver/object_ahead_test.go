package deliver

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// eager cuts objects by 100 events, and has lanes read ahead 20 or so.
var eager = destination.ObjectLimits{Bytes: 8 << 10, Events: 100, Age: time.Minute}

// open returns how many events the open object of a stream's lane holds, 0 for
// none.
func (w *world) open(id sluice.StreamID) int {
	w.t.Helper()
	synctest.Wait()
	s, err := w.d.stream(id)
	if err != nil {
		w.t.Fatal(err)
	}
	if b := s.lanes[0].open.Load(); b != nil {
		return b.count
	}
	return 0
}

// stuck lets Put hang from the next one on, until release is called.
func (b *bucket) stuck() (release func()) {
	free := make(chan struct{})
	b.hook("before", func(ctx context.Context) {
		select {
		case <-free:
		case <-ctx.Done():
		}
	})
	return func() { close(free) }
}

func TestObjectIsFilledWhileEventsCome(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		b := w.bucketBy(1, "acme", eager)
		time.Sleep(time.Second) // it is at the tail
		for range 3 {
			w.post("acme", "a", 30)
			time.Sleep(time.Second)
		}
		if got := w.open(1); got != 90 {
			t.Errorf("open object: got %d events, want 90", got)
		}
		b.expect()
		w.post("acme", "a", 15)
		w.expect(1, sluice.Ledger{Accepted: 105, Delivered: 100, Pending: 5})
		time.Sleep(time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 105, Delivered: 105})
		b.expect(100, 5)
		left(t, w)
	})
}

func TestNextObjectIsFilledWhileOneIsStored(t *testing.T) {
	for _, end := range []string{"stored", "failed", "killed", "filter", "removed"} {
		t.Run(end, func(t *testing.T) {
			simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
				b := w.bucketBy(1, "acme", eager)
				time.Sleep(time.Second) // it is at the tail
				release := b.stuck()
				w.post("acme", "a", 60)
				w.post("acme", "b", 60)
				w.post("acme", "a", 60)
				time.Sleep(time.Second)
				if got := w.open(1); got != 80 {
					t.Errorf("open object: got %d events, want 80", got)
				}
				w.post("acme", "b", 60)
				time.Sleep(time.Second)
				if got := w.open(1); got != 100 {
					t.Errorf("open object: got %d events, want 100", got)
				}
				b.expect() // nothing is stored before its plan, nor before its turn
				w.expect(1, sluice.Ledger{Accepted: 240, Pending: 240})
				finishStored(t, w, b, end, release)
			})
		})
	}
}

// finishStored ends a Put under way, while the next object is full, and looks at
// what comes of both.
func finishStored(t *testing.T, w *world, b *bucket, end string, release func()) {
	want, ledger := []int{100, 100, 40}, sluice.Ledger{Accepted: 240, Delivered: 240}
	switch end {
	case "failed":
		b.set(func(r *receiver) { r.refuse = unavailable })
		release()
		time.Sleep(time.Second)
		if got := w.open(1); got != 0 {
			t.Errorf("open object after a failure: got %d events, want none", got)
		}
		b.set(func(r *receiver) { r.refuse = nil })
	case "killed":
		kept := w.store.Snapshot()
		w.stop()
		w.use(kept)
		b.hook("before", nil)
		w.start()
	case "filter":
		w.change(1, func(s *Stream) { s.Filter = sluice.Filter{EventTypes: []string{"b"}} })
		release()
		want, ledger = []int{100, 80}, sluice.Ledger{Accepted: 240, Delivered: 180, Filtered: 60}
	case "removed":
		if _, err := w.d.Remove(context.Background(), 1); err != nil {
			t.Errorf("Remove: got %v, want nil", err)
		}
		delete(w.confs, 1)
		left(t, w)
		return
	default:
		release()
	}
	time.Sleep(10 * time.Minute)
	w.expect(1, ledger)
	b.expect(want...)
	left(t, w)
}

// TestOpenObjectsGiveWay has more lanes than places, all of which would read
// ahead, and pauses one.
func TestOpenObjectsGiveWay(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		var all []*bucket
		for id := range sluice.StreamID(7) {
			b := w.bucketBy(id+1, "acme", eager)
			all = append(all, b)
		}
		for range 9 {
			w.post("acme", "a", 30)
			time.Sleep(time.Second)
		}
		w.change(1, func(s *Stream) { s.Paused = true })
		synctest.Wait()
		if n := w.d.spool.busy; n > buildPlaces || n < len(w.d.spool.kept) {
			t.Errorf("places: got %d taken, %d kept, want at most %d", n, len(w.d.spool.kept), buildPlaces)
		}
		w.change(1, func(s *Stream) { s.Paused = false })
		time.Sleep(2 * time.Minute)
		for i, b := range all {
			w.expect(sluice.StreamID(i+1), sluice.Ledger{Accepted: 270, Delivered: 270})
			b.once()
		}
		left(t, w)
		if w.d.spool.busy != 0 || len(w.d.spool.kept) != 0 || w.d.pinned.Load() != 0 || w.d.slowBytes.Load() != 0 {
			t.Errorf("at rest: got %d places taken, %d kept, %d bytes of blocks, want none", w.d.spool.busy, len(w.d.spool.kept), w.d.pinned.Load())
		}
	})
}

// postLarge is postMany with larger events: 250 bytes.
func (w *world) postLarge(namespace string, n int) time.Duration {
	start := time.Now()
	for ; n > 0; n -= 500 {
		w.d.Pace(context.Background())
		w.post(namespace, strings.Repeat("a", 200), 500)
		time.Sleep(time.Millisecond)
	}
	return time.Since(start)
}

// TestOnlyReadingMakesTheTailWait: producers wait for a lane that compresses too
// slowly while processors are busy, and for no bucket.
func TestOnlyReadingMakesTheTailWait(t *testing.T) {
	cases := []struct {
		name         string
		busy         bool
		encode, take time.Duration // an event, an object
		waits        bool
	}{
		{"slow reader", true, 200 * time.Microsecond, 0, true},
		{"slow reader, processors have time", false, 200 * time.Microsecond, 0, false},
		{"slow bucket", true, 0, 20 * time.Second, false},
		{"slow bucket for small objects", true, time.Microsecond, 300 * time.Millisecond, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
				const events = 50_000
				w.busy.Store(c.busy)
				b := w.bucketBy(1, "acme", destination.ObjectLimits{Bytes: 16 << 20, Events: 12_000, Age: time.Minute})
				b.encode = c.encode
				b.hook("before", func(context.Context) { time.Sleep(c.take) }) // simulated
				w.post("acme", "a", 1)
				time.Sleep(2 * time.Minute)
				took := w.postLarge("acme", events)
				if waited := took > time.Second; waited != c.waits {
					t.Errorf("producers took %s: got that they waited %t, want %t", took, waited, c.waits)
				}
				time.Sleep(5 * time.Minute)
				w.expect(1, sluice.Ledger{Accepted: events + 1, Delivered: events + 1})
				b.once()
				if n := w.d.parts["audit"].large.Load(); n != 0 {
					t.Errorf("lanes with much to send: got %d, want 0", n)
				}
			})
		})
	}
}

// TestKillsWhileFillingAhead ends the process at many moments of a busy stream.
func TestKillsWhileFillingAhead(t *testing.T) {
	for at := range 12 {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
				b := w.bucketBy(1, "acme", eager)
				b.hook("before", func(context.Context) { time.Sleep(70 * time.Millisecond) }) // simulated
				for i := range 40 {
					w.post("acme", "a", 37)
					time.Sleep(13 * time.Millisecond)
					if i%12 == at {
						kept := w.store.Snapshot()
						w.stop()
						w.use(kept)
						w.start()
					}
				}
				time.Sleep(5 * time.Minute)
				w.expect(1, sluice.Ledger{Accepted: 1480, Delivered: 1480})
				b.once()
				left(t, w)
			})
		})
	}
}
