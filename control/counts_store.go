package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sluicelog/sluice/store"
)

// runStore stores what was counted until ctx ends, and then what is left.
func (c *counter) runStore(ctx context.Context) {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-c.kick:
		case <-ctx.Done():
		}
		began := time.Now()
		if err := c.store(context.WithoutCancel(ctx)); err != nil {
			c.s.logger.WarnContext(ctx, "counts of events not stored yet", "partition", c.partition, "err", err)
		}
		if ctx.Err() != nil {
			return
		}
		if rest := (storeShare - 1) * time.Since(began); rest > 0 {
			select {
			case <-time.After(rest):
			case <-ctx.Done():
			}
		}
	}
}

// store stores a round, or what is left of the one before.
func (c *counter) store(ctx context.Context) error {
	r := c.begin()
	if r == nil {
		return nil
	}
	var errs []error
	all := r.left
	r.left = nil
	for batch := range slices.Chunk(all, countBatch) {
		errs = append(errs, c.storeHours(ctx, r, batch))
	}
	if err := errors.Join(append(errs, c.sweep(ctx))...); err != nil {
		return err
	}
	_, err := store.Update(ctx, c.s.store, c.position(), func(rec *countedRecord, _ bool) error {
		rec.Seq, rec.Swept = r.upto, c.swept
		return nil
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.round = nil
	c.turns++
	return nil
}

// begin returns the round that is to be stored, nil when there is nothing. The
// next one begins when all of it is stored.
func (c *counter) begin() *round {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.round == nil && len(c.fresh.counts) > 0 {
		c.round = c.fresh.round(c.seq)
		c.fresh = newFresh()
		c.turns++
	}
	return c.round
}

// storeHours adds what a round counted to the records of the hours. What it cannot
// store is left.
func (c *counter) storeHours(ctx context.Context, r *round, batch []*group) error {
	var changed []*group
	var changes []store.Change
	var errs []error
	for _, g := range batch {
		stored, version, err := c.loadTally(ctx, g.hourOf)
		switch {
		case err != nil:
			r.left, errs = append(r.left, g), append(errs, err)
			continue
		case stored.upto >= r.upto: // it was stored before, and the answer lost
			continue
		}
		r.merge(g, stored)
		stored.upto = r.upto
		changed, changes = append(changed, g), append(changes, store.Change{Key: c.key(g.hourOf), Value: stored.encode(), Version: version})
	}
	if len(changes) == 0 {
		return errors.Join(errs...)
	}
	applied := c.s.store.Apply(ctx, changes...)
	for i, g := range changed {
		if applied != nil && applied[i] != nil {
			r.left, errs = append(r.left, g), append(errs, applied[i])
		}
	}
	return errors.Join(errs...)
}

// loadTally returns what is stored of an hour, which may be nothing. What cannot
// be read is as good as nothing: no ledger depends on it.
func (c *counter) loadTally(ctx context.Context, h hourOf) (*tally, uint64, error) {
	rec, err := c.s.store.Get(ctx, c.key(h))
	if errors.Is(err, store.ErrNotFound) {
		return &tally{}, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	out, err := decodeTally(rec.Value)
	if err != nil {
		c.s.logger.WarnContext(ctx, "counts of an hour begin anew", "record", rec.Key, "err", err)
		out = &tally{}
	}
	return out, rec.Version, nil
}

// sweep deletes the records of hours long past.
func (c *counter) sweep(ctx context.Context) error {
	for old := c.old(); c.swept < old; c.swept++ {
		var changes []store.Change
		for r, err := range c.s.store.List(ctx, c.prefix(c.swept+1)) {
			if err != nil {
				return err
			}
			changes = append(changes, store.Change{Key: r.Key, Version: r.Version})
		}
		for batch := range slices.Chunk(changes, countBatch) {
			if err := errors.Join(c.s.store.Apply(ctx, batch...)...); err != nil {
				return err
			}
		}
	}
	return nil
}
