package index

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"
)

// source is what queries are answered from: a head while its lock is held, or a
// chunk.
type source interface {
	// facts describes the part.
	facts() Info
	// accepted returns the positions accepted from from on and before to, in
	// microseconds.
	accepted(ctx context.Context, from, to int64) (first, end int, err error)
	// lookup returns a term's posting list, one of no events when there is none.
	lookup(ctx context.Context, t Term) (posting, error)
	// or adds a list's positions to set.
	or(ctx context.Context, p posting, set *bitset) error
	// orID adds the positions of ids with a hash.
	orID(ctx context.Context, hash uint64, set *bitset) error
	// orTimes adds the positions in within that happened in one of the ranges.
	orTimes(ctx context.Context, ranges []millis, within, set *bitset) error
}

// posting is where a posting list is.
type posting struct {
	events int
	form   int
	list   []byte // nil when it lies in another page of a chunk, from offset on
	page   int
	offset int
	length int
}

// millis is a range of time: from from on and before to.
type millis struct{ from, to int64 }

// millisOf returns r in whole milliseconds, which is how events have their times.
func millisOf(r Range) millis {
	m := millis{math.MinInt64, math.MaxInt64}
	if !r.From.IsZero() {
		m.from = roundUp(r.From.UnixMilli(), r.From, time.Millisecond)
	}
	if !r.To.IsZero() {
		m.to = roundUp(r.To.UnixMilli(), r.To, time.Millisecond)
	}
	return m
}

// roundUp returns the next number of units when t is more than rounded units.
func roundUp(rounded int64, t time.Time, unit time.Duration) int64 {
	if t.Nanosecond()%int(unit) != 0 {
		return rounded + 1
	}
	return rounded
}

// finder answers one query from one source.
type finder struct {
	source
	info  Info
	found *bitset
	spare *bitset // of one clause
	other *bitset // of one term within it
}

// condition is a clause whose lists have been looked up.
type condition struct {
	all      bool // it holds for every event
	lists    []posting
	both     bool // events must be in all lists, not in one
	ids      []string
	ranges   []millis
	estimate int // of events; 0 when it holds for none
}

// evaluate returns the positions of src that meet q; nil when there are none.
func evaluate(ctx context.Context, q *Query, src source) (*bitset, error) {
	f := finder{source: src, info: src.facts()}
	if f.info.Events == 0 {
		return nil, nil
	}
	first, end, err := f.window(ctx, q.Accepted)
	if err != nil || first >= end {
		return nil, err
	}
	wanted, err := f.wanted(ctx, q)
	if err != nil || wanted == nil {
		return nil, err
	}
	f.found, f.spare = newBitset(f.info.Events), newBitset(f.info.Events)
	f.found.fill(first, end)
	for i := range wanted {
		if err := f.collect(ctx, &wanted[i]); err != nil {
			return nil, err
		}
		if f.found.and(f.spare); f.found.empty() {
			return nil, nil
		}
	}
	return f.without(ctx, q)
}

// window returns the positions that were accepted in r.
func (f *finder) window(ctx context.Context, r Range) (first, end int, err error) {
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if !r.From.IsZero() {
		from = roundUp(r.From.UnixMicro(), r.From, time.Microsecond)
	}
	if !r.To.IsZero() {
		to = roundUp(r.To.UnixMicro(), r.To, time.Microsecond)
	}
	switch {
	case from > f.info.LastAccepted || to <= f.info.FirstAccepted || from >= to:
		return 0, 0, nil
	case from <= f.info.FirstAccepted && to > f.info.LastAccepted:
		return 0, f.info.Events, nil
	}
	return f.accepted(ctx, from, to)
}

// wanted looks up the scope and the clauses that have to hold, the rarest first;
// nil when one of them never holds.
func (f *finder) wanted(ctx context.Context, q *Query) ([]condition, error) {
	scope, all := q.Scope.Terms()
	list := make([]condition, 0, 1+len(q.Clauses))
	if !all {
		scope := Clause{Terms: scope}
		c, err := f.condition(ctx, &scope)
		if err != nil || c.estimate == 0 {
			return nil, err
		}
		list = append(list, c)
	}
	for i := range q.Clauses {
		if q.Clauses[i].Not {
			continue
		}
		c, err := f.condition(ctx, &q.Clauses[i])
		if err != nil || c.estimate == 0 {
			return nil, err
		}
		if !c.all {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b condition) int { return cmp.Compare(a.estimate, b.estimate) })
	return list, nil
}

// without takes away what the clauses hold for that must not.
func (f *finder) without(ctx context.Context, q *Query) (*bitset, error) {
	for i := range q.Clauses {
		if !q.Clauses[i].Not {
			continue
		}
		c, err := f.condition(ctx, &q.Clauses[i])
		if err != nil {
			return nil, err
		}
		if c.all {
			return nil, nil
		}
		if c.estimate == 0 {
			continue
		}
		if err := f.collect(ctx, &c); err != nil {
			return nil, err
		}
		if f.found.andNot(f.spare); f.found.empty() {
			return nil, nil
		}
	}
	return f.found, nil
}

// condition looks up a clause.
func (f *finder) condition(ctx context.Context, c *Clause) (condition, error) {
	k := condition{ids: c.IDs, both: c.All, estimate: len(c.IDs)}
	for _, r := range c.Ranges {
		m := millisOf(r)
		switch {
		case m.from > f.info.MaxTime || m.to <= f.info.MinTime || m.from >= m.to:
		case m.from <= f.info.MinTime && m.to > f.info.MaxTime:
			return condition{all: true, estimate: f.info.Events}, nil
		default:
			k.ranges = append(k.ranges, m)
			k.estimate = f.info.Events + 1 // last, when few are left to compare
		}
	}
	return k, f.lookups(ctx, c, &k)
}

// lookups finds the lists of a clause's terms.
func (f *finder) lookups(ctx context.Context, c *Clause, k *condition) error {
	fewest, sum := f.info.Events, 0
	for _, t := range c.Terms {
		p, err := f.lookup(ctx, t)
		if err != nil {
			return err
		}
		if p.events == 0 && c.All {
			k.lists = nil
			return nil
		}
		if p.events > 0 {
			k.lists = append(k.lists, p)
		}
		fewest, sum = min(fewest, p.events), sum+p.events
	}
	if c.All && len(c.Terms) > 0 {
		sum = fewest
	}
	k.estimate += sum
	return nil
}

// collect makes spare the positions for which k holds, or more of them than found.
func (f *finder) collect(ctx context.Context, k *condition) error {
	f.spare.clear()
	if err := f.collectLists(ctx, k); err != nil {
		return err
	}
	for _, id := range k.ids {
		if err := f.orID(ctx, idHash([]byte(id)), f.spare); err != nil {
			return err
		}
	}
	if len(k.ranges) == 0 {
		return nil
	}
	return f.orTimes(ctx, k.ranges, f.found, f.spare)
}

func (f *finder) collectLists(ctx context.Context, k *condition) error {
	for i, p := range k.lists {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if i == 0 || !k.both {
			if err := f.or(ctx, p, f.spare); err != nil {
				return err
			}
			continue
		}
		if f.other == nil {
			f.other = newBitset(f.info.Events)
		}
		f.other.clear()
		if err := f.or(ctx, p, f.other); err != nil {
			return err
		}
		f.spare.and(f.other)
	}
	return nil
}

// orTimes adds to set the positions in within whose times lie in one of ranges.
// times are those of the positions from first on.
func orTimes(times []int64, first int, ranges []millis, within, set *bitset) {
	end := first + len(times)
	for pos := within.next(first); pos >= 0 && pos < end; pos = within.next(pos + 1) {
		at := times[pos-first]
		for _, r := range ranges {
			if r.from <= at && at < r.to {
				set.add(pos)
				break
			}
		}
	}
}

const millisPerDay = 24 * 60 * 60 * 1000

// countDays tells add how many positions in set have times on which day; those of
// one day in a row together. times are those of the positions from first on.
func countDays(times []int64, first int, set *bitset, add func(day int64, n int)) {
	var from, to int64 // of the day that is being counted
	n, end := 0, first+len(times)
	for pos := set.next(first); pos >= 0 && pos < end; pos = set.next(pos + 1) {
		at := times[pos-first]
		if at < from || at >= to {
			if n > 0 {
				add(floorDiv(from, millisPerDay), n)
			}
			from = floorDiv(at, millisPerDay) * millisPerDay
			to, n = from+millisPerDay, 0
		}
		n++
	}
	if n > 0 {
		add(floorDiv(from, millisPerDay), n)
	}
}
