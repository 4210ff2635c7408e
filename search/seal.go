package search

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicelog/sluice/index"
)

// seal stores the head as a chunk with the position, and begins another.
func (ix *indexer) seal(ctx context.Context) error {
	sealed := ix.head.Seal()
	if sealed == nil {
		return nil
	}
	pos := index.Position{Log: ix.s.log.ID(), Format: index.Format, Seq: ix.seq}
	if err := ix.append(ctx, sealed, pos); err != nil {
		return fmt.Errorf("store a chunk: %w", err)
	}
	ix.chunks = append(ix.chunks, index.NewChunk(ix.part, sealed.Info, ix.s.cache))
	ix.head = index.NewHead()
	ix.publish()
	return nil
}

// append stores a chunk, for which it waits for space if it must.
func (ix *indexer) append(ctx context.Context, sealed *index.Sealed, pos index.Position) error {
	for {
		err := ix.part.Append(ctx, sealed, pos)
		if !errors.Is(err, index.ErrFull) {
			ix.sh.trouble(nil)
			return err
		}
		ix.sh.trouble(err)
		ix.s.cfg.Logger.WarnContext(ctx, "search index waits for space", "partition", ix.sh.name)
		if !sleep(ctx, retryPause) {
			return ctx.Err()
		}
		ix.expired = time.Time{}
		if err := ix.expire(ctx); err != nil {
			return err
		}
	}
}

// expire removes the chunks whose events the log has no longer. The log decides
// about retention alone, so that the index never lacks what the log has.
func (ix *indexer) expire(ctx context.Context) error {
	now := ix.s.cfg.Now()
	if since := now.Sub(ix.expired); since >= 0 && since < expireEvery {
		return nil
	}
	ix.expired = now
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
	if n == 0 {
		return nil
	}
	last := ix.chunks[n-1].Info().LastAccepted
	ix.chunks = ix.chunks[n:]
	ix.publish() // before they go
	_, err := ix.part.Drop(ctx, time.UnixMicro(last+1))
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
	if ix.reason != "" || !ix.rebuilt.IsZero() && ix.s.cfg.Now().Sub(ix.rebuilt) < rebuildPause {
		return nil // it will be found again
	}
	p, err := ix.s.cfg.Engine.Renew(ctx, ix.sh.name)
	if err != nil {
		return err
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
		if err := ix.s.cfg.Engine.Adopt(ctx, ix.part); err != nil {
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
	return ix.drop(old)
}
