package deliver

import (
	"math/bits"
	"time"
)

// turns queues lanes that are up to date and were quick the last time. The next
// turn goes to the lane for which bytes that wait, times the time since it was
// queued, is largest. A request with many events costs hardly more than one with
// a single event: when processors are what all wait for, requests are fewest, for
// what may wait in all, if a lane's turns come in proportion to the square root of
// its rate, and this product is what that comes to. From a wait of patience on
// size does not count any more.
//
// Lanes are kept by the magnitude of what waits for them, each magnitude in the
// order in which they came to it, and the first ones are compared. So one that grew
// may wait for others that came later, though never for those that came more than
// twice patience later. The senders' lock guards turns.
type turns struct {
	sizes [magnitudes]fifo
	count int
}

const (
	// magnitudes is the number of powers of two that are told apart, the first
	// being 256 bytes.
	magnitudes = 12
	patience   = 2 * time.Second
)

// magnitude of so many bytes that wait.
func magnitude(bytes int) int { return min(bits.Len(uint(bytes)>>8), magnitudes-1) }

func (t *turns) len() int { return t.count }

// push queues a lane, which is locked.
func (t *turns) push(l *lane) {
	t.count++
	t.sizes[magnitude(l.queued)].push(l, time.Now())
}

// grow moves a lane whose queue has grown, unless its turn has come or its size
// does not count any more. The lane is locked.
func (t *turns) grow(l *lane) {
	from, to := l.place.in, &t.sizes[magnitude(l.queued)]
	if from == nil || from == to {
		return
	}
	since := l.place.since
	if time.Since(since) >= patience {
		return
	}
	from.remove(l)
	to.push(l, since)
}

// pop takes out the lane whose turn it is; nil when there is none.
func (t *turns) pop() *lane {
	if t.count == 0 {
		return nil
	}
	t.count--
	now := time.Now()
	var next *fifo
	most := time.Duration(-1)
	for i := range t.sizes {
		l := t.sizes[i].first()
		if l == nil {
			continue
		}
		score := now.Sub(l.place.since)
		if score < patience {
			score <<= i
		} else {
			score <<= magnitudes
		}
		if score > most {
			next, most = &t.sizes[i], score
		}
	}
	return next.pop()
}
