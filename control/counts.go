package control

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
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
	countDays    = 8           // that are kept: a week, and the day under way
	// manyPairs of namespace and type that are not stored yet are stored at once.
	manyPairs = 128 << 10
)

// counter counts the events of one partition by namespace, hour of acceptance and
// type, of the directories of its blocks. What was counted is stored each minute,
// in rounds: the days of all top-level namespaces up to one block, and then that
// block's number. Each record says up to where it counts, too. So counting goes on
// where it stood, however the process ended, and counts no event twice.
type counter struct {
	s         *Service
	partition string
	kick      chan struct{} // much is to be stored

	// replay is the end of the log at the start: of blocks up to it, some records
	// may count the events already.
	replay uint64
	known  map[dayOf]uint64 // up to where records count, while that matters
	block  blockPairs

	mu    sync.Mutex
	seq   uint64 // all events up to it are in a record, in round or in fresh
	fresh days   // what no round has taken yet
	pairs int    // in fresh
	round *round // that is being stored, nil for none
	turns uint64 // rounds begun, and rounds ended
}

// dayOf names a day, in days since 1970, of a folded top-level namespace; the
// instance's counts every event.
type dayOf struct {
	top string
	day int64
}

// days holds counts by day and top-level namespace.
type days map[int64]map[string]*day

// round is what is stored together.
type round struct {
	upto uint64
	days days
	done map[dayOf]bool
}

func newCounter(s *Service, partition string) *counter {
	return &counter{s: s, partition: partition, kick: make(chan struct{}, 1), known: map[dayOf]uint64{}, fresh: days{}}
}

// countedRecord is up to where the records of a partition count.
type countedRecord struct {
	Seq uint64 `json:"seq"`
}

func (c *counter) position() string { return countRecords + "at/" + c.partition }

func countPrefix(top string) string { return countRecords + "=" + top + "/" }

func (c *counter) prefix(top string) string { return countPrefix(top) + c.partition + "/" }

func (c *counter) key(d dayOf) string { return c.prefix(d.top) + strconv.FormatInt(d.day, 10) }

// load finds out where to go on. A log that was never counted is counted from its
// end on.
func (c *counter) load(ctx context.Context) error {
	last := c.s.log.Last(c.partition)
	rec, _, err := store.Load[countedRecord](ctx, c.s.store, c.position())
	if errors.Is(err, store.ErrNotFound) {
		_, err = store.Save(ctx, c.s.store, c.position(), countedRecord{Seq: last}, 0)
		rec.Seq = last
	}
	c.seq, c.replay = min(rec.Seq, last), last
	return err
}

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
	skip, err := c.counted(ctx, b, hour/24)
	if err != nil {
		return err
	}
	pairs := c.block.count(b.Directory)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq = b.Last()
	full := c.pairs >= 4*manyPairs
	names := internTypes(b.Types)
	all := make([]uint64, len(b.Types))
	for _, p := range pairs {
		ns := &b.Namespaces[p.namespace]
		all[p.eventType] += uint64(p.n)
		if top := b.Tops[ns.Top].Name; top != sluice.Instance && !skip[ns.Top] {
			c.pairs += c.tally(top, hour).add(ns.Folded[len(top):], names[p.eventType], uint64(p.n), full)
		}
	}
	if !skip[len(b.Tops)] {
		instance := c.tally(sluice.Instance, hour)
		for i, n := range all {
			c.pairs += instance.add("", names[i], n, full)
		}
	}
	if c.pairs >= manyPairs {
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

// tally returns the tally of an hour that is not stored yet. c is locked.
func (c *counter) tally(top string, hour int64) *tally {
	byTop := c.fresh[hour/24]
	if byTop == nil {
		byTop = map[string]*day{}
		c.fresh[hour/24] = byTop
	}
	d := byTop[top]
	if d == nil {
		d = &day{}
		byTop[strings.Clone(top)] = d // the block is not kept in memory
	}
	return d.hour(int8(hour % 24))
}

// counted says of each top-level namespace of the block, and lastly of the
// instance, whether its record counts the block already: that of a round that was
// cut off by the end of the process.
func (c *counter) counted(ctx context.Context, b *eventlog.Outline, day int64) ([]bool, error) {
	skip := make([]bool, len(b.Tops)+1)
	if b.Last() > c.replay {
		c.known = nil
		return skip, nil
	}
	for i := range skip {
		d := dayOf{sluice.Instance, day}
		if i < len(b.Tops) {
			d.top = b.Tops[i].Name
		}
		upto, ok := c.known[d]
		if !ok {
			stored, _, err := c.loadDay(ctx, d)
			if err != nil {
				return nil, err
			}
			upto = stored.upto
			c.known[d] = upto
		}
		skip[i] = b.Last() <= upto
	}
	return skip, nil
}

// runStore stores what was counted until ctx ends, and then what is left.
func (c *counter) runStore(ctx context.Context) {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-c.kick:
		case <-ctx.Done():
		}
		if err := c.store(context.WithoutCancel(ctx)); err != nil {
			c.s.logger.WarnContext(ctx, "counts of events not stored yet", "partition", c.partition, "err", err)
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
	for batch := range slices.Chunk(r.left(), countBatch) {
		errs = append(errs, c.storeDays(ctx, r, batch))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	_, err := store.Update(ctx, c.s.store, c.position(), func(rec *countedRecord, _ bool) error {
		rec.Seq = r.upto
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
	if c.round == nil && len(c.fresh) > 0 {
		c.round = &round{upto: c.seq, days: c.fresh, done: map[dayOf]bool{}}
		c.fresh, c.pairs = days{}, 0
		c.turns++
	}
	return c.round
}

// left lists what is not stored yet.
func (r *round) left() []dayOf {
	var out []dayOf
	for at, byTop := range r.days {
		for top := range byTop {
			if d := (dayOf{top, at}); !r.done[d] {
				out = append(out, d)
			}
		}
	}
	slices.SortFunc(out, func(a, b dayOf) int { return cmp.Or(cmp.Compare(a.top, b.top), cmp.Compare(a.day, b.day)) })
	return out
}

// storeDays adds what a round counted to the records of the days.
func (c *counter) storeDays(ctx context.Context, r *round, batch []dayOf) error {
	var changed []dayOf
	var changes []store.Change
	var errs []error
	for _, d := range batch {
		change, err := c.change(ctx, r, d)
		switch {
		case err != nil:
			errs = append(errs, err)
		case change.Key == "":
			r.done[d] = true // it was stored before, and the answer lost
		default:
			changed, changes = append(changed, d), append(changes, change)
		}
	}
	if len(changes) == 0 {
		return errors.Join(errs...)
	}
	applied := c.s.store.Apply(ctx, changes...)
	for i, d := range changed {
		if applied != nil && applied[i] != nil {
			errs = append(errs, applied[i])
			continue
		}
		r.done[d] = true
	}
	return errors.Join(errs...)
}

// change returns the change of a day's record, none when it counts the round
// already. With the first record of a day, those of days long past go.
func (c *counter) change(ctx context.Context, r *round, d dayOf) (store.Change, error) {
	stored, version, err := c.loadDay(ctx, d)
	if err != nil || stored.upto >= r.upto {
		return store.Change{}, err
	}
	if version == 0 {
		if err := c.forget(ctx, d.top, d.day-countDays); err != nil {
			return store.Change{}, err
		}
	}
	stored.merge(r.days[d.day][d.top])
	stored.upto = r.upto
	return store.Change{Key: c.key(d), Value: stored.encode(), Version: version}, nil
}

// loadDay returns what is stored of a day, which may be nothing. What cannot be
// read is as good as nothing: no ledger depends on it.
func (c *counter) loadDay(ctx context.Context, d dayOf) (*day, uint64, error) {
	rec, err := c.s.store.Get(ctx, c.key(d))
	if errors.Is(err, store.ErrNotFound) {
		return &day{}, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	out, err := decodeDay(rec.Value)
	if err != nil {
		c.s.logger.WarnContext(ctx, "counts of a day begin anew", "record", rec.Key, "err", err)
		out = &day{}
	}
	return out, rec.Version, nil
}

// forget deletes the records of a namespace up to a day.
func (c *counter) forget(ctx context.Context, top string, last int64) error {
	var changes []store.Change
	prefix := c.prefix(top)
	for r, err := range c.s.store.List(ctx, prefix) {
		if err != nil {
			return err
		}
		if day, err := strconv.ParseInt(r.Key[len(prefix):], 10, 64); err == nil && day <= last {
			changes = append(changes, store.Change{Key: r.Key, Version: r.Version})
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return errors.Join(c.s.store.Apply(ctx, changes...)...)
}
