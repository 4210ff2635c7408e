package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
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
	// maxCountHours is how far back callers may ask.
	maxCountHours = 7 * 24
	// maxCountTypes bounds the types that are counted by themselves in a day of a
	// namespace; the others are summed under otherTypes.
	maxCountTypes = 64
	otherTypes    = "other"
)

// counts counts events by top-level namespace, hour of acceptance and type. The
// instance counts every event. A counter follows each partition by the
// directories of its blocks, from where the log ended at the start; what was
// counted is stored each minute, so that a crash loses a minute at most. No
// ledger depends on it.
type counts struct {
	from map[string]uint64 // by partition: the last event before the start

	mu    sync.Mutex
	fresh map[string]tally // by folded top-level namespace: not stored yet
}

// tally counts events by hour (hours since 1970) and type.
type tally map[int64]map[string]uint64

func (c *counts) init() { c.from, c.fresh = map[string]uint64{}, map[string]tally{} }

// runCounter counts the events of a partition until ctx ends.
func (s *Service) runCounter(ctx context.Context, partition string) {
	seq := s.counts.from[partition]
	scratch := map[kindOfEvent]uint64{}
	for ctx.Err() == nil {
		b, err := s.log.Block(ctx, partition, seq+1)
		switch {
		case err == nil:
			s.counts.count(b, scratch)
			seq = b.Last()
		case errors.Is(err, io.EOF):
			err = s.log.Wait(ctx, partition, seq+1)
		default:
			seq = s.log.Last(partition) // what cannot be read is not counted
		}
		if err != nil && ctx.Err() == nil {
			s.logger.WarnContext(ctx, "events not counted", "partition", partition, "seq", seq, "err", err)
			select {
			case <-time.After(learnerPause):
			case <-ctx.Done():
			}
		}
	}
}

func (t tally) add(hour int64, eventType string, n uint64) {
	types := t[hour]
	if types == nil {
		types = map[string]uint64{}
		t[hour] = types
	}
	if _, ok := types[eventType]; !ok && len(types) >= maxCountTypes {
		eventType = otherTypes
	}
	types[eventType] += n
}

// kindOfEvent is what events of a block have in common: indexes into its lists.
type kindOfEvent struct {
	top       uint32
	eventType uint16
}

// count counts the events of a block. scratch is the caller's, to be used again.
func (c *counts) count(b *eventlog.Block, scratch map[kindOfEvent]uint64) {
	clear(scratch)
	for i := range b.Entries {
		e := &b.Entries[i]
		scratch[kindOfEvent{b.Namespaces[e.Namespace].Top, e.Type}]++
	}
	hour := b.Accepted.Unix() / 3600
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, n := range scratch {
		name := b.Types[k.eventType].Name
		c.of(sluice.Instance).add(hour, name, n)
		if top := b.Tops[k.top].Name; top != sluice.Instance {
			c.of(top).add(hour, name, n)
		}
	}
}

// of returns what was counted of a namespace. c is locked.
func (c *counts) of(top string) tally {
	t := c.fresh[top]
	if t == nil {
		t = tally{}
		c.fresh[strings.Clone(top)] = t
	}
	return t
}

// take returns at most n namespaces with what was counted of them, and forgets
// it.
func (c *counts) take(n int) map[string]tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]tally{}
	for top, t := range c.fresh {
		if len(out) == n {
			break
		}
		out[top] = t
		delete(c.fresh, top)
	}
	return out
}

// give takes back what could not be stored.
func (c *counts) give(top string, t tally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	mine := c.of(top)
	for hour, types := range t {
		for name, n := range types {
			mine.add(hour, name, n)
		}
	}
}

// countRecord is a day of a namespace.
type countRecord struct {
	Hours tally `json:"hours"`
}

func countPrefix(top string) string { return countRecords + "=" + top + "/" }

func countKey(top string, day int64) string { return countPrefix(top) + strconv.FormatInt(day, 10) }

// runCounts stores counts until ctx ends, and then what is left.
func (s *Service) runCounts(ctx context.Context) {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		s.storeCounts(context.WithoutCancel(ctx))
	}
}

func (s *Service) storeCounts(ctx context.Context) {
	for {
		batch := s.counts.take(countBatch)
		if len(batch) == 0 {
			return
		}
		if err := s.storeTallies(ctx, batch); err != nil {
			s.logger.WarnContext(ctx, "counts of events not stored yet", "err", err)
			return
		}
	}
}

// storeTallies adds what was counted to the records of the days.
func (s *Service) storeTallies(ctx context.Context, batch map[string]tally) error {
	type part struct {
		top string
		t   tally
	}
	var parts []part
	var changes []store.Change
	var errs []error
	for top, t := range batch {
		for day, hours := range t.byDay() {
			change, err := s.countChange(ctx, top, day, hours)
			if err != nil {
				s.counts.give(top, hours)
				errs = append(errs, err)
				continue
			}
			parts, changes = append(parts, part{top, hours}), append(changes, change)
		}
	}
	if len(changes) == 0 {
		return errors.Join(errs...)
	}
	applied := s.store.Apply(ctx, changes...)
	for i, p := range parts {
		if applied != nil && applied[i] != nil {
			s.counts.give(p.top, p.t)
			errs = append(errs, applied[i])
		}
	}
	return errors.Join(errs...)
}

func (t tally) byDay() map[int64]tally {
	out := map[int64]tally{}
	for hour, types := range t {
		if out[hour/24] == nil {
			out[hour/24] = tally{}
		}
		out[hour/24][hour] = types
	}
	return out
}

// countChange returns the change of a day's record. With the first record of a
// day, those of days long past go.
func (s *Service) countChange(ctx context.Context, top string, day int64, add tally) (store.Change, error) {
	key := countKey(top, day)
	rec, version, err := store.Load[countRecord](ctx, s.store, key)
	if errors.Is(err, store.ErrNotFound) {
		err = s.forgetCounts(ctx, top, day-countDays)
	}
	if err != nil {
		return store.Change{}, err
	}
	if rec.Hours == nil {
		rec.Hours = tally{}
	}
	for hour, types := range add {
		for name, n := range types {
			rec.Hours.add(hour, name, n)
		}
	}
	value, err := json.Marshal(rec)
	return store.Change{Key: key, Value: value, Version: version}, err
}

func (s *Service) forgetCounts(ctx context.Context, top string, last int64) error {
	var changes []store.Change
	for r, err := range s.store.List(ctx, countPrefix(top)) {
		if err != nil {
			return err
		}
		if day, err := strconv.ParseInt(r.Key[len(countPrefix(top)):], 10, 64); err == nil && day <= last {
			changes = append(changes, store.Change{Key: r.Key, Version: r.Version})
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return errors.Join(s.store.Apply(ctx, changes...)...)
}

// HourCounts counts the events that were accepted in one hour.
type HourCounts struct {
	Time   time.Time         `json:"time"` // its beginning
	Events uint64            `json:"events"`
	Types  map[string]uint64 `json:"types"` // "other" sums those beyond 64
}

// Counts returns how many events of a top-level namespace, or with "" of the
// whole instance, were accepted in each of the last hours that had any, the oldest
// first; hours is at most 168, a week; 0 is 24. Up to a minute before a crash may
// be missing.
func (s *Service) Counts(ctx context.Context, p Principal, namespace string, hours int) ([]HourCounts, error) {
	scope := sluice.FoldNamespace(namespace)
	if err := authorize(p, actionReadStreams, scope); err != nil {
		return nil, err
	}
	if err := checkTopLevel(namespace); err != nil {
		return nil, err
	}
	if hours == 0 {
		hours = 24
	}
	if hours < 0 || hours > maxCountHours {
		return nil, sluice.Errorf(sluice.Invalid, "hours must be 1 to %d", maxCountHours)
	}
	since := s.now().Unix()/3600 - int64(hours) + 1
	sum := tally{}
	for r, err := range s.store.List(ctx, countPrefix(scope)) {
		if err != nil {
			return nil, err
		}
		var rec countRecord
		if err := json.Unmarshal(r.Value, &rec); err != nil {
			return nil, err
		}
		sum.take(rec.Hours, since)
	}
	s.counts.mu.Lock()
	sum.take(s.counts.fresh[scope], since)
	s.counts.mu.Unlock()
	out := make([]HourCounts, 0, len(sum))
	for _, hour := range slices.Sorted(maps.Keys(sum)) {
		h := HourCounts{Time: time.Unix(hour*3600, 0).UTC(), Types: sum[hour]}
		for _, n := range h.Types {
			h.Events += n
		}
		out = append(out, h)
	}
	return out, nil
}

// take adds what another tally counted from an hour on.
func (t tally) take(o tally, since int64) {
	for hour, types := range o {
		if hour < since {
			continue
		}
		for name, n := range types {
			t.add(hour, name, n)
		}
	}
}
