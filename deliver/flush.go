package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/store"
)

// How often lane records are written: soon after a change, less often when
// thousands change; and checkpoints.
const (
	flushEvery      = 50 * time.Millisecond
	flushEveryMany  = time.Second
	manyLanes       = 1000
	checkpointEvery = time.Second
)

// flusher writes lane records and checkpoints. It is the only one that writes
// them, so that a record is never written twice at once.
type flusher struct {
	d    *Deliverer
	kick chan struct{} // something is dirty
	now  chan struct{} // somebody waits

	writing sync.Mutex // held while lane records are written

	mu      sync.Mutex
	lanes   map[*lane]bool
	done    chan struct{} // closed after each flush
	err     error         // of the last flush
	flushes uint64
}

func newFlusher(d *Deliverer) *flusher {
	return &flusher{d: d, kick: make(chan struct{}, 1), now: make(chan struct{}, 1),
		lanes: map[*lane]bool{}, done: make(chan struct{})}
}

// dirty notes that the lane's record changed. The lane is locked.
func (f *flusher) dirty(l *lane) {
	f.mu.Lock()
	f.lanes[l] = true
	f.mu.Unlock()
	poke(f.kick)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// errRemoved says that a lane was removed: its record is not written any more.
var errRemoved = errors.New("the stream was removed")

// durable returns when the lane's record as it is now is durable.
func (f *flusher) durable(ctx context.Context, l *lane) error {
	l.mu.Lock()
	want := l.gen
	l.mu.Unlock()
	for {
		f.mu.Lock()
		done, ferr := f.done, f.err
		f.mu.Unlock()
		l.mu.Lock()
		ok, gone := l.flushed >= want, l.gone
		l.mu.Unlock()
		if ok {
			return nil
		}
		switch {
		case gone:
			return errRemoved
		case ferr == nil:
			poke(f.now)
		case !passes(ferr): // else it is tried again by and by
			return ferr
		}
		select {
		case <-done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// run flushes until ctx ends, then once more.
func (f *flusher) run(ctx context.Context) error {
	var last time.Time // of the last checkpoint
	writing := context.WithoutCancel(ctx)
	for {
		select {
		case <-f.kick:
		case <-f.now:
		case <-ctx.Done():
			return errors.Join(f.flush(writing), f.checkpoints(writing))
		}
		f.linger(ctx)
		if err := f.flush(writing); err != nil {
			return err
		}
		if since := time.Since(last); since < checkpointEvery {
			time.AfterFunc(checkpointEvery-since, func() { poke(f.kick) })
			continue
		}
		last = time.Now()
		if err := f.checkpoints(writing); err != nil {
			return err
		}
	}
}

// linger lets changes gather, unless somebody waits.
func (f *flusher) linger(ctx context.Context) {
	f.mu.Lock()
	delay := flushEvery
	if len(f.lanes) > manyLanes {
		delay = flushEveryMany
	}
	f.mu.Unlock()
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.now:
	case <-ctx.Done():
	}
}

// pendingWrite is a record on its way to the store.
type pendingWrite struct {
	l       *lane
	gen     uint64
	cursor  uint64
	version uint64
}

// passes reports whether a store that answers err takes the same changes some time:
// when there is space again, or another program is done with it.
func passes(err error) bool {
	return errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrBusy)
}

// flush writes the dirty records. What may pass leaves them dirty.
func (f *flusher) flush(ctx context.Context) error {
	f.mu.Lock()
	lanes := f.lanes
	f.lanes = make(map[*lane]bool, len(lanes)/2)
	f.mu.Unlock()
	var err error
	if len(lanes) > 0 {
		err = f.write(ctx, lanes, false)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	f.flushes++
	close(f.done)
	f.done = make(chan struct{})
	if passes(err) {
		f.d.opts.Logger.WarnContext(ctx, "lane records not written", "err", err)
		time.AfterFunc(time.Second, func() { poke(f.kick) })
		return nil
	}
	return err
}

// write writes the lanes' records. Those of lanes that were stopped it leaves
// alone, unless these are their last.
func (f *flusher) write(ctx context.Context, lanes map[*lane]bool, last bool) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	writes := make([]pendingWrite, 0, len(lanes))
	changes := make([]store.Change, 0, len(lanes))
	for l := range lanes {
		l.mu.Lock()
		if l.gone && !last {
			l.mu.Unlock()
			continue
		}
		conf, _ := l.s.config()
		l.rec.Version, l.rec.Epoch = conf.Version, l.p.epoch
		value, err := json.Marshal(&l.rec)
		w := pendingWrite{l: l, gen: l.gen, cursor: l.rec.Cursor}
		version := l.version
		l.mu.Unlock()
		if err != nil {
			return fmt.Errorf("write lane record: %w", err)
		}
		writes = append(writes, w)
		changes = append(changes, store.Change{Key: laneKey(l.s.id, l.p.name), Value: value, Version: version})
	}
	for i := range writes {
		changes[i].NewVersion = &writes[i].version
	}
	failpoint.Here(failpoint.CursorWriting)
	errs := f.d.store.Apply(ctx, changes...)
	failpoint.Here(failpoint.CursorWritten)
	var failed error
	for i, w := range writes {
		if errs != nil && errs[i] != nil {
			failed = errors.Join(failed, f.refused(&w, errs[i], last))
			continue
		}
		w.l.mu.Lock()
		w.l.version, w.l.flushed, w.l.safe = w.version, w.gen, w.cursor
		if len(w.l.rec.Outbox) > 0 {
			poke(f.d.outbox)
		}
		w.l.mu.Unlock()
	}
	return failed
}

// refused handles a record that was not written.
func (f *flusher) refused(w *pendingWrite, err error, last bool) error {
	w.l.mu.Lock()
	gone := w.l.gone
	w.l.mu.Unlock()
	switch {
	case last: // it is tried again by who wants it stopped
	case gone:
		return nil // removed meanwhile
	default:
		f.mu.Lock()
		f.lanes[w.l] = true
		f.mu.Unlock()
	}
	if errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("lane record %s: somebody else owns this partition: %w", laneKey(w.l.s.id, w.l.p.name), err)
	}
	return fmt.Errorf("write lane record %s: %w", laneKey(w.l.s.id, w.l.p.name), err)
}

// checkpoints writes the position of each tail that moved.
func (f *flusher) checkpoints(ctx context.Context) error {
	for _, p := range f.d.order {
		at := p.checkpoint()
		if at <= p.saved.Load() {
			continue
		}
		value, err := json.Marshal(checkpoint{Seq: at})
		if err != nil {
			return err
		}
		change := store.Change{Key: tailPrefix + p.name, Value: value, Version: p.version, NewVersion: &p.version}
		failpoint.Here(failpoint.TailWriting)
		if errs := f.d.store.Apply(ctx, change); errs != nil && errs[0] != nil {
			if passes(errs[0]) {
				return nil // an old checkpoint costs examining again
			}
			return fmt.Errorf("write checkpoint of partition %s: %w", p.name, errs[0])
		}
		failpoint.Here(failpoint.TailWritten)
		p.saved.Store(at)
	}
	return nil
}
