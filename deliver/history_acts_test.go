package deliver

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/store"
)

// act does something at random and says what.
func (h *history) act() string {
	id := h.stream()
	m := h.models[id]
	switch n := h.r.IntN(46); {
	case n < 6:
		return h.post()
	case n < 8:
		return h.burst()
	case n < 11:
		return h.pause(id)
	case n < 13:
		h.rest(id)
		m.refilter(h.filter(), h.view(id))
		h.change(id, func(s *Stream) { s.Filter = m.filter })
		return fmt.Sprintf("filter: %d", id)
	case n < 17:
		mode := h.pick("ok", "lenient", "ok", "down", "refusing", "denied", "stuck")
		if mode == "stuck" && h.retains {
			mode = "down" // which of what it got counts when the rest goes is a matter of batches
		}
		h.mode(id, mode)
		return fmt.Sprintf("mode %s: %d", m.mode, id)
	case n < 19 && len(h.ids) < 6:
		return h.add()
	case n < 20 && len(h.ids) > 1:
		return h.remove(id)
	case n == 40:
		return h.removeBusy(id)
	case n < 44 && n > 40:
		return h.secret(id)
	case n >= 44:
		return h.kill(h.keeper(id))
	case n < 22:
		return h.interrupt()
	case n < 24:
		return h.rotate(id)
	case n < 27:
		return h.leave(id)
	case n < 29:
		hours := 1 + h.r.IntN(5)
		time.Sleep(time.Duration(hours) * time.Hour)
		return "wait"
	}
	return h.fault(id)
}

// keeper returns a stream to a bucket, if there is one.
func (h *history) keeper(id sluice.StreamID) sluice.StreamID {
	i := slices.IndexFunc(h.ids, func(id sluice.StreamID) bool { return h.models[id].bucket != nil })
	if h.models[id].bucket != nil || i < 0 {
		return id
	}
	return h.ids[i]
}

// pause pauses a stream, or lets one that is paused go on.
func (h *history) pause(id sluice.StreamID) string {
	resume := h.r.IntN(3) > 0
	for _, o := range h.ids {
		if resume && h.models[o].paused {
			id = o
		}
	}
	m := h.models[id]
	m.paused = !m.paused
	h.change(id, func(s *Stream) { s.Paused = m.paused })
	return fmt.Sprintf("pause %v: %d", m.paused, id)
}

// change changes a stream.
func (h *history) change(id sluice.StreamID, f func(*Stream)) {
	h.models[id].changed(h.view(id))
	h.w.change(id, f)
}

// rest waits while a stream has a turn: whether a plan is free to be made anew is
// known after it.
func (h *history) rest(id sluice.StreamID) {
	for h.view(id).turn {
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
	}
}

// send appends events, and notes those that are acknowledged.
func (h *history) send(namespace, kind string, n int) {
	ids, b := h.w.batch(namespace, kind, n)
	if err := h.w.append(b); err != nil {
		h.w.t.Errorf("append: %v", err)
	}
	h.acked = append(h.acked, ids...)
}

func (h *history) namespace() string {
	return h.pick("acme", "acme/web", "acme/web/shop", "acme/website", "beta", "beta/x")
}

func (h *history) kind() string { return h.pick("a", "b", "c") }

func (h *history) post() string {
	h.send(h.namespace(), h.kind(), 1+h.r.IntN(40))
	h.learn()
	return "post"
}

// burst has several producers post at once.
func (h *history) burst() string {
	var producers sync.WaitGroup
	for i := range 2 + h.r.IntN(5) {
		ids, b := h.w.batch(h.namespace(), h.kind(), 1+h.r.IntN(20))
		h.acked = append(h.acked, ids...)
		producers.Go(func() {
			time.Sleep(time.Duration(i) * 700 * time.Microsecond)
			if err := h.w.append(b); err != nil {
				h.w.t.Errorf("append: %v", err)
			}
		})
	}
	producers.Wait()
	h.learn()
	return "post much"
}

func (h *history) filter() sluice.Filter {
	switch h.r.IntN(4) {
	case 0:
		return sluice.Filter{EventTypes: []string{"a"}}
	case 1:
		return sluice.Filter{ExcludedEventTypes: []string{"b"}}
	case 2:
		return sluice.Filter{Namespaces: []string{"acme/web", "beta"}}
	}
	return sluice.Filter{}
}

// add makes a stream of any kind that starts anywhere and ends anywhere.
func (h *history) add() string {
	h.last++
	id := h.last
	m := &model{scope: h.pick("acme", "beta", ""), filter: h.filter(), fresh: time.Now(), loose: h.small,
		asked: map[string]uint64{}, fates: map[string]fate{}, wanted: map[string]bool{}}
	first := h.w.log.Last("audit") + 1
	from := h.pick("now", "now", "earliest", "time")
	if slices.ContainsFunc(h.blocks, func(b span) bool { return b.lost }) {
		from = "now" // which lost events lie before another start cannot always be told
	}
	if now := h.w.now(); h.r.IntN(4) == 0 {
		m.until = now.Add(h.within(4*3600) + 37*time.Millisecond)
	}
	switch ago := h.within(3 * 3600); from {
	case "earliest":
		first = h.w.log.First("audit")
	case "time":
		since, err := h.w.log.Since(context.Background(), "audit", h.w.now().Add(-ago))
		if err != nil {
			h.w.t.Fatal(err)
		}
		first = max(h.w.log.First("audit"), since)
		if !m.until.IsZero() {
			m.until = h.w.now().Add(37*time.Millisecond - ago/2)
		}
	}
	total, err := h.w.log.Before(context.Background(), "audit", m.scope, first)
	if err != nil {
		h.w.t.Fatal(err)
	}
	for _, f := range h.facts {
		if f.seq >= first {
			m.take(f)
		}
	}
	h.models[id], h.ids = m, append(h.ids, id)
	h.open(id, m, func(s *Stream) {
		s.Filter, s.Until, s.Start = m.filter, m.until, map[string]Start{"audit": {Seq: first - 1, Total: total}}
	})
	return fmt.Sprintf("add from %s: %d", from, id)
}

// open makes the destination: requests judged as a whole, event by event, up to
// the first that fails; or objects.
func (h *history) open(id sluice.StreamID, m *model, set func(*Stream)) {
	objects, size := h.r.IntN(3) == 0, h.one(1, 7, 100)
	outcomes := h.r.IntN(3)
	if objects {
		m.bucket = h.w.emptyBucket()
		m.bucket.limits = destination.ObjectLimits{Bytes: 1 << 20, Events: h.one(10, 100), Age: time.Minute}
	}
	h.w.stream(id, m.scope, set, func(s *Stream) {
		if objects {
			m.bucket.receiver = h.w.dests[id]
		}
		s.Open = h.opener(id)
		// Before the stream begins, which may be at once.
		h.w.dests[id].set(func(r *receiver) { r.single, r.prefix, r.limits.Events = outcomes > 0, outcomes == 2, size })
		h.mode(id, "ok")
	})
}

// opener opens the stream's destination with the secret that it has now.
func (h *history) opener(id sluice.StreamID) func() (destination.Destination, error) {
	r, m := h.w.dests[id], h.models[id]
	b, secret := m.bucket, m.secret
	return func() (destination.Destination, error) {
		k := &keyed{receiver: r, secret: secret}
		r.set(func(r *receiver) { r.opened++ })
		if b != nil {
			return &keyedBucket{bucket: b, key: k}, nil
		}
		return k, nil
	}
}

// remove deletes a stream: its last ledger is exact, and nothing of it is left.
func (h *history) remove(id sluice.StreamID) string {
	kept := h.w.store.Snapshot()
	st, err := h.w.d.Remove(context.Background(), id)
	if m := h.models[id]; err != nil || st.Ledger != m.want {
		h.w.t.Errorf("last ledger of stream %d: got %+v (%v), want %+v", id, st.Ledger, err, m.want)
	}
	return h.removed(id, "remove", kept)
}

// removeBusy deletes a stream in the middle of what it does. How far it got is a
// matter of time, yet what it counts as delivered has arrived.
func (h *history) removeBusy(id sluice.StreamID) string {
	if len(h.ids) < 2 {
		return h.post()
	}
	m, r := h.models[id], h.conf(id)
	r.set(func(r *receiver) { r.delay = time.Duration(h.r.IntN(1500)) * time.Millisecond })
	h.post()
	time.Sleep(time.Duration(h.r.IntN(2000)) * time.Millisecond)
	m.look(h.view(id))
	kept := h.w.store.Snapshot()
	st, err := h.w.d.Remove(context.Background(), id)
	r.set(func(r *receiver) { r.delay = 0 })
	l := st.Ledger
	if err != nil || l.Accepted != m.want.Accepted || l.Delivered < m.want.Delivered || l.Delivered > uint64(len(r.different())) {
		h.w.t.Errorf("last ledger of stream %d: got %+v (%v), want %+v or later, %d arrived", id, l, err, m.want, len(r.different()))
	}
	h.w.sane(id, l)
	return h.removed(id, "remove busy", kept)
}

// removed looks at what a removal leaves. The process may have died in the middle
// of it: then it is repeated after the start.
func (h *history) removed(id sluice.StreamID, how string, kept *store.Memory) string {
	h.arrived(id)
	if h.r.IntN(3) == 0 {
		how += " and die"
		h.w.stop()
		h.w.use(kept)
		conf := h.w.confs[id]
		conf.Paused = true
		h.w.confs[id] = conf
		for _, id := range h.ids {
			h.models[id].forget()
		}
		h.w.start()
		st, err := h.w.d.Remove(context.Background(), id)
		if err != nil || st.Ledger.Accepted != h.models[id].want.Accepted {
			h.w.t.Errorf("last ledger of stream %d: got %+v (%v), want %d accepted", id, st.Ledger, err, h.models[id].want.Accepted)
		}
	}
	delete(h.w.confs, id)
	h.ids = slices.DeleteFunc(h.ids, func(o sluice.StreamID) bool { return o == id })
	for _, prefix := range []string{lanePrefix, quarantinePrefix, "activity/"} {
		for rec, err := range h.w.store.List(context.Background(), fmt.Sprintf("%s%d/", prefix, id)) {
			h.w.t.Errorf("stream %d was removed, and left %s (%v)", id, rec.Key, err)
		}
	}
	return fmt.Sprintf("%s: %d", how, id)
}

// secret has the destination want another secret while a batch of the stream is
// under way, which is told the stream soon, or in a later act.
func (h *history) secret(id sluice.StreamID) string {
	m, r := h.models[id], h.conf(id)
	switch {
	case m.stale:
	case h.r.IntN(3) == 0:
		r.set(func(r *receiver) { r.secret++ })
		m.stale = true
		h.post()
		return fmt.Sprintf("secret stale: %d", id)
	default:
		r.set(func(r *receiver) { r.delay = time.Second })
		h.post()
		time.Sleep(time.Duration(h.r.IntN(2000)) * time.Millisecond)
		r.set(func(r *receiver) { r.delay, r.secret = 0, r.secret+1 })
		time.Sleep(h.within(30))
	}
	h.renew(id)
	return fmt.Sprintf("secret new: %d", id)
}

// renew tells the stream the secret that is wanted.
func (h *history) renew(id sluice.StreamID) {
	m := h.models[id]
	m.stale = false
	h.conf(id).set(func(r *receiver) { m.secret = r.secret })
	h.change(id, func(s *Stream) { s.Open = h.opener(id) })
}

func (h *history) mode(id sluice.StreamID, mode string) {
	m := h.models[id]
	m.mode = mode
	m.loose = m.loose || mode == "stuck"
	h.w.dests[id].set(func(r *receiver) {
		r.check = mode == "ok" || mode == "stuck"
		r.refuse = func(events []destination.Event) *destination.Error { return answers(mode, events) }
	})
}

// answers is what a destination in a mode says to events; a bucket asks with none.
func answers(mode string, events []destination.Event) *destination.Error {
	switch mode {
	case "lenient":
		return nil
	case "down":
		return unavailable(nil)
	case "refusing":
		return rejectAll(nil)
	case "denied":
		return &destination.Error{Class: destination.Misconfigured, Status: 403, Message: "not allowed", NothingStored: true}
	}
	for i := range events {
		f := fact{id: string(events[i].ID)}
		switch {
		case f.poison():
			return &destination.Error{Class: destination.RejectedBatch, Status: 422, Message: "poison"}
		case mode == "stuck" && f.clog():
			return unavailable(nil)
		}
	}
	return nil
}

// rotate changes the stream while a batch of it is under way.
func (h *history) rotate(id sluice.StreamID) string {
	wait := h.within(3)
	h.conf(id).set(func(r *receiver) { r.delay = time.Second })
	h.post()
	time.Sleep(wait)
	h.change(id, func(*Stream) {})
	h.conf(id).set(func(r *receiver) { r.delay = 0 })
	return fmt.Sprintf("rotate: %d", id)
}

// leave drops or redelivers events in quarantine, all or some.
func (h *history) leave(id sluice.StreamID) string {
	m, odd, drop := h.models[id], h.r.IntN(2) == 0, h.r.IntN(2) == 0
	chosen := m.inQuarantine(h.facts, odd)
	var items []QuarantineKey
	for _, f := range chosen {
		items = append(items, QuarantineKey{Partition: "audit", Seq: f.seq})
	}
	switch {
	case odd && len(items) == 0:
		return h.post()
	case !odd:
		items = nil
	}
	act, verb := h.w.d.Redeliver, "redeliver"
	if drop {
		act, verb = h.w.d.Drop, "drop"
	}
	n, err := act(context.Background(), id, QuarantineChoice{Events: items})
	if err != nil || n != len(chosen) {
		h.w.t.Errorf("%s of stream %d: got %d, %v, want %d", verb, id, n, err, len(chosen))
	}
	for _, f := range chosen {
		if drop {
			m.leave(f.id, dropped)
			delete(m.asked, f.id)
		} else {
			m.asked[f.id] = f.seq
		}
	}
	return fmt.Sprintf("%s: %d", verb, id)
}

// interrupt ends the process in one way or another, and starts it again.
func (h *history) interrupt() string {
	for _, id := range h.ids {
		h.models[id].forget()
	}
	switch h.r.IntN(4) {
	case 0:
		h.w.stop()
		h.w.start()
		return "restart"
	case 1:
		h.w.crash()
		return "crash"
	case 2: // nothing is durable from some change of the lane records on
		h.w.writes.Store(int64(1 + h.r.IntN(6)))
		time.Sleep(time.Duration(h.r.IntN(2000)) * time.Millisecond)
		h.die()
		return "die"
	}
	time.Sleep(time.Duration(h.r.IntN(300)) * time.Millisecond)
	h.w.crash()
	return "crash later"
}

// die ends a process whose records are no longer written.
func (h *history) die() {
	kept := h.w.store.Snapshot()
	h.w.stop()
	h.w.full.Store(false)
	h.w.writes.Store(0)
	h.w.use(kept)
	h.w.start()
}

// crash ends the process without a last write.
func (w *world) crash() {
	kept := w.store.Snapshot()
	w.stop()
	w.use(kept)
	w.start()
}
