package deliver

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice"
)

// phase is what a lane does in the machinery of delivery.
type phase uint8

const (
	idle    phase = iota // nothing to do
	ready                // queued for a sender
	running              // a sender has it
	waiting              // for a timer
	stopped              // paused, done or removed
)

// lane is a stream's delivery through one partition.
//
// A lane is either up to date or behind. Up to date, it gets the events it wants
// from the tail, in queue; with an empty queue its position is the tail's, and
// rec.Cursor is older. Behind, it reads the log from rec.Cursor by itself.
// Failures make it behind, so that everything that has to do with blame happens
// in one mode: what is known beyond the cursor is then in beyond and suspects.
type lane struct {
	s *stream
	p *part

	mu sync.Mutex

	// What is yes or no, side by side: there are tens of thousands of lanes.
	phase    phase
	again    bool // something came up while running
	slow     bool // the last send took long
	gone     bool // the stream was removed
	behind   bool
	inFlight bool // a batch taken from queue is being sent
	over     bool // see seen
	looked   bool // the end of the stream was looked for, see findEnd
	changed  bool // the configuration changed: examine again from the cursor
	probing  bool // held: the next step is a probe
	redoes   bool // the turn is, or the last one was, for an event in quarantine

	delay time.Duration // the running turn asks to wait this long after it
	ended chan struct{} // closed when the turn under way at a removal has ended
	place place         // in the senders' queues
	timer *time.Timer
	// cancel ends the send under way; nil when there is none.
	cancel context.CancelFunc

	rec     record
	version uint64 // of the stored record, 0 when there is none
	gen     uint64 // counts changes of rec
	flushed uint64 // gen that is durable
	safe    uint64 // up to here the durable record is complete, see part.checkpoint

	queue  []portion
	queued int       // bytes of queue
	given  uint64    // the last event of the block that the last portion is of
	turn   time.Time // when the last turn began

	// journal keeps what the lane tried; nil until it tries something.
	journal atomic.Pointer[journal]
	// before is the last success, as long as there is no journal; nil until
	// somebody asked for it.
	before atomic.Pointer[time.Time]
	// day is what was delivered lately; nil until somebody asked for it.
	day atomic.Pointer[laneDay]

	// seen is the highest total that was told before the stream's until passed, and
	// over says that the log held later blocks when the stream was begun with.
	seen uint64

	trying *trying // a try under way, nil for none

	fill   *filling // of a lane of objects; nil when the destination takes events
	object *object  // the planned one, when it is there; the running turn's
	// open is the object that is filled between turns; who swaps it out owns it.
	open atomic.Pointer[building]

	blame
	health
	redeliver []uint64 // quarantined events that are to be tried again
	absences  int      // tries of these in a row for which the destination was not there
	fulls     int      // tries of holds in a row because quarantine was full
}

// blame is what a lane knows about events beyond its cursor. It is kept in
// memory only: after a start they are sent again.
type blame struct {
	beyond   map[uint64]bool // delivered
	suspects []suspect       // refused alone, in order; in quarantine once others pass
	badEnd   uint64          // the events up to here hold one that made a batch be refused; 0 for none
	refusals int             // single refusals in a row
	alone    alone
}

type suspect struct {
	seq    uint64
	reason string
}

// alone follows an event that keeps failing by itself.
type alone struct {
	seq    uint64
	since  time.Time
	tries  int
	passed bool // another event was accepted since the last try
}

// health is what owners see.
type health struct {
	tries       int // failures in a row
	held        bool
	lastSuccess time.Time
	failure     *Failure
	nextRetry   time.Time
	errors      map[string]uint64
	sends       uint64
}

// maxBeyond bounds the events that may be delivered or suspected beyond the
// cursor.
const maxBeyond = 256

// mark notes that rec changed. The lane is locked.
func (l *lane) mark() {
	l.gen++
	l.p.d.flush.dirty(l)
}

// fallBehind makes the lane read the log by itself from its cursor on. What it
// was given is dropped. The cursor has to be where the lane stands: of a lane that
// is up to date it may be old, see part.detach. The lane is locked.
func (l *lane) fallBehind(now time.Time) {
	l.drop()
	if !l.behind {
		l.behind = true
	}
	l.unknown()
	if !l.rec.Behind || l.rec.Since.IsZero() {
		l.rec.Behind, l.rec.Since = true, now
		l.mark()
	}
}

// drop forgets the queue.
func (l *lane) drop() {
	for i := range l.queue {
		l.queue[i].chunk.release(l.p.d)
		l.queue[i] = portion{}
	}
	l.queue = l.queue[:0]
	l.load(-l.queued)
}

// upToDate reports whether the lane's position is the tail's.
func (l *lane) upToDate() bool { return !l.behind && len(l.queue) == 0 && !l.inFlight }

// suspected returns the index of seq among the suspects, -1 when it is none.
func (b *blame) suspected(seq uint64) int {
	for i := range b.suspects {
		if b.suspects[i].seq == seq {
			return i
		}
	}
	return -1
}

// status is what the lane does, as owners see it. The lane is locked.
func (l *lane) status(conf *Stream) sluice.Status {
	switch {
	case l.done():
		return sluice.StatusDone
	case conf.Paused:
		return sluice.StatusPaused
	case l.held:
		return sluice.StatusHeld
	case l.tries > 0 || l.hangs():
		return sluice.StatusFailing
	}
	return sluice.StatusActive
}

// done reports whether the stream's until was reached.
func (l *lane) done() bool {
	return l.rec.End != nil && l.rec.Cursor >= l.rec.End.Seq && !l.inFlight && l.behind
}

// ended reports whether the stream's until has passed. Events that were accepted
// before may still be on their way.
func ended(conf *Stream) bool { return !conf.Until.IsZero() && time.Now().After(conf.Until) }

// ledger returns the account. The partition and the lane are locked.
func (l *lane) ledger() sluice.Ledger {
	at := l.rec.Total
	if l.upToDate() && l.rec.Cursor <= l.p.processed {
		at = l.p.totals[l.s.scope]
	}
	_, now := l.p.d.log.Position(l.p.name, l.s.scope)
	conf, _ := l.s.config()
	switch {
	case l.rec.End != nil:
		now = l.rec.End.Total
	case !l.over && !ended(&conf):
		l.seen = now
	default: // the tail finds out which blocks are still the stream's
		now = max(l.seen, at, l.p.totals[l.s.scope])
	}
	r := &l.rec
	g := sluice.Ledger{
		Accepted:    now - r.StartTotal,
		Delivered:   r.Delivered,
		Expired:     r.Expired,
		Quarantined: uint64(len(r.Quarantined)),
		Pending:     now - at,
	}
	g.Filtered = at - r.StartTotal - g.Delivered - g.Expired - g.Quarantined
	return g
}
