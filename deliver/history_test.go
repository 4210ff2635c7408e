package deliver

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

var (
	seeds = flag.Int("seeds", 60, "random histories to play")
	seed  = flag.Uint64("seed", 0, "play this history only")
)

// model is what a stream's ledger has to be, by the plainest means: the events
// that are not decided yet, and a count of each decision.
type model struct {
	scope   string
	filter  sluice.Filter
	paused  bool
	mode    string // of the destination: "ok", "down", "refusing"
	pending []modelEvent
	want    sluice.Ledger
	bucket  *bucket // nil for a receiver of events
}

type modelEvent struct {
	id, namespace, kind string
	// filter is the one that judged the event when its object was planned; nil
	// when there is no plan for it.
	filter *sluice.Filter
}

func (e modelEvent) poison() bool {
	n, _ := strconv.Atoi(strings.TrimPrefix(e.id, "e"))
	return n%13 == 0
}

func (m *model) post(events ...modelEvent) {
	for _, e := range events {
		if sluice.Within(e.namespace, m.scope) {
			m.pending = append(m.pending, e)
			m.want.Accepted++
		}
	}
}

// settle decides what the stream has had time to decide.
func (m *model) settle() {
	for len(m.pending) > 0 && !m.paused {
		e := m.pending[0]
		switch {
		case !m.wants(e):
			m.want.Filtered++
		case m.mode != "ok":
			m.want.Pending = uint64(len(m.pending))
			return
		case e.poison() && m.bucket == nil:
			m.want.Quarantined++
		default:
			m.want.Delivered++
		}
		m.pending = m.pending[1:]
	}
	m.want.Pending = uint64(len(m.pending))
}

func (m *model) wants(e modelEvent) bool {
	f := &m.filter
	if e.filter != nil {
		f = e.filter
	}
	match := f.Matcher()
	return match.Type(e.kind) && match.Namespace(e.namespace)
}

// freeze notes that the next count wanted events, and those between, were judged
// by the filter in force.
func (m *model) freeze(count int) {
	filter := m.filter
	for i := range m.pending {
		e := &m.pending[i]
		if e.filter == nil {
			e.filter = &filter
		}
		if m.wants(*e) {
			count--
		}
		if count == 0 {
			return
		}
	}
}

// history plays random actions on a world and a model of it, and compares every
// ledger after each.
type history struct {
	w      *world
	r      *rand.Rand
	models map[sluice.StreamID]*model
	ids    []sluice.StreamID
}

func (h *history) pick(list ...string) string { return list[h.r.IntN(len(list))] }

func (h *history) events() {
	namespace := h.pick("acme", "acme/web", "acme/web/shop", "acme/website", "beta", "beta/x")
	kind := h.pick("a", "b", "c")
	for _, id := range h.w.post(namespace, kind, 1+h.r.IntN(150)) {
		for _, m := range h.models {
			m.post(modelEvent{id: id, namespace: namespace, kind: kind})
		}
	}
}

func (h *history) add() {
	id := sluice.StreamID(len(h.models) + 1)
	m := &model{scope: h.pick("acme", "beta", ""), filter: h.filter(), mode: "ok"}
	set := func(s *Stream) { s.Filter = m.filter }
	if h.r.IntN(3) == 0 {
		m.bucket = h.w.bucket(id, m.scope, set)
	} else {
		h.w.stream(id, m.scope, set)
	}
	single := h.r.IntN(2) == 0
	h.w.dests[id].set(func(r *receiver) { r.single = single })
	h.models[id] = m
	h.ids = append(h.ids, id)
	h.mode(id, "ok")
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

func (h *history) mode(id sluice.StreamID, mode string) {
	h.models[id].mode = mode
	h.w.dests[id].set(func(r *receiver) {
		r.check = mode == "ok"
		switch mode {
		case "down":
			r.refuse = unavailable
		case "refusing":
			r.refuse = rejectAll
		default:
			r.refuse = func(events []destination.Event) *destination.Error {
				for _, e := range events {
					if (modelEvent{id: string(e.ID)}).poison() {
						return &destination.Error{Class: destination.RejectedBatch, Status: 422, Message: "poison"}
					}
				}
				return nil
			}
		}
	})
}

func (h *history) act() string {
	id := h.ids[h.r.IntN(len(h.ids))]
	m := h.models[id]
	switch n := h.r.IntN(26); {
	case n < 8:
		h.events()
		return "post"
	case n < 10:
		m.paused = !m.paused
		h.w.change(id, func(s *Stream) { s.Paused = m.paused })
		return fmt.Sprintf("pause %d: %v", id, m.paused)
	case n < 12:
		h.frozen(id)
		m.filter = h.filter()
		h.w.change(id, func(s *Stream) { s.Filter = m.filter })
		return fmt.Sprintf("filter %d", id)
	case n < 15:
		h.mode(id, h.pick("ok", "ok", "down", "refusing"))
		return fmt.Sprintf("mode %d: %s", id, m.mode)
	case n < 16 && len(h.ids) < 6:
		h.add()
		return "add"
	case n < 20:
		return h.interrupt()
	}
	return h.trouble(id)
}

// frozen takes what a plan of the stream holds over into the model.
func (h *history) frozen(id sluice.StreamID) {
	s, err := h.w.d.stream(id)
	if err != nil {
		h.w.t.Fatal(err)
	}
	l := s.lanes[0]
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rec.Plan != nil {
		h.models[id].freeze(l.rec.Plan.Count)
	}
}

// kill ends the process around a Put of a stream's next object, if there is one
// within some minutes.
func (h *history) kill(id sluice.StreamID) string {
	b := h.models[id].bucket
	at := h.pick("before", "after")
	kill := h.w.killer()
	b.hook(at, kill.hook)
	h.events()
	select {
	case <-kill.hit:
		b.hook(at, nil)
		kill.finish()
		return fmt.Sprintf("kill %s a put of %d", at, id)
	case <-time.After(3 * time.Minute):
		b.hook(at, nil)
	}
	return "post"
}

func (h *history) trouble(id sluice.StreamID) string {
	w, m := h.w, h.models[id]
	if m.bucket != nil && h.r.IntN(2) == 0 {
		return h.kill(id)
	}
	switch h.r.IntN(5) {
	case 0, 1:
		w.dests[id].set(func(r *receiver) { r.glitches = 1 + h.r.IntN(4) })
		h.events()
		return fmt.Sprintf("glitches %d", id)
	case 2:
		w.full.Store(true)
		h.events()
		time.Sleep(time.Duration(h.r.IntN(180)) * time.Second)
		w.full.Store(false)
		return "full store"
	case 3:
		n, err := w.d.Drop(context.Background(), id, nil)
		if err != nil || uint64(n) != m.want.Quarantined {
			w.t.Errorf("drop from stream %d: got %d, %v, want %d", id, n, err, m.want.Quarantined)
		}
		m.want.Expired, m.want.Quarantined = m.want.Expired+m.want.Quarantined, 0
		return fmt.Sprintf("drop %d", id)
	}
	n, err := w.d.Redeliver(context.Background(), id, nil)
	if err != nil || uint64(n) != m.want.Quarantined {
		w.t.Errorf("redeliver of stream %d: got %d, %v, want %d", id, n, err, m.want.Quarantined)
	}
	return fmt.Sprintf("redeliver %d", id)
}

func (h *history) interrupt() string {
	switch h.r.IntN(3) {
	case 0:
		h.w.stop()
		h.w.start()
		return "restart"
	case 1:
		h.w.crash()
		return "crash"
	}
	h.events()
	return "post"
}

// check compares every ledger with its model, and the receivers with both.
func (h *history) check() {
	h.w.t.Helper()
	for _, id := range h.ids {
		m := h.models[id]
		m.settle()
		if got := h.w.ledger(id); got != m.want {
			h.w.t.Errorf("ledger of stream %d (%s, %s, paused %v): got %+v, want %+v", id, m.scope, m.mode, m.paused, got, m.want)
		}
	}
}

// crash ends the process without a last write.
func (w *world) crash() {
	kept := w.store.Snapshot()
	w.stop()
	w.use(kept)
	w.start()
}

func TestRandomHistories(t *testing.T) {
	first, last := uint64(1), uint64(*seeds)
	if *seed != 0 {
		first, last = *seed, *seed
	}
	for s := first; s <= last; s++ {
		ok := t.Run(strconv.FormatUint(s, 10), func(t *testing.T) { playHistory(t, s) })
		if !ok {
			t.Fatalf("history %d fails; play it again with -run %s -seed %d", s, t.Name(), s)
		}
	}
}

func playHistory(t *testing.T, s uint64) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{w: newWorld(t, spooled(t, Options{StuckAfter: 1000 * time.Hour})), r: rand.New(rand.NewPCG(s, 1)), models: map[sluice.StreamID]*model{}}
		h.add()
		h.add()
		var acts []string
		for range 25 {
			var watching sync.WaitGroup
			d, ids := h.w.d, slices.Clone(h.ids)
			watching.Go(func() { h.w.watch(d, ids, 150*time.Millisecond) })
			act := h.act()
			acts = append(acts, act)
			if act == "post" && h.r.IntN(3) == 0 {
				// The process ends, or not, before anything is delivered.
				acts = append(acts, h.interrupt())
			}
			time.Sleep(12 * time.Minute)
			watching.Wait()
			synctest.Wait()
			h.check()
			if t.Failed() {
				t.Logf("after: %s", strings.Join(acts, ", "))
				break
			}
		}
		h.finish()
		if t.Failed() {
			t.Logf("after: %s", strings.Join(acts, ", "))
		}
		h.w.stop()
	})
}

// finish heals everything and makes sure that each wanted event arrived.
func (h *history) finish() {
	for _, id := range h.ids {
		h.mode(id, "ok")
		h.models[id].paused = false
		h.w.change(id, func(s *Stream) { s.Paused = false })
	}
	time.Sleep(15 * time.Minute)
	synctest.Wait()
	h.check()
	for _, id := range h.ids {
		got := h.w.dests[id].received()
		slices.Sort(got)
		if n := uint64(len(slices.Compact(got))); n != h.models[id].want.Delivered {
			h.w.t.Errorf("stream %d received %d different events, its ledger says %d", id, n, h.models[id].want.Delivered)
		}
		if b := h.models[id].bucket; b != nil {
			b.once()
		}
	}
}

func TestPauseOfSevenDaysLosesNothing(t *testing.T) {
	retention := map[string]Retention{"audit": {Age: 7 * 24 * time.Hour}}
	simulate(t, Options{Retention: retention}, func(t *testing.T, w *world) {
		w.post("acme", "a", 1)
		r := w.stream(1, "acme")
		w.change(1, func(s *Stream) { s.Paused = true })
		for range 7 * 24 {
			w.post("acme", "a", 10)
			time.Sleep(time.Hour)
		}
		// The receiver takes an hour for all of it.
		r.set(func(r *receiver) {
			r.limits.Events = 7
			r.delay = 15 * time.Second
		})
		w.change(1, func(s *Stream) { s.Paused = false })
		time.Sleep(61 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 1680, Delivered: 1680})
		if got := len(r.received()); got != 1680 {
			t.Errorf("received %d, want 1680", got)
		}
	})
}

func TestPausePastRetentionEndsInAnExactGap(t *testing.T) {
	retention := map[string]Retention{"audit": {Age: 7 * 24 * time.Hour}}
	simulate(t, Options{Retention: retention}, func(t *testing.T, w *world) {
		w.stream(1, "acme")
		w.post("acme", "a", 3)
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
		w.change(1, func(s *Stream) { s.Paused = true })
		start := time.Now()
		for range 10 {
			w.post("acme", "a", 10)
			w.post("other", "a", 5)
			time.Sleep(24 * time.Hour)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		// Ten days after the pause: what is older than seven days is gone.
		cut := time.Now().Add(-7 * 24 * time.Hour)
		gone := uint64(0)
		for day := range 10 {
			if start.Add(time.Duration(day) * 24 * time.Hour).Before(cut) {
				gone += 10
			}
		}
		w.expect(1, sluice.Ledger{Accepted: 103, Delivered: 3, Expired: gone, Pending: 100 - gone})
		var told, events uint64
		for _, n := range w.noted() {
			if n.Type == "stream.gap" {
				told++
				events += n.Fields["events"].(uint64)
			}
		}
		if told == 0 || events != gone {
			t.Errorf("gaps told: %d with %d events, want %d events", told, events, gone)
		}
		w.change(1, func(s *Stream) { s.Paused = false })
		w.expect(1, sluice.Ledger{Accepted: 103, Delivered: 103 - gone, Expired: gone})
		if st, _ := w.d.State(context.Background(), 1); st.Status != sluice.StatusActive {
			t.Errorf("status %q, want active", st.Status)
		}
	})
}

func TestGapIsAnnounced(t *testing.T) {
	retention := map[string]Retention{"audit": {Age: 24 * time.Hour}}
	simulate(t, Options{Retention: retention}, func(t *testing.T, w *world) {
		w.stream(1, "acme")
		w.change(1, func(s *Stream) { s.Paused = true })
		w.post("acme", "a", 10)
		time.Sleep(8*24*time.Hour + time.Hour)
		synctest.Wait()
		var steps []any
		for _, n := range w.noted() {
			if n.Type == "stream.gap_expected" {
				steps = append(steps, n.Fields["percent_of_time"])
			}
		}
		if want := []any{50, 80, 95}; !slices.Equal(steps, want) {
			t.Errorf("announced at %v, want %v", steps, want)
		}
	})
}
