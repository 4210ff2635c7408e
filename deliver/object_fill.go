package deliver

import (
	"slices"
	"sort"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/eventlog"
)

// filling is what a lane of objects knows about its next object: how much there
// is between its cursor, or the end of its plan, and the tail. The lane guards it.
type filling struct {
	limits destination.ObjectLimits
	// known says that the figures cover everything that the tail has handed out.
	// It ends with every change, failure and loss: then the lane finds out by
	// reading the log.
	known   bool
	version uint64 // of the stream's configuration that the figures are by
	events  int
	bytes   int64     // of the events
	oldest  time.Time // since when the first of them waits, see waitsSince
	ratio   float64   // bytes stored for a byte of events, of the last object
	timer   *time.Timer
	// read is how many of the bytes the object under way holds, excused how many
	// of the others came while the lane did not read; see weigh.
	read, excused int64
	reading       bool // the lane reads, or waits for a place to
	full          bool // the open object is
	large         bool // it is counted among those that have much to send
	pins          pins
	// runs are where those events are, from listed on; before it, nobody knows.
	listed uint64
	runs   []run
}

// run is a range of blocks each of which holds something for the lane.
type run struct {
	before Start // the position right before it
	last   uint64
}

// maxRuns bounds what a lane remembers of where its events are.
const maxRuns = 1024

// list notes that a block which ends at last, right behind a position, holds
// something.
func (f *filling) list(before Start, last uint64) {
	if n := len(f.runs); n > 0 && f.runs[n-1].last == before.Seq {
		f.runs[n-1].last = last
		return
	}
	if len(f.runs) == maxRuns {
		f.runs, f.listed = nil, last
		return
	}
	f.runs = append(f.runs, run{before: before, last: last})
}

// skip returns the position from which on something may be for a lane that has
// read up to at: what the tail saw there and nobody wanted is not read again.
func (l *lane) skip(b *building, at Start) Start {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.fill
	if !f.known || f.version != b.conf.Version || at.Seq < f.listed || l.rec.End != nil {
		return at
	}
	i := sort.Search(len(f.runs), func(i int) bool { return f.runs[i].last > at.Seq })
	switch {
	case i == len(f.runs):
		return Start{Seq: l.p.processed, Total: l.p.totals[l.s.scope]}
	case f.runs[i].before.Seq > at.Seq:
		return f.runs[i].before
	}
	return at
}

// firstRatio is what events compress to when nothing is known yet: less than
// usual, for an object that is begun too early costs reading again.
const firstRatio = 0.1

// begin starts an account that covers everything up to the tail, which stands at
// a number.
func (f *filling) begin(version, at uint64) {
	f.stop()
	f.known, f.version, f.events, f.bytes, f.oldest = true, version, 0, 0, time.Time{}
	f.read, f.excused = 0, 0
	f.listed, f.runs = at, nil
}

// take takes an object's events off the account.
func (f *filling) take(b *building) {
	f.learn(b)
	f.stop()
	f.events -= b.count
	f.bytes -= b.bytes
	f.read = 0
	f.oldest = waitsSince(b.latest) // or later
	f.runs = slices.DeleteFunc(f.runs, func(r run) bool { return r.last <= b.last })
	if f.events < 0 || f.version != b.conf.Version {
		f.known = false
	}
}

func (f *filling) stop() {
	if f != nil && f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
}

// learn takes the ratio of an object that was built.
func (f *filling) learn(b *building) {
	if b.bytes > 0 {
		f.ratio = float64(b.object.size) / float64(b.bytes)
	}
}

// told notes the events list of block b (positions in idx; all when all is set)
// for a lane of objects. before is the scope's total before the block, version
// that of the configuration which wants them. Partition and lane are locked.
func (l *lane) told(b *eventlog.Block, list, idx []uint16, all bool, before, version uint64) {
	p, f := l.p, l.fill
	if l.upToDate() {
		l.rec.Cursor, l.rec.Total = p.processed, before
		if l.flushed == l.gen {
			l.safe = p.processed
		}
		p.debts[l] = true
		l.behind, l.rec.Behind, l.rec.Since = true, true, time.Time{}
		l.mark()
		f.begin(version, p.processed)
	}
	if !f.known || f.version != version {
		l.unknown()
		return
	}
	if f.events == 0 {
		f.oldest = waitsSince(b.Accepted)
	}
	f.list(Start{Seq: p.processed, Total: before}, b.Last())
	n, bytes := count(b, list, idx, all)
	f.events += n
	f.bytes += bytes
	if !l.reads() {
		f.excused += bytes
	}
	if l.phase == ready || l.phase == running || l.open.Load() != nil {
		f.pins.pin(p.d, b)
	}
	l.weigh()
	if l.due(time.Now()) || l.goesOn() {
		p.d.wake(l)
	} else if f.timer == nil {
		l.schedule()
	}
}

// waitsSince returns since when an event waits that was just met: since it was
// accepted, unless the clock was ahead then and has been set back.
func waitsSince(accepted time.Time) time.Time { return earlier(accepted, time.Now()) }

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// count returns how many events are meant, see told, and their bytes.
func count(b *eventlog.Block, list, idx []uint16, all bool) (n int, bytes int64) {
	if all && idx == nil {
		return int(b.Count), int64(b.RawLen)
	}
	n = len(list)
	if all {
		n = len(idx)
	}
	for i := range n {
		at := i
		if !all {
			at = int(list[i])
		}
		if idx != nil {
			at = int(idx[at])
		}
		bytes += int64(b.Entries[at].Len) + 1
	}
	return n, bytes
}

// due reports whether what is known makes an object. The lane is locked.
func (l *lane) due(now time.Time) bool {
	f := l.fill
	if l.rec.End != nil || f.full {
		return true
	}
	if f.events == 0 {
		return false
	}
	ratio := f.ratio
	if ratio == 0 {
		ratio = firstRatio
	}
	return f.events >= f.limits.Events || float64(f.bytes)*ratio >= float64(f.limits.Bytes) || !now.Before(l.dueAt())
}

// dueAt returns when the object is due however small it is: when its first event
// is old enough, or the stream ends.
func (l *lane) dueAt() time.Time {
	at := l.fill.oldest.Add(l.fill.limits.Age)
	if conf, _ := l.s.config(); !conf.Until.IsZero() && conf.Until.Before(at) {
		at = conf.Until.Add(time.Nanosecond)
	}
	return at
}

// schedule wakes the lane when its object is due. The lane is locked.
func (l *lane) schedule() {
	l.fill.stop()
	if l.fill.events == 0 || l.gone {
		return
	}
	delay := max(time.Until(l.dueAt()), 10*time.Millisecond)
	l.fill.timer = time.AfterFunc(delay, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.p.d.wake(l)
	})
}

// Outcomes of reachedTail.
type reached uint8

const (
	tailMoved   reached = iota // there is more to read
	tailKnows                  // of events that are gone: they are settled after the object
	tailReached                // the account is right from here on
)

// reachedTail opens the account of a lane that has read up to the tail at end,
// with the events of b in it.
func (l *lane) reachedTail(b *building, end Start) reached {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.p.processed != end.Seq:
		return tailMoved
	case l.p.totals[l.s.scope] != end.Total || l.rec.End != nil || l.changed || l.gone:
		return tailKnows
	}
	l.fill.begin(b.conf.Version, end.Seq)
	l.fill.events, l.fill.bytes, l.fill.read, l.fill.oldest = b.count, b.bytes, b.bytes, waitsSince(b.accepted)
	return tailReached
}

// waitForMore makes a lane wait until what it found is an object.
func (l *lane) waitForMore(b *building) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.fill.known {
		l.again = true // something came up
		return
	}
	l.fill.learn(b)
	l.fill.oldest = earlier(b.accepted, l.fill.oldest)
	l.hasRead(b)
	l.fill.pins.find(l.p.d, b.at.Seq+1) // gives up what was read
	if l.tries == 0 && !l.held && !l.rec.Since.IsZero() {
		l.rec.Since, l.rec.Announced = time.Time{}, 0
		l.mark()
	}
	l.schedule()
}
