package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
)

// part is the tail of one partition: it reads each new block once and hands it to
// the lanes that are up to date and want something in it.
//
// Locks are taken in the order part, lane.
type part struct {
	d    *Deliverer
	name string

	mu        sync.Mutex
	processed uint64            // every block up to here has been handed out
	totals    map[string]uint64 // events of each scope up to processed
	routes    map[string][]*lane
	debts     map[*lane]bool // lanes whose durable record does not cover what they were given
	ahead     []*lane        // lanes that wait for the tail to reach their cursor
	hole      *hole          // the last one; nil when there was none since the start
	caughtUp  bool           // the tail has met the end of the log since the start

	epoch   uint64        // of this owner of the partition; never changes
	saved   atomic.Uint64 // checkpoint that is stored
	waits   atomic.Bool   // the tail has to wait before it hands out the next block
	freed   chan struct{} // there may be room again
	large   atomic.Int64  // lanes whose queue holds largeQueue or more
	handed  atomic.Uint64 // a copy of processed for those without the lock
	version uint64        // of its record; the flusher's
	sampled int64         // the slot that was sampled last; retain's, see sample
	expired uint64        // below it every lane has counted what it lost; retain's
}

// run hands out blocks until ctx ends.
func (p *part) run(ctx context.Context) error {
	for {
		p.mu.Lock()
		next := p.processed + 1
		p.mu.Unlock()
		stored := p.d.log.Stored(p.name)
		b, err := p.d.log.Block(ctx, p.name, next)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, io.EOF):
			p.reachEnd(next, stored)
			if err := p.d.log.Wait(ctx, p.name, max(next, stored+1)); err != nil {
				return nil //nolint:nilerr // ctx ended
			}
		case noDescriptor(err):
			p.d.opts.Logger.WarnContext(ctx, "log not read further yet", "partition", p.name, "seq", next, "err", err)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		case err != nil:
			return fmt.Errorf("follow partition %s: %w", p.name, err)
		default:
			p.room(ctx, b)
			if err := p.distribute(b); err != nil {
				return err
			}
		}
	}
}

// noDescriptor reports whether a block could not be read because the process has no
// file descriptor left to open its file: connections have them, and give them back.
func noDescriptor(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// reachEnd is called when nothing can be read from next on, of what was stored up
// to stored. Numbers whose blocks cannot be read, or that may have been given out
// before the start and are gone, are passed over.
func (p *part) reachEnd(next, stored uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.caughtUp && stored < next {
		return
	}
	last, totals := p.d.log.Totals(p.name)
	if p.d.log.Stored(p.name) > stored {
		return // a block came meanwhile: it is read first
	}
	p.caughtUp = true
	if last >= next {
		p.hole = &hole{First: next, Last: last}
		p.lost(totals)
		p.processed = last
		p.handed.Store(last)
		p.wakeAhead()
		poke(p.d.flush.kick)
	}
}

// lost moves the totals to what they are known to be behind the last hole; what
// the up-to-date lanes did not see of it expires.
func (p *part) lost(totals map[string]uint64) {
	for scope, now := range totals {
		if before := p.totals[scope]; now > before {
			for _, l := range p.routes[scope] {
				p.expire(l, before, now)
			}
			p.totals[scope] = now
		}
	}
}

// expire counts the events between two totals as expired for an up-to-date lane.
func (p *part) expire(l *lane, before, now uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.behind || l.gone {
		l.unknown() // it meets the hole by itself
		return
	}
	if !l.upToDate() {
		// Its record stands before what it was given: the hole lies behind that.
		// It meets the hole by itself.
		l.fallBehind(time.Now())
		p.d.wake(l)
		return
	}
	if l.flushed == l.gen {
		l.safe = p.processed
	}
	p.debts[l] = true
	h := p.hole
	if h == nil {
		h = &hole{First: p.processed, Last: p.processed}
	}
	l.rec.Cursor, l.rec.Total = max(h.Last, p.processed), before
	l.gap(now-before, h.First, h.Last, p.d.log.Lost(p.name, h.First, h.Last))
}

// distribute hands block b to the lanes.
func (p *part) distribute(b *eventlog.Block) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b.First > p.processed+1 {
		p.holeBefore(b)
	}
	h := handout{b: b, slow: p.d.senders.slowSends() > manySlow}
	var lists [][]uint16
	for i := range b.Tops {
		top := &b.Tops[i]
		if top.Name == sluice.Instance {
			continue // counted by the block's own total
		}
		if lanes := p.routes[top.Name]; len(lanes) > 0 {
			if lists == nil {
				lists = b.ByTop()
			}
			if err := p.hand(&h, lanes, lists[i], len(lists[i]), top.Total); err != nil {
				return err
			}
		}
		p.totals[top.Name] = top.Total
	}
	if lanes := p.routes[sluice.Instance]; len(lanes) > 0 {
		if err := p.hand(&h, lanes, nil, int(b.Count), b.Total); err != nil {
			return err
		}
	}
	p.totals[sluice.Instance] = b.Total
	p.processed = b.Last()
	p.handed.Store(p.processed)
	p.wakeAhead()
	poke(p.d.flush.kick) // for the checkpoint, should no lane want anything
	return nil
}

// holeBefore accounts for numbers that are missing before b, as far as b's totals
// tell; a scope without events in b shows its loss later.
func (p *part) holeBefore(b *eventlog.Block) {
	totals := map[string]uint64{sluice.Instance: b.Total - uint64(b.Count)}
	for i, list := range b.ByTop() {
		if b.Tops[i].Name != sluice.Instance {
			totals[b.Tops[i].Name] = b.Tops[i].Total - uint64(len(list))
		}
	}
	for _, o := range b.Others {
		if o.Name != sluice.Instance {
			totals[o.Name] = o.Total
		}
	}
	p.hole = &hole{First: p.processed + 1, Last: b.First - 1}
	p.lost(totals)
}

// handout is a block that is being handed out.
type handout struct {
	b    *eventlog.Block
	slow bool  // many sends are slow
	kept *kept // nil until events stay in the block
}

// share is what a scope has of a block, as chunks that are made when a lane wants
// them.
type share struct {
	idx           []uint16
	before, after uint64
	size          int // see chunk
	kept, copied  *chunk
}

// chunk returns the chunk for a lane that has so many portions.
func (h *handout) chunk(s *share, portions int) (*chunk, error) {
	least := copyShare
	if h.slow || portions >= manyPortions {
		least = copyShareSlow
	}
	if s.size == 0 {
		s.size = chunkBytes(h.b, s.idx)
	}
	copies := s.size*least < int(h.b.RawLen)
	switch {
	case copies && s.copied != nil:
		return s.copied, nil
	case !copies && s.kept != nil:
		return s.kept, nil
	}
	c := newChunk(h.b, s.idx, s.before, s.after, s.size)
	if copies {
		s.copied = c
		return c, c.copy()
	}
	if h.kept == nil {
		if err := h.b.Load(); err != nil {
			return nil, err
		}
		h.kept = &kept{bytes: h.b.MemSize()}
	}
	c.kept, s.kept = h.kept, c
	return c, nil
}

// hand gives the events idx of a block to the lanes of one scope.
func (p *part) hand(h *handout, lanes []*lane, idx []uint16, n int, after uint64) error {
	b := h.b
	skip := firstAfter(b, idx, n, p.processed)
	if idx != nil {
		idx = idx[skip:]
	} else if skip > 0 {
		idx = make([]uint16, 0, n-skip)
		for i := skip; i < n; i++ {
			idx = append(idx, uint16(i))
		}
	}
	n -= skip
	if n == 0 {
		return nil
	}
	if scope := lanes[0].s.scope; after-uint64(n) > p.totals[scope] {
		p.lost(map[string]uint64{scope: after - uint64(n)}) // the block behind the hole had none of the scope
	}
	s := share{idx: idx, before: after - uint64(n), after: after}
	for _, l := range lanes {
		if err := p.offer(h, l, &s); err != nil {
			return err
		}
	}
	return nil
}

// offer gives a lane what it wants of its scope's share.
func (p *part) offer(h *handout, l *lane, s *share) error {
	b := h.b
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return nil
	}
	conf, m := l.s.config()
	if !conf.Until.IsZero() && b.Accepted.After(conf.Until) {
		switch {
		case l.rec.End == nil: // of a lane that is behind, too: what is pending is known at once
			p.debts[l] = true
			l.finish(Start{Seq: p.processed, Total: s.before})
		case !l.behind: // it met the tail before its end, which was known
			p.debts[l] = true
			l.finish(*l.rec.End)
		}
		return nil
	}
	if l.behind && (l.fill == nil || !l.fill.known) {
		return nil
	}
	list, all := wanted(m, b, s.idx, 0)
	if !all && len(list) == 0 {
		return nil
	}
	if l.fill != nil {
		l.told(b, list, s.idx, all, s.before, conf.Version)
		return nil
	}
	c, err := h.chunk(s, len(l.queue))
	if err != nil {
		return fmt.Errorf("decode block %d of partition %s: %w", b.First, p.name, err)
	}
	if l.upToDate() {
		l.rec.Cursor, l.rec.Total = p.processed, s.before
		if l.flushed == l.gen {
			l.safe = p.processed
		}
		p.debts[l] = true
	}
	if all {
		list = nil
	}
	l.push(c, list)
	return nil
}

// push queues a portion, or makes the lane fall behind when there is no room.
func (l *lane) push(c *chunk, pick []uint16) {
	d := l.p.d
	c.hold(d)
	if l.queued > 0 && l.queued+c.size > maxQueue {
		c.release(d)
		l.fallBehind(time.Now())
		d.wake(l)
		return
	}
	l.queue = append(l.queue, portion{chunk: c, pick: pick})
	l.given = c.last
	l.load(c.size)
	if l.phase == ready && magnitude(l.queued) != magnitude(l.queued-c.size) {
		d.senders.grown(l)
	}
	d.wake(l)
}

// Bytes that may wait for one lane, and from where on it is said to have much to
// send.
const (
	maxQueue   = 16 << 20
	largeQueue = 4 << 20
)

// load changes the bytes that wait for the lane.
func (l *lane) load(by int) {
	before := l.queued
	l.queued += by
	switch {
	case before < largeQueue && l.queued >= largeQueue:
		l.p.large.Add(1)
	case before >= largeQueue && l.queued < largeQueue:
		l.p.large.Add(-1)
		poke(l.p.freed)
	}
}

// attach makes a lane that has read up to the tail an up-to-date one. It reports
// false when the tail has moved on.
func (p *part) attach(l *lane) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.gone:
		return true
	case l.rec.Cursor < p.processed:
		return false
	case l.rec.Cursor > p.processed:
		p.ahead = append(p.ahead, l)
		return true
	}
	if at := p.totals[l.s.scope]; at > l.rec.Total {
		h := l.rec.Hole
		if h == nil {
			h = &hole{First: l.rec.Cursor, Last: l.rec.Cursor, Cause: "missing from the log"}
		}
		l.gap(at-l.rec.Total, h.First, h.Last, h.Cause)
	}
	l.rec.Hole = nil
	l.behind = false
	if l.rec.Behind {
		l.rec.Behind, l.rec.Since, l.rec.Announced = false, time.Time{}, 0
	}
	l.mark()
	p.debts[l] = true
	return true
}

// detach makes a lane read the log by itself, from where it stands.
func (p *part) detach(l *lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.upToDate() && l.rec.Cursor <= p.processed {
		l.rec.Cursor, l.rec.Total = p.processed, p.totals[l.s.scope]
	}
	p.debts[l] = true
	l.fallBehind(time.Now())
}

// wakeAhead wakes the lanes whose cursor the tail has reached.
func (p *part) wakeAhead() {
	if len(p.ahead) == 0 {
		return
	}
	lanes := p.ahead
	p.ahead = nil
	for _, l := range lanes {
		l.mu.Lock()
		p.d.wake(l)
		l.mu.Unlock()
	}
}

// checkpoint returns up to where every lane has a durable record of what it was
// given: delivered beyond it, or behind with its cursor.
func (p *part) checkpoint() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.processed
	for l := range p.debts {
		l.mu.Lock()
		switch {
		case l.gone || l.flushed == l.gen && (l.upToDate() || l.rec.Behind):
			delete(p.debts, l)
		default:
			at = min(at, l.safe)
		}
		l.mu.Unlock()
	}
	return at
}
