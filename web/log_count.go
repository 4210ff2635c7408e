package web

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// Limits of what is counted and remembered.
const (
	countWait   = 30 * time.Millisecond // after which a page waits for counts no longer
	maxCounts   = 256                   // that are remembered
	maxCounting = 16                    // that wait to be counted
	maxBins     = maxTypes              // of a count
	seldom      = 1000                  // times what it took to count
	leastCount  = time.Second * 5
	mostCount   = time.Minute * 10
	badCount    = time.Minute // that a count which took too long is not tried again
)

// errLater says that something is being counted, and is there with a later view.
var errLater = errors.New("the events are being counted")

// counts remembers how many events were counted, for as long as a thousand times
// what that took. What is quick is counted each time, within the time that a page
// waits. Counting ten million takes longer: run does that, once for all who ask,
// and before what it remembers ends, if it is asked for until then.
type counts struct {
	service *control.Service
	logger  *slog.Logger
	waiting chan counting

	mu    sync.Mutex // guards what follows
	kept  map[control.EventCountQuery]counted
	asked map[control.EventCountQuery]bool // those that wait or are being counted
}

// counting is a count for somebody who may read these events.
type counting struct {
	by    control.Principal
	query control.EventCountQuery
}

// counted is a count, or why there is none.
type counted struct {
	counts        control.EventCounts
	err           error
	renew, expire time.Time
}

func newCounts(s *control.Service, lg *slog.Logger) *counts {
	return &counts{service: s, logger: lg, waiting: make(chan counting, maxCounting),
		kept: map[control.EventCountQuery]counted{}, asked: map[control.EventCountQuery]bool{}}
}

// of returns the counts of q, or errLater, which is also the cause with which ctx
// ends when the page waits no longer. Whoever calls it has found out that the
// visitor may read these events, and that the query is one.
func (c *counts) of(ctx context.Context, by control.Principal, q control.EventCountQuery) (control.EventCounts, error) {
	now := time.Now()
	c.mu.Lock()
	kept, known := c.kept[q]
	asked := c.asked[q]
	busy := len(c.asked) > 0
	c.mu.Unlock()
	switch {
	case known && now.Before(kept.expire):
		if kept.err == nil && now.After(kept.renew) {
			c.ask(counting{by, q})
		}
		return kept.counts, kept.err
	case asked:
		return control.EventCounts{}, errLater
	case busy && q.By == control.CountByType: // it would take even longer
		c.ask(counting{by, q})
		return control.EventCounts{}, errLater
	}
	out, long, err := c.count(ctx, counting{by, q})
	switch {
	case err == nil && long >= leastCount:
		c.keep(q, counted{counts: out}, time.Now(), long)
	case err != nil && context.Cause(ctx) == errLater:
		c.ask(counting{by, q})
		err = errLater
	}
	return out, err
}

// ask has something counted by run, unless that is asked for already, or too much.
func (c *counts) ask(w counting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked[w.query] {
		return
	}
	select {
	case c.waiting <- w:
		c.asked[w.query] = true
	default: // a later view asks again
	}
}

// run counts what pages did not wait for, one after the other, until ctx ends.
func (c *counts) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-c.waiting:
			c.later(ctx, w)
			c.mu.Lock()
			delete(c.asked, w.query)
			c.mu.Unlock()
		}
	}
}

// later counts, and remembers it for the next view at least.
func (c *counts) later(ctx context.Context, w counting) {
	out, long, err := c.count(ctx, w)
	switch {
	case err == nil:
		c.keep(w.query, counted{counts: out}, time.Now(), max(long, leastCount))
	case ctx.Err() != nil:
	case codeOf(err) == sluice.Busy:
		c.keep(w.query, counted{err: err}, time.Now(), badCount)
	default:
		c.logger.WarnContext(ctx, "events not counted", "namespace", w.query.Namespace, "err", err)
	}
}

// count counts, and says for how long to remember it.
func (c *counts) count(ctx context.Context, w counting) (out control.EventCounts, long time.Duration, err error) {
	began := time.Now()
	out, err = c.service.CountEvents(ctx, w.by, w.query)
	if err != nil {
		return out, 0, err
	}
	out.Counts = append([]control.EventBin(nil), out.Counts[:min(maxBins, len(out.Counts))]...)
	return out, rememberFor(time.Since(began), &out), nil
}

// rememberFor returns for how long a count holds that took some time. That of an
// index which is damaged, or far behind as while it is made anew, is wrong before.
func rememberFor(took time.Duration, out *control.EventCounts) time.Duration {
	const far = 60 // seconds: more than what producers leave undone
	long := min(took*seldom, mostCount)
	if out.Incomplete || out.LagSeconds > far {
		long = min(long, leastCount)
	}
	return long
}

// keep remembers a count for some time, in the place of those that have ended, or
// of the one that ends first.
func (c *counts) keep(q control.EventCountQuery, n counted, now time.Time, long time.Duration) {
	n.renew, n.expire = now.Add(long/2), now.Add(long)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.kept, q)
	for len(c.kept) >= maxCounts {
		c.forget(now)
	}
	c.kept[q] = n
}

// forget removes the counts that have ended, and the one that ends first.
func (c *counts) forget(now time.Time) {
	var first control.EventCountQuery
	var ends time.Time
	for q, kept := range c.kept {
		if now.After(kept.expire) {
			delete(c.kept, q)
		} else if ends.IsZero() || kept.expire.Before(ends) {
			first, ends = q, kept.expire
		}
	}
	delete(c.kept, first)
}
