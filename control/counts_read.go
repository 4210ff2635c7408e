package control

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/sluicelog/sluice"
)

// maxCountHours is how far back callers may ask.
const maxCountHours = 7 * 24

// CountQuery says which counts of events are wanted.
type CountQuery struct {
	// Namespace is the namespace, with all below it; "" is the whole instance.
	Namespace string
	// Hours is how many hours to go back, 168 at most, the one under way
	// included; 0 is 24.
	Hours int
	// By is "type", the default, or "namespace", which the instance has not.
	By string
	// Both counts by type and by namespace, whatever By says, and sums no types but
	// those that were never counted by themselves.
	Both bool
}

// HourCounts counts the events that were accepted in one hour.
type HourCounts struct {
	Time   time.Time `json:"time"` // its beginning
	Events uint64    `json:"events"`
	// Types are the 64 most frequent types; "other" sums the others.
	Types map[string]uint64 `json:"types,omitempty"`
	// Namespaces are those that had events of their own, folded, what is below
	// each left out.
	Namespaces map[string]uint64 `json:"namespaces,omitempty"`
	// OtherNamespaces counts the events in namespaces beyond those that a
	// top-level namespace counts by themselves. They are part of its Events. They
	// are no part of the Events of a namespace below it, although some may belong
	// there.
	OtherNamespaces uint64 `json:"other_namespaces,omitempty"`
}

// Counts returns how many events of a namespace were accepted in each of the last
// hours that had any, the oldest first. What was accepted a moment ago may be
// missing.
func (s *Service) Counts(ctx context.Context, p Principal, q CountQuery) ([]HourCounts, error) {
	scope := sluice.FoldNamespace(q.Namespace)
	if err := authorize(p, actionReadStreams, scope); err != nil {
		return nil, err
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	hours := cmp.Or(q.Hours, 24)
	sum := &countSum{top: sluice.TopLevel(scope), scope: scope, types: q.Both || q.By != "namespace", namespaces: q.Both || q.By == "namespace", all: q.Both, hours: map[int64]*HourCounts{}}
	for _, c := range s.counters { // a block of the next hour may be there already
		if err := c.each(ctx, sum.top, s.now().Unix()/3600-int64(hours)+1, hours+1, sum.add); err != nil {
			return nil, err
		}
	}
	return sum.list(), nil
}

func (q *CountQuery) check() error {
	if q.Namespace != sluice.Instance {
		if err := checkPath(q.Namespace); err != nil {
			return err
		}
	}
	if q.Hours < 0 || q.Hours > maxCountHours {
		return sluice.Errorf(sluice.Invalid, "hours must be 1 to %d", maxCountHours)
	}
	switch {
	case !q.Both && (q.By == "" || q.By == "type"):
	case !q.Both && q.By != "namespace":
		return sluice.Errorf(sluice.Invalid, "by must be type or namespace")
	case q.Namespace == sluice.Instance:
		return sluice.Errorf(sluice.Invalid, "the instance is counted by type only").WithHint("name a namespace to see what is below it")
	}
	return nil
}

// each calls f with the tallies of a top-level namespace in some hours from
// since on, those that are not stored included. f must not keep them.
func (c *counter) each(ctx context.Context, top string, since int64, hours int, f func(hour int64, t *tally)) error {
	for {
		c.mu.Lock()
		turns := c.turns
		c.mu.Unlock()
		stored := make([]*tally, hours)
		for i := range stored {
			var err error
			if stored[i], _, err = c.loadTally(ctx, hourOf{since + int64(i), top}); err != nil {
				return err
			}
		}
		if c.sum(turns, top, since, stored, f) {
			return nil
		}
	}
}

// sum calls f with what is stored and what is not, unless a round began or ended
// since the records were read, which is seldom.
func (c *counter) sum(turns uint64, top string, since int64, stored []*tally, f func(hour int64, t *tally)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turns != turns {
		return false
	}
	fresh := c.fresh.tallies(top)
	for i, t := range stored {
		hour := since + int64(i)
		f(hour, t)
		if t := fresh[hour]; t != nil {
			f(hour, t)
		}
		if r := c.round; r != nil && t.upto < r.upto {
			if under := r.tally(hourOf{hour, top}); under != nil {
				f(hour, under)
			}
		}
	}
	return true
}

// countSum adds tallies up.
type countSum struct {
	top, scope        string
	types, namespaces bool // what is counted by
	all               bool // types are not summed
	hours             map[int64]*HourCounts
}

func (s *countSum) add(hour int64, t *tally) {
	if len(t.rows) == 0 {
		return
	}
	h := s.hours[hour]
	if h == nil {
		h = &HourCounts{Time: time.Unix(hour*3600, 0).UTC()}
		if s.types {
			h.Types = map[string]uint64{}
		}
		if s.namespaces {
			h.Namespaces = map[string]uint64{}
		}
		s.hours[hour] = h
	}
	for i := range t.rows {
		r := &t.rows[i]
		path := s.top + r.path
		others := r.path == otherNamespaces
		if !others && !sluice.Within(path, s.scope) {
			continue
		}
		var events uint64
		for _, c := range r.cells {
			events += c.n
			if s.types && (!others || s.scope == s.top) {
				h.Types[c.name.Value()] += c.n
			}
		}
		if others {
			h.OtherNamespaces += events
		}
		if !others || s.scope == s.top {
			h.Events += events
		}
		if s.namespaces && !others {
			h.Namespaces[path] += events
		}
	}
}

func (s *countSum) list() []HourCounts {
	out := make([]HourCounts, 0, len(s.hours))
	for _, hour := range slices.Sorted(maps.Keys(s.hours)) {
		h := s.hours[hour]
		if h.Events == 0 && h.OtherNamespaces == 0 {
			continue
		}
		if !s.all {
			h.Types = mostFrequent(h.Types)
		}
		out = append(out, *h)
	}
	return out
}

// mostFrequent sums all but the maxCountTypes most frequent types.
func mostFrequent(types map[string]uint64) map[string]uint64 {
	if len(types) <= maxCountTypes {
		return types
	}
	others := types[otherTypes]
	delete(types, otherTypes)
	names := slices.SortedFunc(maps.Keys(types), func(a, b string) int {
		return cmp.Or(cmp.Compare(types[b], types[a]), cmp.Compare(a, b))
	})
	out := map[string]uint64{}
	for i, name := range names {
		if i < maxCountTypes {
			out[name] = types[name]
		} else {
			others += types[name]
		}
	}
	if others > 0 {
		out[otherTypes] = others
	}
	return out
}
