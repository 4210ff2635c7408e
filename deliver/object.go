package deliver

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/failpoint"
)

// A lane whose destination keeps objects takes no events from the tail. The tail
// tells it how much there is for it (see filling). When that is enough for an
// object, or old enough, the lane reads the log from its cursor into a file of
// its own (see building), and writes a plan into its record. Only when that is
// durable does it try to store the object, and until the object is stored the
// plan does not change: whatever happens in between, the same events are tried
// under the same key. Then cursor, counts and the end of the plan are one change
// of the record. Only a plan that certainly left nothing in the bucket is given up
// for another one, when the stream was changed: see renew.

// plan is an object that is being stored: part of the lane's record.
type plan struct {
	Key     string `json:"key"`
	Encoder int    `json:"encoder"` // version
	First   uint64 `json:"first"`   // the first event in it, right behind the cursor
	Last    uint64 `json:"last"`
	Count   int    `json:"count"`
	End     Start  `json:"end"` // the cursor after it
	// Filter chose the events: the stream's may have changed since.
	Filter sluice.Filter `json:"filter"`
	// Conf is the stream's version that it was made by.
	Conf uint64 `json:"conf,omitempty"`
	// Free says that nothing can lie in the bucket because of it: no try is under
	// way, and each of those before, if there were any, certainly stored nothing.
	// It is taken away, durably, before each try.
	Free bool `json:"free,omitempty"`
}

// objectStep gives a lane of objects a turn. The lane is running; dest is of the
// stream's version, or a later one.
func (d *Deliverer) objectStep(ctx context.Context, l *lane, w *work, dest destination.ObjectStore, version uint64) error {
	if d.spool.folder == "" {
		l.p.detach(l)
		l.conclude(&destination.Error{Class: destination.Misconfigured, Message: "this server has no folder to write objects into"})
		return nil
	}
	l.keepObjects(dest.ObjectLimits())
	p := l.renew(version)
	var err error
	var ok bool
	switch {
	case p == nil:
		ok, err = d.cut(ctx, l, w, dest, version)
	case l.object == nil:
		ok, err = d.restore(ctx, l, dest, p)
	default:
		ok = true
	}
	if ok && err == nil {
		err = d.carry(ctx, l, dest, version)
	}
	if e, is := errors.AsType[*objectError](err); is && ctx.Err() == nil {
		d.opts.Logger.WarnContext(ctx, "object not written", "stream", l.s.id, "partition", l.p.name, "err", e.cause)
		l.conclude(&destination.Error{Class: e.class, Message: e.Error()})
		return nil
	}
	return err
}

// keepObjects makes the lane one of objects. What the tail gave it before that
// was known is read from the log instead.
func (l *lane) keepObjects(limits destination.ObjectLimits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fill != nil {
		l.fill.limits = limits
		return
	}
	l.fill = &filling{limits: limits}
	l.beyond, l.suspects, l.badEnd = nil, nil, 0 // another destination's
	if len(l.queue) > 0 {
		l.drop()
		l.behind, l.rec.Behind = true, true
		l.mark()
	}
}

// keepEvents makes the lane one of events again, when its destination was
// replaced. A plan was about the other destination; its object may lie there, and
// the stream may come back to it.
func (l *lane) keepEvents() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropObject()
	planned := l.rec.Plan != nil
	if planned {
		l.giveUp()
	}
	if l.fill != nil || planned {
		l.fill.stop()
		l.unknown()
		l.fill = nil
		l.mark()
	}
}

// dropObject removes the lane's files. It is called by the running turn, or when
// there is none.
func (l *lane) dropObject() {
	l.shut()
	if l.object != nil {
		l.object.remove()
		l.object = nil
	}
}

// cut begins the next object when it is due. It reports whether there is a plan.
func (d *Deliverer) cut(ctx context.Context, l *lane, w *work, dest destination.ObjectStore, version uint64) (bool, error) {
	l.mu.Lock()
	idle := l.upToDate() || l.fill.known && !l.due(time.Now()) && !l.goesOn()
	if idle {
		if l.open.Load() == nil {
			l.fill.pins.clear(d)
		}
		l.schedule()
	}
	l.setReading(!idle)
	l.mu.Unlock()
	if idle || !d.takePlace(l) {
		return false, nil
	}
	kept := false
	defer func() {
		l.reading(false)
		if !kept {
			d.spool.give(d)
		}
	}()
	b, err := d.build(ctx, l, w, dest)
	switch {
	case err != nil:
		return false, err
	case b.count == 0:
		err := d.nothingToSend(ctx, l, w, dest)
		l.unpin()
		return false, err
	case b.waiting:
		if kept = b.pays() && d.keep(l, b); !kept {
			b.drop()
		}
		return false, nil
	}
	if err := b.finish(); err != nil {
		return false, err
	}
	failpoint.Here(failpoint.ObjectBuilt)
	end := w.end
	if w.atTail {
		end = b.end // what follows stays open to a change of the filter
	}
	l.plan(b, end, version)
	return true, nil
}

// takePlace takes a place to build an object. Without one the lane is woken when
// there is.
func (d *Deliverer) takePlace(l *lane) bool {
	ok, full, other := d.spool.take(d, l)
	if other != nil {
		other.yield()
	}
	if full {
		l.mu.Lock()
		l.setReading(false)
		d.wait(l, time.Second)
		l.mu.Unlock()
	}
	return ok
}

// plan puts the object that was built into the lane's record.
func (l *lane) plan(b *building, end Start, version uint64) {
	name := destination.ObjectName{Log: l.p.d.log.ID().String(), Stream: int64(l.s.id), Partition: l.p.name,
		First: b.first, Last: b.last, Accepted: b.accepted,
		Variant: l.variant(b.first, &b.conf.Filter)}
	p := &plan{Key: b.dest.Key(name), Encoder: b.version, First: b.first, Last: b.last, Count: b.count, End: end, Filter: b.conf.Filter,
		Conf: version, Free: true}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.object, l.rec.Plan = b.object, p
	l.fill.take(b)
	l.setReading(false)
	if !l.fill.known && time.Since(b.accepted) > l.fill.limits.Age+lateAfter {
		l.fallBehind(time.Now()) // it does not keep up
	}
	l.mark()
}

// lateAfter is how much older than its age an object may be before its lane has
// fallen behind.
const lateAfter = time.Minute

// restore builds the object of a plan again, from the same range by the same
// filter. What has gone from the log meanwhile is missing in it.
func (d *Deliverer) restore(ctx context.Context, l *lane, dest destination.ObjectStore, p *plan) (bool, error) {
	if !d.takePlace(l) {
		return false, nil
	}
	defer d.spool.give(d)
	b, err := d.rebuild(ctx, l, dest, p)
	if err != nil {
		return false, err
	}
	if b.count == 0 {
		d.settlePlan(l, 0)
		return false, nil
	}
	if err := b.finish(); err != nil {
		return false, err
	}
	l.object = b.object
	return true, nil
}

// carry stores the planned object, once it is durable that it may be there.
func (d *Deliverer) carry(ctx context.Context, l *lane, dest destination.ObjectStore, version uint64) error {
	l.mu.Lock()
	free := l.free(false)
	l.mu.Unlock()
	if err := d.flush.durable(ctx, l); err != nil {
		if errors.Is(err, errRemoved) {
			return nil
		}
		return err
	}
	l.mu.Lock()
	p := *l.rec.Plan
	l.mu.Unlock()
	failpoint.Here(failpoint.UploadBeginning)
	existed, err := d.upload(ctx, l, dest, p.Key)
	failpoint.Here(failpoint.UploadAnswered)
	switch {
	case err == nil && existed:
		d.settlePlan(l, p.Count) // all of it, whatever could be built again
	case err == nil:
		d.settlePlan(l, l.object.count)
	case ctx.Err() != nil: // stopped in the middle: it is tried again
	default:
		if free && err.NothingStored {
			l.mu.Lock()
			l.free(true)
			l.mu.Unlock()
		} else if p.Conf != version && err.Class == destination.Misconfigured {
			err = keptKey(err, p.Key)
		}
		l.conclude(err)
		l.shut()
		if d.spool.tight() {
			l.dropObject() // it is built again for the next try
		}
	}
	return nil
}

// conclude draws the conclusion from a failure. A refused object is not divided:
// see destination.ObjectStore.
func (l *lane) conclude(err *destination.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(err)
	if err.Class == destination.Unavailable {
		l.p.d.failed(l, err)
		return
	}
	l.p.d.hold(l, err)
}

// upload stores the planned object, and fills the next one meanwhile.
func (d *Deliverer) upload(ctx context.Context, l *lane, dest destination.ObjectStore, key string) (existed bool, err *destination.Error) {
	stored := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(stored)
		existed, err = d.put(ctx, l, dest, l.object.describe(key))
	})
	d.fillAhead(ctx, l, dest, stored)
	wg.Wait()
	return existed, err
}

// put is one call of Put, with its deadline and its mark in the lane's figures. A
// panic costs the stream a try.
func (d *Deliverer) put(ctx context.Context, l *lane, dest destination.ObjectStore, o *destination.Object) (existed bool, err *destination.Error) {
	timeout := dest.Limits().Timeout
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, noAnswer(timeout))
	defer cancel()
	ctx = l.begin(ctx, o.Count)
	o.Content = &readAlong{o.Content, func() { destination.Progressed(ctx) }}
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			d.opts.Logger.Error("destination panicked", "stream", l.s.id, "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = &destination.Error{Class: destination.Unavailable, Message: "internal error: see the server's log"}
		}
		took := time.Since(start)
		d.attempted(l, l.object.attempt(err, start, took))
		l.mu.Lock()
		defer l.mu.Unlock()
		l.trying = nil
		l.slow = took >= slowSend
		l.sends++
	}()
	return dest.Put(ctx, o)
}

// settlePlan ends the plan: n of its events are in the bucket, and the others are
// gone.
func (d *Deliverer) settlePlan(l *lane, n int) {
	o := l.object
	d.settled(l, n)
	if o != nil {
		o.remove()
	}
}

func (d *Deliverer) settled(l *lane, n int) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.object = nil
	l.endPlan(n, d.log.Lost(l.p.name, l.rec.Plan.First, l.rec.Plan.Last))
	if n > 0 {
		l.recovered()
	}
	if !l.fill.known || l.rec.End != nil || l.due(time.Now()) {
		l.again = true
		return
	}
	l.rec.Since, l.rec.Announced = time.Time{}, 0 // what is left is not due
	if l.fill.events > 0 {
		l.again = l.again || l.goesOn()
		if !l.again {
			l.fill.pins.clear(d)
		}
		l.schedule()
		return
	}
	// Nothing was wanted since: the lane stands where the tail does.
	l.fill.pins.clear(d)
	l.moveTo(Start{Seq: l.p.processed, Total: l.p.totals[l.s.scope]})
	l.behind, l.rec.Behind, l.rec.Hole = false, false, nil
	l.p.debts[l] = true
}

// endPlan counts the events of the plan, n of them as delivered and the others as
// expired, and moves the cursor behind it. The lane is locked.
func (l *lane) endPlan(n int, cause string) {
	p := l.rec.Plan
	l.rec.Delivered += uint64(n)
	if lost := uint64(p.Count - n); lost > 0 {
		l.rec.Expired += lost
		l.p.d.opts.Logger.Warn("events expired before delivery", "stream", l.s.id, "partition", l.p.name,
			"first", p.First, "last", p.Last, "events", lost, "cause", cause)
		l.notice("stream.gap", map[string]any{
			"partition": l.p.name, "first_seq": p.First, "last_seq": p.Last, "events": lost, "cause": cause,
		})
	}
	l.rec.Plan = nil
	l.moveTo(p.End)
	if g := l.rec.GivenUp; g != nil && l.rec.Cursor >= g.Last {
		l.rec.GivenUp = nil
	}
	l.mark()
}

// voidPlan gives up a plan whose whole range is below first, the lowest number in
// the log. It reports whether the rest of what is below may expire now. The lane
// is locked and has no turn.
func (l *lane) voidPlan(first uint64) bool {
	p := l.rec.Plan
	if p == nil {
		return true
	}
	if first <= p.End.Seq {
		return false
	}
	l.dropObject()
	l.endPlan(0, l.p.d.log.Lost(l.p.name, p.First, p.Last))
	l.p.d.wake(l) // it may have waited for a place to build it
	return l.rec.Cursor+1 < first
}
