package search

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sluicelog/sluice/index"
)

// view is a partition as one query sees it.
type view struct {
	sh      *shelf
	parts   []index.Part // oldest first
	indexed uint64       // the query looks no further, even if parts have more
	q       index.Query  // clipped by the partition's retention

	// What was found lies from low on and before high. One of both moves: high
	// when up, else low.
	low, high  uint64
	up         bool
	hits       []index.Hit // found and not taken yet
	rest       bool        // there may be more beyond hits
	moved      bool        // an end has moved
	incomplete bool        // a part could not be read
}

// errStale says that the index was replaced, or chunks removed, under a query.
var errStale = errors.New("the index changed under the query")

// again calls f anew when the index changed under it.
func again(f func() error) error {
	err := f()
	for range 3 {
		if !errors.Is(err, errStale) {
			break
		}
		err = f()
	}
	return err
}

// look returns a view of each partition, by name, or of one only.
func (s *Service) look(q *index.Query, only string) ([]*view, error) {
	var views []*view
	for _, sh := range s.shelves {
		if only != "" && only != sh.name {
			continue
		}
		parts, indexed, err := sh.look()
		if err != nil {
			return nil, err
		}
		views = append(views, &view{sh: sh, parts: parts, indexed: indexed, q: s.clip(q, sh.name)})
	}
	return views, nil
}

// clip returns q without what the retention of a partition hides.
func (s *Service) clip(q *index.Query, partition string) index.Query {
	out := *q
	if keep, ok := s.cfg.Retention[partition]; ok {
		if from := s.cfg.Now().Add(-keep); from.After(q.Accepted.From) {
			out.Accepted.From = from.Truncate(time.Microsecond)
		}
	}
	return out
}

// start puts both ends where the search begins: at c, or, when that is nil, at the
// end of the partition.
func (v *view) start(c cut, up bool) {
	v.up = up
	switch {
	case c != nil:
		v.low = c[v.sh.name]
	case !up:
		v.low = v.indexed + 1
	}
	v.high = v.low
}

// lateTries is how often something is looked for that an index which is late may know
// soon, each latePause.
const (
	lateTries = 50
	latePause = 20 * time.Millisecond
)

// errBehind says that a search begins where the index has not got to.
var errBehind = errors.New("the index is behind the cursor")

// reaches returns errBehind when the search goes down from a cut and the index, as
// after a start, has not got that far: what the log has below the cut would be left
// out, and never be found by who goes on from there. A cut beyond the log is none:
// it stands for the newest event.
func (s *Service) reaches(ctx context.Context, v *view) error {
	if v.up || v.low <= v.indexed+1 || v.low-1 > s.log.Stored(v.sh.name) {
		return nil
	}
	lacks, err := s.lacks(ctx, v.sh.name, v.indexed, v.low-1)
	if err == nil && lacks {
		err = errBehind
	}
	return err
}

// lacks reports whether the log has events that can be read behind those that are
// indexed, up to a number.
func (s *Service) lacks(ctx context.Context, partition string, indexed, upto uint64) (bool, error) {
	if indexed >= upto || !s.readable(partition, indexed+1) {
		return false, nil
	}
	o, err := s.log.Outline(ctx, partition, indexed+1)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil && o.First <= upto, err
}

// readable reports whether the log has an event with a number, or a higher one, that
// it has not found to be unreadable.
func (s *Service) readable(partition string, seq uint64) bool {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	return s.log.Wait(now, partition, seq) == nil
}

// collect fills hits up to n with what comes next.
func (v *view) collect(ctx context.Context, n int) error {
	v.rest = false
	if len(v.hits) > 0 {
		v.hits = v.hits[:0]
	}
	for i := range v.parts {
		if !v.up {
			i = len(v.parts) - 1 - i
		}
		if !v.concerns(v.parts[i]) {
			continue
		}
		info := v.parts[i].Info() // before: what comes meanwhile may not be found
		if err := v.search(ctx, v.parts[i], n); err != nil {
			return err
		}
		if v.rest {
			return nil
		}
		if len(v.hits) == 0 {
			v.passPart(info)
		}
	}
	return nil
}

// passPart moves the end over a part in which nothing was found.
func (v *view) passPart(info index.Info) {
	if v.up {
		v.high = max(v.high, min(info.Last, v.indexed)+1)
	} else {
		v.low = min(v.low, info.First)
	}
	v.moved = true
}

// concerns reports whether a part has events in the direction of the search, and
// of the time that is asked for.
func (v *view) concerns(p index.Part) bool {
	info := p.Info()
	switch {
	case info.Events == 0, info.First > v.indexed:
		return false
	case v.up && info.Last < v.high, !v.up && info.First >= v.low:
		return false
	}
	return v.within(info)
}

// within reports whether a part has events of the time of acceptance that is asked
// for.
func (v *view) within(info index.Info) bool {
	from, to := v.q.Accepted.From, v.q.Accepted.To
	return (from.IsZero() || info.LastAccepted >= from.UnixMicro()) && (to.IsZero() || info.FirstAccepted < to.UnixMicro())
}

// search adds what a part has to hits, n in all at most.
func (v *view) search(ctx context.Context, p index.Part, n int) error {
	found, err := p.Find(ctx, &v.q)
	if err != nil {
		return v.failed(p, err)
	}
	hits := found.Oldest(ctx, v.high)
	if !v.up {
		hits = found.Newest(ctx, v.low)
	}
	for h, err := range hits {
		if err != nil {
			return v.failed(p, err)
		}
		if h.Seq > v.indexed {
			if v.up {
				break
			}
			continue
		}
		if len(v.hits) == n {
			v.rest = true
			break
		}
		v.hits = append(v.hits, h)
	}
	return nil
}

// failed returns nil for a part that cannot be read: it is left out. The indexer
// is told.
func (v *view) failed(p index.Part, err error) error {
	stale := !v.sh.has(p)
	switch {
	case stale && (errors.Is(err, index.ErrDamaged) || errors.Is(err, index.ErrClosed)):
		return errStale
	case errors.Is(err, index.ErrDamaged):
		v.sh.damaged()
		v.incomplete = true
		return nil
	}
	return err
}

// pass moves the end over the next event.
func (v *view) pass() {
	if v.up {
		v.high = v.hits[0].Seq + 1
	} else {
		v.low = v.hits[0].Seq
	}
	v.hits, v.moved = v.hits[1:], true
}

// settle moves the end over what was examined and not found, and reports whether
// there is more, or may be.
func (v *view) settle() bool {
	more := len(v.hits) > 0 || v.rest
	if !more {
		if v.up {
			v.high = max(v.high, v.indexed+1)
		} else {
			v.low = 0
		}
	}
	return more
}
