package web

import (
	"context"
	"sync"
	"time"

	"github.com/sluicelog/sluice/control"
)

// Limits of what is remembered of counts.
const (
	maxCounts  = 64   // counts
	seldom     = 1000 // times what it took to count
	leastCount = time.Second * 5
	mostCount  = time.Minute * 10
)

// counts remembers how many events were counted, for as long as a thousand times
// what that took: counting ten million takes a moment that nobody should wait for
// with each page, and what is quick is counted each time.
type counts struct {
	mu   sync.Mutex
	kept map[control.EventCountQuery]counted
}

type counted struct {
	counts control.EventCounts
	until  time.Time
}

func newCounts() *counts { return &counts{kept: map[control.EventCountQuery]counted{}} }

// of returns the counts of q, the first most of them. Whoever calls it has found out that the
// visitor may read these events, and that the query is one.
func (c *counts) of(ctx context.Context, s *control.Service, by control.Principal, q control.EventCountQuery, most int) (control.EventCounts, error) {
	now := time.Now()
	c.mu.Lock()
	kept, ok := c.kept[q]
	c.mu.Unlock()
	if ok && now.Before(kept.until) {
		return kept.counts, nil
	}
	out, err := s.CountEvents(ctx, by, q)
	if err != nil {
		return out, err
	}
	out.Counts = append([]control.EventBin(nil), out.Counts[:min(most, len(out.Counts))]...)
	if keep := time.Since(now) * seldom; keep >= leastCount && !out.Incomplete {
		c.keep(q, counted{out, now.Add(min(keep, mostCount))}, now)
	}
	return out, nil
}

// keep remembers a count, in the place of those that have ended, or of any other.
func (c *counts) keep(q control.EventCountQuery, n counted, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for old, kept := range c.kept {
		if now.After(kept.until) {
			delete(c.kept, old)
		}
	}
	for old := range c.kept {
		if len(c.kept) < maxCounts {
			break
		}
		delete(c.kept, old)
	}
	c.kept[q] = n
}
