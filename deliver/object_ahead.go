package deliver

import (
	"context"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// While an object is on its way to the bucket, the lane fills the next one, which
// stays open (see keep). It has no plan, and the cursor does not move for it: that
// begins when the plan before it has ended.

const (
	// aheadScan bounds the blocks that are read before somebody looks whether the
	// upload has ended.
	aheadScan = 4
	// aheadEvery is how often a lane that has read everything looks for more.
	aheadEvery = 50 * time.Millisecond
)

// fillAhead fills the next object until stored is closed. An error of our own is
// met again, and reported, when the object's turn comes.
func (d *Deliverer) fillAhead(ctx context.Context, l *lane, dest destination.ObjectStore, stored <-chan struct{}) {
	tick := time.NewTicker(aheadEvery)
	defer tick.Stop()
	for {
		full, more := d.readAhead(ctx, l, dest)
		if full {
			l.excuse()
			<-stored
			return
		}
		l.reading(more)
		switch {
		case more:
			select {
			case <-stored:
				return
			default:
			}
			continue
		}
		select {
		case <-stored:
			return
		case <-tick.C:
		}
	}
}

// readAhead reads some blocks into the next object. It reports whether that is
// full, and whether there is more to read at once.
func (d *Deliverer) readAhead(ctx context.Context, l *lane, dest destination.ObjectStore) (full, more bool) {
	l.mu.Lock()
	ok := l.rec.Plan != nil && l.goesOn() && l.rec.End == nil && !l.changed && !l.gone
	l.mu.Unlock()
	if !ok || !d.spool.takeSpare(l) {
		return false, false
	}
	l.reading(true)
	var w work
	b, at := d.begin(l, &w, dest)
	var err error
	if !b.full {
		b.ahead = true
		w.items = append(w.items[:0], item{}) // what would move the cursor ends the pass instead
		g := gathering{d: d, l: l, w: &w, into: b}
		err = g.run(ctx, at)
		l.progress(b)
		b.ahead, b.at = false, w.end
		b.full = w.more && !g.scanned
	}
	full = b.full
	if err == nil && b.count > 0 && b.stays() && d.keep(l, b) {
		return full, !full && !w.atTail
	}
	b.drop()
	d.spool.give(d)
	return false, false
}
