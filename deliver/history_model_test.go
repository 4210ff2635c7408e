package deliver

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
)

// fact is an event that the log has taken.
type fact struct {
	id, namespace, kind string
	seq                 uint64
	accepted            time.Time
	lost                bool // its block cannot be read
}

func (f *fact) number() int {
	n, _ := strconv.Atoi(strings.TrimPrefix(f.id, "e"))
	return n
}

// poison is refused as an event, except in mode "lenient".
func (f *fact) poison() bool { return f.number()%13 == 0 }

// clog fails like a destination that is down, in mode "stuck".
func (f *fact) clog() bool { return f.number()%17 == 0 && !f.poison() }

// fate is what became of an event for a stream.
type fate string

const (
	pends       fate = "" // undecided
	delivered   fate = "delivered"
	filtered    fate = "filtered"
	quarantined fate = "quarantined"
	expired     fate = "expired"
	dropped     fate = "dropped"
)

// entry is an event that a stream has not decided yet.
type entry struct {
	*fact
	// filter is the one that judged the event when its object was planned; nil
	// when the stream's own does.
	filter *sluice.Filter
	plan   uint64 // the last number of the plan that it belongs to; 0 for none
	sure   bool   // known to be delivered although what lies before it is not
	bad    bool   // known to be refused, likewise
	// judged is the filter of that plan: what is given up with it was judged by it.
	judged *sluice.Filter
}

// model is what a stream's ledger has to be, by the plainest means: the events
// that are not decided yet, and a count of each decision.
type model struct {
	scope   string
	filter  sluice.Filter
	paused  bool
	mode    string // of the destination
	secret  int    // that the stream has
	stale   bool   // the destination wants another one
	until   time.Time
	over    bool      // an event came after until
	loose   bool      // events may be tried out of order
	fresh   time.Time // when it had nothing to deliver, the last time
	bucket  *bucket   // nil for a receiver of events
	pending []entry
	want    sluice.Ledger
	gaps    uint64            // of those expired, what gaps have to tell
	asked   map[string]uint64 // to be redelivered, with its number
	fates   map[string]fate
	wanted  map[string]bool // by any filter that was in force while it was pending
}

// view is what the model takes from the engine because no plain rule says it: how
// far events were put together.
type view struct {
	turn bool // is under way
	held bool
	// failing: the last tries failed.
	failing bool
	full    bool // held because the quarantine is
	// overflow: the quarantine was full at some moment since the last look. That holds
	// the stream, and what was refused is pending again.
	overflow    bool
	quarantined map[uint64]bool
	asked       map[uint64]bool // to be redelivered, and not tried yet
	cursor      uint64
	plan        *plan
	beyond      map[uint64]bool // delivered
	// refused alone, and in quarantine once others pass
	suspects map[uint64]bool
	trimmed  uint64 // retention took what is below
	before   uint64 // the same, a step ago
	gaps     []gapTold
}

// took reports whether retention took an event before it was decided. When both
// happened in one step, the gap that was told says which came first. It may reach
// over a damaged block behind what retention took.
func (v *view) took(e *entry, paused bool) bool {
	if e.seq < v.trimmed && (paused || e.seq < v.before) {
		return true
	}
	return (e.seq < v.trimmed || e.lost) && v.told(e)
}

// told reports whether a gap tells of an event.
func (v *view) told(e *entry) bool {
	return slices.ContainsFunc(v.gaps, func(g gapTold) bool { return g.First <= e.seq && e.seq <= g.Last })
}

// holds reports whether the plan that an event belongs to is still there.
func (v *view) holds(e *entry) bool {
	return v.plan != nil && v.plan.End.Seq == e.plan && e.seq >= v.plan.First
}

// take notes an event of the log.
func (m *model) take(f *fact) {
	if !m.until.IsZero() && f.accepted.After(m.until) && !f.lost {
		m.over = true // of a lost event nobody can tell any more that it came too late
	}
	if m.over || !sluice.Within(f.namespace, m.scope) {
		return
	}
	m.pending = append(m.pending, entry{fact: f})
	m.want.Accepted++
	m.want.Pending++
	m.fates[f.id] = pends
}

// look takes over what the engine has begun with.
func (m *model) look(v *view) {
	for i := range m.pending {
		e := &m.pending[i]
		e.plan, e.judged, e.sure, e.bad = 0, nil, v.beyond[e.seq], v.suspects[e.seq]
		if v.plan != nil && e.seq <= v.plan.End.Seq {
			e.plan, e.judged = v.plan.End.Seq, &v.plan.Filter
		}
		if m.wants(e) {
			m.wanted[e.id] = true
		}
	}
}

// refilter changes the filter. What a plan holds that may be in the bucket was
// judged by the one before.
func (m *model) refilter(f sluice.Filter, v *view) {
	for i := range m.pending {
		if e := &m.pending[i]; e.plan != 0 && !v.plan.Free {
			e.filter = &v.plan.Filter
		}
	}
	m.filter = f
}

// forget is a restart: what is known in memory only is gone.
func (m *model) forget() {
	clear(m.asked)
	for i := range m.pending {
		m.pending[i].sure, m.pending[i].bad = false, false
	}
}

// changed is a change of the stream: it tries again what was refused, and makes a
// plan anew of which nothing can lie in the bucket, which takes a turn: while the
// stream is paused, the plan stays.
func (m *model) changed(v *view) {
	for i := range m.pending {
		e := &m.pending[i]
		e.bad = false
		if v.plan != nil && v.plan.Free && !v.turn && !m.paused {
			e.plan = 0
		}
	}
}

func (m *model) wants(e *entry) bool {
	f := &m.filter
	if e.filter != nil {
		f = e.filter
	}
	return wants(f, e)
}

func wants(f *sluice.Filter, e *entry) bool {
	match := f.Matcher()
	return match.Type(e.kind) && match.Namespace(e.namespace)
}

// settle decides what the stream has had time to decide.
func (m *model) settle(v *view, now time.Time) {
	m.answer(v)
	for len(m.pending) > 0 {
		e := &m.pending[0]
		f := m.judge(e, v)
		if f == pends {
			break
		}
		m.decide(e.id, f)
		m.pending = m.pending[1:]
	}
	m.want.Pending = uint64(len(m.pending))
	if len(m.pending) == 0 && m.accepts() {
		m.fresh = now
	}
}

func (m *model) decide(id string, f fate) {
	switch f {
	case delivered:
		m.want.Delivered++
	case filtered:
		m.want.Filtered++
	case quarantined:
		m.want.Quarantined++
	case expired:
		m.want.Expired++
		m.gaps++
	case dropped:
		m.want.Expired++
	}
	m.fates[id] = f
}

// accepts reports whether the destination takes events at all.
func (m *model) accepts() bool {
	return !m.paused && !m.stale && (m.mode == "ok" || m.mode == "lenient" || m.mode == "stuck")
}

func (m *model) judge(e *entry, v *view) fate {
	trimmed := v.took(e, m.paused)
	gone := e.lost || trimmed
	switch {
	case e.plan != 0 && (m.accepts() || v.trimmed > e.plan || v.holds(e)):
		return m.ofPlan(e, v, gone)
	case m.paused && !trimmed:
		return pends
	case e.sure:
		return delivered
	case gone:
		return expired
	case (v.full || m.mode == "stuck" && m.bucket == nil) && e.seq > v.cursor:
		return pends // how far it gets is a matter of batches
	case !m.accepts() && v.trimmed > v.before && e.seq > v.cursor:
		return pends // until the next try
	case !m.wants(e):
		return filtered
	case !m.accepts():
		return pends
	case m.bucket != nil:
		return delivered
	case e.poison() && (m.mode != "lenient" || e.bad && (!v.overflow || v.quarantined[e.seq])):
		return quarantined
	}
	return delivered
}

// ofPlan judges an event of a planned object: all of it ends at once.
func (m *model) ofPlan(e *entry, v *view, gone bool) fate {
	switch {
	case !m.accepts() && v.trimmed <= e.plan:
		return pends
	case !m.accepts() && !wants(e.judged, e), m.accepts() && !m.wants(e):
		return filtered
	case gone && (!m.accepts() || !m.bucket.has(e.id)):
		return expired
	}
	return delivered
}

// answer settles what was to be redelivered and was tried: a stream that is held
// tries it once a probe has passed, whatever holds it again then.
func (m *model) answer(v *view) {
	for id, seq := range m.asked {
		if v.asked[seq] {
			continue
		}
		delete(m.asked, id)
		if m.mode == "lenient" && !m.stale {
			m.leave(id, delivered)
		}
	}
}

// leave takes an event out of quarantine.
func (m *model) leave(id string, f fate) {
	if m.fates[id] == quarantined {
		m.want.Quarantined--
		m.decide(id, f)
	}
}

// inQuarantine returns the numbers of those events in quarantine that are of one
// residue.
func (m *model) inQuarantine(facts []*fact, odd bool) []*fact {
	var out []*fact
	for _, f := range facts {
		if m.fates[f.id] == quarantined && (!odd || f.seq%2 == 1) {
			out = append(out, f)
		}
	}
	return out
}

// has reports whether an event lies in the bucket.
func (b *bucket) has(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held[id]
}
