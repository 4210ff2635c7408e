package index

import (
	"slices"
	"time"
)

// Matches reports whether an event meets every clause, by what is known of it:
// which terms it has, its id as it stands in the payload, and when it happened
// (Time of [Event]; ranges of phrases begin and end at whole milliseconds).
//
// It is what engines have to agree with, and what live readers are judged by.
func Matches(clauses []Clause, has func(Term) bool, id string, at time.Time) bool {
	for i := range clauses {
		if clauses[i].holds(has, id, at) == clauses[i].Not {
			return false
		}
	}
	return true
}

// holds leaves Not aside.
func (c *Clause) holds(has func(Term) bool, id string, at time.Time) bool {
	if slices.Contains(c.IDs, id) || slices.ContainsFunc(c.Ranges, func(r Range) bool { return r.Contains(at) }) {
		return true
	}
	if c.All {
		return len(c.Terms) > 0 && !slices.ContainsFunc(c.Terms, func(t Term) bool { return !has(t) })
	}
	return slices.ContainsFunc(c.Terms, has)
}

// Matches reports whether an event is among what q asks for; see [Matches] for
// what is known of it. accepted is when it was accepted.
func (q *Query) Matches(has func(Term) bool, id string, at, accepted time.Time) bool {
	scope, all := q.Scope.Terms()
	return (all || slices.ContainsFunc(scope, has)) && q.Accepted.Contains(accepted) && Matches(q.Clauses, has, id, at)
}

// Contains reports whether t lies in r.
func (r Range) Contains(t time.Time) bool {
	return (r.From.IsZero() || !t.Before(r.From)) && (r.To.IsZero() || t.Before(r.To))
}
