package deliver

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/store"
)

// Redeliver asks for another try of quarantined events and returns how many were
// found. They are tried one by one, when the stream is active, and new events
// between them; those that are refused again stay. A stream that is held since its
// quarantine is full goes on with them: they may make room.
func (d *Deliverer) Redeliver(_ context.Context, id sluice.StreamID, which QuarantineChoice) (int, error) {
	s, err := d.stream(id)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, l := range s.lanes {
		l.mu.Lock()
		for _, seq := range l.chosen(which) {
			if !slices.Contains(l.redeliver, seq) {
				l.redeliver = append(l.redeliver, seq)
			}
			n++
		}
		switch {
		case len(l.redeliver) == 0:
		case l.full() || l.phase == stopped: // it may be done
			d.rouse(l)
		default:
			d.wake(l)
		}
		l.mu.Unlock()
	}
	return n, nil
}

// redelivers reports whether the turn is for an event in quarantine that is to be
// tried again. There may be thousands of these: every other turn is for new events,
// unless the quarantine may not have room for them. While the destination is not
// there all turns are for new events, or for a test event when there are none: those
// in quarantine go on once it is back. The lane is locked.
func (d *Deliverer) redelivers(l *lane) bool {
	full := 2*l.rec.QuarantinedBytes > d.opts.QuarantineBytes || 2*len(l.rec.Quarantined) > maxQuarantined
	l.redoes = len(l.redeliver) > 0 && (l.redoesFirst() || !l.held && l.tries == 0 && (full || !l.redoes))
	return l.redoes
}

// redoesFirst reports whether the events in quarantine that are to be tried again
// are the way on, whatever the trouble: nothing else is left of a lane that is done,
// and one whose quarantine is full needs room. The lane is locked.
func (l *lane) redoesFirst() bool { return l.done() || l.full() }

// full reports whether the lane is held because its quarantine is full. The lane is
// locked.
func (l *lane) full() bool { return l.held && l.failure != nil && l.failure.Class == quarantineFull }

// redeliverStep tries the next quarantined event that somebody asked for. One that
// could not be tried comes again, behind the others.
func (d *Deliverer) redeliverStep(ctx context.Context, l *lane) error {
	l.mu.Lock()
	seq := l.redeliver[0]
	l.again = true
	l.mu.Unlock()
	tried := true
	var err error
	if l.lists(seq) { // it may have been delivered or dropped
		tried, err = d.redeliver(ctx, l, seq)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.redeliver) > 0 && l.redeliver[0] == seq {
		l.redeliver = l.redeliver[1:]
		if !tried {
			l.redeliver = append(l.redeliver, seq)
		}
	}
	if l.done() && len(l.redeliver) == 0 { // nothing is left to be in trouble with
		l.tries, l.held, l.failure = 0, false, nil
		l.untroubled()
	}
	return err
}

// redeliver tries an event in quarantine. It reports whether the event had its try;
// it has not when the destination is not there.
func (d *Deliverer) redeliver(ctx context.Context, l *lane, seq uint64) (tried bool, err error) {
	q, rec, err := d.quarantined(ctx, l, seq)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, errCopyLost) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	dest, err := l.s.acquire()
	if err != nil {
		d.absent(l, &destination.Error{Class: destination.Misconfigured, Message: err.Error()})
		return false, nil
	}
	defer l.s.release()
	res := d.try(ctx, l, dest, &destination.Batch{Stream: int64(l.s.id), Partition: l.p.name, Events: []destination.Event{q.event()}})
	switch {
	case res.Err == nil:
		d.present(l)
		_, err := d.leaveQuarantine(ctx, l, seq, func(r *record) { r.Delivered++ })
		return true, err
	case ctx.Err() != nil:
		return false, nil
	case res.Err.Class == destination.RejectedBatch:
		d.present(l)
		return true, d.refusedAgain(ctx, l, q, rec, reason(&res, 0))
	}
	if d.absent(l, res.Err) {
		return true, d.refusedAgain(ctx, l, q, rec, res.Err.Message)
	}
	return false, nil
}

// maxAbsences is how often a destination may be missing when events in quarantine are
// tried, and be there when others are, until one of these has had its try: it may be
// what breaks the destination.
const maxAbsences = 5

// absent notes that the destination was not there for an event in quarantine: that is
// the lane's trouble, as it is with new events. It reports whether the event may be to
// blame.
func (d *Deliverer) absent(l *lane, e *destination.Error) bool {
	l.p.detach(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.absences++; e.Class == destination.Misconfigured {
		d.hold(l, e)
	} else {
		d.failed(l, e)
	}
	return l.absences >= maxAbsences && !l.done()
}

// present notes that the destination was there for an event in quarantine, which ends
// the trouble of a lane that is done: no new event does.
func (d *Deliverer) present(l *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.absences = 0; l.tries > 0 {
		l.recovered()
	}
}

// refusedAgain notes why an event stays in quarantine; rec is its copy.
func (d *Deliverer) refusedAgain(ctx context.Context, l *lane, q *Quarantined, rec store.Record, why string) error {
	q.Reason, q.At = why, time.Now().UTC()
	value, err := encodeCopy(q)
	if err != nil {
		return err
	}
	errs := d.store.Apply(ctx, store.Change{Key: rec.Key, Value: value, Version: rec.Version})
	if errs == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.rec.QuarantinedBytes += len(value) - len(rec.Value)
		l.mark()
	}
	return applied(errs, store.ErrConflict)
}
