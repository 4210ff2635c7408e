package search

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/index"
)

const (
	feedHits = 1024      // found ahead
	feedScan = 64 * 1024 // numbers that are scanned before the index is asked again
)

// feed goes through the events of one partition that meet a query, by number.
type feed struct {
	s      *Service
	v      *view // only its shelf and query are used
	judge  judge
	reader reader
	again  bool   // what the index finds has to be judged again
	end    uint64 // the last number of interest
	next   uint64 // every event before it was examined

	found *index.Result // of the part that holds next; nil when that has to be looked up
	hits  []index.Hit   // found, and not examined
	until uint64        // up to where found answers, or the log is to be scanned
	scan  bool

	// The event at hand.
	ready    bool
	o        *eventlog.Outline
	frames   eventlog.Frames // of o
	i        int
	seq      uint64
	accepted int64
	payload  []byte
	event    ExportedEvent
}

// newFeed returns a feed of what the log has of a partition now, from a number on.
func (s *Service) newFeed(ctx context.Context, sh *shelf, q *index.Query, from uint64) (*feed, error) {
	f := &feed{s: s, v: &view{sh: sh, q: s.clip(q, sh.name)}, again: byIDs(q), next: max(from, 1), end: s.log.Stored(sh.name)}
	f.judge.q, f.reader.s = &f.v.q, s
	if at := f.v.q.Accepted.From; !at.IsZero() {
		first, err := s.log.Since(ctx, sh.name, at)
		if err != nil {
			return nil, err
		}
		f.next = max(f.next, first)
	}
	if at := f.v.q.Accepted.To; !at.IsZero() {
		behind, err := s.log.Since(ctx, sh.name, at)
		if err != nil {
			return nil, err
		}
		f.end = min(f.end, behind-1)
	}
	return f, nil
}

// advance makes the next event ready, if there is one.
func (f *feed) advance(ctx context.Context) error {
	for f.next <= f.end {
		if len(f.hits) == 0 && !f.scan {
			if err := f.plan(ctx); err != nil {
				return err
			}
			continue
		}
		ok, err := f.examine(ctx)
		if err != nil {
			return err
		}
		if f.scan && f.next > f.until {
			f.scan = false
		}
		if ok {
			return nil
		}
	}
	return nil
}

// plan finds out where the next events may be.
func (f *feed) plan(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if f.found == nil {
		if err := f.choose(ctx); err != nil || f.found == nil {
			return err
		}
	}
	for h, err := range f.found.Oldest(ctx, f.next) {
		if err != nil {
			f.found, f.hits = nil, f.hits[:0]
			return f.failed(err)
		}
		if h.Seq > f.until || len(f.hits) == feedHits {
			break
		}
		f.hits = append(f.hits, h)
	}
	if len(f.hits) == 0 {
		f.found, f.next = nil, max(f.next, f.until+1)
	}
	return nil
}

// choose asks the part of the index that holds the next number, or has the log
// scanned.
func (f *feed) choose(ctx context.Context) error {
	parts, indexed, err := f.v.sh.look()
	if err != nil {
		return f.failed(err)
	}
	for _, p := range parts {
		info := p.Info()
		if info.Events == 0 || info.Last < f.next || info.First > indexed {
			continue
		}
		f.until = min(info.Last, f.end)
		if !f.v.within(info) {
			f.next = f.until + 1
			return nil
		}
		if f.found, err = p.Find(ctx, &f.v.q); err != nil {
			f.found = nil
			if f.v.sh.has(p) && errors.Is(err, index.ErrDamaged) {
				f.v.sh.damaged()
			}
			return f.failed(err)
		}
		return nil
	}
	f.scan, f.until = true, f.end
	return nil
}

// failed has a part of the log scanned for which the index cannot answer.
func (f *feed) failed(err error) error {
	if !gone(err) {
		return err
	}
	f.scan, f.until = true, min(f.end, f.next+feedScan)
	return nil
}

// examine looks at the next candidate and passes over it. It reports whether that
// is an event that was asked for.
func (f *feed) examine(ctx context.Context) (bool, error) {
	seq := f.next
	if !f.scan {
		seq, f.hits = f.hits[0].Seq, f.hits[1:]
	}
	if f.o == nil || seq > f.o.Last() || seq < f.o.First {
		if err := f.load(ctx, seq); err != nil {
			return false, err
		}
	}
	switch {
	case f.o == nil:
		f.next = f.end + 1 // retention or damage took all the rest
		return false, nil
	case f.o.First > seq && f.scan:
		f.next = f.o.First
		return false, nil
	case f.o.First > seq:
		f.reader.lost(f.v, seq, f.o)
		f.next = seq + 1
		return false, nil
	}
	ok, err := f.take(ctx, seq)
	if err == nil {
		f.next = seq + 1
	}
	return ok, err
}

// load gets the block with a number, or the one behind it; none at the end.
func (f *feed) load(ctx context.Context, seq uint64) error {
	if pace := f.s.cfg.Pace; pace != nil {
		pace(ctx)
	}
	o, err := f.s.log.Outline(ctx, f.v.sh.name, seq)
	if errors.Is(err, io.EOF) {
		o, err = nil, nil
	}
	if f.o = o; err == nil && o != nil {
		f.frames.Open(o)
	}
	return err
}

// ahead goes through the events of the block that are candidates from a number on,
// as far as they are known.
func (f *feed) ahead(seq uint64) iter.Seq[int] {
	return func(yield func(int) bool) {
		if !f.scan {
			if !yield(int(seq - f.o.First)) {
				return
			}
			for _, h := range f.hits {
				if h.Seq > f.o.Last() || !yield(int(h.Seq-f.o.First)) {
					return
				}
			}
			return
		}
		for last := min(f.o.Last(), f.until, f.end); seq <= last; seq++ {
			if i := int(seq - f.o.First); f.judge.may(f.o, i) && !yield(i) {
				return
			}
		}
	}
}

// take makes an event ready if it is one that was asked for.
func (f *feed) take(ctx context.Context, seq uint64) (bool, error) {
	i := int(seq - f.o.First)
	if !f.judge.may(f.o, i) {
		return false, nil
	}
	if !f.frames.Has(i) {
		f.frames.Decode(f.ahead(seq))
	}
	payload, err := f.frames.Event(i)
	if err != nil {
		return false, f.reader.damaged(ctx, f.v, seq, err)
	}
	if (f.scan || f.again) && !f.judge.meets(f.o, i, payload) {
		return false, nil
	}
	f.ready, f.i, f.seq, f.accepted, f.payload = true, i, seq, f.o.Accepted.UnixMicro(), payload
	return true, nil
}

// describe returns the event at hand.
func (f *feed) describe() *ExportedEvent {
	f.event.Partition = f.v.sh.name
	describe(&f.event.Event, &f.o.Header, f.o.Directory, f.i, f.payload)
	return &f.event
}
