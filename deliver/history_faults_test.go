package deliver

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
)

// diskFault is how the log's disk behaves.
type diskFault struct {
	delay time.Duration
	fails atomic.Int64 // 1: the next block is not stored, 2: it is, and nobody is told
}

func (f *diskFault) before(string, []byte) error {
	if f.delay > 0 {
		time.Sleep(f.delay) // simulated
	}
	return f.due(1)
}

func (f *diskFault) after(string, []byte) error { return f.due(2) }

func (f *diskFault) due(kind int64) error {
	if f.fails.CompareAndSwap(kind, 0) {
		return errors.New("the disk failed")
	}
	return nil
}

// fault breaks something at random and says what.
func (h *history) fault(id sluice.StreamID) string {
	switch h.r.IntN(13) {
	case 0, 1:
		n := 1 + h.r.IntN(4)
		h.conf(id).set(func(r *receiver) { r.glitches = n })
		h.post()
		return fmt.Sprintf("glitches: %d", id)
	case 2:
		h.w.full.Store(true)
		h.post()
		time.Sleep(h.within(180))
		h.w.full.Store(false)
		return "full store"
	case 3:
		return h.muffle()
	case 4, 5:
		return h.damage()
	case 6:
		return h.logFails()
	case 7:
		h.w.ahead.Store(int64(time.Duration(h.r.IntN(52)-26) * time.Hour))
		h.post()
		return "clock"
	case 8:
		return h.late(id)
	case 9, 10:
		return h.storeFails()
	case 11:
		return h.hang(id)
	}
	return h.kill(id)
}

// muffle loses notices, or the answers to them.
func (h *history) muffle() string {
	n, how := int64(1+h.r.IntN(3)), h.pick("mute", "echo")
	if how == "mute" {
		h.w.mute.Store(n)
	} else {
		h.w.echo.Store(n)
	}
	h.post()
	return how
}

// storeFails has a change of a record fail, carried out or not. A record of which
// that is not known ends the process, and it is started again.
func (h *history) storeFails() string {
	kind := int64(1 + h.r.IntN(2))
	h.w.failed.Store(true)
	h.w.broken.arm(kind, int64(1+h.r.IntN(8)))
	h.post()
	time.Sleep(time.Duration(h.r.IntN(3000)) * time.Millisecond)
	what := "store fails"
	if kind == 2 {
		what = "store lies"
	}
	h.w.broken.arm(0, 0)
	synctest.Wait()
	if h.w.died.Load() {
		what += " and ends the process"
		h.w.stop()
		for _, id := range h.ids {
			h.models[id].forget()
		}
		h.w.failed.Store(false)
		h.w.start()
	}
	h.w.failed.Store(false)
	return what
}

// hang has requests take longer than the Deliverer waits. The destination carries
// them out all the same, some time later.
func (h *history) hang(id sluice.StreamID) string {
	late := h.within(60)
	h.conf(id).set(func(r *receiver) { r.delay, r.late = time.Minute, late })
	h.post()
	time.Sleep(h.within(90))
	h.conf(id).set(func(r *receiver) { r.delay, r.late = 0, 0 })
	return fmt.Sprintf("hang: %d", id)
}

// damage makes a block of the log unreadable while the process is down. Blocks
// after it tell how many events were in it.
func (h *history) damage() string {
	if h.retains {
		return h.post() // what took an event that was lost cannot be told from outside
	}
	how, at := h.pick("lose", "corrupt"), h.r.Float64()
	h.send("acme", "a", 1)
	h.send("beta", "b", 1)
	h.learn()
	var whole []*span
	for i := range h.blocks[:len(h.blocks)-2] {
		if b := &h.blocks[i]; !b.lost && b.first >= h.w.log.First("audit") && b.last >= h.pendingFrom() {
			whole = append(whole, b)
		}
	}
	if len(whole) == 0 {
		return "post two"
	}
	b := whole[int(at*float64(len(whole)))]
	h.w.stop()
	if how == "lose" || !h.w.engine.Corrupt("audit", b.first, 300) {
		h.w.engine.Lose("audit", b.first)
	}
	b.lost = true
	for _, f := range h.facts {
		f.lost = f.lost || f.seq >= b.first && f.seq <= b.last
	}
	for _, id := range h.ids {
		h.models[id].forget()
	}
	h.w.start()
	return "damage"
}

// pendingFrom returns the first number that a stream has not settled.
func (h *history) pendingFrom() uint64 {
	first := h.next
	for _, id := range h.ids {
		if p := h.models[id].pending; len(p) > 0 {
			first = min(first, p[0].seq)
		}
	}
	return first
}

// logFails has the log's disk fail or be full below a request, which is made again
// after a start.
func (h *history) logFails() string {
	kind := int64(h.r.IntN(3))
	ids, b := h.w.batch(h.namespace(), h.kind(), 1+h.r.IntN(40))
	what, want := "log full", eventlog.ErrFull
	if kind == 0 {
		h.w.engine.SetCapacity(1)
	} else {
		what, want = "log fails", eventlog.ErrFailed
		h.disk.fails.Store(kind)
		h.w.failed.Store(true)
	}
	if err := h.w.append(b); !errors.Is(err, want) {
		h.w.t.Errorf("append: got %v, want %v", err, want)
	}
	if kind == 0 {
		h.w.engine.SetCapacity(0)
	} else {
		h.w.stop()
		h.w.failed.Store(false)
		for _, id := range h.ids {
			h.models[id].forget()
		}
		h.w.start()
	}
	if err := h.w.append(b); err != nil {
		h.w.t.Errorf("append again: %v", err)
	}
	h.acked = append(h.acked, ids...)
	h.learn()
	return what
}

// late has the process end while a request is under way that the destination
// carries out all the same, some time later.
func (h *history) late(id sluice.StreamID) string {
	wait, late := h.within(2), h.within(60)
	h.conf(id).set(func(r *receiver) { r.delay, r.late = 1500*time.Millisecond, late })
	h.post()
	time.Sleep(wait)
	for _, id := range h.ids {
		h.models[id].forget()
	}
	h.w.crash()
	h.conf(id).set(func(r *receiver) { r.delay, r.late = 0, 0 })
	return fmt.Sprintf("late: %d", id)
}

// kill ends the process around a Put of a stream's next object, if there is one
// within some minutes. The object has to be the same after the start, although more
// was posted, and the filter may be another one by then.
func (h *history) kill(id sluice.StreamID) string {
	m := h.models[id]
	if m.bucket == nil {
		return h.late(id)
	}
	b, at := m.bucket, h.pick("before", "after")
	kill := h.w.killer()
	b.hook(at, kill.hook)
	for range 3 {
		h.post() // not all of one type
	}
	select {
	case <-kill.hit:
	case <-time.After(3 * time.Minute):
		b.hook(at, nil)
		return "post"
	}
	b.hook(at, nil)
	for _, id := range h.ids {
		h.models[id].forget()
	}
	h.post()
	what := fmt.Sprintf("kill %s a put: %d", at, id)
	if h.r.IntN(2) == 0 {
		what = "filter and " + what
		v := h.view(id)
		m.look(v)
		m.refilter(h.filter(), v)
		conf := h.w.confs[id]
		conf.Filter = m.filter
		conf.Version++
		h.w.confs[id] = conf
	}
	kill.finish()
	return what
}
