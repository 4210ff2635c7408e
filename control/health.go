package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/deliver"
)

// When a change of a stream's state is told. What comes and goes faster is not
// worth a message.
const (
	healthPeriod = 2 * time.Second // between two looks
	// A stream is failing when its deliveries have failed for so long, or so many
	// times in a row.
	failingAfter = 5 * time.Minute
	failingTries = 10
	// A stream has recovered when it has delivered and no delivery has failed for
	// so long.
	recoveredAfter = time.Minute
	// A hold is told at once, unless the stream recovered less than this before:
	// then it has to last as long.
	heldAgainAfter = 5 * time.Minute
)

// healthRecord is the part of a stream's record about how it fares.
type healthRecord struct {
	// State is what was told last: failing, held, or "" when all is well.
	State   sluice.Status `json:"state,omitempty"`
	Since   time.Time     `json:"since,omitzero"`   // of the first failure, when State is not ""
	Changed time.Time     `json:"changed,omitzero"` // when State was told
	Check   *checkRecord  `json:"check,omitempty"`  // the last one
	// Notices are to be sent; see runNotices.
	Notices []pendingNotice `json:"notices,omitempty"`
}

// healthFigures counts since the start.
type healthFigures struct {
	checks, failedChecks  atomic.Uint64
	notices, noticeErrors atomic.Uint64
	told                  atomic.Uint64
}

// fares returns the health part of a record, empty when there is none yet.
func (r *streamRecord) fares() healthRecord {
	if r.Health == nil {
		return healthRecord{}
	}
	return *r.Health
}

// mark is what the watch knows of a stream that is in trouble, or was told to be.
type mark struct {
	status sluice.Status // failing, held, or active
	since  time.Time     // when the watch first saw that status
}

// watch follows the states of streams. It belongs to one goroutine.
type watch struct {
	s     *Service
	marks map[sluice.StreamID]mark
	// troubles are those of the last look.
	troubles map[sluice.StreamID]deliver.Trouble
	looks    int
	checking sync.Map // ids of streams that are being checked
	slots    chan struct{}
	checks   sync.WaitGroup
}

// runHealth tells changes of states and checks streams until ctx ends.
func (s *Service) runHealth(ctx context.Context) {
	w := &watch{s: s, marks: map[sluice.StreamID]mark{}, slots: make(chan struct{}, maxScheduled)}
	defer w.checks.Wait()
	for _, st := range s.streams.list() {
		if state := st.record().fares().State; state != "" {
			w.marks[st.id] = mark{status: state, since: s.now()}
		}
	}
	every(ctx, healthPeriod, func(ctx context.Context) {
		w.look(ctx)
		if w.looks++; w.looks%checkLooks == 0 {
			w.schedule(ctx)
		}
	})
}

// look compares what streams do with what was told.
func (w *watch) look(ctx context.Context) {
	now := w.s.now()
	w.troubles = map[sluice.StreamID]deliver.Trouble{}
	for _, t := range w.s.cfg.Deliver.Troubles() {
		w.troubles[t.Stream] = t
		if _, ok := w.marks[t.Stream]; !ok {
			w.marks[t.Stream] = mark{status: t.Status, since: now}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(w.marks)) {
		if ctx.Err() != nil {
			return
		}
		w.lookAt(ctx, id, now)
	}
}

func (w *watch) lookAt(ctx context.Context, id sluice.StreamID, now time.Time) {
	st := w.s.streams.get(id)
	if st == nil || st.record().Deleting != nil {
		delete(w.marks, id)
		return
	}
	trouble, bad := w.troubles[id]
	m := w.marks[id]
	status := sluice.StatusActive
	if bad {
		status = trouble.Status
	}
	if m.status != status {
		m = mark{status: status, since: now}
	}
	w.marks[id] = m
	told := st.record().fares()
	if !bad && told.State == "" {
		delete(w.marks, id)
		return
	}
	if next := w.judge(ctx, st, &told, m, &trouble, now); next != told.State {
		if err := w.s.tellState(ctx, st, told.State, next, &trouble); err != nil && ctx.Err() == nil {
			w.s.logger.WarnContext(ctx, "state of a stream not told yet", "stream", id, "err", err)
		}
	}
}

// judge returns the state that is to be told, or the one that was.
func (w *watch) judge(ctx context.Context, st *stream, told *healthRecord, m mark, t *deliver.Trouble, now time.Time) sluice.Status {
	lasted := now.Sub(m.since)
	switch {
	case m.status == told.State:
	case m.status == sluice.StatusHeld:
		if told.State != "" || lasted >= heldAgainAfter || now.Sub(told.Changed) >= heldAgainAfter {
			return sluice.StatusHeld
		}
	case m.status == sluice.StatusFailing && told.State == sluice.StatusHeld:
		if lasted >= failingAfter {
			return sluice.StatusFailing
		}
	case m.status == sluice.StatusFailing:
		if now.Sub(t.Since) >= failingAfter || t.Tries >= failingTries {
			return sluice.StatusFailing
		}
	case lasted >= recoveredAfter && w.delivers(ctx, st, told, m, now):
		return ""
	}
	return told.State
}

// delivers reports whether there is proof that a stream works again: a delivery
// or a check since its trouble was told. A clock that was ahead then and has been set
// back leaves a time to come; what this process has seen counts then.
func (w *watch) delivers(ctx context.Context, st *stream, told *healthRecord, m mark, now time.Time) bool {
	state, ok := w.s.cfg.Deliver.State(ctx, st.id)
	if !ok || state.Status != sluice.StatusActive && state.Status != sluice.StatusDone {
		return false
	}
	checked, delivered := told.Changed, told.Changed
	if told.Changed.After(now) {
		checked, delivered = m.since, time.Time{}
	}
	if state.Status == sluice.StatusDone || told.Check != nil && told.Check.OK && told.Check.Time.After(checked) {
		return true
	}
	for i := range state.Lanes {
		if state.Lanes[i].LastSuccess.After(delivered) {
			return true
		}
	}
	return false
}

// tellState stores that the state of a stream changed, together with the event
// and the notices that tell it: so each change is told once, whenever the process
// ends.
func (s *Service) tellState(ctx context.Context, st *stream, from, to sluice.Status, t *deliver.Trouble) error {
	lag := s.lagOf(ctx, st.id)
	changed, err := s.amend(ctx, st, func(r *streamRecord) bool {
		h := r.fares()
		if h.State != from || r.room() != nil {
			return false
		}
		now := s.now()
		change := stateChange{from: from, to: to, at: now, since: t.Since.UTC(), trouble: *t, lag: lag}
		if to == "" {
			change.since = h.Since
		}
		h.State, h.Changed, h.Since = to, now.UTC(), change.since
		if to == "" {
			h.Since = time.Time{}
		}
		event := s.compose(sluiceItself(), change.act(r))
		r.add(event)
		h.Notices = s.addNotice(h.Notices, r, change.notice(event.ID, r))
		r.Health = &h
		return true
	})
	if changed {
		s.health.told.Add(1)
		s.notices.wake(st.id)
	}
	return err
}

// lag is what waits.
type lag struct {
	events  uint64
	seconds float64
}

func (s *Service) lagOf(ctx context.Context, id sluice.StreamID) lag {
	state, _ := s.cfg.Deliver.State(ctx, id)
	h := healthOf(&state, s.now())
	return lag{h.LagEvents, h.LagSeconds}
}

// stateChange is a change of a stream's state that is to be told.
type stateChange struct {
	from, to  sluice.Status // "" is well
	at, since time.Time
	trouble   deliver.Trouble // none when the stream has recovered
	lag       lag
}

func (c *stateChange) eventType() string {
	if c.to == "" {
		return "stream.recovered"
	}
	return "stream." + string(c.to)
}

func (c *stateChange) act(r *streamRecord) act {
	fields := map[string]any{"kind": r.Kind, "lag_events": c.lag.events, "lag_seconds": c.lag.seconds}
	if !c.since.IsZero() {
		fields["since"] = c.since
	}
	message := map[sluice.Status]string{
		"": "Deliveries pass again", sluice.StatusFailing: "Deliveries fail", sluice.StatusHeld: "Deliveries are held until somebody acts",
	}[c.to]
	if c.to == "" {
		fields["was"] = c.from
	} else {
		fields["class"], fields["reason"], fields["tries"] = c.trouble.Last.Class, c.trouble.Last.Message, c.trouble.Tries
		if c.trouble.Last.Status != 0 {
			fields["status"] = c.trouble.Last.Status
		}
	}
	return act{Type: c.eventType(), Namespace: r.Namespace, TargetType: targetStream, TargetID: r.ID, Target: r.title(), Message: message, Fields: fields}
}

// advice says what to do about a failure.
func advice(class string, id sluice.StreamID) string {
	check := fmt.Sprintf("\"sluice stream check %d\" shows how far it gets", id)
	retry := fmt.Sprintf("\"sluice stream retry %d\" tries it at once", id)
	switch class {
	case "misconfigured":
		return "Correct the stream's configuration or secrets, or the destination; a change of the stream is tried at once. " + retry + ", " + check + "."
	case "rejected":
		return "The destination refuses every event: look at what it says, and correct it or the stream. " + retry + ", " + check + "."
	case "quarantine_full":
		return fmt.Sprintf("Redeliver or drop the quarantined events: \"sluice stream quarantine list %d\" shows them.", id)
	}
	return "Nothing, when the destination is known to be down: it is tried again until it answers. Else look at the destination. " + retry + ", " + check + "."
}
