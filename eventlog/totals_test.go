package eventlog

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
)

// history is what a log should say: every number that was ever given out, with
// the scope of its event. It keeps events that the log has lost, for somebody
// has counted them.
type history struct {
	t      *testing.T
	rnd    *rand.Rand
	r      *rig
	events []counted
	holes  []Missing // ranges whose events cannot be told from the blocks
	last   uint64
	ids    int
}

type counted struct {
	seq uint64
	top string
}

// below returns how many events of the scope have numbers from first to below end.
func (h *history) count(scope string, first, end uint64) uint64 {
	n := uint64(0)
	for _, e := range h.events {
		if e.seq >= first && e.seq < end && (scope == sluice.Instance || e.top == scope) {
			n++
		}
	}
	return n
}

func (h *history) totals(end uint64) map[string]uint64 {
	totals := map[string]uint64{sluice.Instance: h.count(sluice.Instance, 0, end)}
	for _, top := range scopes() {
		if n := h.count(top, 0, end); n > 0 {
			totals[top] = n
		}
	}
	return totals
}

func scopes() []string {
	return []string{sluice.Instance, "acme", "globex", "initech", "rare", "umbrella"}
}

func (h *history) append() {
	h.t.Helper()
	var events []event
	for range 1 + h.rnd.IntN(8) {
		top := scopes()[min(h.rnd.IntN(9), 5)%5]
		if h.rnd.IntN(60) == 0 {
			top = "umbrella"
		}
		h.ids++
		events = append(events, event{ns: top, id: fmt.Sprint(h.ids)})
		h.events = append(h.events, counted{h.last + uint64(len(events)), top})
	}
	end := h.last
	got := h.r.append(events...)
	h.last += uint64(len(events))
	if want := (Appended{Accepted: len(events), Last: h.last}); got != want {
		h.t.Fatalf("append: got %+v, want %+v", got, want)
	}
	if b, err := h.r.Block(h.t.Context(), part, end+1); err != nil || b.First != end+1 {
		h.t.Fatalf("block: got %v, want the one of %d", err, end+1)
	}
}

// harm loses or corrupts a stored block.
func (h *history) harm() {
	first := h.r.First(part)
	seq := first + h.rnd.Uint64N(h.last+1-first)
	b, err := h.r.parts[part].store.Next(h.t.Context(), seq)
	if err != nil {
		return
	}
	hd := b.Header
	if h.rnd.IntN(2) == 0 {
		h.r.mem.Lose(part, hd.First)
	} else {
		h.r.mem.Corrupt(part, hd.First, HeaderSize+h.rnd.IntN(hd.Size()-HeaderSize))
	}
	h.holes = append(h.holes, Missing{First: hd.First, Last: hd.Last()})
}

// reopen starts the log again. Others know all counts, or more than the log: its
// end was lost and what they know is all that is left of it.
func (h *history) reopen() {
	h.t.Helper()
	if h.rnd.IntN(3) == 0 {
		more := h.rnd.Uint64N(20)
		for n := range more {
			h.events = append(h.events, counted{h.last + 1 + n, scopes()[h.rnd.IntN(6)]})
		}
		skip := more + h.rnd.Uint64N(3)
		if skip > 0 {
			h.holes = append(h.holes, Missing{First: h.last + 1, Last: h.last + skip})
		}
		h.last += skip
	}
	totals := h.totals(h.last + 1)
	h.r.opts.Floors = map[string]Floor{part: {Seq: h.last, Total: totals[sluice.Instance], Totals: h.tops()}}
	h.r = h.r.reopen()
	if stored := h.r.Stored(part); stored < h.last {
		h.holes = append(h.holes, Missing{First: stored + 1, Last: h.last})
	}
	equal(h.t, "last after a start", h.r.Last(part), h.last)
}

// tops returns the counts by top-level namespace, where "" has the instance's own.
func (h *history) tops() map[string]uint64 {
	tops := map[string]uint64{}
	for _, e := range h.events {
		tops[e.top]++
	}
	return tops
}

func (h *history) trim() {
	h.t.Helper()
	if err := h.r.Trim(h.t.Context(), part, h.rnd.Uint64N(h.last+2)); err != nil {
		h.t.Fatal(err)
	}
	if first := h.r.First(part); first > 1 {
		h.holes = append(h.holes, Missing{First: 1, Last: first - 1})
	}
}

// certain reports whether the blocks tell the totals below seq exactly.
func (h *history) certain(seq uint64) bool {
	before, after := true, true
	for _, m := range h.holes {
		before = before && m.First > seq
		after = after && m.Last < seq
	}
	return before || after
}

func (h *history) check(seq uint64) {
	h.t.Helper()
	all, err := h.r.TotalsBefore(h.t.Context(), part, seq)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, scope := range scopes() {
		got, err := h.r.Before(h.t.Context(), part, scope, seq)
		if err != nil {
			h.t.Fatal(err)
		}
		if got != all[scope] {
			h.t.Fatalf("scope %q below %d: Before says %d, TotalsBefore %d", scope, seq, got, all[scope])
		}
		least := h.count(scope, 0, seq)
		most := least
		if !h.certain(seq) {
			for _, m := range h.holes {
				least -= min(least, h.count(scope, m.First, min(seq, m.Last+1)))
				most += h.count(scope, max(seq, m.First), m.Last+1)
			}
		}
		if got < least || got > most {
			h.t.Fatalf("scope %q below %d of %d: got %d, want %d to %d; holes %v", scope, seq, h.last, got, least, most, h.holes)
		}
	}
	for _, scope := range scopes() {
		seq, got := h.r.Position(part, scope)
		if want := h.count(scope, 0, h.last+1); seq != h.last || got != want {
			h.t.Fatalf("position of %q: got %d at %d, want %d at %d", scope, got, seq, want, h.last)
		}
	}
}

// TestTotals compares the totals with a count of everything over random histories.
func TestTotals(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		h := &history{t: t, rnd: rnd, r: start(t, memory(MemoryOptions{}), Options{snapshotEvery: 2000, CacheBytes: 20_000})}
		harm := seed%4 == 3
		for range 60 {
			switch n := rnd.IntN(20); {
			case n == 0:
				h.reopen()
			case n == 1 && seed%4 >= 1:
				h.trim()
			case n == 2 && harm:
				h.harm()
			default:
				h.append()
			}
			h.check(1 + rnd.Uint64N(h.last+2))
		}
		for seq := range h.last + 2 {
			h.check(seq + 1)
		}
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
		_ = h.r.stop()
	}
}

// TestTotalsAfterDamage starts without help from outside when the newest block
// with all totals cannot be read: the one before it serves.
func TestTotalsAfterDamage(t *testing.T) {
	r := start(t, memory(MemoryOptions{}), Options{snapshotEvery: 1})
	r.append(numbered("acme", "a", 3)...)
	r.append(numbered("globex", "b", 2)...)
	r.append(numbered("acme", "c", 4)...)
	r.mem.Corrupt(part, 6, HeaderSize+5)
	r = r.reopen()
	last, totals := r.Totals(part)
	equal(t, "last", last, 9)
	equal(t, "totals", fmt.Sprint(totals), fmt.Sprint(map[string]uint64{"": 9, "acme": 3, "globex": 2}))
	r.mem.Corrupt(part, 4, HeaderSize+5)
	r.mem.Corrupt(part, 1, HeaderSize+5)
	r = r.reopen()
	equal(t, "append", r.append(event{ns: "acme", id: "new"}).Last, 10)
	equal(t, "damage", len(r.Damage(part)), 3)
}

// TestAllTotalsHourly keeps a quiet log from holding on to its oldest blocks.
func TestAllTotalsHourly(t *testing.T) {
	now := at(0)
	r := start(t, memory(MemoryOptions{}), Options{Now: func() time.Time { return now }})
	for i, want := range []uint64{1, 1, 3, 3, 5} {
		if r.append(event{ns: "acme", id: fmt.Sprint(i)}); i == 2 {
			r = r.reopen()
		}
		b, err := r.Block(t.Context(), part, uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("newest block with all totals at %d", i+1), b.LastSnapshot, want)
		now = now.Add(snapshotAge / 2)
	}
}

func TestSkippedNumbers(t *testing.T) {
	chain := make([]byte, 32)
	for name, c := range map[string]struct {
		anchor Anchor
		floor  Floor
		want   Missing
	}{
		"anchor": {Anchor{Seq: 7, Chain: chain}, Floor{Seq: 6}, Missing{4, 7, "the log ends before its anchor"}},
		"cursor": {Anchor{Seq: 7, Chain: chain}, Floor{Seq: 8, Total: 8, Totals: map[string]uint64{"acme": 5}}, Missing{4, 8, "the log ends before a cursor"}},
	} {
		r := start(t, memory(MemoryOptions{}), Options{})
		r.append(numbered("acme", "a", 3)...)
		r.opts.Anchors, r.opts.Floors = map[string]Anchor{part: c.anchor}, map[string]Floor{part: c.floor}
		r = r.reopen()
		r = r.reopen() // nothing was written: the range is found again
		equal(t, name+": skipped", r.Stats(part).Skipped, c.want.Last-c.want.First+1)
		equal(t, name+": next", r.append(event{ns: "acme", id: "new"}).Last, c.want.Last+1)
		equal(t, name+": stored", r.append(event{ns: "acme", id: "newer"}).Last, c.want.Last+2)
		for seq, want := range map[uint64]*Missing{1: nil, 4: &c.want, c.want.Last + 2: nil} {
			b, err := r.Block(t.Context(), part, seq)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, fmt.Sprintf("%s: block of %d names a range", name, seq), b.Missing != nil, want != nil)
			if want != nil && b.Missing != nil {
				equal(t, name+": range", *b.Missing, *want)
			}
		}
		r = r.reopen()
		equal(t, name+": next after another start", r.append(event{ns: "acme", id: "newest"}).Last, c.want.Last+3)
	}
}

func TestAnchor(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Anchor)
		damage int
	}{
		"right":         {func(*Anchor) {}, 0},
		"another chain": {func(a *Anchor) { a.Chain[5] ^= 1 }, 1},
		"inside":        {func(a *Anchor) { a.Seq-- }, 1},
		"none":          {func(a *Anchor) { a.Seq = 0 }, 0},
	} {
		r := start(t, memory(MemoryOptions{}), Options{})
		r.append(numbered("acme", "a", 3)...)
		a, grown := r.parts[part].anchor()
		equal(t, name+": grown", grown, true)
		r.append(numbered("acme", "b", 3)...)
		c.change(&a)
		r.opts.Anchors = map[string]Anchor{part: a}
		r = r.reopen()
		equal(t, name+": damage", len(r.Damage(part)), c.damage)
		equal(t, name+": readable", len(r.all(1)), 6)
	}
}

// TestChain walks the log as somebody would who proves that nothing was changed.
func TestChain(t *testing.T) {
	r := start(t, memory(MemoryOptions{}), Options{})
	for i := range 5 {
		r.append(numbered("acme", fmt.Sprint(i), 3)...)
		if i == 2 {
			r = r.reopen()
		}
	}
	prev, snapshots := Chain{}, []uint64{}
	for seq := uint64(1); seq <= 15; seq += 3 {
		s, err := r.parts[part].store.Next(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, s.Header.Size())
		if _, err := s.ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("chain at %d", seq), VerifyChain(prev, b), true)
		if s.Header.Snapshot {
			snapshots = append(snapshots, s.Header.First)
		}
		equal(t, "newest block with all totals", s.Header.LastSnapshot, 1)
		prev = s.Header.Chain
	}
	if want := []uint64{1}; !slices.Equal(snapshots, want) {
		t.Errorf("blocks with all totals: got %v, want %v", snapshots, want)
	}
}

// What is lost on both sides of a number cannot be told apart, but no more of a scope
// was below it than of all.
func TestTotalsBetweenTwoLosses(t *testing.T) {
	r := start(t, memory(MemoryOptions{}), Options{})
	for i, n := range []int{3, 2, 4, 1} {
		r.append(numbered([]string{"beta", "acme", "beta", "beta"}[i], fmt.Sprint(i, "-"), n)...)
	}
	r.mem.Lose(part, 1)
	r.mem.Lose(part, 6)
	r = r.reopen()
	for seq, want := range map[uint64]uint64{4: 3, 6: 7, 10: 7} {
		n, err := r.Before(t.Context(), part, "beta", seq)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprint("before ", seq), n, want)
	}
}
