package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/store"
)

// Deliverer delivers the events of a log to streams. After New, call Load, Put
// every stream that exists, then Run. All methods may be called at once.
type Deliverer struct {
	log   *eventlog.Log
	store store.Store
	opts  Options

	parts   map[string]*part
	order   []*part
	senders *senders
	flush   *flusher
	// journals keep what lanes tried.
	journals  *journals
	catchUp   throttle
	used      atomic.Int64 // bytes held by chunks
	slowBytes atomic.Int64 // bytes of events in sends of lanes that are behind or slow
	pinned    atomic.Int64 // and of blocks that wait for lanes of objects
	spool     spool
	outbox    chan struct{}
	busy      func() bool         // our own processors are what delivery waits for
	random    func(n int64) int64 // a number from 0 to n-1, so that tries of many do not meet

	retentionStopped atomic.Bool // see clockAhead
	retentionWaits   atomic.Bool // see clockDoubted

	mu      sync.RWMutex
	streams map[sluice.StreamID]*stream
	stored  map[string]storedLane // lane records that were found by Load and not taken yet
}

type storedLane struct {
	rec     record
	version uint64
}

// New returns a Deliverer of the log whose records are in s.
func New(l *eventlog.Log, s store.Store, opts Options) *Deliverer {
	if opts.Memory == 0 {
		opts.Memory = 64 << 20
	}
	if opts.Senders == 0 {
		opts.Senders = 16
	}
	if opts.Protect == 0 {
		opts.Protect = 8 * 24 * time.Hour
	}
	if opts.QuarantineBytes == 0 {
		opts.QuarantineBytes = 64 << 20
	}
	if opts.StuckAfter == 0 {
		opts.StuckAfter = time.Hour
	}
	if opts.StuckTries == 0 {
		opts.StuckTries = 20
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Deliverer{log: l, store: s, opts: opts,
		parts: map[string]*part{}, outbox: make(chan struct{}, 1),
		streams: map[sluice.StreamID]*stream{}, stored: map[string]storedLane{}}
	d.senders = &senders{d: d, limit: opts.Senders}
	d.senders.works.New = func() any { return new(work) }
	d.busy, d.random = new(processors).areBusy, rand.Int64N
	d.flush = newFlusher(d)
	d.journals = newJournals(s, opts.Logger)
	for _, name := range l.Partitions() {
		p := &part{d: d, name: name, freed: make(chan struct{}, 1), totals: map[string]uint64{}, routes: map[string][]*lane{}, debts: map[*lane]bool{}}
		d.parts[name] = p
		d.order = append(d.order, p)
	}
	return d
}

// quickBytes returns the memory for events on their way to quick destinations.
func (d *Deliverer) quickBytes() int64 { return int64(d.opts.Memory / 2) }

// Load reads lane records and checkpoints. It is called once, before Put.
func (d *Deliverer) Load(ctx context.Context) error {
	for rec, err := range d.store.List(ctx, lanePrefix) {
		if err != nil {
			return fmt.Errorf("list lane records: %w", err)
		}
		var r record
		if err := json.Unmarshal(rec.Value, &r); err != nil {
			return fmt.Errorf("read lane record %q: %w", rec.Key, err)
		}
		d.stored[rec.Key] = storedLane{rec: r, version: rec.Version}
	}
	if err := d.sweep(ctx); err != nil {
		return err
	}
	if err := d.spool.open(d.opts.Spool); err != nil {
		return err
	}
	for _, p := range d.order {
		if err := p.load(ctx); err != nil {
			return fmt.Errorf("load partition %s: %w", p.name, err)
		}
	}
	return nil
}

// load finds the tail's position and takes ownership of the partition.
func (p *part) load(ctx context.Context) error {
	rec, err := p.d.store.Get(ctx, tailPrefix+p.name)
	switch {
	case err == nil:
		var c checkpoint
		if err := json.Unmarshal(rec.Value, &c); err != nil {
			return fmt.Errorf("read checkpoint: %w", err)
		}
		p.processed, p.version = c.Seq, rec.Version
		p.saved.Store(c.Seq)
	case errors.Is(err, store.ErrNotFound):
		p.processed = p.d.log.First(p.name) - 1
	default:
		return fmt.Errorf("read checkpoint: %w", err)
	}
	if p.totals, err = p.totalsAt(ctx, p.processed); err != nil {
		return fmt.Errorf("read totals: %w", err)
	}
	epoch, err := store.NextID(ctx, p.d.store, epochPrefix+p.name)
	if err != nil {
		return fmt.Errorf("take ownership: %w", err)
	}
	p.epoch = uint64(epoch)
	return nil
}

// totalsAt returns the totals of all scopes up to seq. What is lost right behind
// seq does not count, as far as the block that holds seq is there to tell.
func (p *part) totalsAt(ctx context.Context, seq uint64) (map[string]uint64, error) {
	b, err := p.d.log.Block(ctx, p.name, seq)
	if errors.Is(err, io.EOF) || err == nil && b.First > seq {
		return p.d.log.TotalsBefore(ctx, p.name, seq+1)
	}
	if err != nil {
		return nil, err
	}
	totals, err := p.d.log.TotalsBefore(ctx, p.name, b.First)
	if err != nil {
		return nil, err
	}
	for i := range b.Entries[:seq-b.First+1] {
		if top := b.Tops[b.Namespaces[b.Entries[i].Namespace].Top].Name; top != sluice.Instance {
			totals[top]++
		}
		totals[sluice.Instance]++
	}
	return totals, nil
}

// lanes returns the lanes of the partition.
func (p *part) lanes() []*lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*lane
	for _, lanes := range p.routes {
		all = append(all, lanes...)
	}
	return all
}

// Run delivers until ctx ends. Then it lets the sends under way end, for as long as
// [Options].Grace, writes all records, and returns nil. An error means that records
// could not be written or the log not be read; the caller should end.
func (d *Deliverer) Run(ctx context.Context) error {
	if err := d.removeOrphans(ctx); err != nil {
		return err
	}
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg, flushing sync.WaitGroup
	errs := make(chan error, len(d.order)+1)
	for _, p := range d.order {
		wg.Go(func() {
			if err := p.run(working); err != nil {
				errs <- err
				stop(err)
			}
		})
	}
	wg.Go(func() { d.senders.run(working) })
	wg.Go(func() { d.retain(working) })
	wg.Go(func() { d.post(working) })
	flushCtx, stopFlushing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFlushing()
	flushing.Go(func() {
		if err := d.flush.run(flushCtx); err != nil {
			errs <- err
			stop(err)
		}
	})
	journalCtx, stopJournals := context.WithCancel(context.WithoutCancel(ctx))
	defer stopJournals()
	flushing.Go(func() { d.journals.run(journalCtx) })
	wg.Wait()
	stopJournals() // after everything that sends
	d.stopTimers()
	stopFlushing() // after everything that changes records
	flushing.Wait()
	close(errs)
	var all error
	for err := range errs {
		all = errors.Join(all, err)
	}
	return all
}

func (d *Deliverer) stopTimers() {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var closing sync.WaitGroup
	defer closing.Wait()
	for _, s := range d.streams {
		for _, l := range s.lanes {
			l.mu.Lock()
			if l.timer != nil {
				l.timer.Stop()
			}
			l.fill.stop()
			l.dropObject()
			l.mu.Unlock()
		}
		closing.Go(s.close) // all at once: a far side that is gone may be waited for
	}
}

// removeOrphans deletes the lane records of streams that are no more.
func (d *Deliverer) removeOrphans(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, st := range d.stored {
		err := applied(d.store.Apply(ctx, store.Change{Key: key, Version: st.version}), store.ErrConflict)
		if err != nil {
			return fmt.Errorf("delete lane record %q: %w", key, err)
		}
	}
	clear(d.stored)
	return nil
}

// post appends the notices in lane records to the log and takes them off.
func (d *Deliverer) post(ctx context.Context) {
	for {
		select {
		case <-d.outbox:
		case <-ctx.Done():
			return
		}
		d.mu.RLock()
		streams := slices.Collect(maps.Values(d.streams))
		d.mu.RUnlock()
		for _, s := range streams {
			for _, l := range s.lanes {
				if err := d.postOf(ctx, l); err != nil && ctx.Err() == nil {
					d.opts.Logger.WarnContext(ctx, "notice not written, will try again", "stream", s.id, "err", err)
					time.AfterFunc(time.Second, func() { poke(d.outbox) })
				}
			}
		}
	}
}

func (d *Deliverer) postOf(ctx context.Context, l *lane) error {
	for {
		l.mu.Lock()
		if len(l.rec.Outbox) == 0 || l.flushed == 0 || d.opts.Emit == nil {
			l.mu.Unlock()
			return nil
		}
		n := l.rec.Outbox[0]
		l.mu.Unlock()
		// The record that holds the notice must be durable first: what it reports
		// would otherwise be found, and reported, again.
		if err := d.flush.durable(ctx, l); err != nil {
			return err
		}
		if err := d.opts.Emit(ctx, n); err != nil {
			return err
		}
		failpoint.Here(failpoint.NoticeTold)
		l.mu.Lock()
		l.rec.Outbox = slices.Delete(l.rec.Outbox, 0, 1)
		l.mark()
		l.mu.Unlock()
	}
}

// stream returns a registered stream.
func (d *Deliverer) stream(id sluice.StreamID) (*stream, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if s := d.streams[id]; s != nil {
		return s, nil
	}
	return nil, sluice.Errorf(sluice.NotFound, "stream %d does not exist", id)
}

// Put adds a stream, or changes it: the change is in force from each lane's next
// batch on. What was examined and not delivered is examined again. A stream that
// was halted goes on. A stream is put, halted and removed by one at a time. After
// an error the stream is there, unless it was halted, and Put is to be repeated.
func (d *Deliverer) Put(ctx context.Context, conf Stream) error {
	if s, err := d.stream(conf.ID); err == nil && s.halted.Load() {
		if err := d.recall(ctx, s); err != nil {
			return fmt.Errorf("go on with stream %d: %w", conf.ID, err)
		}
	}
	d.mu.Lock()
	s := d.streams[conf.ID]
	fresh := s == nil
	if fresh {
		s = d.newStream(conf)
		d.streams[conf.ID] = s
	}
	d.mu.Unlock()
	if !fresh {
		s.set(conf)
	}
	var failed error
	for _, l := range s.lanes {
		// A lane takes its part whether or not its end could be looked for: events
		// that pass the tail meanwhile are its own.
		failed = errors.Join(failed, d.findEnd(ctx, l, &conf))
		if fresh {
			l.p.join(l)
			continue
		}
		l.p.detach(l)
		l.mu.Lock()
		l.changed = true
		d.rouse(l)
		l.mu.Unlock()
	}
	return failed
}

// newStream makes a stream and its lanes of what is stored of them.
func (d *Deliverer) newStream(conf Stream) *stream {
	s := &stream{id: conf.ID, scope: conf.Namespace}
	s.set(conf)
	s.lanes = make([]*lane, 0, len(d.order))
	lanes := make([]lane, len(d.order)) // in one piece: there are thousands of streams
	for i, p := range d.order {
		start, ok := conf.Start[p.name]
		if !ok {
			continue
		}
		l := &lanes[i]
		l.s, l.p = s, p
		key := laneKey(conf.ID, p.name)
		if st, ok := d.stored[key]; ok {
			delete(d.stored, key)
			l.rec, l.version = st.rec, st.version
			l.gen, l.flushed, l.safe = 1, 1, st.rec.Cursor
			l.remember()
		} else {
			l.rec = record{Stream: conf.ID, Scope: conf.Namespace, Cursor: start.Seq, Total: start.Total,
				StartTotal: start.Total, Behind: true, Since: time.Now()}
			l.mark()
		}
		s.lanes = append(s.lanes, l)
	}
	return s
}

// join puts a new lane where it stands: at the tail's checkpoint, or behind at
// its cursor.
func (p *part) join(l *lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	p.route(l)
	switch {
	case l.rec.Behind:
		l.behind = true
	case l.rec.Cursor <= p.processed:
		p.totals[l.s.scope] = max(p.totals[l.s.scope], l.rec.Total) // what was lost since does not lessen it
		l.rec.Cursor, l.rec.Total = p.processed, p.totals[l.s.scope]
	default: // ahead of the checkpoint: it waits for the tail
		l.behind = true
		p.debts[l] = true
	}
	if len(l.rec.Outbox) > 0 {
		poke(p.d.outbox)
	}
	if conf, _ := l.s.config(); l.behind || conf.Paused {
		p.d.wake(l)
	}
}

// route adds the lane to those of its scope. Most scopes have one stream: its own list
// of lanes serves then, which nobody changes. The partition is locked.
func (p *part) route(l *lane) {
	lanes := p.routes[l.s.scope]
	if i := slices.Index(l.s.lanes, l); len(lanes) == 0 && i >= 0 {
		p.routes[l.s.scope] = l.s.lanes[i : i+1 : i+1]
		return
	}
	p.routes[l.s.scope] = append(lanes, l)
}

// Retention returns what bounds a partition.
func (d *Deliverer) Retention(partition string) Retention { return d.opts.Retention[partition] }

// RetentionStopped reports whether retention stopped because the clock was set
// forward.
func (d *Deliverer) RetentionStopped() bool { return d.retentionStopped.Load() }

// RetentionWaits reports whether retention by age waits because the clock was far
// ahead at the start of when the server last ran.
func (d *Deliverer) RetentionWaits() bool { return d.retentionWaits.Load() }
