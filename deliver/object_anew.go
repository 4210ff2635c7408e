package deliver

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// A plan is made anew when its stream was changed and nothing can lie in the
// bucket because of it (docs/decisions/0010-plans-made-anew.md).

// renew returns the plan. When the stream was changed since the plan was made, and
// nothing can lie in the bucket because of it, it is given up, and nil returned:
// the object is cut anew, by the stream as it is now.
func (l *lane) renew(version uint64) *plan {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.rec.Plan
	if p == nil || !p.Free || p.Conf == version {
		return p
	}
	l.dropObject()
	l.giveUp()
	l.unknown() // the plan's events were taken off the account
	return nil
}

// free notes whether anything can lie in the bucket because of the plan, and
// returns what was noted before. The lane is locked.
func (l *lane) free(free bool) (before bool) {
	next := *l.rec.Plan
	before, next.Free = next.Free, free
	if before != free {
		l.rec.Plan = &next // others may still read the old one
		l.mark()
	}
	return before
}

// givenUp is what is remembered of plans that ended without an outcome, until the
// cursor has passed them. The name of an object says its numbers, not which events
// between them it holds: under another filter, its key has to differ, so that what
// lies under the old one, against all that was said, is not taken for the new
// object.
type givenUp struct {
	Last   uint64        `json:"last"`   // the highest number in any of them
	Filter sluice.Filter `json:"filter"` // of those whose names have no variant
}

// giveUp ends the plan without an outcome. The lane is locked.
func (l *lane) giveUp() {
	p, next := l.rec.Plan, givenUp{}
	if g := l.rec.GivenUp; g != nil && p.First <= g.Last {
		next = *g
	} else {
		next.Filter = p.Filter
	}
	next.Last = max(next.Last, p.Last)
	l.rec.Plan, l.rec.GivenUp = nil, &next
	l.mark()
}

// variant returns the variant in the name of an object that begins at first. The
// same numbers and variant mean the same events.
func (l *lane) variant(first uint64, f *sluice.Filter) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.rec.GivenUp
	if g == nil || first > g.Last {
		return ""
	}
	if sum := filterSum(f); sum != filterSum(&g.Filter) {
		return hex.EncodeToString(sum[:8])
	}
	return ""
}

// filterSum is the same for filters that say the same in the same order.
func filterSum(f *sluice.Filter) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, list := range [][]string{f.EventTypes, f.ExcludedEventTypes, f.Namespaces} {
		_, _ = fmt.Fprintf(h, "%d;", len(list)) // a hash does not fail
		for _, s := range list {
			_, _ = fmt.Fprintf(h, "%d:%s,", len(s), s)
		}
	}
	h.Sum(sum[:0])
	return sum
}

// keptKey adds to a refusal why a change of the stream does not help.
func keptKey(err *destination.Error, key string) *destination.Error {
	e := *err
	e.Message += fmt.Sprintf("; this object keeps the key %s, because an earlier try may have stored it: let the stream put objects there until it is done", key)
	return &e
}
