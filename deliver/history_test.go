package deliver

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/eventlog"
)

var (
	seeds = flag.Int("seeds", 1000, "random histories to play")
	seed  = flag.Uint64("seed", 0, "play this history only")
	from  = flag.Uint64("from", 1, "the first history to play")
)

// history plays random actions on a world and a model of it, and compares every
// ledger after each. All that is random comes from the seed, and moments at which
// the engine wants a random number are told by simulated time; so a seed is one
// history.
type history struct {
	w      *world
	r      *rand.Rand
	models map[sluice.StreamID]*model
	ids    []sluice.StreamID
	last   sluice.StreamID

	facts   []*fact // in the order of the log
	known   map[string]*fact
	acked   []string // ids whose Append succeeded
	next    uint64   // the first number of the log that was not looked at
	blocks  []span
	full    *overflows
	trimmed uint64 // retention took what is below
	before  uint64 // the same, a step ago
	disk    diskFault
	protect time.Duration
	small   bool // quarantines are
	retains bool // old events go
	trace   []string
}

// span is a block of the log.
type span struct {
	first, last uint64
	lost        bool // cannot be read
}

func TestRandomHistories(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	if *seed != 0 {
		playHistory(t, *seed)
		return
	}
	var all tally
	fault.Keep(t, all.record)
	t.Run("all", func(t *testing.T) {
		workers := uint64(runtime.GOMAXPROCS(0))
		for n := range workers {
			t.Run(fmt.Sprintf("of %d", workers), func(t *testing.T) {
				t.Parallel()
				for s := *from + n; s < *from+uint64(*seeds); s += workers {
					t.Run(strconv.FormatUint(s, 10), func(t *testing.T) {
						h := newHistory(s)
						defer all.add(t, s, h) // a history that fails ends this goroutine
						h.play(t, s)
					})
				}
			})
		}
	})
}

// TestASeedIsOneHistory holds that what a failing seed did can be seen again.
func TestASeedIsOneHistory(t *testing.T) {
	for s := uint64(1); s <= 10; s++ {
		first, again := playHistory(t, s), playHistory(t, s)
		if !slices.Equal(first.trace, again.trace) {
			t.Errorf("history %d: got %s\nand %s", s, strings.Join(first.trace, "\n"), strings.Join(again.trace, "\n"))
		}
	}
}

func newHistory(s uint64) *history {
	return &history{r: rand.New(rand.NewPCG(s, 1)), models: map[sluice.StreamID]*model{}, known: map[string]*fact{}, next: 1}
}

func playHistory(t *testing.T, s uint64) *history {
	h := newHistory(s)
	h.play(t, s)
	return h
}

func (h *history) play(t *testing.T, s uint64) {
	synctest.Test(t, func(t *testing.T) {
		h.begin(t, s)
		defer h.end(t, s) // also of one that ends with a Fatal
		for range 12 {
			h.step()
			if t.Failed() {
				break
			}
		}
		if !t.Failed() {
			h.finish()
		}
	})
}

// end lets the goroutines of a history end, and tells how one that failed went.
func (h *history) end(t *testing.T, s uint64) {
	h.w.stop()
	h.closed()
	if t.Failed() {
		t.Logf("history %d:\n%s", s, strings.Join(h.trace, "\n"))
		t.Logf("play it again with: go test ./deliver -run TestRandomHistories -args -seed %d", s)
	}
}

// closed holds that every destination that was opened is closed when the process
// has ended, also of streams that were removed.
func (h *history) closed() {
	for _, id := range slices.Sorted(maps.Keys(h.w.dests)) {
		h.w.dests[id].set(func(r *receiver) {
			if r.opened != 0 {
				h.w.t.Errorf("stream %d: %d of its destinations are open after the end", id, r.opened)
			}
		})
	}
}

// begin makes a world of the seed's own kind.
func (h *history) begin(t *testing.T, s uint64) {
	opts := Options{StuckAfter: 1000 * time.Hour, Protect: 3 * time.Hour, Senders: h.one(1, 2, 16), Memory: h.one(28<<10, 64<<20),
		QuarantineBytes: h.one(1400, 64<<20, 64<<20), Grace: time.Duration(s%2) * 2 * time.Second}
	h.small = opts.QuarantineBytes == 1400
	if !h.small && h.r.IntN(2) == 0 {
		h.retains = true
		opts.Retention = map[string]Retention{"audit": {Age: 2 * time.Hour}}
	}
	h.protect = opts.Protect
	h.w = newWorld(t, spooled(t, opts))
	h.w.stop()
	h.disk.delay = time.Duration(h.one(0, 3)) * time.Millisecond
	h.w.disk = eventlog.MemoryOptions{Before: h.disk.before, After: h.disk.after}
	h.full = &overflows{Handler: slog.DiscardHandler, streams: map[sluice.StreamID]bool{}}
	h.w.logs = h.full
	h.w.random = func(n int64) int64 {
		sum := fnv.New64a()
		_, _ = fmt.Fprintf(sum, "%d %d %d", s, time.Now().UnixNano(), n)
		return int64(sum.Sum64() % uint64(n))
	}
	h.w.start()
	h.add()
	h.add()
}

func (h *history) one(list ...int) int               { return list[h.r.IntN(len(list))] }
func (h *history) pick(list ...string) string        { return list[h.r.IntN(len(list))] }
func (h *history) within(d int) time.Duration        { return time.Duration(1+h.r.IntN(d)) * time.Second }
func (h *history) stream() sluice.StreamID           { return h.ids[h.r.IntN(len(h.ids))] }
func (h *history) conf(id sluice.StreamID) *receiver { return h.w.dests[id] }

// step does something, gives it time, and compares.
func (h *history) step() {
	var watching sync.WaitGroup
	d, ids := h.w.d, slices.Clone(h.ids)
	watching.Go(func() { h.w.watch(d, ids, 10*time.Millisecond) })
	act := h.act()
	if strings.HasPrefix(act, "post") && h.r.IntN(3) == 0 {
		act += ", at once " + h.interrupt() // before anything is delivered, or in the middle
	}
	h.trace = append(h.trace, act)
	h.settle(12 * time.Minute)
	watching.Wait()
	h.check()
}

// settle gives the engine time, and ends when retention has not just looked: what
// it does takes the flusher some milliseconds to write, and seconds to tell when
// notices get lost.
func (h *history) settle(d time.Duration) {
	time.Sleep(d)
	if time.Since(h.w.since)%retentionEvery < time.Second {
		time.Sleep(2 * time.Second)
	}
	for range 4 {
		if h.silent() {
			break
		}
		time.Sleep(time.Second)
	}
	synctest.Wait()
}

// silent reports whether no stream has anything left to tell.
func (h *history) silent() bool {
	for _, id := range h.ids {
		if s, err := h.w.d.stream(id); err == nil {
			l := s.lanes[0]
			l.mu.Lock()
			n := len(l.rec.Outbox)
			l.mu.Unlock()
			if n > 0 {
				return false
			}
		}
	}
	return true
}

// view looks at what the engine has begun with.
func (h *history) view(id sluice.StreamID) *view {
	v := &view{trimmed: h.trimmed, before: h.before}
	v.gaps, _ = h.told(id)
	s, err := h.w.d.stream(id)
	if err != nil {
		h.w.t.Fatal(err)
	}
	l := s.lanes[0]
	l.mu.Lock()
	defer l.mu.Unlock()
	// A full quarantine holds the stream. Once there is room, what is refused may be
	// all that is left in sight, which holds it, too, and goes on by single probes.
	v.held, v.full = l.held, l.held && h.small && l.failure != nil && (l.fulls > 0 || l.failure.Status == 422)
	v.turn, v.failing = l.phase == running, l.tries > 0
	v.plan, v.beyond = l.rec.Plan, maps.Clone(l.beyond)
	v.suspects, v.quarantined, v.asked = map[uint64]bool{}, map[uint64]bool{}, map[uint64]bool{}
	for i := range l.suspects {
		v.suspects[l.suspects[i].seq] = true
	}
	for _, seq := range l.rec.Quarantined {
		v.quarantined[seq] = true
	}
	for _, seq := range l.redeliver {
		v.asked[seq] = true
	}
	v.overflow = h.full.of(id)
	v.cursor = l.rec.Cursor
	if l.upToDate() {
		v.cursor = h.next
	}
	return v
}

// learn looks at what the log has taken since.
func (h *history) learn() {
	for {
		b, err := h.w.log.Block(context.Background(), "audit", h.next)
		if err != nil {
			break
		}
		h.blocks = append(h.blocks, span{first: b.First, last: b.Last()})
		for i := range b.Entries {
			e := &b.Entries[i]
			payload, err := b.Payload(i)
			if err != nil {
				h.w.t.Fatal(err)
			}
			var id struct{ ID string }
			if err := json.Unmarshal(payload, &id); err != nil {
				h.w.t.Fatal(err)
			}
			f := &fact{id: id.ID, namespace: b.Namespaces[e.Namespace].Path, kind: b.Types[e.Type].Name, seq: b.First + uint64(i), accepted: b.Accepted}
			if h.known[f.id] != nil {
				h.w.t.Errorf("event %s is in the log twice", f.id)
			}
			h.facts, h.known[f.id] = append(h.facts, f), f
			for _, id := range h.ids {
				h.models[id].take(f)
			}
		}
		h.next = b.Last() + 1
	}
	for _, id := range h.acked {
		if h.known[id] == nil {
			h.w.t.Errorf("event %s was acknowledged and is not in the log", id)
		}
	}
	h.acked = nil
}

// retained looks at what retention took, or damage at the front of the log.
func (h *history) retained() { h.before, h.trimmed = h.trimmed, h.w.log.First("audit") }

// entitled holds that retention took nothing from a stream that fell behind a
// short while ago.
func (h *history) entitled(id sluice.StreamID, m *model, v *view) {
	for i := range m.pending {
		if e := &m.pending[i]; !e.lost && v.took(e, m.paused) && time.Since(m.fresh) < h.protect {
			h.w.t.Errorf("event %s was removed %v after stream %d was up to date, want at least %v", e.id, time.Since(m.fresh), id, h.protect)
			return
		}
	}
}

// check compares every ledger with its model.
func (h *history) check() {
	h.w.t.Helper()
	h.learn()
	h.retained()
	for _, id := range h.ids {
		m, v := h.models[id], h.view(id)
		h.entitled(id, m, v)
		h.redelivered(id, m, v)
		m.settle(v, time.Now())
		h.compare(id)
		if v.full && (len(m.pending) == 0 || !m.pending[0].poison()) && m.mode == "ok" && !m.paused {
			h.w.t.Errorf("stream %d: its quarantine is full, and it is not held by an event that is refused", id)
		}
		m.look(v)
		h.w.dests[id].set(func(r *receiver) { r.glitches = 0 })
	}
	h.full.forget()
}

// redelivered holds that what is to be redelivered is tried while the stream goes
// on, and only then: it waits for a destination that is not there.
func (h *history) redelivered(id sluice.StreamID, m *model, v *view) {
	if n := len(v.asked); n > 0 && !m.paused && !v.held && !v.failing {
		h.w.t.Errorf("stream %d: %d events are to be redelivered and are not tried", id, n)
	}
	for e, seq := range m.asked {
		if absent := m.mode == "down" || m.mode == "denied"; (m.paused || absent) && !v.asked[seq] {
			h.w.t.Errorf("stream %d: paused %t, mode %s, and event %s is no longer to be redelivered", id, m.paused, m.mode, e)
		}
	}
}

func (h *history) compare(id sluice.StreamID) {
	h.w.t.Helper()
	m, st := h.models[id], State{}
	st, _ = h.w.d.State(context.Background(), id)
	h.w.sane(id, st.Ledger)
	if st.Ledger != m.want {
		h.w.t.Errorf("ledger of stream %d (%q, %s, bucket %v, %s at %d, %+v): got %+v, want %+v",
			id, m.scope, m.mode, m.bucket != nil, st.Status, st.Lanes[0].Cursor, st.Lanes[0].LastError, st.Ledger, m.want)
	}
	if m.over && !m.paused && time.Now().After(m.until) && len(m.pending) == 0 && st.Status != sluice.StatusDone {
		h.w.t.Errorf("stream %d: got status %s, want done", id, st.Status)
	}
	gaps, got := h.told(id)
	if got != m.gaps {
		h.w.t.Errorf("stream %d: gaps tell of %d events, want %d", id, got, m.gaps)
	}
	h.ranges(id, gaps)
	h.trace = append(h.trace, fmt.Sprintf("  stream %d: %s %+v", id, m.mode, m.want))
}

// ranges holds that every event that expired lies in a gap, and that no gap tells of
// more events than expired in its range.
func (h *history) ranges(id sluice.StreamID, gaps []gapTold) {
	m := h.models[id]
	in := make([]uint64, len(gaps))
	for _, f := range h.facts {
		if m.fates[f.id] != expired {
			continue
		}
		found := false
		for i, g := range gaps {
			if g.First <= f.seq && f.seq <= g.Last {
				found = true
				in[i]++
			}
		}
		if !found {
			h.w.t.Errorf("stream %d: event %s expired, and no gap tells of %d", id, f.id, f.seq)
		}
	}
	for i, g := range gaps {
		if g.events > in[i] {
			h.w.t.Errorf("stream %d: a gap tells of %d events between %d and %d, of which %d expired", id, g.events, g.First, g.Last, in[i])
		}
	}
}

// gapTold is a gap that a stream told.
type gapTold struct {
	hole
	events uint64
}

// told returns the gaps of a stream that were told, and how many events they tell
// of.
func (h *history) told(id sluice.StreamID) (gaps []gapTold, events uint64) {
	seen := map[string]bool{}
	number := func(v any) uint64 {
		if f, ok := v.(float64); ok {
			return uint64(f) // after a start
		}
		return v.(uint64)
	}
	for _, n := range h.w.noted() {
		if n.Type == "stream.gap" && n.Stream == id && !seen[n.ID] {
			seen[n.ID] = true
			h := hole{First: number(n.Fields["first_seq"]), Last: number(n.Fields["last_seq"])}
			gaps = append(gaps, gapTold{hole: h, events: number(n.Fields["events"])})
			events += number(n.Fields["events"])
		}
	}
	return gaps, events
}

// finish heals everything and judges what arrived.
func (h *history) finish() {
	for _, id := range h.ids {
		h.mode(id, "ok") // first: a stream that goes on sends at once
		h.models[id].paused = false
		h.change(id, func(s *Stream) { s.Paused = false })
		h.renew(id)
	}
	h.settle(15 * time.Minute)
	h.trace = append(h.trace, "end")
	h.check()
	for _, id := range h.ids {
		h.arrived(id)
	}
}

// arrived compares what the destination has with what became of each event.
func (h *history) arrived(id sluice.StreamID) {
	m, got := h.models[id], map[string]bool{}
	last := uint64(0)
	for _, e := range h.w.dests[id].received() {
		f, known := m.fates[e]
		switch {
		case got[e]:
			continue // a duplicate
		case !known:
			h.w.t.Errorf("stream %d: received event %s, which is not its own", id, e)
		case f != delivered && !m.wanted[e]:
			h.w.t.Errorf("stream %d: received event %s, which is %s and was never wanted", id, e, cmp.Or(f, "pending"))
		}
		got[e] = true
		if f := h.known[e]; f != nil && !m.loose && !f.poison() {
			if f.seq < last {
				h.w.t.Errorf("stream %d: event %s arrived after later ones", id, e)
			}
			last = max(last, f.seq)
		}
	}
	for e, f := range m.fates {
		if f == delivered && !got[e] {
			h.w.t.Errorf("stream %d: event %s counts as delivered and did not arrive", id, e)
		}
	}
	if m.bucket != nil {
		m.bucket.once()
		h.repeated(id, m.bucket)
	}
}

// repeated holds that objects that were tried again missed what had gone from the
// log, and nothing else.
func (h *history) repeated(id sluice.StreamID, b *bucket) {
	b.set(func(*receiver) {
		for _, e := range slices.Sorted(maps.Keys(b.missing)) {
			if f := h.known[e]; !f.lost && f.seq >= h.w.log.First("audit") {
				h.w.t.Errorf("stream %d: event %s was missing in its object when that was tried again", id, e)
			}
		}
	})
}
