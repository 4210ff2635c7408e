package eventlog

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// snapshotEvery is the stored size after which a block carries all totals again.
const snapshotEvery = 16 << 20

// snapshotAge is the time after which a block carries all totals again, whatever
// was stored since: a quiet log would else keep its oldest blocks for ever, for
// the newest such block has to stay.
const snapshotAge = time.Hour

// partition writes one partition and knows its end.
type partition struct {
	log   *Log
	name  string
	store Partition
	enc   encoder       // the committer's
	ready chan struct{} // closed when recent holds what was stored before the start
	work  chan struct{} // holds a token when fill is not empty

	// storing is held while the engine appends or trims: it does one at a time.
	storing sync.Mutex

	mu         sync.Mutex
	fill       *group        // takes events
	committing *group        // being stored, nil when none
	room       chan struct{} // closed when fill is replaced
	grown      chan struct{} // closed when a block was stored
	closed     bool

	last     uint64 // highest number stored, or reserved because it may have been given out
	stored   uint64 // highest number stored
	total    uint64
	totals   map[string]uint64
	chain    Chain
	accepted time.Time
	missing  *Missing  // for the next block to name
	snapshot uint64    // first number of the newest block with all totals
	since    int64     // bytes stored after it
	taken    time.Time // when it was accepted
	recent   *recent
	spare    buffers
	tail     tail
	damage   []Damage // found by reading
	trimmed  uint64   // what is below was removed, although it may be in memory
	barren   struct { // numbers of which none can be read; last was the end when that was found
		first, last uint64
	}
	saved uint64 // number of the last saved anchor
	stats Stats
}

// group is the events of one block on their way to the disk.
type group struct {
	b     builder
	first uint64
	clash uint64        // its events whose id another event has
	done  chan struct{} // closed when err is set
	err   error
}

func (g *group) last() uint64 { return g.first + uint64(len(g.b.ents)) - 1 }

// buffers hold the events of a group; they serve one group after another, for a
// stored block has memory of its own.
type buffers struct {
	raw  []byte
	ents []Entry
	dict dictionary
}

// newGroup returns an empty group in the spare buffers, if there are any.
func (p *partition) newGroup(first uint64) *group {
	g := &group{first: first, done: make(chan struct{})}
	g.b.raw, g.b.ents, g.b.dict = p.spare.raw, p.spare.ents, p.spare.dict
	p.spare = buffers{}
	return g
}

// reuse keeps the buffers of a group that was stored. A group may have held one
// event larger than a block.
func (p *partition) reuse(g *group) {
	if cap(g.b.raw) <= 2*MaxRaw {
		p.spare = buffers{g.b.raw[:0], g.b.ents[:0], g.b.dict.next()}
	}
}

// Appended says what became of a batch.
type Appended struct {
	Accepted   int    // events stored, duplicates not counted
	Duplicates int    // events that were there before
	Last       uint64 // highest number among the events and those they duplicate
}

// Append stores the batches, one for each of their partitions, and returns when
// every event in them is durable, with a result for each. When it returns an
// error, some of the events may have been stored: appending them again completes
// the request, for what is there is found to be a duplicate.
//
// [ErrFull] means that there was no space; [ErrFailed] that the disk failed and
// the process should end.
func (l *Log) Append(ctx context.Context, batches map[string]*Batch) (map[string]Appended, error) {
	tickets := make([]ticket, 0, len(batches))
	var err error
	for name, b := range batches {
		if b.Len() == 0 {
			continue
		}
		t := ticket{partition: name}
		if err = l.partition(name).enqueue(ctx, b, &t); err != nil {
			break
		}
		tickets = append(tickets, t)
	}
	out := make(map[string]Appended, len(tickets))
	for i := range tickets {
		t := &tickets[i]
		for _, g := range t.groups {
			select {
			case <-g.done:
				err = errors.Join(err, g.err)
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		out[t.partition] = t.Appended
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ticket collects what a batch waits for.
type ticket struct {
	partition string
	Appended
	groups []*group
}

func (t *ticket) wait(g *group) {
	if n := len(t.groups); n == 0 || t.groups[n-1] != g {
		t.groups = append(t.groups, g)
	}
}

// enqueue puts the events of b into the block that is being filled. It waits for
// room; nothing is durable when it returns.
func (p *partition) enqueue(ctx context.Context, b *Batch, t *ticket) error {
	for i := range b.ents {
		if n := b.ents[i].Len; n > MaxEvent {
			return fmt.Errorf("%w: event %d has %d bytes", ErrTooLarge, i, n)
		}
	}
	select {
	case <-p.ready:
	case <-p.log.failed:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var into *group
	var seen verdicts
	for i := range b.ents {
		e := &b.ents[i]
		payload := b.raw[e.Offset : e.Offset+e.Len+1]
		seen.reset()
		dup, err := p.duplicate(ctx, b, e, payload, &seen, t)
		if err != nil {
			return err
		}
		if dup {
			p.duplicated(t)
			continue
		}
		for !p.fill.b.fits(len(payload) - 1) {
			if err := p.waitRoom(ctx); err != nil {
				return err
			}
			// Others may have added the same event while the lock was free.
			if dup, err = p.duplicate(ctx, b, e, payload, &seen, t); err != nil || dup {
				break
			}
		}
		if err := p.usable(err); err != nil {
			return err
		}
		if dup {
			p.duplicated(t)
			continue
		}
		if into != p.fill {
			into = p.fill
			b.remap.reset(&b.dir)
		}
		p.add(b, e, payload, t, seen.clash)
	}
	return nil
}

func (p *partition) duplicated(t *ticket) {
	t.Duplicates++
	p.stats.Dup++
}

// usable returns err, or why nothing can be stored any more.
func (p *partition) usable(err error) error {
	switch {
	case err != nil:
		return err
	case p.closed:
		return ErrClosed
	case p.log.Cause() != nil:
		return fmt.Errorf("%w: %w", ErrFailed, p.log.Cause())
	}
	return nil
}

func (p *partition) add(b *Batch, e *Entry, payload []byte, t *ticket, clash bool) {
	if p.fill.b.empty() {
		select {
		case p.work <- struct{}{}:
		default:
		}
	}
	p.fill.b.add(payload, *e, &b.remap, &b.dir)
	seq := p.fill.last()
	p.recent.add(e.Hash, seq)
	t.wait(p.fill)
	t.Accepted++
	t.Last = max(t.Last, seq)
	if clash {
		p.fill.clash++
	}
}

// waitRoom waits until the block that is being filled has been replaced. It
// frees the lock meanwhile.
func (p *partition) waitRoom(ctx context.Context) error {
	room := p.room
	p.mu.Unlock()
	defer p.mu.Lock()
	select {
	case <-room:
		return nil
	case <-p.log.failed:
		return fmt.Errorf("%w: %w", ErrFailed, p.log.Cause())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run commits groups until ctx ends, then what is left.
func (p *partition) run(ctx context.Context) error {
	var rebuilt sync.WaitGroup
	defer rebuilt.Wait()
	rebuilding, stop := context.WithCancel(ctx)
	defer stop()
	rebuilt.Go(func() { p.rebuild(rebuilding) })
	for {
		select {
		case <-p.work:
			if err := p.commit(); err != nil {
				return err
			}
		case <-ctx.Done():
			p.mu.Lock()
			p.closed = true
			p.mu.Unlock()
			return p.commit()
		}
	}
}

// commit stores groups until none is left. Before each it lets every goroutine run
// that could: a request that needs nothing but a processor joins the group instead
// of waiting for a sync of its own. With processors to spare that takes no time.
func (p *partition) commit() error {
	for {
		runtime.Gosched()
		g, pos := p.take()
		if g == nil {
			return nil
		}
		bytes, blk := p.enc.encode(&g.b, pos)
		p.storing.Lock()
		err := p.store.Append(context.Background(), bytes)
		p.storing.Unlock()
		if err := p.committed(g, blk, len(bytes), err); err != nil {
			return err
		}
	}
}

// take makes the filled group the committing one; nil when it is empty.
func (p *partition) take() (*group, *position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.fill
	if g.b.empty() {
		return nil, nil
	}
	p.committing = g
	p.fill = p.newGroup(g.last() + 1)
	close(p.room)
	p.room = make(chan struct{})

	pos := &position{
		log: p.log.opts.ID, partition: Checksum([]byte(p.name)), first: g.first, total: p.total,
		chain: p.chain, snapshot: p.snapshot, accepted: p.now(), missing: p.missing,
	}
	pos.all = p.snapshot == 0 || p.since >= p.log.opts.snapshotEvery || pos.accepted.Sub(p.taken) >= snapshotAge
	for i := range g.b.dict.tops {
		t := &g.b.dict.tops[i]
		t.Total = p.totals[t.Name] + g.b.counts[i]
	}
	if pos.all {
		pos.others = make([]Top, 0, len(p.totals))
		for name, total := range p.totals {
			if _, here := g.b.dict.topIndex[name]; !here {
				pos.others = append(pos.others, Top{Name: name, Total: total})
			}
		}
		slices.SortFunc(pos.others, func(a, b Top) int { return cmp.Compare(a.Name, b.Name) })
	}
	return g, pos
}

// now returns the acceptance time of the next block: never before the last one.
func (p *partition) now() time.Time {
	t := p.log.opts.Now().UTC().Truncate(time.Microsecond)
	if t.Before(p.accepted) {
		t = p.accepted
	}
	return t
}

// committed records the outcome of storing g and wakes everybody who waits for
// it. It returns an error when the log has failed.
func (p *partition) committed(g *group, blk *Block, size int, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.committing = nil
	if err != nil {
		return p.refused(g, err)
	}
	p.last, p.stored, p.total, p.chain = blk.Last(), blk.Last(), blk.Total, blk.Chain
	p.accepted, p.missing, p.snapshot = blk.Accepted, nil, blk.LastSnapshot
	if p.since += int64(size); blk.Snapshot {
		p.since, p.taken = int64(size), blk.Accepted
	}
	for _, t := range blk.Tops {
		p.totals[t.Name] = t.Total
	}
	p.stats.Blocks++
	p.stats.Clashes += g.clash
	p.stats.Raw += uint64(blk.RawLen)
	p.stats.Stored += uint64(size)
	p.tail.add(blk.own())
	p.reuse(g)
	close(g.done)
	close(p.grown)
	p.grown = make(chan struct{})
	return nil
}

// refused ends the waiting for a group that could not be stored, and for the
// events that filled up behind it: their numbers would not be contiguous.
func (p *partition) refused(g *group, err error) error {
	full := errors.Is(err, ErrFull)
	if !full {
		err = fmt.Errorf("%w: partition %s: %w", ErrFailed, p.name, err)
		p.log.fail(err)
	}
	p.recent.truncate(p.last)
	for _, failed := range []*group{g, p.fill} {
		failed.err = err
		close(failed.done)
	}
	p.fill = p.newGroup(p.last + 1)
	close(p.room)
	p.room = make(chan struct{})
	if full {
		return nil
	}
	return err
}

// own gives b memory of its own instead of its group's.
func (b *Block) own() *Block {
	b.raw, b.Entries = bytes.Clone(b.raw), slices.Clone(b.Entries)
	return b
}

// onceError returns a function that sets *cause and closes done the first time.
func onceError(cause *error, done chan struct{}) func(error) {
	var once sync.Once
	return func(err error) {
		once.Do(func() {
			*cause = err
			close(done)
		})
	}
}

func (p *partition) anchor() (Anchor, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Anchor{Seq: p.stored, Chain: append([]byte(nil), p.chain[:]...)}, p.stored > p.saved
}

func (p *partition) anchored(a Anchor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saved = max(p.saved, a.Seq)
}
