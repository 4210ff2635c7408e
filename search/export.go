package search

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/index"
)

// ExportOptions say which part of the events that meet a query is exported.
type ExportOptions struct {
	// Partition is the one to read, "" for all.
	Partition string
	// After is the cursor of an export, or of a page with the oldest first, of the
	// same query; AfterID the id of an event, as it stands in its payload. The
	// export goes on behind it. At most one of them is set.
	After, AfterID string
}

// Export goes through all events that meet a query, the oldest first, up to the
// newest one that the log had when it began. What the index does not know yet, or
// cannot tell, is looked for in the log itself: an export never leaves out an event
// because the index is late. Memory does not grow with the events.
//
// An Export belongs to one goroutine, and has none of its own: who is done with it
// forgets it.
type Export struct {
	s      *Service
	q      *index.Query
	digest [digestSize]byte
	feeds  []*feed // by name
	given  *feed   // whose event was returned last
	whole  bool    // it began at the beginning
}

// ExportedEvent is an event of an export. Its memory is valid until the next one
// is asked for. One '\n' follows the payload in memory.
type ExportedEvent struct {
	Partition string
	index.Event
}

// Export begins an export. Errors that a caller can do something about are
// *[sluice.Error].
func (s *Service) Export(ctx context.Context, q index.Query, o ExportOptions) (*Export, error) {
	if o.After != "" && o.AfterID != "" {
		return nil, sluice.Errorf(sluice.Invalid, "after and after_id exclude each other").WithHint("send one of them")
	}
	e := &Export{s: s, q: &q, digest: digestOf(&q, Oldest), whole: o.After+o.AfterID == ""}
	if o.Partition != "" {
		e.digest = digestWithin(e.digest, o.Partition)
	}
	begin := cut{}
	var err error
	switch {
	case o.After != "":
		begin, err = s.parseCursor(o.After, e.digest)
	case o.AfterID != "":
		begin, err = s.behind(ctx, q, o)
	}
	if err != nil {
		return nil, err
	}
	for _, sh := range s.shelves {
		if o.Partition != "" && o.Partition != sh.name {
			continue
		}
		f, err := s.newFeed(ctx, sh, &q, begin[sh.name])
		if err != nil {
			return nil, err
		}
		e.feeds = append(e.feeds, f)
	}
	return e, nil
}

// Next returns the next event, io.EOF behind the last one. Other errors end the
// export; it may be begun again at its cursor.
func (e *Export) Next(ctx context.Context) (*ExportedEvent, error) {
	if e.given != nil {
		e.given.ready = false
	}
	e.given = nil
	for _, f := range e.feeds {
		if !f.ready {
			if err := f.advance(ctx); err != nil {
				return nil, err
			}
		}
		if f.ready && (e.given == nil || f.accepted < e.given.accepted) {
			e.given = f
		}
	}
	if e.given == nil {
		return nil, io.EOF
	}
	return e.given.describe(), nil
}

// Cursor returns where the export stands: behind the event that was returned last.
func (e *Export) Cursor() string {
	c := cut{}
	for _, f := range e.feeds {
		c[f.v.sh.name] = f.next
		if f.ready && f != e.given {
			c[f.v.sh.name] = f.seq
		}
	}
	return e.s.cursor(c, e.digest)
}

// Missing returns how many events were found so far that the log lacks without a
// recorded cause, or that cannot be read.
func (e *Export) Missing() int {
	n := 0
	for _, f := range e.feeds {
		n += f.reader.missing
	}
	return n
}

// Estimate returns about how many events there are, as the index knows; ok is
// false when that cannot be told within a moment.
func (e *Export) Estimate(ctx context.Context) (n uint64, ok bool) {
	const moment = 500 * time.Millisecond
	if !e.whole {
		return 0, false
	}
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	for _, f := range e.feeds {
		parts, _, err := f.v.sh.look()
		if err != nil {
			return 0, false
		}
		for _, p := range parts {
			if !f.v.within(p.Info()) {
				continue
			}
			found, err := p.Find(ctx, &f.v.q)
			if err != nil {
				return 0, false
			}
			n += uint64(found.Count())
		}
	}
	return n, true
}

// behind returns the cut behind the event with an id.
func (s *Service) behind(ctx context.Context, q index.Query, o ExportOptions) (cut, error) {
	q.Clauses = append(q.Clauses[:len(q.Clauses):len(q.Clauses)], index.Clause{IDs: []string{o.AfterID}})
	for tries := 0; ; tries++ {
		late, err := s.behindLog(ctx, o.Partition) // before the page
		if err != nil {
			return nil, err
		}
		page, err := s.Page(ctx, q, PageOptions{Order: Oldest, Limit: 10})
		if err != nil {
			return nil, err
		}
		found := slices.DeleteFunc(page.Events, func(e Event) bool { return o.Partition != "" && o.Partition != e.Partition })
		if len(found) > 0 || !late || tries == lateTries || !sleep(ctx, latePause) {
			return s.behindOnly(ctx, found, page.More && len(found) < 2 || (late || page.Incomplete) && len(found) == 0)
		}
	}
}

// behindOnly returns the cut behind the only event that was found with an id; there
// may be others when it is unsure.
func (s *Service) behindOnly(ctx context.Context, found []Event, unsure bool) (cut, error) {
	switch {
	case unsure:
		return nil, sluice.Errorf(sluice.Busy, "the event could not be found in time").WithHint("try again, or send the cursor of an export as after")
	case len(found) == 0:
		return nil, sluice.Errorf(sluice.Invalid, "the export has no event with that id").
			WithHint("send the id of an event as it stands in the export, with the parameters of that one; or begin again without after_id")
	case len(found) > 1:
		return nil, sluice.Errorf(sluice.Conflict, "the export has several events with that id").
			WithHint("send the id of an earlier event that is the only one of its id, and cut the file behind that one")
	}
	return s.cutBehind(ctx, &found[0])
}

// behindLog reports whether the log has events of a partition, "" for any, that the
// index does not know yet.
func (s *Service) behindLog(ctx context.Context, partition string) (bool, error) {
	for _, sh := range s.shelves {
		if partition != "" && partition != sh.name {
			continue
		}
		_, indexed, err := sh.look()
		if err != nil {
			return false, s.explain(ctx, err)
		}
		if lacks, err := s.lacks(ctx, sh.name, indexed, s.log.Stored(sh.name)); lacks || err != nil {
			return lacks, err
		}
	}
	return false, nil
}

// cutBehind returns the cut behind an event, in the order of exports.
func (s *Service) cutBehind(ctx context.Context, e *Event) (cut, error) {
	c := cut{e.Partition: e.Seq + 1}
	for _, sh := range s.shelves {
		if sh.name == e.Partition {
			continue
		}
		since := e.Accepted
		if sh.name < e.Partition { // what was accepted at the same time comes before
			since = since.Add(time.Microsecond)
		}
		seq, err := s.log.Since(ctx, sh.name, since)
		if err != nil {
			return nil, err
		}
		c[sh.name] = seq
	}
	return c, nil
}

// gone reports whether err says that the index cannot answer, or not any more.
func gone(err error) bool {
	return errors.Is(err, index.ErrDamaged) || errors.Is(err, index.ErrClosed) || errors.Is(err, errNotOpen)
}
