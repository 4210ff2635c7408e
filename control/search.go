package control

import (
	"context"
	"encoding/json"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/search"
)

// Orders of events, by time of acceptance.
const (
	NewestFirst = "desc"
	OldestFirst = "asc"
)

// EventQuery asks for events.
type EventQuery struct {
	// Namespace is where they lie, or below; "" is everything that the caller may
	// see.
	Namespace string
	// Also are further namespaces whose events are wanted; none when Namespace is "".
	Also   []string
	Phrase string // see [index.ParsePhrase]; "" asks for all
	Class  string // "audit" or "git"; "" is both
	// Exact leaves out events of what lies below Namespace, which is set.
	Exact bool
	// Kind and Entity are the kind of what the events concern, as in
	// [sluice.Envelope], and its id; "" is any. An id needs a kind.
	Kind, Entity string
	// From and To bound when the events happened: not before From, before To. A zero
	// time is open.
	From, To time.Time
	Skip     int    // events to pass over first, 0 to [search.MaxSkip]
	Order    string // NewestFirst, also when it is "", or OldestFirst
	Limit    int    // 1 to 1,000; 0 is 50
	// After and Before are the Next and Previous of an answer to the same query,
	// or "". At most one of them is set.
	After, Before string
	// Behind has the page begin behind the event with this number of Class, which is
	// set then, and no cursor; 0 does not.
	Behind uint64
}

// FoundEvent is an event that was found, with what Sluice added to it.
type FoundEvent struct {
	Event      json.RawMessage `json:"event"` // as it was accepted
	Partition  string          `json:"partition"`
	Seq        uint64          `json:"seq"`
	AcceptedAt time.Time       `json:"accepted_at"`
	Source     string          `json:"source"`
	Namespace  string          `json:"namespace"` // the path where it lies, "" for the instance
}

// FoundEvents is a page of events.
type FoundEvents struct {
	Events   []FoundEvent `json:"events"`
	Next     string       `json:"next"`     // what After takes to go on
	Previous string       `json:"previous"` // what Before takes
	// More says that there are further events in the direction that was asked for. A
	// page may be short of its limit all the same: see [Service.NumberedEvents].
	More bool `json:"more"`
	// LagSeconds is the age of the oldest event that cannot be found yet.
	LagSeconds float64 `json:"lag_seconds"`
	Missing    int     `json:"missing"`    // see [search.Page]
	Incomplete bool    `json:"incomplete"` // see [search.Page]

	Follow string `json:"-"` // what Follow takes to go on behind the newer end
	skip   int    // see [search.Page]
}

// maxRounds bounds how many answers of the search a page that is known by its
// number is put together from.
const maxRounds = 2

// NumberedEvents is Events for pages that are known by their numbers. Who asks for
// the next one passes over as many events as a page can have: so a page has that
// many, unless there are no more, although they be large, or time ran out. One that
// cannot be put together is refused, for its end would never be seen.
func (s *Service) NumberedEvents(ctx context.Context, p Principal, q EventQuery) (FoundEvents, error) {
	found, err := s.Events(ctx, p, q)
	for round := 1; err == nil && found.More && len(found.Events) < q.Limit; round++ {
		if round == maxRounds {
			return FoundEvents{}, sluice.Errorf(sluice.Invalid, "a page of %d of these events is too large or takes too long: ask for fewer on a page, or go on with cursors", q.Limit)
		}
		rest := q
		rest.Limit, rest.Skip, rest.After = q.Limit-len(found.Events), found.skip, found.Next
		var more FoundEvents
		if more, err = s.Events(ctx, p, rest); err == nil {
			found.add(&more)
		}
	}
	return found, err
}

// add puts a page behind f that goes on where it ended.
func (f *FoundEvents) add(more *FoundEvents) {
	f.Events = append(f.Events, more.Events...)
	f.Next, f.More, f.skip = more.Next, more.More, more.skip
	f.Missing += more.Missing
	f.Incomplete = f.Incomplete || more.Incomplete
}

// Events finds events. Who may not see a namespace is told what one is told who
// asks for one that is not there.
func (s *Service) Events(ctx context.Context, p Principal, q EventQuery) (FoundEvents, error) {
	query, err := s.searchQuery(p, q.Namespace, q.Phrase, q.Also...)
	if err != nil {
		return FoundEvents{}, err
	}
	if query.Clauses, err = q.narrow(query.Clauses); err != nil {
		return FoundEvents{}, err
	}
	o := search.PageOptions{Limit: q.Limit, Skip: q.Skip, After: q.After, Before: q.Before, Behind: q.Behind}
	if q.Exact {
		o.Exact = sluice.FoldNamespace(q.Namespace)
	}
	if o.Partition, err = s.partitionOf(q.Class); err != nil {
		return FoundEvents{}, err
	}
	switch q.Order {
	case "", NewestFirst:
	case OldestFirst:
		o.Order = search.Oldest
	default:
		return FoundEvents{}, sluice.Errorf(sluice.Invalid, "order must be %q or %q", NewestFirst, OldestFirst)
	}
	lag := s.cfg.Search.Lag(ctx) // first: what arrives meanwhile is found or not
	page, err := s.cfg.Search.Page(ctx, query, o)
	if err != nil {
		return FoundEvents{}, err
	}
	out := FoundEvents{
		Events: make([]FoundEvent, len(page.Events)), Next: page.Next, Previous: page.Previous, Follow: page.Follow, More: page.More,
		LagSeconds: lag.Seconds(), Missing: page.Missing, Incomplete: page.Incomplete, skip: page.Skip,
	}
	for i, e := range page.Events {
		out.Events[i] = foundEvent(e)
	}
	return out, nil
}

func foundEvent(e search.Event) FoundEvent {
	return FoundEvent{Event: e.Payload, Partition: e.Partition, Seq: e.Seq, AcceptedAt: e.Accepted.UTC(), Source: e.Source, Namespace: e.Namespace}
}

// narrow adds what is asked for besides the phrase.
func (q *EventQuery) narrow(list []index.Clause) ([]index.Clause, error) {
	switch {
	case q.Exact && len(q.Also) > 0:
		return nil, sluice.Errorf(sluice.Invalid, "what lies below can be left out of one namespace only")
	case q.Exact && q.Namespace == sluice.Instance:
		return nil, sluice.Errorf(sluice.Invalid, "a namespace is needed to leave out what lies below it")
	case q.Entity != "" && q.Kind == "":
		return nil, sluice.Errorf(sluice.Invalid, "the id of an entity needs its kind")
	case q.Entity != "":
		list = append(list, index.Clause{Terms: []index.Term{index.NewTerm(index.FieldEntity, q.Kind+"/"+q.Entity)}})
	case q.Kind != "":
		list = append(list, index.Clause{Terms: []index.Term{index.NewTerm(index.FieldKind, q.Kind)}})
	}
	if !q.From.IsZero() || !q.To.IsZero() {
		list = append(list, index.Clause{Ranges: []index.Range{{From: q.From, To: q.To}}})
	}
	return list, nil
}

// EventAt returns the event with a number in a partition, if it lies in the
// namespace ("" is all that the caller may see).
func (s *Service) EventAt(ctx context.Context, p Principal, namespace, partition string, seq uint64) (FoundEvent, error) {
	query, err := s.searchQuery(p, namespace, "")
	if err != nil {
		return FoundEvent{}, err
	}
	e, ok, err := s.cfg.Search.Event(ctx, query, partition, seq)
	if err != nil {
		return FoundEvent{}, err
	}
	if !ok {
		return FoundEvent{}, errNotFound()
	}
	return foundEvent(e), nil
}

// searchQuery makes a query of what p may see in a namespace, and in others.
func (s *Service) searchQuery(p Principal, namespace, phrase string, also ...string) (q index.Query, err error) {
	if q.Scope, err = searchScope(p, namespace, also...); err != nil {
		return q, err
	}
	if s.cfg.Search == nil {
		return q, sluice.Errorf(sluice.Unsupported, "this server keeps no search index").WithHint("it was started with --index=false")
	}
	q.Clauses, err = index.ParsePhrase(phrase)
	return q, err
}

// searchScope is the one place where the scope of a query is decided: the
// namespace that is named, else everything that p may see.
func searchScope(p Principal, namespace string, also ...string) (index.Scope, error) {
	if len(also) > 0 {
		list := append([]string{namespace}, also...)
		for _, n := range list {
			if err := authorize(p, actionReadEvents, sluice.FoldNamespace(n)); err != nil {
				return index.Scope{}, err
			}
			if err := checkPath(n); err != nil {
				return index.Scope{}, err
			}
		}
		return index.Below(list...), nil
	}
	if namespace == "" {
		namespace = p.Namespace
	}
	if namespace == sluice.Instance && !may(p, actionReadEvents, sluice.Instance) {
		if several := p.readable(); len(several) > 0 {
			return index.Below(several...), nil
		}
	}
	if err := authorize(p, actionReadEvents, sluice.FoldNamespace(namespace)); err != nil {
		return index.Scope{}, err
	}
	if namespace == sluice.Instance {
		return index.Everything(), nil
	}
	return index.Below(namespace), checkPath(namespace)
}

// readable lists the top-level namespaces in which a user may read events by a
// role.
func (p Principal) readable() []string {
	var out []string
	if p.account != nil {
		for namespace := range p.account.roles {
			if may(p, actionReadEvents, namespace) {
				out = append(out, namespace)
			}
		}
	}
	return out
}

// StillReads returns nil when now may read every event that began could read in a
// namespace, "" being all that it could see: both are the same caller, at
// different times. What goes on for long asks it from time to time.
func StillReads(began, now Principal, namespace string) error {
	if namespace == "" {
		namespace = began.Namespace
	}
	list := []string{namespace}
	if namespace == sluice.Instance && !may(began, actionReadEvents, sluice.Instance) {
		list = began.readable()
	}
	for _, n := range list {
		if err := authorize(now, actionReadEvents, sluice.FoldNamespace(n)); err != nil {
			return err
		}
	}
	return nil
}

// tenantOf names whom a query is counted for, where each tenant has a share: the
// top-level namespace, the instance, or a user who looks into several.
func tenantOf(p Principal, namespace string) string {
	if namespace == "" {
		namespace = p.Namespace
	}
	if namespace == sluice.Instance && p.Kind == KindUser && !p.Administrator() {
		return "user/" + p.ID // no namespace has this name for its top level
	}
	return sluice.FoldNamespace(sluice.TopLevel(namespace))
}

// What found events are counted by.
const (
	CountByDay  = "day"
	CountByType = "type"
)

// EventBin counts the events of a day or type.
type EventBin struct {
	Name   string `json:"name"` // "2026-03-01", or the type in lower case
	Events uint64 `json:"events"`
}

// EventCounts counts events that were found.
type EventCounts struct {
	Events     uint64     `json:"events"` // all of them
	By         string     `json:"by"`
	Counts     []EventBin `json:"counts"` // see [search.Counts]
	LagSeconds float64    `json:"lag_seconds"`
	Incomplete bool       `json:"incomplete"`
}

// EventCountQuery says which events to count, as [EventQuery] does.
type EventCountQuery struct {
	Namespace, Phrase, Class string
	By                       string // CountByDay, also when it is "", or CountByType
}

// CountEvents counts the events that Events would find, by the day on which they
// happened or by type.
func (s *Service) CountEvents(ctx context.Context, p Principal, q EventCountQuery) (EventCounts, error) {
	query, err := s.searchQuery(p, q.Namespace, q.Phrase)
	if err != nil {
		return EventCounts{}, err
	}
	partition, err := s.partitionOf(q.Class)
	if err != nil {
		return EventCounts{}, err
	}
	kind := search.ByDay
	switch q.By {
	case "", CountByDay:
		q.By = CountByDay
	case CountByType:
		kind = search.ByType
	default:
		return EventCounts{}, sluice.Errorf(sluice.Invalid, "by must be %q or %q", CountByDay, CountByType)
	}
	lag := s.cfg.Search.Lag(ctx)
	counts, err := s.cfg.Search.Count(ctx, query, kind, partition)
	if err != nil {
		return EventCounts{}, err
	}
	out := EventCounts{Events: counts.Events, By: q.By, Counts: make([]EventBin, len(counts.Bins)), LagSeconds: lag.Seconds(), Incomplete: counts.Incomplete}
	for i, b := range counts.Bins {
		out.Counts[i] = EventBin(b)
	}
	return out, nil
}

// IndexFigures describes the search index of a partition.
type IndexFigures struct {
	Partition  string  `json:"partition"`
	State      string  `json:"state"`             // "opening", "following" or "rebuilding"
	Reason     string  `json:"reason,omitempty"`  // why it is made anew
	Problem    string  `json:"problem,omitempty"` // why indexing waits
	IndexedSeq uint64  `json:"indexed_seq"`       // events up to it are found
	BuiltSeq   uint64  `json:"built_seq,omitempty"`
	LastSeq    uint64  `json:"last_seq"` // of the log
	LagEvents  uint64  `json:"lag_events"`
	LagSeconds float64 `json:"lag_seconds"`
	Events     uint64  `json:"events"`
	Chunks     int     `json:"chunks"`
	Bytes      int64   `json:"bytes"`
	Unread     uint64  `json:"unread_events"`
}

// IndexStatus describes the search index, for operators.
func (s *Service) IndexStatus(ctx context.Context, p Principal) ([]IndexFigures, error) {
	if err := Operator(p); err != nil {
		return nil, err
	}
	return s.Indexes(ctx), nil
}

// Indexes describes the search index of each partition, none without one.
func (s *Service) Indexes(ctx context.Context) []IndexFigures {
	out := []IndexFigures{}
	if s.cfg.Search == nil {
		return out
	}
	for _, st := range s.cfg.Search.Status(ctx) {
		out = append(out, IndexFigures{
			Partition: st.Partition, State: st.State, Reason: st.Reason, Problem: st.Problem, IndexedSeq: st.Indexed, BuiltSeq: st.Built,
			LastSeq: st.Stored, LagEvents: st.Lag, LagSeconds: st.LagTime.Seconds(), Events: st.Events, Chunks: st.Chunks, Bytes: st.Bytes, Unread: st.Unread,
		})
	}
	return out
}
