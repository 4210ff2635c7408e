package search

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/index"
)

// judge decides by what the log has of an event whether it meets a query. Most
// events are judged by their block's directory alone. It belongs to one goroutine.
type judge struct {
	q     *index.Query
	terms index.Terms
	event index.Event

	block   *eventlog.Outline // that allowed is about
	allowed []int8            // of each namespace: 1 in scope, -1 not, 0 not known yet
}

// may reports whether event i of a block lies in the scope and the time that are
// asked for. It reads no event.
func (j *judge) may(o *eventlog.Outline, i int) bool {
	if j.block != o {
		j.block, j.allowed = o, append(j.allowed[:0], make([]int8, len(o.Namespaces))...)
	}
	n := o.Entries[i].Namespace
	if j.allowed[n] == 0 {
		j.allowed[n] = -1
		if inScope(j.q.Scope, o.Namespaces[n].Folded) && j.q.Accepted.Contains(o.Accepted) {
			j.allowed[n] = 1
		}
	}
	return j.allowed[n] > 0
}

// meets reports whether event i of a block, for which may holds, meets the query's
// clauses.
func (j *judge) meets(o *eventlog.Outline, i int, payload []byte) bool {
	if len(j.q.Clauses) == 0 {
		return true
	}
	describe(&j.event, &o.Header, o.Directory, i, payload)
	j.terms.Read(&j.event)
	return j.q.Matches(j.terms.Has, string(j.event.ID), time.UnixMicro(j.event.Time), o.Accepted)
}

// inScope reports whether a folded namespace lies in a scope.
func inScope(s index.Scope, folded string) bool {
	terms, all := s.Terms()
	return all || slices.ContainsFunc(terms, func(t index.Term) bool { return within(t, folded) })
}

// within reports whether a folded namespace lies in the one that a term names.
func within(term index.Term, folded string) bool {
	if len(term.Value) <= index.MaxTermBytes-utf8.UTFMax { // a character may have been cut off in front of a hash
		return sluice.Within(folded, term.Value)
	}
	for end := 0; end < len(folded); { // a long path is known by its hash
		n := strings.IndexByte(folded[end+1:], '/')
		if end += n + 1; n < 0 {
			end = len(folded)
		}
		if index.NewTerm(index.FieldNamespace, folded[:end]) == term {
			return true
		}
	}
	return false
}

// byIDs reports whether a query asks for ids, of which the index knows a hash
// only: what it finds has to be judged again.
func byIDs(q *index.Query) bool {
	for i := range q.Clauses {
		if len(q.Clauses[i].IDs) > 0 {
			return true
		}
	}
	return false
}
