package search

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/sluicelog/sluice/index"
)

const (
	retryPause   = 5 * time.Second // after an error
	expireEvery  = time.Minute
	rebuildPause = time.Minute // between two times that an index is made anew
)

// indexer keeps the index of one partition. It belongs to one goroutine.
type indexer struct {
	s  *Service
	sh *shelf

	part   index.Partition // takes the chunks
	chunks []index.Part    // those in part, oldest first
	full   *sealing        // the head before this one, which is being stored; nil mostly
	head   *index.Head
	seq    uint64 // every event up to it is in chunks, full or head
	ahead  ahead
	pacer  pacer
	work   sync.WaitGroup // what reads ahead, and what stores full

	// old answers while part is made anew beside it; nil when part answers.
	old     index.Partition
	reason  string    // why part is made anew, until it has caught up
	rebuilt time.Time // when that was begun last, or tried
	expired time.Time // when tidy last looked
	drop    time.Time // chunks before it are to be removed; zero for none
	waits   bool      // the shelf knows why
}

// keepIndexing indexes a partition until ctx ends, and begins again after errors.
func (s *Service) keepIndexing(ctx context.Context, sh *shelf) {
	for {
		err := s.follow(ctx, sh)
		sh.hide()
		if ctx.Err() != nil {
			return
		}
		sh.trouble(err)
		s.cfg.Logger.WarnContext(ctx, "events not indexed", "partition", sh.name, "err", err)
		if !sleep(ctx, retryPause) {
			return
		}
	}
}

// sleep reports whether ctx is still good after d.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// follow opens the index and follows the log until something fails.
func (s *Service) follow(ctx context.Context, sh *shelf) (err error) {
	ix := &indexer{s: s, sh: sh, head: index.NewHead()}
	ix.ahead = ahead{s: s, partition: sh.name, work: &ix.work, reader: s.log.Reader(sh.name)}
	sh.tell(building{state: StateOpening})
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		err = errors.Join(err, ix.close())
	}()
	if err := ix.open(ctx); err != nil {
		return fmt.Errorf("open the index: %w", err)
	}
	ix.tell()
	ix.publish()
	for {
		if err := ix.step(ctx); err != nil {
			return err
		}
	}
}

// close ends what is under way and closes the index.
func (ix *indexer) close() error {
	ix.work.Wait() // what was stored meanwhile is found when the index is opened again
	ix.sh.memory.Store(0)
	ix.sh.kept.Store(0)
	ix.sh.tell(building{state: StateOpening})
	var errs []error
	for _, p := range []index.Partition{ix.part, ix.old} {
		if p != nil {
			errs = append(errs, ix.shut(p))
		}
	}
	return errors.Join(errs...)
}

// shut closes an index and forgets its pages.
func (ix *indexer) shut(p index.Partition) error {
	defer ix.s.cache.Forget(p)
	return p.Close()
}

// open opens the index. One that does not fit the log is replaced at once: it
// cannot answer.
func (ix *indexer) open(ctx context.Context) error {
	p, err := ix.s.cfg.Engine.Open(ctx, ix.sh.name)
	if err == nil {
		ix.part = p
		err = ix.load(ctx)
	}
	unfit, ok := errors.AsType[*unfitError](err)
	switch {
	case err == nil:
		return nil
	case ok:
	case errors.Is(err, index.ErrDamaged):
		unfit = &unfitError{"it could not be read"}
	default:
		return err
	}
	return ix.replace(ctx, unfit.why)
}

// unfitError says why an index cannot be used with the log.
type unfitError struct{ why string }

func (e *unfitError) Error() string { return "the index does not fit: " + e.why }

// load takes over what the index holds.
func (ix *indexer) load(ctx context.Context) error {
	pos, err := ix.part.Position(ctx)
	if err != nil {
		return err
	}
	switch log := ix.s.log; {
	case pos == index.Position{}:
	case pos.Log != log.ID():
		return &unfitError{"it belonged to another log"}
	case pos.Format != index.Format:
		return &unfitError{"it had another format"}
	case pos.Seq > log.Last(ix.sh.name):
		return &unfitError{"it was ahead of the log"}
	}
	infos, err := ix.part.Chunks(ctx)
	if err != nil {
		return err
	}
	ix.seq, ix.chunks = pos.Seq, nil
	for _, info := range infos {
		ix.chunks = append(ix.chunks, index.NewChunk(ix.part, info, ix.s.cache))
	}
	return nil
}

// replace puts an empty index into the place of one that cannot answer.
func (ix *indexer) replace(ctx context.Context, why string) error {
	if ix.part != nil {
		if err := ix.shut(ix.part); err != nil {
			return err
		}
		ix.part = nil
	}
	p, err := ix.s.cfg.Engine.Renew(ctx, ix.sh.name)
	if err != nil {
		return err
	}
	ix.empty(p, why)
	return ix.s.cfg.Engine.Adopt(ctx, p)
}

// empty goes on with an empty index from the beginning of the log.
func (ix *indexer) empty(p index.Partition, why string) {
	ix.s.cfg.Logger.Warn("search index is made anew", "partition", ix.sh.name, "reason", why)
	ix.part, ix.reason, ix.rebuilt, ix.drop = p, why, ix.s.cfg.Now(), time.Time{}
	ix.chunks, ix.head, ix.seq = nil, index.NewHead(), 0
	ix.sh.memory.Store(0)
}

// tell says what the indexer is at.
func (ix *indexer) tell() {
	b := building{state: StateFollowing, reason: ix.reason, stored: ix.part}
	if ix.reason != "" {
		b.state, b.seq = StateRebuilding, ix.seq
	}
	ix.sh.tell(b)
}

// publish lets queries see what is indexed, unless an older index answers still.
func (ix *indexer) publish() {
	if ix.old == nil {
		parts := slices.Clone(ix.chunks)
		if ix.full != nil {
			parts = append(parts, ix.full.head)
		}
		ix.sh.show(append(parts, ix.head), ix.seq)
	}
}

// step indexes the next events, or does what there is to do besides.
func (ix *indexer) step(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := ix.repair(ctx); err != nil {
		return fmt.Errorf("begin the index anew: %w", err)
	}
	if err := ix.tidy(ctx); err != nil {
		return fmt.Errorf("remove expired chunks: %w", err)
	}
	next := ix.ahead.next(ctx, ix.seq)
	defer ix.ahead.done(next)
	end := errors.Is(next.err, io.EOF)
	if next.err != nil && !end {
		return ix.postpone(ctx, next.err)
	}
	if ix.waits {
		ix.waits = false
		ix.sh.trouble(nil)
	}
	if end {
		return ix.idle(ctx)
	}
	began := time.Now()
	ix.take(next)
	ix.pacer.add(next.cost + time.Since(began))
	if err := ix.sealFull(ctx); err != nil {
		return err
	}
	ix.giveWay(ctx)
	return nil
}

// postpone waits before something is tried again that failed and that the index
// itself has no part in: it goes on to answer.
func (ix *indexer) postpone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	ix.waits = true
	ix.sh.trouble(err)
	ix.s.cfg.Logger.WarnContext(ctx, "events not indexed yet", "partition", ix.sh.name, "err", err)
	sleep(ctx, retryPause)
	return nil
}

// sealFull stores the head if it is full, or if there is too little memory for it.
func (ix *indexer) sealFull(ctx context.Context) error {
	if ix.crowded() { // it may do to wait for the one that is being stored
		if err := ix.settle(ctx); err != nil {
			return err
		}
	}
	if ix.head.Full() || ix.head.Events() >= ix.s.cfg.ChunkEvents || ix.crowded() {
		return ix.seal(ctx)
	}
	return nil
}

// crowded reports whether all heads take more than they may and this one is the
// largest.
func (ix *indexer) crowded() bool {
	var all, largest int64
	for _, sh := range ix.s.shelves {
		head := sh.memory.Load()
		all, largest = all+head+sh.kept.Load(), max(largest, head)
	}
	most := ix.s.cfg.heads
	if c := ix.s.cfg.Crowded; c != nil && c() {
		most /= 2
	}
	return all > most && ix.sh.memory.Load() == largest
}

// take adds what was read to the head.
func (ix *indexer) take(l *lookahead) {
	ix.head.AddBatch(&l.batch)
	ix.sh.memory.Store(int64(ix.head.Size()))
	ix.seq = l.last
	switch {
	case ix.old != nil:
		ix.tell()
	default:
		ix.sh.advance(ix.seq)
		if ix.reason != "" {
			ix.tell()
		}
	}
}

// idle is called when every event is indexed. It waits for more.
func (ix *indexer) idle(ctx context.Context) error {
	if err := ix.settle(ctx); err != nil {
		return err
	}
	if ix.reason != "" {
		if err := ix.caughtUp(ctx); err != nil {
			return err
		}
	}
	short, cancel := context.WithTimeout(ctx, expireEvery)
	defer cancel()
	ix.sh.waking(cancel)
	defer ix.sh.waking(nil)
	if len(ix.sh.broken) > 0 {
		return nil // it was found before waking
	}
	if err := ix.s.log.Wait(short, ix.sh.name, ix.seq+1); err != nil && short.Err() == nil {
		return err
	}
	return nil
}
