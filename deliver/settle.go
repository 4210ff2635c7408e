package deliver

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// maxRefusals is the number of single refusals in a row, without an acceptance,
// that mean that the stream is misconfigured rather than its events bad.
const maxRefusals = 20

// settle draws the conclusions from the outcome of a send: what is delivered,
// what is suspected, whether to go on, wait or hold.
func (d *Deliverer) settle(ctx context.Context, l *lane, w *work, dest destination.Destination, res *destination.Result) error {
	if res.Err == nil {
		l.mu.Lock()
		quick := !l.behind
		if quick {
			l.rec.Delivered += uint64(len(w.items))
			l.moveTo(w.end)
			l.mark()
			l.inFlight = false
			l.recovered()
		} else {
			l.deliver(w.events)
		}
		l.alone.passed = l.alone.passed || !quick && w.events[0].Seq != l.alone.seq
		l.mu.Unlock()
		if quick {
			return nil
		}
		return d.accepted(ctx, l, w)
	}
	l.mu.Lock()
	l.count(res.Err)
	l.fallBehind(time.Now())
	some := l.outcomes(w, res)
	l.inFlight = false
	l.pass(w) // what was delivered before counts, whatever became of this send
	l.mu.Unlock()
	if some {
		if err := d.accepted(ctx, l, w); err != nil {
			return err
		}
		l.mu.Lock()
		l.again = false
		full := l.held // quarantine is full: there is nothing to go on with
		l.mu.Unlock()
		if full {
			return nil
		}
	}
	return d.react(ctx, l, w, dest, res)
}

// deliver notes the events as delivered beyond the cursor.
func (l *lane) deliver(events []destination.Event) {
	if l.beyond == nil {
		l.beyond = map[uint64]bool{}
	}
	for i := range events {
		l.beyond[events[i].Seq] = true
	}
}

// outcomes notes the outcome of each event of a send that failed as a whole, and
// reports whether any was accepted.
func (l *lane) outcomes(w *work, res *destination.Result) (some bool) {
	for i, o := range res.Events {
		if i == len(w.events) {
			break
		}
		switch o {
		case destination.Delivered:
			l.deliver(w.events[i : i+1])
			some = true
		case destination.Rejected:
			l.suspect(w.events[i].Seq, reason(res, i))
		}
	}
	return some
}

// keepAccepted notes what was accepted of a send that was cut off by a stop, so
// that the cursor passes what lies at its front. What lies behind is known in
// memory only and is sent again after a start.
func (l *lane) keepAccepted(w *work, res *destination.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(res.Events) != len(w.events) || res.Events[0] != destination.Delivered {
		return
	}
	l.fallBehind(time.Now())
	l.inFlight = false
	for i, o := range res.Events {
		if o == destination.Delivered {
			l.deliver(w.events[i : i+1])
		}
	}
	l.pass(w)
}

func reason(res *destination.Result, i int) string {
	if r := res.Reasons[i]; r != "" {
		return r
	}
	return res.Err.Message
}

// suspect notes that an event was refused alone.
func (l *lane) suspect(seq uint64, why string) {
	if l.suspected(seq) >= 0 {
		return
	}
	l.suspects = append(l.suspects, suspect{seq: seq, reason: why})
	slices.SortFunc(l.suspects, func(a, b suspect) int {
		if a.seq < b.seq {
			return -1
		}
		return 1
	})
	l.refusals++
}

// guilty returns the suspects that nothing unsettled lies in front of. Those
// behind stay suspects: a quarantined event never lies beyond the cursor, so that
// no event can be counted twice. The lane is locked.
func (l *lane) guilty(w *work) []suspect {
	var out []suspect
	for _, it := range w.items {
		if it.seq <= l.rec.Cursor || l.beyond[it.seq] {
			continue
		}
		i := l.suspected(it.seq)
		if i < 0 {
			break
		}
		out = append(out, l.suspects[i])
	}
	return out
}

// pass moves the cursor over what is settled at its front: delivered, or no
// longer suspected because it is in quarantine. The lane is locked.
func (l *lane) pass(w *work) {
	at := Start{Seq: l.rec.Cursor, Total: l.rec.Total}
	all := true
	for _, it := range w.items {
		if it.seq <= l.rec.Cursor {
			continue
		}
		_, quarantined := slices.BinarySearch(l.rec.Quarantined, it.seq)
		switch {
		case l.beyond[it.seq]:
			delete(l.beyond, it.seq)
			l.rec.Delivered++
			l.mark()
		case !quarantined:
			all = false
		}
		if !all {
			break
		}
		at = Start{Seq: it.seq, Total: it.total}
	}
	if all {
		at = w.end
	}
	if at.Seq > l.rec.Cursor {
		l.moveTo(at)
	}
}

// react decides how a lane goes on after a failed send.
func (d *Deliverer) react(ctx context.Context, l *lane, w *work, dest destination.Destination, res *destination.Result) error {
	switch res.Err.Class {
	case destination.RejectedBatch:
		return d.rejected(ctx, l, w, dest, res)
	case destination.Misconfigured:
		l.mu.Lock()
		d.hold(l, res.Err)
		l.mu.Unlock()
		return d.stuck(ctx, l, w, dest)
	}
	l.mu.Lock()
	d.failed(l, res.Err)
	l.mu.Unlock()
	return d.stuck(ctx, l, w, dest)
}

// rejected splits a refused batch, or suspects the event that was refused alone.
func (d *Deliverer) rejected(ctx context.Context, l *lane, w *work, dest destination.Destination, res *destination.Result) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held {
		l.mu.Unlock()
		err := d.proveProbe(ctx, l, w, dest, res)
		l.mu.Lock()
		return err
	}
	if res.Events == nil {
		if n := len(w.events); n > 1 {
			l.badEnd = w.events[n-1].Seq
		} else {
			l.suspect(w.events[0].Seq, res.Err.Message)
			l.badEnd = 0
		}
	}
	if l.refusals >= maxRefusals {
		d.hold(l, &destination.Error{Class: destination.Misconfigured, Status: res.Err.Status,
			Message: "every event is refused: " + res.Err.Message})
		return nil
	}
	l.again = true
	return nil
}

// proveProbe finds out about a probe that was refused as an event may be. When an
// event behind it is accepted, it is to blame itself. Else a test event tells whether
// the destination accepts others; then blame is found as usual. Not every destination
// takes test events, and a single refused event must not hold the others for ever.
// They are tried in their order: what is behind one that would be accepted must not
// come before it.
func (d *Deliverer) proveProbe(ctx context.Context, l *lane, w *work, dest destination.Destination, res *destination.Result) error {
	others, err := d.othersBehind(ctx, l, w)
	if err != nil {
		return err
	}
	for i := range others {
		refusal := d.tryOne(ctx, l, dest, others[i:i+1])
		if refusal == nil {
			l.mu.Lock()
			l.suspect(w.events[0].Seq, reason(res, 0))
			l.mu.Unlock()
			return d.accepted(ctx, l, w)
		}
		if refusal.Class != destination.RejectedBatch {
			break
		}
	}
	return d.prove(ctx, l, w, dest)
}

// failed makes the lane wait before it tries again. The lane is locked.
func (d *Deliverer) failed(l *lane, e *destination.Error) {
	l.tries++
	l.note(e)
	l.fallBehind(time.Now())
	d.wait(l, d.backoff(l.tries, e.RetryAfter))
}

// hold stops the lane until somebody acts or a probe passes. Suspects are pending
// again. The lane is locked.
func (d *Deliverer) hold(l *lane, e *destination.Error) { d.holdAfter(l, 0, e) }

// holdAfter is hold for a lane that was held for the same so many times in a row,
// although probes passed in between.
func (d *Deliverer) holdAfter(l *lane, before int, e *destination.Error) {
	if !l.held {
		l.tries = before
		d.opts.Logger.Warn("stream held", "stream", l.s.id, "partition", l.p.name, "status", e.Status, "reason", e.Message)
	}
	l.held = true
	l.tries++
	l.suspects, l.badEnd, l.refusals = nil, 0, 0
	l.note(e)
	l.fallBehind(time.Now())
	d.wait(l, max(d.probeDelay(l.tries), e.RetryAfter))
}

// note remembers a failure for owners.
func (l *lane) note(e *destination.Error) {
	l.failure = &Failure{Time: time.Now(), Class: e.Class.String(), Status: e.Status, Message: e.Message, Tries: l.tries}
	l.troubled()
}

// count counts a failed send by class.
func (l *lane) count(e *destination.Error) {
	if l.errors == nil {
		l.errors = map[string]uint64{}
	}
	l.errors[e.Class.String()]++
}

const (
	firstRetry = time.Second
	maxRetry   = 5 * time.Minute
	firstProbe = 15 * time.Second
)

// backoff returns how long to wait before the given try: exponential with full
// jitter, at least what the destination asked for.
func (d *Deliverer) backoff(tries int, asked time.Duration) time.Duration {
	most := maxRetry
	if tries < 10 {
		most = min(most, firstRetry<<(tries-1))
	}
	return max(asked, time.Duration(d.random(int64(most)))+10*time.Millisecond)
}

// probeDelay returns how long a held lane waits before its next probe.
func (d *Deliverer) probeDelay(tries int) time.Duration {
	most := maxRetry
	if tries < 6 {
		most = min(most, firstProbe<<(tries-1))
	}
	return most/2 + time.Duration(d.random(int64(most/2)))
}

// stuck looks after an event that keeps failing alone: it tries another one, and
// when others pass for long enough, the event goes to quarantine.
func (d *Deliverer) stuck(ctx context.Context, l *lane, w *work, dest destination.Destination) error {
	l.mu.Lock()
	if len(w.events) != 1 || l.beyond[w.events[0].Seq] || !l.held && l.tries < cautiousTries {
		l.mu.Unlock()
		return nil
	}
	head := w.events[0].Seq
	if l.alone.seq != head {
		l.alone = alone{seq: head, since: time.Now()}
	}
	l.alone.tries++
	failure := *l.failure
	l.mu.Unlock()

	passed, err := d.tryAnother(ctx, l, w, dest)
	if err != nil {
		return err
	}
	conf, _ := l.s.config()
	l.mu.Lock()
	l.alone.passed = passed
	due := passed && !conf.Strict && l.alone.tries >= d.opts.StuckTries && time.Since(l.alone.since) >= d.opts.StuckAfter
	l.mu.Unlock()
	if !due {
		return nil
	}
	l.mu.Lock()
	l.suspects = []suspect{{seq: head, reason: "stuck: others pass, this event keeps failing: " + failure.Message}}
	l.mu.Unlock()
	if err := d.accepted(ctx, l, w); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alone = alone{}
	return nil
}

// maxOthers is the number of events behind the head that take turns.
const maxOthers = 8

// tryAnother sends one event behind the head, or a test event when there is none,
// to learn whether the destination accepts others.
func (d *Deliverer) tryAnother(ctx context.Context, l *lane, w *work, dest destination.Destination) (bool, error) {
	others, err := d.othersBehind(ctx, l, w)
	if err != nil {
		return false, err
	}
	if len(others) > 0 {
		// Another one may be stuck, too: each time it is the next one's turn.
		at := l.alone.tries % len(others)
		return d.tryOne(ctx, l, dest, others[at:at+1]) == nil, nil
	}
	cctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return d.check(cctx, l, dest, func(destination.Stage) {}), nil
}

// othersBehind returns the next few events behind the head that are not delivered
// yet; none when there may be no more beyond the cursor.
func (d *Deliverer) othersBehind(ctx context.Context, l *lane, w *work) ([]destination.Event, error) {
	head := w.events[0]
	l.mu.Lock()
	full := len(l.beyond) >= maxBeyond
	l.mu.Unlock()
	var next work
	if !full {
		if err := d.gather(ctx, l, &next, limits{events: 1 + maxOthers, bytes: len(head.Payload) + cautiousBytes}); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(next.events, func(e destination.Event) bool { return e.Seq == head.Seq }), nil
}

// tryOne sends one event from beyond the cursor. It returns nil when that is accepted.
func (d *Deliverer) tryOne(ctx context.Context, l *lane, dest destination.Destination, one []destination.Event) *destination.Error {
	res := d.try(ctx, l, dest, &destination.Batch{Stream: int64(l.s.id), Partition: l.p.name, Events: one})
	if res.Err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.deliver(one)
	}
	return res.Err
}

var errQuarantineFull = errors.New("quarantine is full")
