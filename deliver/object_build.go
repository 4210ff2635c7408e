package deliver

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/eventlog"
)

// building is an object that is being written.
type building struct {
	d       *Deliverer
	l       *lane
	dest    destination.ObjectStore
	conf    Stream // in force when it was begun
	matcher *sluice.Matcher
	version int
	limits  destination.ObjectLimits

	object   *object // nil before the first event
	encoder  destination.ObjectEncoder
	count    int
	bytes    int64 // of the events
	first    uint64
	last     uint64
	from     Start     // where reading began: the cursor, or the end of the plan before
	start    Start     // right before the first event
	end      Start     // the last event
	at       Start     // how far the log was read, of one that stays open
	block    uint64    // the first number of the last block
	accepted time.Time // the first event
	latest   time.Time // and the last one
	// waiting says that it is not due: it stays open or is dropped.
	waiting bool
	full    bool // nothing more may follow in it
	ahead   bool // it is filled while the one before is stored
}

// maxObjectScan bounds the blocks that are read for one object: a filter may let
// next to nothing pass.
const maxObjectScan = 2048

// build reads the log from the lane's cursor into a new object, by the rules of
// gather, until the object is full, the tail is reached or something has to be
// settled first. w tells where it ended; its items stand for those in the object.
func (d *Deliverer) build(ctx context.Context, l *lane, w *work, dest destination.ObjectStore) (*building, error) {
	b, at := d.begin(l, w, dest)
	if err := d.waitWhenLate(ctx, l); err != nil {
		b.drop()
		return nil, err
	}
	for !b.full {
		g := gathering{d: d, l: l, w: w, into: b}
		if err := g.run(ctx, at); err != nil {
			b.drop()
			return nil, err
		}
		if b.count == 0 || !w.atTail || !b.join(w.end) {
			return b, nil
		}
		at, w.atTail = w.end, false
	}
	return b, nil
}

// begin returns the lane's object to write to, and where in the log to go on.
func (d *Deliverer) begin(l *lane, w *work, dest destination.ObjectStore) (*building, Start) {
	if b := l.reopen(w, dest); b != nil {
		b.waiting = false
		return b, b.at
	}
	b := &building{d: d, l: l, dest: dest, version: dest.Version(), limits: dest.ObjectLimits()}
	b.conf, b.matcher = l.s.config()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fill.excused += l.fill.read // of an object that was dropped: it is read again
	l.fill.read, l.fill.full = 0, false
	b.from = l.next()
	return b, b.from
}

// join notes that the object reaches to the tail at end, and decides whether it
// waits for more. It reports whether there is more already.
func (b *building) join(end Start) bool {
	b.l.mu.Lock()
	known := b.l.fill.known
	b.l.mu.Unlock()
	if !known {
		switch b.l.reachedTail(b, end) {
		case tailMoved:
			return true
		case tailKnows:
			return false
		}
	}
	if !b.complete() {
		b.waiting, b.at = true, end
		b.l.waitForMore(b)
	}
	return false
}

// complete reports whether the object is worth storing although more may come:
// its first event has waited long enough, the stream ends, or it is nearly full.
func (b *building) complete() bool {
	l, enough := b.l, b.limits.Bytes
	if !b.pays() {
		enough = enough * 3 / 4
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	at := b.accepted
	if l.fill.known {
		at = earlier(at, l.fill.oldest)
	}
	at = at.Add(b.limits.Age)
	if !b.conf.Until.IsZero() && b.conf.Until.Before(at) {
		at = b.conf.Until.Add(time.Nanosecond)
	}
	return l.rec.End != nil || !time.Now().Before(at) || b.encoder.Written() >= enough
}

// add writes event at of block blk, whose total in the scope is total. It sets
// w.more when the object is full.
func (b *building) add(w *work, blk *eventlog.Block, at int, total uint64) error {
	seq := blk.First + uint64(at)
	if b.count == 0 {
		// What lies before the first wanted event is settled: it is filtered.
		b.start = Start{Seq: seq - 1, Total: total - 1}
		if !b.ahead {
			b.l.mu.Lock()
			b.l.moveTo(b.start)
			b.l.mu.Unlock()
			w.items = append(w.items, item{seq: seq, total: total})
		}
	}
	if err := b.write(blk, at); err != nil {
		return err
	}
	if blk.First != b.block {
		b.block = blk.First
		b.l.progress(b)
	}
	b.end = Start{Seq: seq, Total: total}
	w.end = b.end
	w.more = b.count >= b.limits.Events || b.encoder.Written() >= b.limits.Bytes
	return nil
}

// write encodes an event.
func (b *building) write(blk *eventlog.Block, at int) error {
	payload, err := blk.Payload(at)
	if err != nil {
		return err
	}
	var ev destination.Event
	fillEvent(&ev, blk, at, payload)
	if b.object == nil {
		if b.object, err = b.d.spool.create(); err != nil {
			return err
		}
		if b.encoder, err = b.dest.Encoder(b.version, b.object); err != nil {
			return &objectError{class: destination.Misconfigured, cause: err}
		}
		b.first, b.accepted, b.object.firstID = ev.Seq, ev.Accepted, string(ev.ID)
	}
	if err := b.encoder.Add(&ev); err != nil {
		return err
	}
	b.count++
	b.last, b.latest = ev.Seq, ev.Accepted
	b.bytes += int64(len(payload)) + 1
	b.object.lastID = append(b.object.lastID[:0], ev.ID...)
	return nil
}

// finish ends the object; on an error it is gone.
func (b *building) finish() error {
	err := b.encoder.Close()
	if err == nil {
		err = b.object.flush()
	}
	if err != nil {
		b.drop()
		return err
	}
	b.object.count, b.object.bytes, b.object.first, b.object.last = b.count, b.bytes, b.first, b.last
	return nil
}

func (b *building) drop() {
	if b.object != nil {
		b.object.remove()
	}
}

// rebuild writes the object of a plan again. Events that are no longer in the log
// are left out.
func (d *Deliverer) rebuild(ctx context.Context, l *lane, dest destination.ObjectStore, p *plan) (*building, error) {
	b := &building{d: d, l: l, dest: dest, version: p.Encoder}
	m := p.Filter.Matcher()
	for seq := p.First; seq <= p.Last; {
		blk, err := d.log.Block(ctx, l.p.name, seq)
		if errors.Is(err, io.EOF) || err == nil && blk.First > p.Last {
			break
		}
		if err == nil {
			err = b.repeat(blk, m, seq, p.Last)
		}
		if err != nil {
			b.drop()
			return nil, err
		}
		seq = blk.Last() + 1
	}
	return b, nil
}

// repeat writes the events of a block between two numbers.
func (b *building) repeat(blk *eventlog.Block, m *sluice.Matcher, first, last uint64) error {
	idx, n, _, ok := scoped(blk, b.l.s.scope)
	if !ok {
		return nil
	}
	from := 0
	if first > blk.First {
		from = firstAfter(blk, idx, n, first-1)
	}
	list, all := wanted(m, blk, idx, from)
	for i := range n - from {
		k := from + i
		if !all {
			if i == len(list) {
				break
			}
			k = int(list[i])
		}
		at := k
		if idx != nil {
			at = int(idx[k])
		}
		if blk.First+uint64(at) > last {
			break
		}
		if err := b.write(blk, at); err != nil {
			return err
		}
	}
	return nil
}

// waitWhenLate keeps a lane that has fallen behind from starving producers. One
// that stores its objects in time reads what the tail has just read.
func (d *Deliverer) waitWhenLate(ctx context.Context, l *lane) error {
	l.mu.Lock()
	late := !l.rec.Since.IsZero()
	l.mu.Unlock()
	for late && d.catchUp.delay(d) > 0 {
		if err := d.catchUp.wait(ctx, d); err != nil {
			return err
		}
	}
	return nil
}
