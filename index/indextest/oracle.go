package indextest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sluicelog/sluice/index"
)

// Answer is all that can be asked of a query.
type Answer struct {
	Hits  []index.Hit // newest first
	Days  map[int64]int
	Types map[string]int
}

// Oracle answers queries by looking at every event.
type Oracle struct {
	events []index.Event
	terms  []map[index.Term]bool
}

// NewOracle returns the oracle for events, which come in order of their numbers.
func NewOracle(events []index.Event) *Oracle {
	o := &Oracle{events: events}
	var terms index.Terms
	for i := range events {
		terms.Read(&events[i])
		set := map[index.Term]bool{}
		for term := range terms.All() {
			set[term] = true
		}
		o.terms = append(o.terms, set)
	}
	return o
}

// Answer answers q.
func (o *Oracle) Answer(q *index.Query) Answer {
	a := Answer{Days: map[int64]int{}, Types: map[string]int{}}
	for i := range slices.Backward(o.events) {
		e := &o.events[i]
		at := time.UnixMilli(e.Millis())
		if !q.Matches(func(t index.Term) bool { return o.terms[i][t] }, string(e.ID), at, time.UnixMicro(e.Accepted)) {
			continue
		}
		a.Hits = append(a.Hits, index.Hit{Seq: e.Seq, Accepted: e.Accepted})
		a.Days[at.UTC().Truncate(24*time.Hour).Unix()/86400]++
		if e.Type != "" {
			a.Types[index.NewTerm(index.FieldType, e.Type).Value]++
		}
	}
	return a
}

// Ask asks q of parts, which come oldest first.
func Ask(ctx context.Context, parts []index.Part, q *index.Query) (Answer, error) {
	a := Answer{Days: map[int64]int{}, Types: map[string]int{}}
	for _, part := range slices.Backward(parts) {
		r, err := part.Find(ctx, q)
		if err != nil {
			return a, err
		}
		n := len(a.Hits)
		for hit, err := range r.Newest(ctx, ^uint64(0)) {
			if err != nil {
				return a, err
			}
			a.Hits = append(a.Hits, hit)
		}
		if found := len(a.Hits) - n; found != r.Count() {
			return a, fmt.Errorf("%d events found, but Count says %d", found, r.Count())
		}
		if err := r.Days(ctx, func(day int64, n int) { a.Days[day] += n }); err != nil {
			return a, err
		}
		if err := r.Types(ctx, func(name string, n int) { a.Types[name] += n }); err != nil {
			return a, err
		}
	}
	return a, nil
}

// Compare asks queries by chance of parts that hold events, and compares the
// answers with those of an Oracle.
func Compare(t *testing.T, r *rand.Rand, events []index.Event, parts []index.Part, queries int) {
	t.Helper()
	oracle, found := NewOracle(events), 0
	for range queries {
		q := RandomQuery(r, events)
		got, err := Ask(t.Context(), parts, &q)
		if err != nil {
			t.Fatalf("ask %+v: %v", q, err)
		}
		want := oracle.Answer(&q)
		if !slices.Equal(got.Hits, want.Hits) {
			t.Fatalf("ask %+v: got %d hits, want %d\ngot  %v\nwant %v", q, len(got.Hits), len(want.Hits), got.Hits, want.Hits)
		}
		if !maps.Equal(got.Days, want.Days) || !maps.Equal(got.Types, want.Types) {
			t.Fatalf("count %+v: got %v and %v, want %v and %v", q, got.Days, got.Types, want.Days, want.Types)
		}
		compareFrom(t, r, parts, &q, want.Hits)
		if len(want.Hits) > 0 {
			found++
		}
	}
	if found < queries/5 {
		t.Errorf("queries that find something: got %d of %d, want a fifth at least", found, queries)
	}
}

// compareFrom resumes at a number by chance, in both directions.
func compareFrom(t *testing.T, r *rand.Rand, parts []index.Part, q *index.Query, all []index.Hit) {
	t.Helper()
	last := parts[len(parts)-1].Info().Last
	seq := r.Uint64N(last + 3)
	for _, part := range parts {
		found, err := part.Find(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		info := part.Info()
		mine := slices.DeleteFunc(slices.Clone(all), func(h index.Hit) bool { return h.Seq < info.First || h.Seq > info.Last })
		var got []index.Hit
		for hit, err := range found.Newest(t.Context(), seq) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, hit)
		}
		want := slices.DeleteFunc(slices.Clone(mine), func(h index.Hit) bool { return h.Seq >= seq })
		if !slices.Equal(got, want) {
			t.Fatalf("newest below %d of %+v: got %v, want %v", seq, q, got, want)
		}
		got = got[:0]
		for hit, err := range found.Oldest(t.Context(), seq) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, hit)
		}
		want = slices.DeleteFunc(slices.Clone(mine), func(h index.Hit) bool { return h.Seq < seq })
		slices.Reverse(want)
		if !slices.Equal(got, want) {
			t.Fatalf("oldest from %d of %+v: got %v, want %v", seq, q, got, want)
		}
	}
}

// RandomQuery makes a query whose terms mostly are those of one of the events.
func RandomQuery(r *rand.Rand, events []index.Event) index.Query {
	e := &events[r.IntN(len(events))]
	q := index.Query{Scope: index.Everything()}
	if r.IntN(3) > 0 {
		q.Scope = index.Below(pick(r, namespaces))
	}
	if r.IntN(6) == 0 {
		q.Scope = index.Below(pick(r, namespaces), pick(r, namespaces))
	}
	if r.IntN(50) == 0 {
		q.Scope = index.Scope{}
	}
	if r.IntN(6) == 0 {
		q.Accepted = randomRange(r, events, time.Microsecond)
	}
	for range r.IntN(4) {
		q.Clauses = append(q.Clauses, randomClause(r, events, e))
	}
	return q
}

func randomClause(r *rand.Rand, events []index.Event, e *index.Event) index.Clause {
	c := index.Clause{Not: r.IntN(4) == 0, All: r.IntN(4) == 0}
	for range r.IntN(3) + 1 {
		if r.IntN(5) == 0 {
			e = &events[r.IntN(len(events))]
		}
		c.Terms = append(c.Terms, randomTerm(r, e))
	}
	switch r.IntN(8) {
	case 0:
		c.IDs = append(c.IDs, string(e.ID), "absent")
	case 1:
		c.Ranges = append(c.Ranges, randomRange(r, events, time.Millisecond))
		c.Terms = c.Terms[:r.IntN(2)]
	case 2:
		c.Terms = nil
		c.Ranges = append(c.Ranges, randomRange(r, events, time.Millisecond), randomRange(r, events, time.Millisecond))
	}
	return c
}

func randomTerm(r *rand.Rand, e *index.Event) index.Term {
	if r.IntN(20) == 0 {
		return index.NewTerm(index.Field(r.IntN(30)), pick(r, "zzz a 7 acme"))
	}
	var terms index.Terms
	terms.Read(e)
	list := slices.Collect(terms.All())
	return list[r.IntN(len(list))]
}

// randomRange lies between the times of two events; its ends are whole units.
func randomRange(r *rand.Rand, events []index.Event, unit time.Duration) index.Range {
	a, b := events[r.IntN(len(events))].Time, events[r.IntN(len(events))].Time
	a, b = min(a, b), max(a, b)
	out := index.Range{From: time.UnixMicro(a).Truncate(unit), To: time.UnixMicro(b).Truncate(unit)}
	switch r.IntN(6) {
	case 0:
		out.From = time.Time{}
	case 1:
		out.To = time.Time{}
	case 2:
		out.To = out.From
	}
	return out
}
