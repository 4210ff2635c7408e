package control

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/notice"
)

const (
	checkEvery = 24 * time.Hour
	// checkSpread is by how much the time between two checks of a stream differs,
	// so that checks of many streams never come together.
	checkSpread = time.Hour
	// A stream in trouble is checked when the trouble has lasted for checkDebounce,
	// and each checkTroubled from then on.
	checkDebounce = 30 * time.Second
	checkTroubled = time.Hour
	// checkLooks is how many looks there are from one turn of the schedule to the
	// next: 10 s.
	checkLooks = 5
	// maxScheduled is the number of scheduled checks under way at once.
	maxScheduled = 8
	// Overdue checks, as after a long stop, are spread over an hour.
	checkTurns = int(time.Hour / (checkLooks * healthPeriod))
	// maxCheckWords bounds what is kept of a stage's message, in bytes.
	maxCheckWords = 512
)

// checkRecord is the outcome of a check.
type checkRecord struct {
	Time    time.Time `json:"time"`
	OK      bool      `json:"ok"`
	Stage   string    `json:"stage,omitempty"` // that failed
	Message string    `json:"message,omitempty"`
	// Since is when the first of the checks failed that have failed in a row, and
	// Noticed says that people were told of them, and not yet that checks pass.
	Since   time.Time `json:"since,omitzero"`
	Noticed bool      `json:"noticed,omitempty"`
}

// follow takes over what the check before says about failures in a row.
func (c *checkRecord) follow(before checkRecord) {
	switch {
	case before.Noticed:
		c.Since, c.Noticed = before.Since, true
	case c.OK:
	case before.OK:
		c.Since = c.Time
	default:
		c.Since = before.Since
	}
}

// schedule starts the checks that are due.
func (w *watch) schedule(ctx context.Context) {
	now := w.s.now()
	list := w.s.streams.list()
	most := max(maxScheduled/2, len(list)/checkTurns)
	for _, st := range list {
		if most == 0 || ctx.Err() != nil {
			return
		}
		if !w.due(st, now) {
			continue
		}
		_, bad := w.troubles[st.id]
		if _, busy := w.checking.LoadOrStore(st.id, true); busy {
			continue
		}
		select {
		case w.slots <- struct{}{}:
		default:
			w.checking.Delete(st.id)
			return // all are busy
		}
		most--
		w.checks.Go(func() {
			w.s.scheduledCheck(ctx, st, !bad)
			w.checking.Delete(st.id)
			<-w.slots
		})
	}
}

// due reports whether a stream is to be checked. One that is paused is not.
func (w *watch) due(st *stream, now time.Time) bool {
	r := st.record()
	if !r.Active || r.Deleting != nil || !r.Until.IsZero() && now.After(r.Until) {
		return false
	}
	last := r.Created.Add(-checkEvery).Add(shift(r.ID, r.Created, checkEvery))
	t, bad := w.troubles[st.id]
	if c := r.fares().Check; c != nil {
		last = c.Time
		if last.After(now) {
			return true // the clock was ahead then
		}
		if (!c.OK || c.Noticed) && !bad && now.Sub(last) >= c.repeat() {
			return true
		}
	}
	if bad && now.Sub(t.Since) >= checkDebounce && (last.Before(t.Since) || now.Sub(last) >= checkTroubled) {
		return true
	}
	// After a restart nothing may be left to deliver that would prove that the
	// stream works again.
	if m, ok := w.marks[st.id]; ok && m.status == sluice.StatusActive && now.Sub(m.since) >= recoveredAfter && now.Sub(last) >= recoveredAfter {
		return true
	}
	return now.Sub(last) >= checkEvery-checkSpread/2+shift(r.ID, last, checkSpread)
}

// repeat is how long after a failed check a stream is checked again whose
// deliveries do not fail: soon, to find out whether it was worth a notice, and
// then as often as a stream in trouble; and after one that passes, of which people
// are still to be told.
func (c *checkRecord) repeat() time.Duration {
	switch {
	case c.OK:
		return recoveredAfter
	case c.Noticed:
		return checkTroubled
	}
	return failingAfter
}

// shift returns a part of span that depends on the stream and the time alone.
func shift(id sluice.StreamID, at time.Time, span time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write(strconv.AppendInt(strconv.AppendInt(nil, int64(id), 10), at.UnixNano(), 36)) // never fails
	return time.Duration(h.Sum64() % uint64(span))
}

// scheduledCheck checks a stream and keeps the outcome. Of a stream that has no
// trouble otherwise, people are told by a notice.
func (s *Service) scheduledCheck(ctx context.Context, st *stream, notify bool) {
	out, err := s.runCheck(ctx, s.checkOf(st.id))
	if ctx.Err() != nil {
		return // cut off
	}
	if err != nil {
		s.logger.ErrorContext(ctx, "destination not opened for a check", "stream", st.id, "err", err)
		message := "the stream cannot be opened: see the server's log"
		if e, ok := errors.AsType[*sluice.Error](err); ok {
			message = e.Message
		}
		out = Check{Stages: []Stage{{Name: "open", Message: message}}}
	}
	s.health.checks.Add(1)
	if !out.OK {
		s.health.failedChecks.Add(1)
	}
	s.keepCheck(ctx, st, out, true, notify)
}

// keepCheck keeps the outcome of a check in the stream's record. A scheduled
// check is told when its outcome is not that of the one before: other checks are
// told by those who ask for them. Who was told by a notice that checks fail is told
// by another that they pass: by the next scheduled one when somebody asked for this.
func (s *Service) keepCheck(ctx context.Context, st *stream, out Check, scheduled, notify bool) {
	waits := s.lagOf(ctx, st.id)
	noticed := false
	_, err := s.amend(ctx, st, func(r *streamRecord) bool {
		h := r.fares()
		stage := out.failed()
		next := checkRecord{Time: s.now().UTC(), OK: out.OK, Stage: stage.Name, Message: cutWords(stage.Message)}
		before := checkRecord{OK: true}
		if h.Check != nil {
			before = *h.Check
		}
		next.follow(before)
		next.Noticed = next.Noticed && (!next.OK || h.State == "") // a notice of the state tells more
		worth := notify && h.State == "" && next.worthNotice()
		if scheduled && (worth || before.OK != next.OK || before.Stage != next.Stage) && r.room() == nil {
			event := s.compose(sluiceItself(), checkAct(r, &out))
			r.add(event)
			if worth {
				next.Noticed, noticed = !next.OK, true
				h.Notices = s.addNotice(h.Notices, r, next.notice(event.ID, r, waits))
			}
		}
		h.Check = &next
		r.Health = &h
		return true
	})
	if err != nil && ctx.Err() == nil {
		s.logger.WarnContext(ctx, "outcome of a check not kept", "stream", st.id, "err", err)
	}
	if noticed {
		s.notices.wake(st.id)
	}
}

func checkAct(r *streamRecord, out *Check) act {
	a := act{
		Type: "stream.check", Namespace: r.Namespace, TargetType: targetStream, TargetID: r.ID, Target: r.title(),
		Message: "A scheduled check fails", Fields: map[string]any{"kind": r.Kind, "scheduled": true},
	}
	if out.OK {
		a.Message = "A scheduled check passes"
	}
	out.describe(a.Fields)
	return a
}

// worthNotice reports whether people are to be told: once when checks have failed
// for as long as deliveries have to, and once when they pass again after that.
func (c *checkRecord) worthNotice() bool {
	if c.OK {
		return c.Noticed
	}
	return !c.Noticed && c.Time.Sub(c.Since) >= failingAfter
}

// notice returns what people are told about checks.
func (c *checkRecord) notice(id string, r *streamRecord, waits lag) notice.Notice {
	n := notice.Notice{
		ID: id, Type: "stream.check_passed", Time: c.Time, Since: c.Since, LagEvents: waits.events, LagSeconds: waits.seconds,
		Stream: notice.Stream{ID: int64(r.ID), Name: r.Name, Namespace: r.Namespace, Kind: r.Kind},
	}
	if !c.OK {
		n.Type, n.Reason = "stream.check_failed", c.Stage+": "+c.Message
		n.Advice = fmt.Sprintf("Nothing is lost, but a delivery would fail now: correct the stream or its destination. \"sluice stream check %d\" shows how far it gets.", r.ID)
	}
	return n
}

func cutWords(s string) string {
	if len(s) <= maxCheckWords {
		return s
	}
	return strings.ToValidUTF8(s[:maxCheckWords], "") + "..."
}
