package oracle

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluicelog/sluice/bench/server"
)

// watchEvery is how often ledgers are looked at under load.
const watchEvery = 15 * time.Millisecond

// glance compares what can be compared at any moment, without reading events.
func (o *oracle) glance(ctx context.Context) error {
	o.judgeGone()
	list, err := o.look(ctx, o.watched())
	if err != nil {
		return fmt.Errorf("list streams: %w", err)
	}
	for _, s := range o.streams {
		there := slices.ContainsFunc(list, func(v view) bool { return v.ID == s.id })
		if s.alive() && !there && s.to.after > o.books.now() {
			o.findings.add("%s: stream %d is gone after a restart", s.spec.Name, s.id)
		}
	}
	return nil
}

// watched is what does not change of a stream while others may change it.
type watched struct {
	id       int64
	whole    bool
	spec     *spec
	receiver *receiver
}

// watched returns the streams that are there now.
func (o *oracle) watched() []watched {
	var out []watched
	for _, s := range o.streams {
		if s.alive() {
			out = append(out, watched{s.id, s.whole(), &s.spec, s.receiver})
		}
	}
	return out
}

// watch looks at the ledgers until ctx ends: they are to be exact at every moment.
func (o *oracle) watch(ctx context.Context, list []watched) {
	for ctx.Err() == nil {
		_, _ = o.look(ctx, list) // the server may have been killed
		server.Pause(ctx, watchEvery)
	}
}

// look compares the ledgers with what is known before and after.
func (o *oracle) look(ctx context.Context, list []watched) ([]view, error) {
	before := o.books.tallies()
	views, err := o.server.list(ctx)
	if err != nil {
		return nil, err
	}
	after, own := o.books.tallies(), list[0].receiver.ownCount()
	for i := range list {
		w := &list[i]
		for _, v := range views {
			if v.ID == w.id {
				o.plausible(w, &v, before[w.spec.Tenant].acked, after[w.spec.Tenant].issued+own+maxOwnUnderWay)
			}
		}
	}
	return views, nil
}

// plausible compares a ledger with bounds of what was accepted, and with what has
// arrived by now.
func (o *oracle) plausible(w *watched, v *view, least, most int) {
	l := v.Ledger
	o.addUp(w.spec, v)
	if !l.balanced() || l.Expired != 0 {
		o.findings.add("%s: the ledger is wrong in life %d: %v", w.spec.Name, o.life(), l)
		return
	}
	arrived, refused := w.receiver.had()
	if l.Delivered > uint64(arrived) {
		o.findings.add("%s: %d delivered in life %d, but only %d have arrived", w.spec.Name, l.Delivered, o.life(), arrived)
	}
	if l.Quarantined > uint64(refused) {
		o.findings.add("%s: %d quarantined in life %d, but only %d were refused for good", w.spec.Name, l.Quarantined, o.life(), refused)
	}
	if got := int(l.Accepted); w.whole && (got < least || got > most) {
		o.findings.add("%s: %d accepted in life %d, want %d to %d", w.spec.Name, got, o.life(), least, most)
	}
}

// addUp looks whether the accounts of a stream's partitions add up to its own.
func (o *oracle) addUp(sp *spec, v *view) {
	if sum, err := v.parts(); err != nil || sum != v.Ledger {
		o.findings.add("%s: the ledger is not the sum of its partitions in life %d: %v, which make %v (%v)", sp.Name, o.life(), v.Ledger, sum, err)
	}
}

// maxOwnUnderWay is how many of Sluice's own events may be in the log without
// having reached the first receiver.
const maxOwnUnderWay = 200

// judgeGone judges the streams that were deleted a while ago, and forgets what
// they received.
func (o *oracle) judgeGone() {
	var entries []entry
	var own []ownEvent
	for _, s := range o.streams {
		if !s.deleted || s.judged || s.to.before+silence > o.books.now() {
			continue
		}
		if entries == nil {
			entries, own = o.books.list(), o.streams[0].receiver.shelf().own
		}
		if finalLedger(s, own) != nil {
			o.judgeDeleted(s, entries, own)
			s.receiver.retire()
		}
	}
}

// finalLedger returns the ledger that a stream's last event tells, nil when that
// has not come.
func finalLedger(s *stream, own []ownEvent) *ledger {
	for i := range own {
		if own[i].Type == "stream.delete" && own[i].about(s.id) {
			return own[i].Details.Ledger
		}
	}
	return nil
}
