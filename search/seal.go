package search

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicelog/sluice/index"
)

// maxHeads is how much memory all heads take, in bytes, before the largest of them
// is stored although it is not full.
const maxHeads = 40 << 20

// sealing is a full head on its way into the index.
type sealing struct {
	head *index.Head
	pos  index.Position
	done chan struct{} // closed when the rest may be read
	// What came of it.
	sealed *index.Sealed
	err    error
	cost   time.Duration
}

// seal begins to store the head as a chunk, with the position, and another head.
// One is stored at a time, whatever the number of partitions: memory is bounded.
func (ix *indexer) seal(ctx context.Context) error {
	if err := ix.settle(ctx); err != nil || ix.head.Events() == 0 {
		return err
	}
	full := &sealing{head: ix.head, pos: index.Position{Log: ix.s.log.ID(), Format: index.Format, Seq: ix.seq}, done: make(chan struct{})}
	ix.full, ix.head = full, ix.head.Next()
	ix.sh.kept.Store(ix.sh.memory.Swap(0))
	ix.publish()
	part := ix.part
	ix.work.Go(func() {
		defer close(full.done)
		ix.s.sealing <- struct{}{}
		defer func() { <-ix.s.sealing }()
		began := time.Now()
		full.sealed = full.head.Seal()
		full.err = part.Append(ctx, full.sealed, full.pos)
		full.cost = time.Since(began)
	})
	return nil
}

// settle waits until no head is being stored any more, if one is. The chunk takes
// the head's place.
func (ix *indexer) settle(ctx context.Context) error {
	full := ix.full
	if full == nil {
		return nil
	}
	<-full.done
	ix.pacer.add(full.cost)
	if err := ix.stored(ctx, full); err != nil {
		return fmt.Errorf("store a chunk: %w", err)
	}
	ix.full = nil
	ix.sh.kept.Store(0)
	ix.chunks = append(ix.chunks, index.NewChunk(ix.part, full.sealed.Info, ix.s.cache))
	ix.publish()
	return nil
}

// stored waits for space, if there was none for a chunk, and stores it then.
func (ix *indexer) stored(ctx context.Context, full *sealing) error {
	err := full.err
	for errors.Is(err, index.ErrFull) {
		ix.sh.trouble(err)
		ix.s.cfg.Logger.WarnContext(ctx, "search index waits for space", "partition", ix.sh.name)
		if !sleep(ctx, retryPause) {
			return ctx.Err()
		}
		if err := ix.expire(ctx); err != nil {
			return err
		}
		err = ix.part.Append(ctx, full.sealed, full.pos)
	}
	ix.sh.trouble(nil)
	return err
}

// tidy calls expire from time to time.
func (ix *indexer) tidy(ctx context.Context) error {
	now := ix.s.cfg.Now()
	if since := now.Sub(ix.expired); since >= 0 && since < expireEvery {
		return nil
	}
	ix.expired = now
	if err := ix.settle(ctx); err != nil {
		return err
	}
	return ix.expire(ctx)
}

// expire removes the chunks whose events the log has no longer. The log decides
// about retention alone, so that the index never lacks what the log has. Nothing
// is being stored meanwhile.
func (ix *indexer) expire(ctx context.Context) error {
	if ix.old != nil {
		return nil // the one that is being made has none
	}
	first := ix.s.log.First(ix.sh.name)
	n := slices.IndexFunc(ix.chunks, func(c index.Part) bool { return c.Info().Last >= first })
	if n < 0 {
		n = len(ix.chunks)
	}
	for n > 0 && n < len(ix.chunks) && ix.chunks[n].Info().LastAccepted == ix.chunks[n-1].Info().LastAccepted {
		n-- // they would go as well
	}
	if n > 0 {
		ix.drop = time.UnixMicro(ix.chunks[n-1].Info().LastAccepted + 1)
		ix.chunks = ix.chunks[n:]
		ix.publish() // before they go
	}
	if ix.drop.IsZero() {
		return nil
	}
	_, err := ix.part.Drop(ctx, ix.drop)
	if errors.Is(err, index.ErrFull) { // removing takes space at first; nobody sees them any more
		ix.s.cfg.Logger.WarnContext(ctx, "expired chunks not removed yet", "partition", ix.sh.name, "err", err)
		return nil
	}
	ix.drop = time.Time{}
	return err
}

// repair begins an index anew beside the one that a query found damaged, which
// goes on to answer with what is sound.
func (ix *indexer) repair(ctx context.Context) error {
	select {
	case <-ix.sh.broken:
	default:
		return nil
	}
	since := ix.s.cfg.Now().Sub(ix.rebuilt) // less than none when the clock was set back
	if ix.reason != "" || !ix.rebuilt.IsZero() && since >= 0 && since < rebuildPause {
		return nil // it will be found again
	}
	if err := ix.settle(ctx); err != nil {
		return err
	}
	ix.rebuilt = ix.s.cfg.Now()
	p, err := ix.s.cfg.Engine.Renew(ctx, ix.sh.name)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		ix.s.cfg.Logger.WarnContext(ctx, "damaged search index not made anew yet", "partition", ix.sh.name, "err", err)
		return nil // what is sound goes on to answer
	}
	ix.old = ix.part
	ix.empty(p, "a part of it could not be read")
	ix.tell()
	return nil
}

// caughtUp ends the making of an index.
func (ix *indexer) caughtUp(ctx context.Context) error {
	old := ix.old
	if old != nil {
		switch err := ix.s.cfg.Engine.Adopt(ctx, ix.part); {
		case errors.Is(err, index.ErrFull):
			return ix.postpone(ctx, fmt.Errorf("adopt the new index: %w", err))
		case err != nil:
			return fmt.Errorf("adopt the new index: %w", err)
		}
		ix.old = nil
	}
	ix.s.cfg.Logger.InfoContext(ctx, "search index is complete again", "partition", ix.sh.name, "seq", ix.seq)
	ix.reason = ""
	ix.publish()
	ix.tell()
	if old == nil {
		return nil
	}
	return ix.shut(old)
}
