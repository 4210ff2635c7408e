package deliver

import (
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// counting is a bucket that counts how often events are encoded.
type counting struct {
	*bucket
	adds atomic.Int64
}

type countingEncoder struct {
	destination.ObjectEncoder
	adds *atomic.Int64
}

func (c *counting) Encoder(version int, w io.Writer) (destination.ObjectEncoder, error) {
	e, err := c.bucket.Encoder(version, w)
	return &countingEncoder{e, &c.adds}, err
}

func (c *countingEncoder) Add(e *destination.Event) error {
	c.adds.Add(1)
	return c.ObjectEncoder.Add(e)
}

// lane returns the one lane of a stream.
func (w *world) lane(id sluice.StreamID) *lane {
	w.t.Helper()
	s, err := w.d.stream(id)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.lanes[0]
}

// crowd has other lanes take all places, as if each built an object, and give
// them back.
func (w *world) crowd(p *part) {
	w.t.Helper()
	for range buildPlaces {
		if !w.d.takePlace(&lane{s: &stream{}, p: p}) {
			w.t.Fatal("no place")
		}
	}
	for range buildPlaces {
		w.d.spool.give(w.d)
	}
}

// TestFullObjectThatGaveWay: the lane that lost a full object builds one again
// when that is due, and not for every block that comes.
func TestFullObjectThatGaveWay(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		c := &counting{bucket: w.bucketBy(1, "acme", eager)}
		w.change(1, func(s *Stream) { s.Open = func() (destination.Destination, error) { return c, nil } })
		time.Sleep(time.Second) // it is at the tail
		release := c.stuck()
		for range 4 {
			w.post("acme", "a", 60)
			time.Sleep(time.Second)
		}
		if got := w.open(1); got != 100 {
			t.Errorf("open object: got %d events, want 100", got)
		}
		w.crowd(w.lane(1).p)
		if got := w.open(1); got != 0 {
			t.Errorf("open object of a lane that gave way: got %d events, want none", got)
		}
		release()
		time.Sleep(10 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 240, Delivered: 240})
		before := c.adds.Load()
		for range 15 {
			w.post("acme", "a", 1)
			time.Sleep(time.Second)
		}
		time.Sleep(2 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 255, Delivered: 255})
		c.expect(100, 100, 40, 15)
		if n := c.adds.Load() - before; n != 15 {
			t.Errorf("encoded: got %d times, want each of 15 events once", n)
		}
		left(t, w)
	})
}

// TestNothingIsKeptAtRest: a lane that has stored everything holds no block.
func TestNothingIsKeptAtRest(t *testing.T) {
	for name, counts := range map[string][]int{"stored": {30, 30, 30}, "open": {30, 30, 30, 30, 30}} {
		t.Run(name, func(t *testing.T) {
			simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
				w.bucketBy(1, "acme", eager)
				time.Sleep(time.Second) // it is at the tail
				want := uint64(0)
				for _, n := range counts {
					w.post("acme", "a", n)
					want += uint64(n)
					time.Sleep(time.Second)
				}
				if got := w.d.pinned.Load(); got != 0 {
					t.Errorf("blocks of a lane that has read everything: got %d bytes, want 0", got)
				}
				time.Sleep(time.Hour)
				w.expect(1, sluice.Ledger{Accepted: want, Delivered: want})
				if got, slow := w.d.pinned.Load(), w.d.slowBytes.Load(); got != 0 || slow != 0 {
					t.Errorf("blocks at rest: got %d bytes, %d counted, want 0", got, slow)
				}
			})
		})
	}
}
