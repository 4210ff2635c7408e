package search

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/index"
)

// maxBacklog is how many numbers of a partition a live reader may be behind. One
// that is further behind misses what lies between, and is told so.
const maxBacklog = 500_000

// Live follows the log with a query: it needs no index, only the log. Each reader
// reads by itself, in its own time, so that a slow one holds up nobody, and nothing
// is kept for it.
//
// A Live belongs to one goroutine, and has none of its own but while Wait runs: who
// is done with it forgets it.
type Live struct {
	s       *Service
	digest  [digestSize]byte
	tops    []string // that totals are counted by
	feeds   []*feed
	backlog uint64
}

// Gap is a part of the log that a live reader has not seen.
type Gap struct {
	Partition   string
	First, Last uint64 // numbers
	// Events is how many events the reader's top-level namespaces have there. The
	// query may have found fewer.
	Events uint64
	// Expired says that the log has them no longer; otherwise the reader was too far
	// behind.
	Expired bool
	// Before is the cursor in front of the gap.
	Before string
}

// Follow begins to follow, behind a cursor, or, when that is "", behind the newest
// event. It takes [Page.Follow], and cursors of exports and of pages with the oldest
// first. A partition, unless it is "", is the only one that is followed.
func (s *Service) Follow(ctx context.Context, q index.Query, partition, after string) (*Live, error) {
	l := &Live{s: s, digest: liveDigest(&q, partition), tops: topsOf(q.Scope), backlog: s.cfg.backlog}
	from := cut{}
	if after != "" {
		var err error
		if from, err = s.parseCursor(after, l.digest); err != nil {
			return nil, err
		}
	}
	for _, sh := range s.shelves {
		if partition != "" && partition != sh.name {
			continue
		}
		seq := from[sh.name]
		if after == "" {
			seq = s.log.Stored(sh.name) + 1
		}
		f, err := s.newFeed(ctx, sh, &q, seq)
		if err != nil {
			return nil, err
		}
		f.next = max(seq, 1) // what expired is told
		f.scan, f.until = true, ^uint64(0)
		l.feeds = append(l.feeds, f)
	}
	return l, nil
}

// liveDigest returns what tells a query to a partition, or to all, from others.
func liveDigest(q *index.Query, partition string) [digestSize]byte {
	d := digestOf(q, Oldest)
	if partition != "" {
		d = digestWithin(d, partition)
	}
	return d
}

// topsOf returns the top-level namespaces of a scope, [sluice.Instance] for
// everything.
func topsOf(s index.Scope) []string {
	terms, all := s.Terms()
	if all {
		return []string{sluice.Instance}
	}
	var out []string
	for _, t := range terms {
		out = append(out, sluice.TopLevel(t.Value))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Next returns the next event or gap of those that there are; neither when there is
// none now. The event's memory is valid until the next call.
func (l *Live) Next(ctx context.Context) (*ExportedEvent, *Gap, error) {
	var best *feed
	for _, f := range l.feeds {
		if gap, err := l.skip(ctx, f); gap != nil || err != nil {
			return nil, gap, err
		}
		if !f.ready {
			f.end = l.s.log.Stored(f.v.sh.name)
			if err := f.advance(ctx); err != nil {
				return nil, nil, err
			}
		}
		if f.ready && (best == nil || f.accepted < best.accepted) {
			best = f
		}
	}
	if best == nil {
		return nil, nil, nil
	}
	best.ready = false
	return best.describe(), nil, nil
}

// skip leaves out what a feed cannot or shall not show any more.
func (l *Live) skip(ctx context.Context, f *feed) (*Gap, error) {
	name := f.v.sh.name
	stored, first := l.s.log.Stored(name), l.s.log.First(name)
	from, to := f.next, uint64(0)
	if f.ready {
		from = f.seq
	}
	switch {
	case from < first:
		to = first - 1
	case stored >= from && stored-from >= l.backlog:
		to = stored
	default:
		return nil, nil
	}
	gap := &Gap{Partition: name, First: from, Last: to, Expired: from < first, Before: l.Cursor()}
	for _, top := range l.tops {
		below, err := l.s.log.Before(ctx, name, top, from)
		if err != nil {
			return nil, err
		}
		all, err := l.s.log.Before(ctx, name, top, to+1)
		if err != nil {
			return nil, err
		}
		gap.Events += all - min(below, all)
	}
	f.ready, f.next = false, to+1
	return gap, nil
}

// Cursor returns where the reader is: behind what Next returned last.
func (l *Live) Cursor() string {
	c := cut{}
	for _, f := range l.feeds {
		c[f.v.sh.name] = f.next
		if f.ready {
			c[f.v.sh.name] = f.seq
		}
	}
	return l.s.cursor(c, l.digest)
}

// Wait returns when the log has grown, or after d, or when ctx ends.
func (l *Live) Wait(ctx context.Context, d time.Duration) error {
	short, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var wg sync.WaitGroup
	for _, f := range l.feeds {
		wg.Go(func() {
			_ = l.s.log.Wait(short, f.v.sh.name, f.next) // it ends in time or late, and that is all
			cancel()
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
