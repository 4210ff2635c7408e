package search

import (
	"cmp"
	"context"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/sluicelog/sluice/index"
)

// Limits of counts.
const (
	MaxBins    = 1000    // that are returned; the others are summed
	maxCounted = 100_000 // different days or types that are told apart
	maxNames   = 2 << 20 // bytes of these types' names
)

// By is what events are counted by.
type By uint8

// What events are counted by.
const (
	ByDay  By = iota // on which they happened, in UTC
	ByType           // folded
)

// Bin is how many events have something in common.
type Bin struct {
	Name   string // "2026-03-01", or an event's type
	Events uint64
}

// Counts is how many events were found.
type Counts struct {
	Events uint64 // all of them
	// Bins come by day, the newest first, or by number, the highest first. Events
	// of days or types beyond the first MaxBins, and events without a type, are in
	// Events alone.
	Bins       []Bin
	Incomplete bool // see [Page]
}

// Count counts the events that meet q, of one partition only unless that is "". It reads no events: one whose id has the
// hash of an id that was asked for is counted, too.
func (s *Service) Count(ctx context.Context, q index.Query, by By, partition string) (Counts, error) {
	ctx, done, err := s.begin(ctx, &q)
	if err != nil {
		return Counts{}, s.explain(ctx, err)
	}
	defer done()
	var t *tally
	err = again(func() error {
		views, err := s.look(&q, partition)
		if err != nil {
			return err
		}
		t = &tally{by: by, days: map[int64]uint64{}, types: map[string]uint64{}}
		for _, v := range views {
			if err := t.count(ctx, v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Counts{}, s.explain(ctx, err)
	}
	return t.counts(), nil
}

// tally is a count under way.
type tally struct {
	by         By
	all        uint64
	days       map[int64]uint64 // since 1970
	types      map[string]uint64
	names      int // bytes of the names in types
	incomplete bool
}

func (t *tally) count(ctx context.Context, v *view) error {
	v.start(nil, false)
	for _, p := range v.parts {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if !v.concerns(p) {
			continue
		}
		runtime.Gosched() // pages go first
		if err := t.part(ctx, v, p); err != nil {
			if err = v.failed(p, err); err != nil {
				return err
			}
		}
	}
	t.incomplete = t.incomplete || v.incomplete
	return nil
}

func (t *tally) part(ctx context.Context, v *view, p index.Part) error {
	found, err := p.Find(ctx, &v.q)
	if err != nil {
		return err
	}
	t.all += uint64(found.Count())
	if t.by == ByDay {
		return found.Days(ctx, t.addDay)
	}
	return found.Types(ctx, t.addType)
}

// addDay counts n more events of a day, unless there are too many days.
func (t *tally) addDay(day int64, n int) {
	if _, ok := t.days[day]; ok || len(t.days) < maxCounted {
		t.days[day] += uint64(n)
	}
}

// addType is addDay for a type, whose name takes memory, too.
func (t *tally) addType(name string, n int) {
	if _, ok := t.types[name]; !ok {
		if len(t.types) == maxCounted || t.names+len(name) > maxNames {
			return
		}
		t.names += len(name)
	}
	t.types[name] += uint64(n)
}

func (t *tally) counts() Counts {
	c := Counts{Events: t.all, Incomplete: t.incomplete}
	days := slices.SortedFunc(maps.Keys(t.days), func(a, b int64) int { return cmp.Compare(b, a) })
	for _, day := range days {
		c.Bins = append(c.Bins, Bin{time.Unix(day*86400, 0).UTC().Format(time.DateOnly), t.days[day]})
	}
	for name, n := range t.types {
		c.Bins = append(c.Bins, Bin{name, n})
	}
	if t.by == ByType {
		slices.SortFunc(c.Bins, func(a, b Bin) int { return cmp.Or(cmp.Compare(b.Events, a.Events), cmp.Compare(a.Name, b.Name)) })
	}
	c.Bins = slices.Clip(c.Bins[:min(len(c.Bins), MaxBins)])
	return c
}
