package search

import (
	"context"
	"time"
)

// While producers post and the processors have more to do than they can, an
// indexer rests for a part of the time that it works, so that ingest and deliveries
// keep them; what that leaves undone is done when producers pause. It rests until it
// is some seconds of its own work behind: what is searched is not to be older than
// that, however long the load lasts.
const (
	postBytes = 1 << 20 // of events a second, over all partitions: less is no load
	paceLook  = 200 * time.Millisecond
	restLeast = 5 * time.Millisecond // less work than this is put together
	restMost  = 1 << 20              // events behind the log, beyond which there is no rest
)

// pacer tells how long to rest. Its zero value is ready.
type pacer struct {
	at      time.Time // of the last look
	raw     uint64    // bytes that the log had taken by then
	posting bool      // producers post
	owed    time.Duration
}

// add notes work that was done.
func (p *pacer) add(d time.Duration) { p.owed += d }

// rest returns how long to rest now, when the log has taken raw bytes of events in
// all and has so many events behind those that are indexed. It asks whether
// processors are busy when producers post.
func (p *pacer) rest(now time.Time, raw, behind uint64, busy func() bool) time.Duration {
	if since := now.Sub(p.at); since >= paceLook {
		p.posting = !p.at.IsZero() && float64(raw-p.raw) > postBytes*since.Seconds()
		p.at, p.raw = now, raw
	}
	if !p.posting || behind > restMost || !busy() {
		p.owed = 0
		return 0
	}
	if p.owed < restLeast {
		return 0
	}
	rest := p.owed * 2 / 5
	p.owed = 0
	return rest
}

// giveWay rests, if others need the processors.
func (ix *indexer) giveWay(ctx context.Context) {
	if ix.s.cfg.Busy == nil {
		return
	}
	var raw uint64
	for _, name := range ix.s.log.Partitions() {
		raw += ix.s.log.Appended(name)
	}
	stored := ix.s.log.Stored(ix.sh.name)
	if rest := ix.pacer.rest(time.Now(), raw, stored-min(ix.seq, stored), ix.s.cfg.Busy); rest > 0 {
		sleep(ctx, rest)
	}
}
