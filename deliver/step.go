package deliver

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/failpoint"
)

// slowSend is how long a send may take before its lane no longer counts as quick.
const slowSend = time.Second

// step gives a lane one turn: it sends the next batch and settles the outcome.
// The lane is running; w is the sender's.
func (d *Deliverer) step(ctx context.Context, l *lane, w *work) {
	defer w.reset()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.mu.Lock()
	if l.gone {
		d.finish(l)
		l.mu.Unlock()
		return
	}
	l.cancel = cancel
	l.mu.Unlock()

	err := d.turn(ctx, l, w)
	for i := range w.portions {
		w.portions[i].chunk.release(d)
	}

	l.mu.Lock()
	l.cancel = nil
	if l.inFlight {
		// The turn ended before the outcome was known: the events are read again.
		l.inFlight = false
		l.fallBehind(time.Now())
	}
	l.mu.Unlock()
	failed := err != nil && ctx.Err() == nil
	if failed {
		d.opts.Logger.Error("delivery step failed", "stream", l.s.id, "partition", l.p.name, "err", err)
		l.p.detach(l)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if failed {
		d.wait(l, time.Second)
	}
	d.finish(l)
}

// turn is the body of step. An error is trouble of our own: the log or the
// control state could not be read or written.
func (d *Deliverer) turn(ctx context.Context, l *lane, w *work) error {
	l.reconfigure()
	conf, _ := l.s.config()
	l.mu.Lock()
	done, redeliver := l.done(), d.redelivers(l)
	l.mu.Unlock()
	switch {
	case conf.Paused:
		l.p.detach(l)
		l.dropObject()
		return nil
	case redeliver:
		return d.redeliverStep(ctx, l)
	case done:
		return nil
	}

	dest, err := l.s.acquire()
	if err != nil {
		l.p.detach(l)
		l.mu.Lock()
		d.hold(l, &destination.Error{Class: destination.Misconfigured, Message: err.Error()})
		l.mu.Unlock()
		return nil
	}
	defer l.s.release()
	if store, ok := dest.(destination.ObjectStore); ok {
		return d.objectStep(ctx, l, w, store, conf.Version)
	}
	l.keepEvents()
	lim, slowly := d.batchLimits(l, dest.Limits())
	if err := d.prepare(ctx, l, w, lim); err != nil {
		return err
	}
	if slowly {
		defer d.charge(w)()
	}
	if len(w.events) == 0 {
		return d.nothingToSend(ctx, l, w, dest)
	}
	return d.send(ctx, l, w, dest)
}

// reconfigure takes up a change of the stream: what was examined beyond the
// cursor is examined again, and a hold is lifted, since somebody acted.
func (l *lane) reconfigure() {
	l.mu.Lock()
	changed := l.changed
	l.changed = false
	l.mu.Unlock()
	if !changed {
		return
	}
	l.p.detach(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.probing, l.tries, l.refusals, l.fulls, l.alone = false, false, 0, 0, 0, alone{}
	l.suspects, l.badEnd = nil, 0
	if conf, _ := l.s.config(); !conf.Paused {
		l.failure = nil // of the stream as it was
	}
	l.untroubled()
}

// Limits of a batch of a lane whose last tries failed: it may have to wait long
// for an answer, and must not hold much meanwhile.
const (
	cautiousBytes = 32 << 10
	cautiousTries = 5 // from then on events are tried one by one
)

// batchLimits bounds the lane's next batch, and reports whether the lane is behind
// or slow: its sends share memory of their own.
func (d *Deliverer) batchLimits(l *lane, most destination.Limits) (lim limits, slowly bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lim = limits{events: most.Events, bytes: most.Bytes}
	if slowly = l.behind || l.slow; slowly {
		lim.bytes = d.share(lim.bytes)
	}
	switch {
	case l.held || l.tries >= cautiousTries:
		lim.events = 1
	case l.tries > 0:
		lim.bytes = min(lim.bytes, cautiousBytes)
	}
	return lim, slowly
}

// prepare fills w from the queue or from the log.
func (d *Deliverer) prepare(ctx context.Context, l *lane, w *work, lim limits) error {
	l.mu.Lock()
	if !l.behind {
		err := l.take(w, lim)
		l.inFlight = len(w.items) > 0
		l.mu.Unlock()
		return err
	}
	l.mu.Unlock()
	if err := d.catchUp.wait(ctx, d); err != nil {
		return err
	}
	if err := d.gather(ctx, l, w, lim); err != nil {
		return err
	}
	d.catchUp.used(w)
	l.mu.Lock()
	l.halve(w)
	l.mu.Unlock()
	return nil
}

// nothingToSend ends a step that found no event to send.
func (d *Deliverer) nothingToSend(ctx context.Context, l *lane, w *work, dest destination.Destination) error {
	l.mu.Lock()
	open := len(l.suspects) > 0 || l.tries > 0 || l.held
	behind, more := l.behind, w.more
	l.mu.Unlock()
	switch {
	case !behind:
		return nil
	case !open && len(w.items) > 0:
		// All that is in sight was delivered before what stood in front of it
		// went away, by a change of the filter for example.
		l.mu.Lock()
		defer l.mu.Unlock()
		l.pass(w)
		l.again = true
		return nil
	case open && (!more || len(w.items) > 0):
		return d.prove(ctx, l, w, dest)
	case more:
		d.again(l)
		return nil
	case w.atTail && !l.p.attach(l):
		d.again(l)
	}
	return nil
}

// again makes the lane ready once more after this step.
func (d *Deliverer) again(l *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.again = true
}

// send sends w's events and settles the outcome.
func (d *Deliverer) send(ctx context.Context, l *lane, w *work, dest destination.Destination) error {
	batch := destination.Batch{Stream: int64(l.s.id), Partition: l.p.name, Events: w.events}
	res := d.trySlowly(ctx, l, w, dest, &batch)
	if ctx.Err() != nil && res.Err != nil {
		l.keepAccepted(w, &res) // stopped in the middle: the others are sent again
		return nil
	}
	return d.settle(ctx, l, w, dest, &res)
}

// trySlowly is try for events that may come from the tail. Once the turn is a slow
// one, they no longer count against the memory that the tail waits for: hanging
// destinations would stop it for all. The number of slow sends bounds them.
func (d *Deliverer) trySlowly(ctx context.Context, l *lane, w *work, dest destination.Destination, b *destination.Batch) destination.Result {
	w.lend(d)
	defer w.sent(d)
	return d.try(ctx, l, dest, b)
}

// try is one call of Send, with its deadline and its mark in the lane's figures.
func (d *Deliverer) try(ctx context.Context, l *lane, dest destination.Destination, b *destination.Batch) destination.Result {
	timeout := dest.Limits().Timeout
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, noAnswer(timeout))
	defer cancel()
	ctx = l.begin(ctx, len(b.Events))
	start := time.Now()
	failpoint.Here(failpoint.SendBeginning)
	res := d.call(ctx, l, dest, b)
	failpoint.Here(failpoint.SendAnswered)
	took := time.Since(start)
	d.attempted(l, attempt(b, &res, start, took))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trying = nil
	l.slow = took >= slowSend
	l.sends++
	if res.Err == nil {
		l.lastSuccess = time.Now()
	}
	return res
}

// noAnswer says that a destination took longer than it may.
type noAnswer time.Duration

func (n noAnswer) Error() string { return "no answer within " + time.Duration(n).String() }

// Is makes it an end of a deadline: net/http returns the cause for which a context
// ended.
func (noAnswer) Is(target error) bool { return target == context.DeadlineExceeded }

// call is Send. A panic is a mistake in one kind of destination: it costs the
// stream a try, and no other stream anything.
func (d *Deliverer) call(ctx context.Context, l *lane, dest destination.Destination, b *destination.Batch) (res destination.Result) {
	defer func() {
		if p := recover(); p != nil {
			d.panicked(l, p)
			res = destination.Result{Err: &destination.Error{Class: destination.Unavailable, Message: panicMessage}}
		}
	}()
	return dest.Send(ctx, b)
}

// check is Check, with panics as call has them.
func (d *Deliverer) check(ctx context.Context, l *lane, dest destination.Destination, stage func(destination.Stage)) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			d.panicked(l, p)
			stage(destination.Stage{Name: "accept", Message: panicMessage})
			ok = false
		}
	}()
	return dest.Check(ctx, stage)
}

const panicMessage = "internal error: see the server's log"

func (d *Deliverer) panicked(l *lane, p any) {
	d.opts.Logger.Error("destination panicked", "stream", l.s.id, "panic", panicWords(p), "stack", string(debug.Stack()))
}

// prove settles suspects when there is no event left whose acceptance would
// prove that the destination accepts at all: a marked test event serves.
func (d *Deliverer) prove(ctx context.Context, l *lane, w *work, dest destination.Destination) error {
	cctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	words := "the destination was not reached"
	ok := d.check(cctx, l, dest, func(s destination.Stage) {
		if !s.OK {
			words = s.Message
		}
	})
	if ctx.Err() != nil {
		return nil
	}
	if ok {
		return d.accepted(ctx, l, w)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held || len(l.suspects) > 0 {
		d.hold(l, &destination.Error{Class: destination.Misconfigured, Message: "a test event was not accepted either: " + words})
		return nil
	}
	d.failed(l, &destination.Error{Class: destination.Unavailable, Message: words})
	return nil
}

const checkTimeout = 30 * time.Second

// accepted notes that the destination accepts: suspects are to blame, holds end.
func (d *Deliverer) accepted(ctx context.Context, l *lane, w *work) error {
	l.mu.Lock()
	l.recovered()
	l.delay = 0 // whatever the turn met before, there is nothing to wait for
	guilty := l.guilty(w)
	l.mu.Unlock()
	if len(guilty) > 0 {
		if err := d.quarantine(ctx, l, w, guilty); err != nil {
			if errors.Is(err, errQuarantineFull) {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.pass(w) // what lies before the first of them
				return nil
			}
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pass(w)
	l.again = true
	return nil
}

// recovered ends a row of failures.
func (l *lane) recovered() {
	l.tries, l.refusals, l.held, l.probing = 0, 0, false, false
	l.failure, l.nextRetry = nil, time.Time{}
	l.lastSuccess = time.Now()
	l.untroubled()
}
