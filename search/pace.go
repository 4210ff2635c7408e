package search

import (
	"context"
	"time"
)

// While producers post much, an indexer works half of the time at most, so that
// they and deliveries keep the processors; what that leaves undone is done when
// they pause. The index is made for being late, producers are not.
const (
	busyBytes = 16 << 20 // of events a second, over all partitions
	busyLook  = 200 * time.Millisecond
	restLeast = 5 * time.Millisecond // shorter rests are put together
)

// pacer tells how long to rest. Its zero value is ready.
type pacer struct {
	at   time.Time // of the last look
	raw  uint64    // bytes that the log had taken by then
	busy bool
	owed time.Duration
}

// worked notes that the indexer worked for d until now, when the log had taken
// raw bytes of events in all. It returns how long to rest.
func (p *pacer) worked(d time.Duration, now time.Time, raw uint64) time.Duration {
	if since := now.Sub(p.at); since >= busyLook {
		p.busy = !p.at.IsZero() && float64(raw-p.raw) > busyBytes*since.Seconds()
		p.at, p.raw = now, raw
	}
	if !p.busy {
		p.owed = 0
		return 0
	}
	if p.owed += d; p.owed < restLeast {
		return 0
	}
	rest := p.owed
	p.owed = 0
	return rest
}

// giveWay rests after work that began at a time, if others need the processors.
func (ix *indexer) giveWay(ctx context.Context, began time.Time) {
	var raw uint64
	for _, name := range ix.s.log.Partitions() {
		raw += ix.s.log.Appended(name)
	}
	now := time.Now()
	if rest := ix.pacer.worked(now.Sub(began), now, raw); rest > 0 {
		sleep(ctx, rest)
	}
}
