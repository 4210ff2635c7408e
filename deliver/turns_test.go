package deliver

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// queue is a lane for which so many bytes wait.
func queue(bytes int) *lane { return &lane{queued: bytes} }

func TestTurns(t *testing.T) {
	type step struct {
		wait  time.Duration // before it
		bytes int
	}
	for _, tc := range []struct {
		name  string
		queue []step
		wait  time.Duration // before turns are given
		want  []int         // bytes, in the order of turns
	}{
		{"much before little", []step{{0, 1 << 10}, {0, 16 << 10}, {0, 4 << 10}}, time.Millisecond, []int{16 << 10, 4 << 10, 1 << 10}},
		{"among equals in order", []step{{0, 1025}, {1, 1026}, {1, 1027}}, time.Millisecond, []int{1025, 1026, 1027}},
		{"little that has waited long", []step{{0, 1 << 10}, {90 * time.Millisecond, 4 << 10}}, 10 * time.Millisecond, []int{1 << 10, 4 << 10}},
		{"much for which nobody waited long", []step{{0, 1 << 10}, {50 * time.Millisecond, 64 << 10}}, 10 * time.Millisecond, []int{64 << 10, 1 << 10}},
		{"no patience left", []step{{0, 300}, {1900 * time.Millisecond, 1 << 20}}, 100 * time.Millisecond, []int{300, 1 << 20}},
		{"all out of patience", []step{{0, 300}, {time.Second, 1 << 20}, {time.Second, 600}}, patience, []int{300, 1 << 20, 600}},
		{"at the same moment", []step{{0, 0}, {0, 1 << 30}}, 0, []int{0, 1 << 30}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var q turns
				for _, s := range tc.queue {
					time.Sleep(s.wait)
					q.push(queue(s.bytes))
				}
				time.Sleep(tc.wait)
				var got []int
				for l := q.pop(); l != nil; l = q.pop() {
					got = append(got, l.queued)
				}
				if !slices.Equal(got, tc.want) {
					t.Errorf("turns: got %v, want %v", got, tc.want)
				}
			})
		})
	}
}

// A lane whose queue grows is served as what it has become, and has waited since
// it was queued.
func TestTurnsOfGrownLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q turns
		grown, other := queue(1<<10), queue(4<<10)
		q.push(grown)
		time.Sleep(20 * time.Millisecond)
		q.push(other)
		time.Sleep(10 * time.Millisecond)
		grown.queued = 8 << 10
		q.grow(grown)
		if got := q.pop(); got != grown {
			t.Errorf("first turn: got the lane that came later, want the grown one")
		}
		grown.queued = 1 << 20
		q.grow(grown) // its turn has come
		if got := q.pop(); got != other || q.len() != 0 || q.pop() != nil {
			t.Errorf("after it: got another lane, or a lane twice; want the other one, and none")
		}
	})
}

// Whatever happens, each queued lane gets one turn, and none that was queued long
// after it comes before it.
func TestTurnsLoseNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		var q turns
		waiting := map[*lane]time.Time{}
		for range 20_000 {
			switch rng.IntN(6) {
			case 0, 1:
				l := queue(rng.IntN(1 << rng.IntN(20)))
				q.push(l)
				waiting[l] = time.Now()
			case 2:
				for l := range waiting {
					l.queued += rng.IntN(1 << rng.IntN(20))
					q.grow(l)
					break
				}
			case 3:
				time.Sleep(time.Duration(rng.IntN(10)) * time.Millisecond)
			case 4, 5:
				l := q.pop()
				since, ok := waiting[l]
				if ok != (l != nil) || l == nil && len(waiting) > 0 {
					t.Fatalf("turn: got a lane that did not wait, or none of %d", len(waiting))
				}
				delete(waiting, l)
				for _, other := range waiting {
					if since.Sub(other) > 2*patience {
						t.Fatalf("turn: got a lane that came %s after one that still waits", since.Sub(other))
					}
				}
			}
			if q.len() != len(waiting) {
				t.Fatalf("lanes that wait: got %d, want %d", q.len(), len(waiting))
			}
		}
	})
}
