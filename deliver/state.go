package deliver

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/sluicelog/sluice"
)

// State returns what a stream does at this moment.
func (d *Deliverer) State(_ context.Context, id sluice.StreamID) (State, bool) {
	d.mu.RLock()
	s := d.streams[id]
	d.mu.RUnlock()
	if s == nil {
		return State{}, false
	}
	st := State{}
	for _, l := range s.lanes {
		ls, _ := d.laneState(l)
		st.Lanes = append(st.Lanes, ls)
		st.Ledger.Add(ls.Ledger)
		st.Status = worse(st.Status, ls.Status)
	}
	return st, true
}

// worse returns the status of a stream one of whose lanes has status a, another
// one b: done only when all are.
func worse(a, b sluice.Status) sluice.Status {
	rank := []sluice.Status{"", sluice.StatusDone, sluice.StatusActive, sluice.StatusFailing, sluice.StatusHeld, sluice.StatusPaused}
	if slices.Index(rank, a) > slices.Index(rank, b) {
		return a
	}
	return b
}

func (d *Deliverer) laneState(l *lane) (LaneState, bool) {
	conf, _ := l.s.config()
	l.p.mu.Lock()
	l.mu.Lock()
	st := LaneState{
		Partition: l.p.name, Status: l.status(&conf), Ledger: l.ledger(), Cursor: l.rec.Cursor,
		Behind: l.rec.Behind && !l.rec.Since.IsZero(), BehindSince: l.rec.Since, LastSuccess: l.lastSuccess, NextRetry: l.nextRetry,
		Errors: maps.Clone(l.errors), Sends: l.sends, GapExpected: l.rec.Announced,
		QuarantineUsed: max(float64(l.rec.QuarantinedBytes)/float64(d.opts.QuarantineBytes), float64(len(l.rec.Quarantined))/maxQuarantined),
	}
	if l.rec.End == nil && ended(&conf) && st.Ledger.Pending == 0 {
		st.Status = sluice.StatusDone // no later block has come yet to show where it ends
	}
	if l.upToDate() {
		st.Cursor = max(st.Cursor, l.p.processed)
	}
	if l.failure != nil {
		f := *l.failure
		st.LastError = &f
	}
	if l.phase != waiting {
		st.NextRetry = time.Time{}
	}
	if l.trying != nil {
		t := l.trying.Trying
		st.Trying = &t
	}
	next := st.Cursor + 1
	l.mu.Unlock()
	l.p.mu.Unlock()
	if st.Ledger.Pending > 0 {
		if at, err := d.log.AcceptedAt(context.Background(), l.p.name, next); err == nil {
			st.OldestPending = at
		}
	}
	return st, true
}
