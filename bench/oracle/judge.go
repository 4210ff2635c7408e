package oracle

import (
	"context"
	"fmt"
	"net/http"
)

// judge compares everything.
func (o *oracle) judge(ctx context.Context) {
	issued, acked := o.books.totals()
	written, err := o.journal.count()
	if err != nil || written != acked || issued != acked {
		o.findings.add("the oracle's own books differ: %d issued, %d acknowledged, %d in the journal, %v", issued, acked, written, err)
	}
	entries := o.books.list()
	own := o.streams[0].receiver.shelf().own
	o.judgeOwn(own)
	for _, s := range o.streams {
		if s.deleted {
			if !s.judged {
				o.judgeDeleted(s, entries, own)
				s.receiver.retire()
			}
			continue
		}
		v, err := o.server.stream(ctx, s.id)
		if err != nil {
			o.findings.add("%s: %v", s.spec.Name, err)
			continue
		}
		s.final = v.Ledger
		o.addUp(&s.spec, &v)
		o.judgeStream(ctx, s, entries, own)
	}
}

// judgeOwn looks whether every deed was told exactly once, and nothing else.
func (o *oracle) judgeOwn(own []ownEvent) {
	seen := map[string]int{}
	for _, e := range own {
		seen[e.Type+" "+string(e.Target)]++
	}
	for _, s := range o.streams {
		for _, kind := range toldTypes() {
			if got, want := seen[fmt.Sprint(kind, " ", s.id)], s.done[kind]; got != want {
				o.findings.add("%s: %d events %s, want %d", s.spec.Name, got, kind, want)
			}
		}
	}
}

// verdict is the oracle's account of a stream.
type verdict struct {
	o    *oracle
	s    *stream
	held shelf

	accepted, delivered, filtered, quarantined int
	either                                     int // delivered or filtered, both is right
	poison                                     []number
	runs                                       map[int]*run // by producer and class; own events under -1
}

// run follows events of one kind in the order of the log: those of a stream lie
// together.
type run struct{ begun, ended, torn bool }

func (r *run) add(arrived bool) {
	switch {
	case arrived && r.ended:
		r.torn = true
	case arrived:
		r.begun = true
	case r.begun:
		r.ended = true
	}
}

func (o *oracle) judgeStream(ctx context.Context, s *stream, entries []entry, own []ownEvent) {
	v := &verdict{o: o, s: s, held: s.receiver.shelf(), runs: map[int]*run{}}
	for i := range entries {
		v.event(&entries[i])
	}
	v.ownEvents(own)
	for who, r := range v.runs {
		if r.torn || r.ended && s.to == never {
			o.findings.add("%s: the events of producer %d, class %d did not arrive in one piece up to the end", s.spec.Name, who/2, who%2)
		}
	}
	v.compare()
	v.quarantine(ctx)
}

// event judges an event of the oracle.
func (v *verdict) event(e *entry) {
	s, f := v.s, v.o.findings
	arrived := v.held.arrived(e.n)
	in, out := s.certain(e)
	if !s.spec.inScope(e.n.tenant()) || out {
		if arrived {
			f.add("%s: event %d arrived, which is not of this stream", s.spec.Name, e.n)
		}
		if s.spec.inScope(e.n.tenant()) && !s.whole() {
			v.piece(e.n, arrived)
		}
		return
	}
	t := v.o.books.maker.traits(e.n)
	all, some := s.wants(t.kind, t.namespace)
	poison := s.spec.poison(v.o.books.maker, e.n)
	switch {
	case !in: // nobody knows whether it was accepted, but when it came it was
		v.piece(e.n, arrived || v.held.refused[e.n])
		switch {
		case arrived:
			v.accepted++
			v.delivered++
		case v.held.refused[e.n]:
			v.accepted++
			v.quarantined++
			v.poison = append(v.poison, e.n)
		}
		return
	case !some && arrived:
		f.add("%s: event %d (%s in %s) arrived, which no filter wants", s.spec.Name, e.n, t.kind, t.namespace)
	case all && poison && arrived:
		f.add("%s: event %d arrived, which is refused for ever", s.spec.Name, e.n)
	case all && !poison && !arrived:
		f.add("%s: event %d (%s in %s) is lost: acknowledged, wanted and never delivered", s.spec.Name, e.n, t.kind, t.namespace)
	}
	v.accepted++
	switch {
	case all && poison:
		v.quarantined++
		v.poison = append(v.poison, e.n)
	case all:
		v.delivered++
	case !some:
		v.filtered++
	case arrived:
		v.either++
	default:
		v.filtered++
	}
	if !s.whole() {
		v.piece(e.n, arrived || v.held.refused[e.n])
	}
}

// piece follows the events of each producer and class.
func (v *verdict) piece(n number, arrived bool) {
	t := v.o.books.maker.traits(n)
	v.pieceOf(2*n.producer()+t.class(), arrived)
}

func (v *verdict) pieceOf(who int, arrived bool) {
	if v.runs[who] == nil {
		v.runs[who] = &run{}
	}
	v.runs[who].add(arrived)
}

// ownEvents judges Sluice's own events, in the order of the log.
func (v *verdict) ownEvents(own []ownEvent) {
	arrived := map[string]bool{}
	for _, e := range v.held.own {
		arrived[e.ID] = true
	}
	known := 0
	for i, e := range own {
		if arrived[e.ID] {
			known++
		}
		if !v.s.spec.inScope(e.Path) {
			if arrived[e.ID] {
				v.o.findings.add("%s: own event %s (%s in %s) arrived, which is not of this stream", v.s.spec.Name, e.ID, e.Type, e.Path)
			}
			continue
		}
		all, some := v.s.wants(e.Type, e.Path)
		switch {
		case v.s.whole() && i < v.s.ownFrom:
			if arrived[e.ID] {
				v.o.findings.add("%s: own event %s (%s) arrived, which was before the stream", v.s.spec.Name, e.ID, e.Type)
			}
			continue
		case !v.s.whole():
			v.pieceOf(ownRun, arrived[e.ID])
			if !arrived[e.ID] {
				continue
			}
		case all != arrived[e.ID] && all == some:
			v.o.findings.add("%s: own event %s (%s in %s): wanted is %v, arrived is %v", v.s.spec.Name, e.ID, e.Type, e.Path, all, arrived[e.ID])
		}
		v.accepted++
		if arrived[e.ID] {
			v.delivered++
		} else {
			v.filtered++
		}
	}
	if known != len(v.held.own) {
		v.o.findings.add("%s: %d own events arrived that the first receiver has not got", v.s.spec.Name, len(v.held.own)-known)
	}
}

const ownRun = 2 * maxProducers

// compare compares the five counts.
func (v *verdict) compare() {
	l := v.s.final
	want := ledger{Accepted: uint64(v.accepted), Delivered: uint64(v.delivered + v.either), Filtered: uint64(v.filtered), Quarantined: uint64(v.quarantined)}
	if v.either > 0 && v.s.spec.Kind != kindS3 && l.Delivered < want.Delivered && l.Delivered >= uint64(v.delivered) {
		// An event arrived under one filter, the count was lost with a kill, and
		// it was judged anew by the next filter. An object keeps its filter.
		lost := want.Delivered - l.Delivered
		want.Delivered, want.Filtered = want.Delivered-lost, want.Filtered+lost
	}
	if l != want {
		v.o.findings.add("%s: the ledger is wrong: got %v, want %v", v.s.spec.Name, l, want)
	}
}

// quarantine compares the list of quarantined events.
func (v *verdict) quarantine(ctx context.Context) {
	const most = 1000
	var list struct {
		Events []struct {
			ID string `json:"id"`
		} `json:"events"`
	}
	path := fmt.Sprintf("/api/v1/streams/%d/quarantine?limit=%d", v.s.id, most)
	if err := v.o.server.call(ctx, http.MethodGet, path, nil, &list); err != nil {
		v.o.findings.add("%s: %v", v.s.spec.Name, err)
		return
	}
	want := map[string]bool{}
	for _, n := range v.poison {
		want[v.o.books.idOf(n)] = true
	}
	if got := len(list.Events); got != min(most, len(want)) {
		v.o.findings.add("%s: got %d events listed in quarantine, want %d", v.s.spec.Name, got, len(want))
	}
	for _, e := range list.Events {
		if !want[e.ID] {
			v.o.findings.add("%s: event %s is in quarantine without reason", v.s.spec.Name, e.ID)
		}
		delete(want, e.ID)
	}
}

// judgeDeleted judges a stream by its final ledger, which its last event tells.
func (o *oracle) judgeDeleted(s *stream, entries []entry, own []ownEvent) {
	s.judged = true
	l := finalLedger(s, own)
	if l == nil {
		o.findings.add("%s: no event tells its final ledger", s.spec.Name)
		return
	}
	s.final = *l
	held := s.receiver.shelf()
	least, most := 0, len(own)
	for i := range entries {
		e := &entries[i]
		arrived := held.arrived(e.n)
		in, out := s.certain(e)
		scope := s.spec.inScope(e.n.tenant())
		if arrived && (!scope || out) {
			o.findings.add("%s: event %d arrived, which is not of this stream", s.spec.Name, e.n)
		}
		if scope && in {
			least++
		}
		if scope && !out {
			most++
		}
	}
	distinct := uint64(held.distinct())
	switch {
	case !l.balanced() || l.Expired != 0 || l.Filtered != 0:
		o.findings.add("%s: the final ledger is wrong: %v", s.spec.Name, *l)
	case int(l.Accepted) < least || int(l.Accepted) > most:
		o.findings.add("%s: the final ledger is wrong: got %v, want %d to %d accepted", s.spec.Name, *l, least, most)
	case l.Delivered > distinct || distinct > l.Delivered+l.Pending:
		o.findings.add("%s: the final ledger is wrong: got %v, but %d events arrived", s.spec.Name, *l, distinct)
	case l.Quarantined > uint64(len(held.refused)):
		o.findings.add("%s: the final ledger is wrong: got %v, but %d events were refused for good", s.spec.Name, *l, len(held.refused))
	}
}
