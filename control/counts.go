package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/store"
)

const (
	countRecords = "counts/"
	countEvery   = time.Minute // between two times that counts are stored
	countBatch   = 200         // records stored with one sync
	countHours   = 8 * 24      // that are kept: a week, and a day for those who ask late
	// storeShare is the part of the time that is spent with storing at most: as
	// one of so many.
	storeShare = 10
)

// counter counts the events of one partition by namespace, hour of acceptance and
// type, of the directories of its blocks. What was counted is stored each minute,
// in rounds: the hours of all top-level namespaces up to one block, and then that
// block's number. Each record says up to where it counts, too. So counting goes on
// where it stood, however the process ended, and counts no event twice.
type counter struct {
	s         *Service
	partition string
	kick      chan struct{} // much is to be stored
	swept     int64         // records of this hour, and of those before, are deleted

	// replay is the end of the log at the start: of blocks up to it, some records
	// may count the events already.
	replay uint64
	known  map[hourOf]uint64 // up to where records count, while that matters
	block  blockPairs

	mu    sync.Mutex
	seq   uint64 // all events up to it are in a record, in round or in fresh
	fresh *fresh // what no round has taken yet
	round *round // that is being stored, nil for none
	turns uint64 // rounds begun, and rounds ended
}

// hourOf names an hour, in hours since 1970, of a folded top-level namespace; the
// instance's counts every event.
type hourOf struct {
	hour int64
	top  string
}

func newCounter(s *Service, partition string) *counter {
	return &counter{s: s, partition: partition, kick: make(chan struct{}, 1), known: map[hourOf]uint64{}, fresh: newFresh()}
}

// countedRecord is up to where the records of a partition count.
type countedRecord struct {
	Seq   uint64 `json:"seq"`
	Swept int64  `json:"swept"` // records of hours up to it are deleted
}

func (c *counter) position() string { return countRecords + "at/" + c.partition }

func (c *counter) prefix(hour int64) string {
	return fmt.Sprintf("%s%d/%s/=", countRecords, hour, c.partition)
}

func (c *counter) key(h hourOf) string { return c.prefix(h.hour) + h.top }

// load finds out where to go on. A log that was never counted is counted from its
// end on.
func (c *counter) load(ctx context.Context) error {
	last := c.s.log.Last(c.partition)
	rec, _, err := store.Load[countedRecord](ctx, c.s.store, c.position())
	if errors.Is(err, store.ErrNotFound) {
		rec = countedRecord{Seq: last, Swept: c.old()}
		_, err = store.Save(ctx, c.s.store, c.position(), rec, 0)
	}
	c.seq, c.swept, c.replay = min(rec.Seq, last), rec.Swept, last
	return err
}

// old is the last hour that is not kept.
func (c *counter) old() int64 { return c.s.now().Unix()/3600 - countHours }

// run counts until ctx ends.
func (c *counter) run(ctx context.Context) {
	for ctx.Err() == nil {
		b, err := c.s.log.Outline(ctx, c.partition, c.seq+1)
		switch {
		case err == nil:
			err = c.add(ctx, b)
		case errors.Is(err, io.EOF):
			err = c.s.log.Wait(ctx, c.partition, c.seq+1)
		}
		if err != nil && ctx.Err() == nil {
			c.s.logger.WarnContext(ctx, "events not counted yet", "partition", c.partition, "seq", c.seq, "err", err)
			select {
			case <-time.After(learnerPause):
			case <-ctx.Done():
			}
		}
	}
}

// add counts the events of a block.
func (c *counter) add(ctx context.Context, b *eventlog.Outline) error {
	hour := b.Accepted.Unix() / 3600
	skip, err := c.counted(ctx, b, hour)
	if err != nil {
		return err
	}
	pairs := c.block.count(b.Directory)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq = b.Last()
	names := internTypes(b.Types)
	all := make([]uint64, len(b.Types))
	for _, p := range pairs {
		ns := &b.Namespaces[p.namespace]
		all[p.eventType] += uint64(p.n)
		if top := b.Tops[ns.Top].Name; top != sluice.Instance && !skip[ns.Top] {
			c.fresh.add(hour, ns.Folded, len(top), names[p.eventType], uint64(p.n))
		}
	}
	if !skip[len(b.Tops)] {
		for i, n := range all {
			c.fresh.add(hour, sluice.Instance, len(sluice.Instance), names[i], n)
		}
	}
	if c.fresh.many(1) {
		poke(c.kick)
	}
	return nil
}

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// counted says of each top-level namespace of the block, and lastly of the
// instance, whether its record counts the block already: that of a round that was
// cut off by the end of the process.
func (c *counter) counted(ctx context.Context, b *eventlog.Outline, hour int64) ([]bool, error) {
	skip := make([]bool, len(b.Tops)+1)
	if b.Last() > c.replay {
		c.known = nil
		return skip, nil
	}
	for i := range skip {
		h := hourOf{hour, sluice.Instance}
		if i < len(b.Tops) {
			h.top = b.Tops[i].Name
		}
		upto, ok := c.known[h]
		if !ok {
			stored, _, err := c.loadTally(ctx, h)
			if err != nil {
				return nil, err
			}
			upto = stored.upto
			c.known[h] = upto
		}
		skip[i] = b.Last() <= upto
	}
	return skip, nil
}
