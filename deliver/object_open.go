package deliver

import (
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/eventlog"
)

// A lane that gets much reads it while it comes: an object that is not complete
// at the tail stays open until more is there, with its compressor and its place,
// as long as no other lane wants the place. The blocks that come meanwhile are
// kept for it, within bounds, so that they need not be decoded again. Nothing of
// this is durable: an open object that is dropped is begun anew from the cursor.

// readAhead is how many bytes of events make a lane go on with an object that is
// not due: less for small objects.
const readAhead = 1 << 20

// ahead is readAhead for the lane. It is locked.
func (f *filling) ahead() int64 { return min(readAhead, f.limits.Bytes/8) }

// unread returns how many bytes of events the tail told of and no object holds.
// It means something while the account is known.
func (f *filling) unread() int64 { return f.bytes - f.read }

// goesOn reports whether the lane has enough to read although its object is not
// due. It is locked.
func (l *lane) goesOn() bool {
	f := l.fill
	return f.known && f.unread() >= f.ahead() && (l.open.Load() != nil || l.p.d.spool.calm())
}

// keep leaves an object open after a pass that ended at the tail, with its place.
// It reports false when the object has to go.
func (d *Deliverer) keep(l *lane, b *building) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open.Store(b) // before another lane may take the place
	kept := d.spool.keep(l)
	if !kept {
		l.open.Store(nil)
	}
	l.fill.full = kept && b.full
	return kept
}

// yield drops the open object of a lane whose place another one has taken.
func (l *lane) yield() {
	l.mu.Lock()
	b := l.open.Swap(nil)
	if b != nil {
		l.fill.full = false
	}
	l.mu.Unlock()
	if b != nil {
		b.drop()
	}
}

// stays reports whether the object may stay open.
func (b *building) stays() bool {
	b.l.mu.Lock()
	defer b.l.mu.Unlock()
	return b.l.fill.known && b.d.spool.calm()
}

// pays reports whether the object holds enough for a place between turns.
func (b *building) pays() bool { return b.bytes >= min(readAhead, b.limits.Bytes/8) && b.stays() }

// reopen returns the open object to go on with, and puts what w has to know of
// it there; nil when there is none, or none that is still right.
func (l *lane) reopen(w *work, dest destination.ObjectStore) *building {
	b := l.open.Swap(nil)
	if b == nil {
		return nil
	}
	conf, _ := l.s.config()
	l.mu.Lock()
	f := l.fill
	at := l.next()
	ok := f.known && f.version == b.conf.Version && conf.Version == b.conf.Version && b.dest == dest && (at == b.from || at == b.start)
	f.full = false
	if ok && l.rec.Plan == nil {
		l.moveTo(b.start)
	}
	l.mu.Unlock()
	if !ok {
		b.drop()
		return nil
	}
	w.items, w.end = append(w.items, item{seq: b.start.Seq + 1, total: b.start.Total + 1}), b.at
	return b
}

// next returns the position after which the lane's next object begins. It is
// locked.
func (l *lane) next() Start {
	if l.rec.Plan != nil {
		return l.rec.Plan.End
	}
	return Start{Seq: l.rec.Cursor, Total: l.rec.Total}
}

// shut drops the open object and gives its place back.
func (l *lane) shut() {
	if b := l.open.Swap(nil); b != nil {
		b.drop()
	}
	l.p.d.spool.forget(l)
}

// pins are blocks that the tail handed out and the lane has not read yet. The
// lane guards them.
type pins struct {
	blocks []pinned
}

type pinned struct {
	b     *eventlog.Block
	bytes int64
}

// pinShare is the part of the memory budget that pins may take together.
const pinShare = 4

// pin keeps b, if there is room.
func (p *pins) pin(d *Deliverer, b *eventlog.Block) {
	n := int64(max(b.MemSize(), int(b.RawLen)+int(b.RawLen)/8)) // it may have to be decoded yet
	if d.pinned.Add(n) > int64(d.opts.Memory/pinShare) {
		d.pinned.Add(-n)
		return
	}
	d.slowBytes.Add(n)
	p.blocks = append(p.blocks, pinned{b: b, bytes: n})
}

// find returns the block that holds seq, nil when it is not there, and gives up
// those before it.
func (p *pins) find(d *Deliverer, seq uint64) *eventlog.Block {
	n := 0
	for n < len(p.blocks) && p.blocks[n].b.Last() < seq {
		n++
	}
	p.free(d, n)
	if len(p.blocks) > 0 && p.blocks[0].b.First <= seq {
		return p.blocks[0].b
	}
	return nil
}

// free gives up the first n blocks.
func (p *pins) free(d *Deliverer, n int) {
	for i := range p.blocks[:n] {
		d.pinned.Add(-p.blocks[i].bytes)
		d.slowBytes.Add(-p.blocks[i].bytes)
	}
	left := copy(p.blocks, p.blocks[n:])
	clear(p.blocks[left:])
	p.blocks = p.blocks[:left]
	if left == 0 && n > 0 {
		p.blocks = nil
	}
}

func (p *pins) clear(d *Deliverer) { p.free(d, len(p.blocks)) }

// unpin gives up what is kept for a lane that has nothing to read.
func (l *lane) unpin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.upToDate() {
		l.fill.pins.clear(l.p.d)
	}
}

// pinned returns the block that holds seq when the lane keeps it.
func (l *lane) pinned(seq uint64) *eventlog.Block {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fill.pins.find(l.p.d, seq)
}

// What follows tells the tail which lanes of objects do not keep up because they
// read and compress too slowly. What came while a lane did something else, above
// all while it waited for its bucket, is excused.

// reads reports whether what comes now comes while the lane reads, or wants to.
func (l *lane) reads() bool { return l.fill.reading || l.phase == ready }

// late reports whether the lane reads and has much to read that is not excused.
// While it waits for its bucket, or for the disk, nobody has to wait for it. It is
// locked.
func (l *lane) late() bool {
	f := l.fill
	return f.known && l.rec.Since.IsZero() && l.reads() && f.unread()-f.excused >= largeQueue
}

// burden reports whether block b is one more of those that the lane gets, and
// whether it has much to send. It is locked.
func (l *lane) burden(b *eventlog.Block) (has, much bool) {
	switch {
	case l.gone:
		return false, false
	case l.fill != nil:
		much = l.late()
		return much || l.fill.known && l.reads(), much
	}
	return !l.behind && l.given+recently > b.First, l.queued >= largeQueue
}

// weigh counts the lane among those that have much, or not. It is locked.
func (l *lane) weigh() {
	late := l.late()
	switch {
	case late && !l.fill.large:
		l.p.large.Add(1)
	case !late && l.fill.large:
		l.p.large.Add(-1)
		poke(l.p.freed)
	}
	l.fill.large = late
}

// progress notes that the lane has read what the object holds now.
func (l *lane) progress(b *building) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hasRead(b)
}

// hasRead is progress for the locked lane.
func (l *lane) hasRead(b *building) {
	f := l.fill
	if !f.known {
		return
	}
	f.read = b.bytes
	f.excused = max(0, min(f.excused, f.unread()))
	l.weigh()
}

// reading notes whether the lane reads, or waits for a place to do so.
func (l *lane) reading(now bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setReading(now)
}

// setReading is reading for the locked lane.
func (l *lane) setReading(now bool) {
	l.fill.reading = now
	l.weigh()
}

// excuse notes that the lane reads no further because of its bucket, which is
// slower than it: what it has not read is not its fault.
func (l *lane) excuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fill.excused = max(l.fill.excused, l.fill.unread())
	l.setReading(false)
}

// unknown ends the account. The lane is locked.
func (l *lane) unknown() {
	if l.fill == nil {
		return
	}
	l.fill.known, l.fill.full, l.fill.excused = false, false, 0
	l.fill.pins.clear(l.p.d)
	l.weigh()
}
