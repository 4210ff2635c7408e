package search

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/index"
)

// Order is the order of events in pages: by time of acceptance, then partition,
// then number.
type Order uint8

// The orders.
const (
	Newest Order = iota // first
	Oldest              // first
)

// PageOptions say which page is asked for.
type PageOptions struct {
	Order     Order
	Limit     int    // most events, 1 to MaxLimit; 0 is DefaultLimit
	Partition string // events of this one only; "" is all
	// Exact, a folded path, leaves out events of other namespaces, also of those
	// below it; "" leaves none out.
	Exact string
	Skip  int // events to pass over first, 0 to MaxSkip
	// After is the Next of a page, Before the Previous of one; not both. The page
	// then follows, or comes before, that one.
	After, Before string
	// Behind has the page begin behind the event with this number of Partition,
	// which is set then, and no cursor; 0 does not.
	Behind uint64
}

// Page is a part of what was found.
type Page struct {
	// Events come in the order that was asked for. They are fewer than the limit
	// when they are large: see MaxPageBytes.
	Events []Event
	// Next goes on behind the last event, Previous before the first one. Both are
	// always there: events that arrive later are found from the newer end on.
	Next, Previous string
	// Follow is where [Service.Follow] goes on behind the newer end of the page. It is
	// "" for pages of one namespace without what lies below.
	Follow string
	// More says that events were found beyond the page, in the direction in which
	// it was read, or that time ran out before all was looked at: then the page may
	// even be empty, and the cursor goes on all the same.
	More bool
	// Skip is how many events time did not suffice to pass over: whoever goes on with
	// Next has to.
	Skip int
	// Missing counts events that were found and that the log lacks, without a
	// recorded cause. They are left out.
	Missing int
	// Incomplete says that a part of the index could not be read. It is being made
	// anew; until then events may be left out.
	Incomplete bool
}

// Page returns events that meet q. What a page shows is what the index knows at
// that moment: see Lag. Errors that a caller can do something about are
// *[sluice.Error].
func (s *Service) Page(ctx context.Context, q index.Query, o PageOptions) (Page, error) {
	w, err := s.newWalk(&q, o)
	if err != nil {
		return Page{}, err
	}
	all, cancel := context.WithTimeoutCause(ctx, s.cfg.Timeout+grace, errSlow)
	defer cancel()
	ctx, done, err := s.begin(ctx, &q)
	if err != nil {
		return Page{}, s.explain(ctx, err)
	}
	defer done()
	if err := again(func() error { return w.run(ctx, all) }); err != nil {
		if !late(ctx, err) || !w.moved() {
			return Page{}, s.explain(ctx, err)
		}
		w.more = true // what was found until now, and a cursor behind what was looked at
	}
	return w.page(), nil
}

// walk fills one page.
type walk struct {
	s      *Service
	q      *index.Query
	digest [digestSize]byte
	order  Order
	limit  int
	only   string // the partition, "" for all
	exact  string // the namespace, "" for all
	first  int    // events to pass over
	skip   int    // of those, what is left
	up     bool   // towards newer events
	start  cut    // nil without a cursor

	views  []*view
	reader reader
	events []Event
	bytes  int
	more   bool
}

func (s *Service) newWalk(q *index.Query, o PageOptions) (*walk, error) {
	if o.Limit == 0 {
		o.Limit = DefaultLimit
	}
	if o.Limit < 0 || o.Limit > MaxLimit {
		return nil, sluice.Errorf(sluice.Invalid, "limit must be 1 to %d", MaxLimit)
	}
	if o.After != "" && o.Before != "" {
		return nil, sluice.Errorf(sluice.Invalid, "after and before exclude each other").WithHint("send one of them")
	}
	if o.Skip < 0 || o.Skip > MaxSkip {
		return nil, sluice.Errorf(sluice.Invalid, "only the first %d events can be passed over", MaxSkip).WithHint("go on with cursors, or ask for a shorter time")
	}
	w := &walk{s: s, q: q, digest: digestOf(q, o.Order), order: o.Order, limit: o.Limit, only: o.Partition, exact: o.Exact, first: o.Skip, up: (o.Order == Oldest) == (o.Before == "")}
	for _, narrower := range []string{o.Partition, o.Exact} {
		if narrower != "" {
			w.digest = digestWithin(w.digest, narrower)
		}
	}
	if text := o.After + o.Before; text != "" {
		var err error
		if w.start, err = s.parseCursor(text, w.digest); err != nil {
			return nil, err
		}
	}
	if o.Behind > 0 {
		if err := w.startBehind(&o); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// startBehind has the page begin behind an event.
func (w *walk) startBehind(o *PageOptions) error {
	if o.Partition == "" || w.start != nil {
		return sluice.Errorf(sluice.Invalid, "events behind another one are those of its class, without a cursor")
	}
	w.start = cut{o.Partition: o.Behind}
	if w.up && o.Behind < math.MaxUint64 {
		w.start[o.Partition]++
	}
	return nil
}

// run fills the page. It searches until ctx ends; all is for what has to be done
// then, so that what was found is not lost.
func (w *walk) run(ctx, all context.Context) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	w.reader, w.events, w.bytes, w.skip = reader{s: w.s, exact: w.exact}, nil, 0, w.first
	for w.more = true; w.more && len(w.events) < w.limit && w.bytes < MaxPageBytes; {
		if err := w.round(ctx, all); err != nil {
			return err
		}
	}
	return nil
}

// begin looks at what is indexed. It waits a moment for what lies below the cut.
func (w *walk) begin(ctx context.Context) error {
	for tries := 0; ; tries++ {
		err := w.look(ctx)
		if !errors.Is(err, errBehind) || tries == lateTries || !sleep(ctx, latePause) {
			return err
		}
	}
}

func (w *walk) look(ctx context.Context) (err error) {
	if w.views, err = w.s.look(w.q, w.only); err != nil {
		return err
	}
	for _, v := range w.views {
		v.start(w.start, w.up)
		if err := w.s.reaches(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// moved reports whether anything was looked at to the end.
func (w *walk) moved() bool {
	return slices.ContainsFunc(w.views, func(v *view) bool { return v.moved })
}

// round adds what is found next, as far as the log has it.
func (w *walk) round(ctx, all context.Context) error {
	need := w.limit - len(w.events) + min(w.skip, MaxLimit)
	var slow error
	for _, v := range w.views {
		err := v.collect(ctx, need+1)
		switch {
		case err == nil:
		case slow == nil && late(ctx, err):
			slow, v.rest = err, true
			ctx = all
		default:
			return err
		}
	}
	for len(w.events) < w.limit && w.bytes < MaxPageBytes {
		v := w.next()
		if v == nil {
			break
		}
		if w.skip > 0 && w.exact == "" { // no need to read it
			w.skip--
			v.pass()
			continue
		}
		e, ok, err := w.reader.read(all, v, v.hits[0])
		if err != nil {
			return err
		}
		v.pass()
		switch {
		case !ok:
		case w.skip > 0:
			w.skip--
		default:
			w.events = append(w.events, e)
			w.bytes += len(e.Payload)
		}
	}
	w.more = false
	for _, v := range w.views {
		w.more = v.settle() || w.more
	}
	return slow
}

// next returns the view whose next event comes first, nil when that cannot be
// told without looking further.
func (w *walk) next() *view {
	var best *view
	for _, v := range w.views { // by name
		if len(v.hits) == 0 && v.rest {
			return nil
		}
		if len(v.hits) == 0 {
			continue
		}
		if best == nil || w.up && v.hits[0].Accepted < best.hits[0].Accepted ||
			!w.up && v.hits[0].Accepted >= best.hits[0].Accepted {
			best = v
		}
	}
	return best
}

// page returns what was found.
func (w *walk) page() Page {
	if w.up == (w.order == Newest) {
		slices.Reverse(w.events)
	}
	p := Page{Events: w.events, More: w.more, Missing: w.reader.missing}
	if w.more {
		p.Skip = w.skip
	}
	low, high := cut{}, cut{}
	for _, v := range w.views {
		low[v.sh.name], high[v.sh.name] = v.low, v.high
		p.Incomplete = p.Incomplete || v.incomplete
	}
	p.Next, p.Previous = w.s.cursor(low, w.digest), w.s.cursor(high, w.digest)
	if w.order == Oldest {
		p.Next, p.Previous = p.Previous, p.Next
	}
	if w.exact == "" {
		p.Follow = w.s.cursor(high, liveDigest(w.q, w.only))
	}
	return p
}
