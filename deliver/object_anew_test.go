package deliver

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// TestKeyOfOtherEvents has a bucket store what it refuses, so that the key of the
// plan that was given up is taken. With other events between the same numbers, an
// object must not be taken for the one under that key; with the same events it is
// that one.
func TestKeyOfOtherEvents(t *testing.T) {
	onlyA := sluice.Filter{EventTypes: []string{"a"}}
	all := sluice.Filter{}
	cases := []struct {
		name    string
		filters []sluice.Filter // the first one's plan is stored, those between are refused
		want    sluice.Ledger
		objects []int
		once    bool
	}{
		{"more events", []sluice.Filter{onlyA, all}, sluice.Ledger{Accepted: 30, Delivered: 30}, []int{20, 30}, false},
		{"the same events", []sluice.Filter{onlyA, onlyA}, sluice.Ledger{Accepted: 30, Delivered: 20, Filtered: 10}, []int{20}, true},
		{"there and back", []sluice.Filter{onlyA, all, onlyA}, sluice.Ledger{Accepted: 30, Delivered: 20, Filtered: 10}, []int{20}, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
				b := w.bucket(1, "acme", func(s *Stream) { s.Filter = c.filters[0] })
				b.deal(func(b *bucket) { b.prefix, b.deny, b.lies = "audit/", "audit/", true })
				for _, what := range []string{"a", "b", "a"} {
					w.post("acme", what, 10)
				}
				time.Sleep(5 * time.Minute)
				b.deal(func(b *bucket) { b.lies = false })
				for _, f := range c.filters[1 : len(c.filters)-1] {
					w.change(1, func(s *Stream) { s.Filter = f })
					time.Sleep(5 * time.Minute)
				}
				w.expect(1, sluice.Ledger{Accepted: 30, Pending: 30})
				w.crash()
				w.change(1, func(s *Stream) { s.Filter = c.filters[len(c.filters)-1] })
				time.Sleep(time.Minute)
				b.deal(func(b *bucket) { b.deny = "" })
				time.Sleep(5 * time.Minute)
				w.expect(1, c.want)
				if got := b.sizes(); !slices.Equal(got, c.objects) {
					t.Errorf("events in objects: got %v, want %v", got, c.objects)
				}
				if c.once {
					b.once()
				}
				l := w.lane(1)
				l.mu.Lock()
				g := l.rec.GivenUp
				l.mu.Unlock()
				if g != nil {
					t.Errorf("plans that were given up, at rest: got %+v, want none", g)
				}
				w.post("acme", "a", 5)
				time.Sleep(5 * time.Minute)
				b.deal(func(b *bucket) {
					keys := slices.Sorted(maps.Keys(b.objects))
					if last := keys[len(keys)-1]; len(last) != len(keys[0]) {
						t.Errorf("key behind the plans that were given up: got %s, want it without a variant", last)
					}
				})
				left(t, w)
			})
		})
	}
}

// TestPlanOfAnotherKind: a stream that goes from a bucket to another kind and
// back, with another filter, does not take its old object for the new one.
func TestPlanOfAnotherKind(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		b := w.bucket(1, "acme", func(s *Stream) { s.Filter = sluice.Filter{EventTypes: []string{"a"}} })
		b.set(func(r *receiver) { r.glitches = 1000 })
		for _, what := range []string{"a", "b", "a"} {
			w.post("acme", what, 10)
		}
		time.Sleep(5 * time.Minute)
		other := &receiver{limits: b.Limits(), refuse: unavailable}
		w.change(1, func(s *Stream) {
			s.Open = func() (destination.Destination, error) { return other, nil }
		})
		time.Sleep(5 * time.Minute)
		b.set(func(r *receiver) { r.glitches = 0 })
		w.change(1, func(s *Stream) {
			s.Filter = sluice.Filter{}
			s.Open = func() (destination.Destination, error) { return b, nil }
		})
		time.Sleep(10 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 30, Delivered: 30})
		if got, want := b.sizes(), []int{20, 30}; !slices.Equal(got, want) {
			t.Errorf("events in objects: got %v, want %v", got, want)
		}
		left(t, w)
	})
}
