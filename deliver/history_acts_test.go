package deliver

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// act does something at random and says what.
func (h *history) act() string {
	id := h.stream()
	m := h.models[id]
	switch n := h.r.IntN(40); {
	case n < 6:
		return h.post()
	case n < 8:
		return h.burst()
	case n < 11:
		m.paused = !m.paused
		h.w.change(id, func(s *Stream) { s.Paused = m.paused })
		return fmt.Sprintf("pause %v: %d", m.paused, id)
	case n < 13:
		m.refilter(h.filter(), h.view(id))
		h.w.change(id, func(s *Stream) { s.Filter = m.filter })
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
	h.send(h.namespace(), h.kind(), 1+h.r.IntN(150))
	h.learn()
	return "post"
}

// burst has several producers post at once.
func (h *history) burst() string {
	var producers sync.WaitGroup
	for i := range 2 + h.r.IntN(5) {
		ids, b := h.w.batch(h.namespace(), h.kind(), 1+h.r.IntN(60))
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
		asked: map[string]bool{}, fates: map[string]fate{}, wanted: map[string]bool{}}
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
		m.bucket = h.w.bucket(id, m.scope, set)
		m.bucket.cutBy(destination.ObjectLimits{Bytes: 1 << 20, Events: h.one(10, 100), Age: time.Minute})
	} else {
		h.w.stream(id, m.scope, set)
	}
	h.w.dests[id].set(func(r *receiver) { r.single, r.prefix, r.limits.Events = outcomes > 0, outcomes == 2, size })
	h.mode(id, "ok")
}

// remove deletes a stream: its last ledger is exact, and nothing of it is left.
func (h *history) remove(id sluice.StreamID) string {
	st, err := h.w.d.Remove(context.Background(), id)
	if m := h.models[id]; err != nil || st.Ledger != m.want {
		h.w.t.Errorf("last ledger of stream %d: got %+v (%v), want %+v", id, st.Ledger, err, m.want)
	}
	h.arrived(id)
	delete(h.w.confs, id)
	h.ids = slices.DeleteFunc(h.ids, func(o sluice.StreamID) bool { return o == id })
	for _, prefix := range []string{lanePrefix, quarantinePrefix, "activity/"} {
		for rec, err := range h.w.store.List(context.Background(), fmt.Sprintf("%s%d/", prefix, id)) {
			h.w.t.Errorf("stream %d was removed, and left %s (%v)", id, rec.Key, err)
		}
	}
	return fmt.Sprintf("remove: %d", id)
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
	h.w.change(id, func(*Stream) {})
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
		} else {
			m.asked[f.id] = true
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
