package deliver

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// TestTailWaitsForNoBucket: a lane that has more to read than it may, and whose
// next object is full while one is stored, holds up nobody as long as it waits.
func TestTailWaitsForNoBucket(t *testing.T) {
	for _, events := range []int{11_300, 13_100} { // of an object
		t.Run(fmt.Sprint(events), func(t *testing.T) {
			simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
				w.busy.Store(true)
				b := w.bucketBy(1, "acme", destination.ObjectLimits{Bytes: 16 << 20, Events: events, Age: time.Minute})
				b.encode = 200 * time.Microsecond
				w.post("acme", "a", 1)
				time.Sleep(2 * time.Minute)
				var put atomic.Bool
				b.hook("before", func(context.Context) {
					put.Store(true)
					time.Sleep(25 * time.Second) // simulated
					put.Store(false)
				})
				go w.postLarge("acme", 50_000)
				s, err := w.d.stream(1)
				if err != nil {
					t.Fatal(err)
				}
				l, waited := s.lanes[0], 0
				for range 1200 {
					time.Sleep(100 * time.Millisecond)
					synctest.Wait()
					l.mu.Lock()
					if put.Load() && !l.fill.reading && l.p.waits.Load() {
						waited++
					}
					l.mu.Unlock()
				}
				if waited > 0 {
					t.Errorf("tail: got that it waited in %d of 1200 moments for a lane that did not read, want none", waited)
				}
				time.Sleep(10 * time.Minute)
				w.expect(1, sluice.Ledger{Accepted: 50_001, Delivered: 50_001})
				b.once()
			})
		})
	}
}

// Acceptance times never go back: when a clock that was ahead is set right, events
// seem to come from the future.
func TestObjectsDoNotWaitForAClockThatWasSetBack(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		b := w.bucket(1, "acme")
		w.ahead.Store(int64(24 * time.Hour))
		w.post("acme", "a", 3)
		w.ahead.Store(0)
		time.Sleep(2 * time.Minute)
		w.post("acme", "a", 2)
		time.Sleep(2 * time.Minute)
		b.expect(3, 2)
		w.expect(1, sluice.Ledger{Accepted: 5, Delivered: 5})
		w.post("acme", "a", 1)
		w.crash()
		time.Sleep(2 * time.Minute)
		b.expect(3, 2, 1)
	})
}

// A lane that was woken for a place may have no use for it any more. Those behind it
// are woken all the same.
func TestNoLaneWaitsBesideFreePlaces(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		w.stop()
		s := &w.d.spool
		var lanes []*lane
		take := func(l *lane) bool {
			ok, _, _ := s.take(w.d, l)
			return ok
		}
		for i := range 4*buildPlaces + 1 {
			// The stream of all but the last is removed meanwhile.
			l := &lane{s: &stream{}, p: w.d.order[0], gone: i < 4*buildPlaces}
			lanes = append(lanes, l)
			if got, want := take(l), i < buildPlaces; got != want {
				t.Fatalf("place for lane %d: got %t, want %t", i, got, want)
			}
		}
		for range buildPlaces {
			s.give(w.d)
		}
		time.Sleep(5 * spoolLook)
		synctest.Wait()
		if last := lanes[4*buildPlaces]; last.phase != ready {
			t.Errorf("phase of the last lane: got %d, want %d: all places are free", last.phase, ready)
		}
		w.start()
	})
}

// The events of a plan may go while its lane waits for a place to build the object
// again: the lane goes on with what is left.
func TestPlanExpiresWhileItWaitsForAPlace(t *testing.T) {
	const kept = 2 * time.Hour
	simulate(t, spooled(t, Options{Retention: map[string]Retention{"audit": {Age: kept}}, Protect: kept}), func(t *testing.T, w *world) {
		b := w.bucket(1, "acme")
		b.set(func(r *receiver) { r.refuse = unavailable })
		w.post("acme", "a", 3)
		time.Sleep(2 * time.Minute)
		w.crash()
		time.Sleep(time.Minute)
		synctest.Wait()
		l := w.lane(1)
		for range buildPlaces {
			if !w.d.takePlace(&lane{s: &stream{}, p: l.p}) {
				t.Fatal("no place")
			}
		}
		l.mu.Lock()
		l.dropObject() // as when the spool is tight
		l.mu.Unlock()
		time.Sleep(kept / 2)
		w.post("acme", "a", 2)
		time.Sleep(kept)
		b.set(func(r *receiver) { r.refuse = nil })
		for range buildPlaces {
			w.d.spool.give(w.d)
		}
		time.Sleep(10 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 5, Delivered: 2, Expired: 3})
		b.expect(2)
	})
}
