package search

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/index"
)

// Pages of any size show every event once, in both orders and both ways, over
// chunks and head, and over many events accepted at one time.
func TestPages(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		for i := range 9 {
			w.post(numbered("acme/web", fmt.Sprint("a", i, "-"), 7)...)
			w.post(numbered("umbra", fmt.Sprint("u", i, "-"), 4)...)
			if i%4 == 3 {
				time.Sleep(time.Second)
			}
		}
		mine := func(e event) bool { return e.ns == "acme/web" }
		for _, limit := range []int{1, 2, 3, 10, 99, 1000} {
			wantSame(t, fmt.Sprint("oldest first, limit ", limit), w.all(everything(), Oldest, limit), w.inLog(nil))
			wantSame(t, fmt.Sprint("newest first, limit ", limit), w.all(everything(), Newest, limit), reversed(w.inLog(nil)))
			wantSame(t, fmt.Sprint("one tenant, limit ", limit), w.all(below("ACME"), Oldest, limit), w.inLog(mine))
		}
		first := w.want(everything(), PageOptions{Limit: 13})
		second := w.want(everything(), PageOptions{Limit: 13, After: first.Next})
		back := w.want(everything(), PageOptions{Limit: 13, Before: second.Previous})
		wantSame(t, "back", idsOf(back), idsOf(first))
		if p := w.want(everything(), PageOptions{Before: back.Previous}); len(p.Events) != 0 || p.More {
			t.Errorf("before the newest: got %d events, want none", len(p.Events))
		}
	})
}

// Readers who go on behind the newest event get each event that arrives once.
func TestPagesWhileEventsArrive(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var polled, refreshed []string
		poll, refresh := PageOptions{Order: Oldest, Limit: 5}, PageOptions{Limit: 1000}
		w.post(numbered("acme", "x", 30)...)
		down := w.want(everything(), PageOptions{Limit: 8})
		older := idsOf(down)
		for i := range 12 {
			w.post(numbered("acme", fmt.Sprint(i, "-"), 3)...)
			p := w.want(everything(), poll)
			polled, poll.After = append(polled, idsOf(p)...), p.Next
			p = w.want(everything(), refresh)
			refreshed, refresh.Before = append(idsOf(p), refreshed...), p.Previous
			if down.More {
				down = w.want(everything(), PageOptions{Limit: 8, After: down.Next})
				older = append(older, idsOf(down)...)
			}
		}
		for more := true; more; {
			p := w.want(everything(), poll)
			polled, poll.After, more = append(polled, idsOf(p)...), p.Next, p.More
		}
		all := slices.Sorted(slices.Values(w.inLog(nil))) // those of one time may come in either order
		wantSame(t, "polled", slices.Sorted(slices.Values(polled)), all)
		wantSame(t, "refreshed", slices.Sorted(slices.Values(refreshed)), all)
		wantSame(t, "older", older, reversed(w.inLog(func(e event) bool { return strings.HasPrefix(e.id, "x") })))
	})
}

// A page can begin behind an event of one partition, in both orders.
func TestPagesBehindAnEvent(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		for i := range 5 {
			w.post(numbered("acme/web", fmt.Sprint("a", i, "-"), 3)...)
			w.post(numbered("umbra", fmt.Sprint("u", i, "-"), 2)...)
		}
		partition := w.want(everything(), PageOptions{Limit: 1}).Events[0].Partition
		all := w.want(below("acme"), PageOptions{Limit: 1000, Order: Oldest, Partition: partition})
		for i, e := range all.Events {
			after := w.want(below("acme"), PageOptions{Limit: 1000, Order: Oldest, Partition: partition, Behind: e.Seq})
			wantSame(t, fmt.Sprint("newer than ", i), idsOf(after), idsOf(all)[i+1:])
			before := w.want(below("acme"), PageOptions{Limit: 1000, Partition: partition, Behind: e.Seq})
			wantSame(t, fmt.Sprint("older than ", i), idsOf(before), reversed(idsOf(all)[:i]))
		}
		for _, number := range []uint64{1 << 40, math.MaxUint64} {
			if p := w.want(everything(), PageOptions{Partition: partition, Behind: number, Order: Oldest}); len(p.Events) != 0 {
				t.Errorf("newer than %d: got %d events, want none", number, len(p.Events))
			}
		}
		first := w.want(everything(), PageOptions{Partition: partition, Limit: 1})
		for _, o := range []PageOptions{{Behind: 1}, {Behind: 1, Partition: partition, After: first.Next}} {
			if _, err := w.Page(t.Context(), everything(), o); err == nil {
				t.Errorf("%+v: got no error", o)
			}
		}
	})
}

// Events can be passed over, and what lies below a namespace left out; a cursor
// goes on with the same namespaces only.
func TestPagesByNumber(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		for i := range 5 {
			w.post(numbered("acme", fmt.Sprint("g", i, "-"), 3)...)
			w.post(numbered("acme/web", fmt.Sprint("p", i, "-"), 4)...)
		}
		group := reversed(w.inLog(func(e event) bool { return e.ns == "acme" }))
		all := reversed(w.inLog(nil))
		for _, c := range []struct {
			exact string
			want  []string
		}{{"", all}, {"acme", group}} {
			for skip := range len(c.want) + 2 {
				p := w.want(below("acme"), PageOptions{Limit: 4, Skip: skip, Exact: c.exact})
				at := min(skip, len(c.want))
				wantSame(t, fmt.Sprintf("%q from %d", c.exact, skip), idsOf(p), c.want[at:min(at+4, len(c.want))])
			}
		}
		first := w.want(below("acme"), PageOptions{Limit: 6, Exact: "acme"})
		second := w.want(below("acme"), PageOptions{Limit: 100, Exact: "acme", After: first.Next})
		wantSame(t, "by cursor", append(idsOf(first), idsOf(second)...), group)
		for _, o := range []PageOptions{{After: first.Next}, {Skip: -1}, {Skip: MaxSkip + 1}} {
			if _, err := w.Page(t.Context(), below("acme"), o); !isCode(err, sluice.Invalid) {
				t.Errorf("%+v: got %v, want an error that says so", o, err)
			}
		}
	})
}

// One event is found by its number, within the scope and what is shown.
func TestEventByNumber(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.post(numbered("acme/web", "a", 3)...)
		w.post(numbered("umbra", "u", 2)...)
		for seq, want := range map[uint64]bool{0: false, 1: true, 2: true, 3: false, 4: false, 5: false, 1 << 60: false} {
			e, ok, err := w.Event(t.Context(), below("acme"), "audit", seq)
			if err != nil || ok != want || ok && e.Seq != seq {
				t.Errorf("event %d: got %v, %d and %v, want %v", seq, ok, e.Seq, err, want)
			}
		}
		if _, ok, err := w.Event(t.Context(), everything(), "other", 1); ok || err != nil {
			t.Errorf("in a partition that is none: got %v and %v", ok, err)
		}
	})
}

// A page of one partition has its events alone, and its cursor goes on there only.
func TestPagesOfOnePartition(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.post(numbered("acme/web", "a", 30)...)
		for partition, typ := range map[string]string{"audit": "user.login", "git": "git.push", "none": "none"} {
			var got []string
			p, o := Page{More: true}, PageOptions{Order: Oldest, Limit: 4, Partition: partition}
			for p.More {
				p = w.want(everything(), o)
				got, o.After = append(got, idsOf(p)...), p.Next
			}
			wantSame(t, partition, got, w.inLog(func(e event) bool { return e.typ == typ }))
			o.Partition = ""
			if _, err := w.Page(t.Context(), everything(), o); !isCode(err, sluice.Invalid) {
				t.Errorf("%s: a cursor without the partition: got error %v, want invalid", partition, err)
			}
		}
	})
}

func TestPhrases(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.post(numbered("acme/web", "a", 30)...)
		w.post(numbered("umbra", "u", 5)...)
		pushes := index.Clause{Terms: []index.Term{index.NewTerm(index.FieldType, "git.push")}}
		byID := index.Clause{IDs: []string{"a17"}}
		for name, c := range map[string]struct {
			q    index.Query
			want func(event) bool
		}{
			"pushes":                  {phrase(t, index.Everything(), pushes), func(e event) bool { return e.typ == "git.push" }},
			"pushes of a tenant":      {phrase(t, index.Below("umbra"), pushes), func(e event) bool { return e.typ == "git.push" && e.ns == "umbra" }},
			"an id":                   {phrase(t, index.Below("acme"), byID), func(e event) bool { return e.id == "a17" }},
			"an id of another tenant": {phrase(t, index.Below("umbra"), byID), func(event) bool { return false }},
			"another tenant":          {phrase(t, index.Below("umbra"), index.Clause{Terms: []index.Term{index.NewTerm(index.FieldNamespace, "acme")}}), func(event) bool { return false }},
			"an absent tenant":        {below("nobody"), func(event) bool { return false }},
			"half a segment":          {below("acm"), func(event) bool { return false }},
			"no scope":                {index.Query{}, func(event) bool { return false }},
		} {
			wantSame(t, name, w.all(c.q, Oldest, 4), w.inLog(c.want))
			n, err := w.Count(t.Context(), c.q, ByDay, "")
			if want := len(w.inLog(c.want)); err != nil || n.Events != uint64(want) {
				t.Errorf("%s: got %d counted and error %v, want %d", name, n.Events, err, want)
			}
		}
		got, err := w.Count(t.Context(), everything(), ByType, "")
		if err != nil || fmt.Sprint(got.Bins) != "[{user.login 24} {git.push 11}]" {
			t.Errorf("by type: got %v and error %v", got, err)
		}
		got, err = w.Count(t.Context(), everything(), ByDay, "")
		if err != nil || fmt.Sprint(got.Bins) != "[{2000-01-01 35}]" {
			t.Errorf("by day: got %v and error %v", got, err)
		}
	})
}

func TestCursors(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.post(numbered("acme", "a", 12)...)
		next := w.want(everything(), PageOptions{Limit: 5}).Next
		changed := []byte(next)
		changed[10] ^= 1
		stranger := New(Config{Log: w.log, Engine: w.engine})
		if _, err := stranger.Page(t.Context(), everything(), PageOptions{}); !isCode(err, sluice.Busy) {
			t.Errorf("before the index is open: got %v", err)
		}
		for name, c := range map[string]struct {
			q    index.Query
			o    PageOptions
			want string
		}{
			"of another scope":      {below("acme"), PageOptions{After: next}, "another search"},
			"of another order":      {everything(), PageOptions{After: next, Order: Oldest}, "another search"},
			"of another phrase":     {phrase(t, index.Everything(), index.Clause{IDs: []string{"a"}}), PageOptions{After: next}, "another search"},
			"changed":               {everything(), PageOptions{After: string(changed)}, "not one"},
			"cut off":               {everything(), PageOptions{After: next[:20]}, "not one"},
			"longer":                {everything(), PageOptions{Before: next + "AAAA"}, "not one"},
			"no cursor at all":      {everything(), PageOptions{Before: "' OR 1=1"}, "not one"},
			"huge":                  {everything(), PageOptions{Before: strings.Repeat("A", 1<<20)}, "not one"},
			"both":                  {everything(), PageOptions{Before: next, After: next}, "exclude"},
			"with too high a limit": {everything(), PageOptions{Limit: 1001}, "limit"},
			"with too low a limit":  {everything(), PageOptions{Limit: -1}, "limit"},
		} {
			_, err := w.Page(t.Context(), c.q, c.o)
			if !isCode(err, sluice.Invalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("a cursor %s: got error %v, want one with %q", name, err, c.want)
			}
		}
	})
}

func isCode(err error, code sluice.Code) bool {
	e, ok := errors.AsType[*sluice.Error](err)
	return ok && e.Code == code
}

// Events are not shown past their retention, which differs between partitions,
// and a chunk goes when the log has none of its events.
func TestRetention(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.stopSearch()
		w.cfg.Retention = map[string]time.Duration{"audit": 48 * time.Hour, "git": 24 * time.Hour}
		w.start()
		w.post(numbered("acme", "old", 60)...)
		time.Sleep(25 * time.Hour)
		w.post(numbered("acme", "new", 3)...)
		shown := func(e event) bool { return strings.HasPrefix(e.id, "new") || e.typ != "git.push" }
		wantSame(t, "after a day", w.all(everything(), Oldest, 7), w.inLog(shown))
		time.Sleep(24*time.Hour + time.Minute)
		if n, err := w.Count(t.Context(), everything(), ByDay, ""); err != nil || n.Events != 2 {
			t.Errorf("counted after two days: got %d and error %v, want 2", n.Events, err)
		}
	})
}

// A query ends with its caller, and after its time.
func TestQueriesEnd(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.post(numbered("acme", "a", 25)...)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.Page(ctx, everything(), PageOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who left: got %v", err)
		}
		var places []func()
		for i := range maxQueries {
			leave, err := w.slots.Enter(t.Context(), fmt.Sprint(i))
			if err != nil {
				t.Fatal(err)
			}
			places = append(places, leave)
		}
		if _, err := w.Page(t.Context(), everything(), PageOptions{}); !isCode(err, sluice.Busy) {
			t.Errorf("too many queries: got %v, want busy", err)
		}
		if _, err := w.Count(t.Context(), everything(), ByDay, ""); !isCode(err, sluice.Busy) {
			t.Errorf("too many counts: got %v, want busy", err)
		}
		for _, leave := range places {
			leave()
		}
		w.want(everything(), PageOptions{})
	})
}

// However many slow queries a tenant has, others are answered.
func TestQueriesOfOthers(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.post(numbered("acme", "a", 5)...)
		w.post(numbered("umbra", "u", 5)...)
		acme, umbra := index.Query{Scope: index.Below("acme/web")}, index.Query{Scope: index.Below("umbra")}
		var wg sync.WaitGroup
		for range 100 * maxQueries {
			wg.Go(func() {
				ctx, done, err := w.begin(t.Context(), &acme)
				if err != nil {
					return
				}
				<-ctx.Done()
				done()
			})
		}
		synctest.Wait()
		began := time.Now()
		if page, err := w.Page(t.Context(), umbra, PageOptions{}); err != nil || len(page.Events) != 5 || time.Since(began) > time.Second {
			t.Errorf("another tenant: got %d events with error %v after %s, want 5 at once", len(page.Events), err, time.Since(began))
		}
		wg.Wait()
	})
}

// stuck is a part that does not answer in time.
type stuck struct{ index.Part }

func (stuck) Find(ctx context.Context, _ *index.Query) (*index.Result, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// A page for which time runs out has what was found, and its cursor goes on; one
// that got nowhere is an error.
func TestPagesOutOfTime(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		for i := range 8 {
			w.post(event{"acme", "user.login", fmt.Sprint("rare", i)})
			w.post(numbered("umbra", fmt.Sprint("u", i, "-"), 30)...)
		}
		sh := w.shelves[0]
		sound, indexed, err := sh.look()
		if err != nil || len(sound) < 5 {
			t.Fatalf("got %d parts and error %v", len(sound), err)
		}
		block := func(numbers ...int) {
			parts := slices.Clone(sound)
			for _, i := range numbers {
				parts[i] = stuck{parts[i]}
			}
			sh.show(parts, indexed)
		}
		for _, order := range []Order{Newest, Oldest} {
			for name, q := range map[string]index.Query{"some": below("acme"), "nothing": below("nobody"), "all": everything()} {
				sh.show(sound, indexed)
				want := w.all(q, order, 1000)
				block(len(sound) / 2)
				got := w.want(q, PageOptions{Order: order, Limit: 1000})
				if !got.More || len(got.Events) >= len(want) && name != "nothing" {
					t.Errorf("%s: got %d of %d events, more %v, want a part and more", name, len(got.Events), len(want), got.More)
				}
				sh.show(sound, indexed)
				rest := w.want(q, PageOptions{Order: order, Limit: 1000, After: got.Next})
				wantSame(t, name, append(idsOf(got), idsOf(rest)...), want)
				for _, skip := range []int{1, len(want) / 2, len(want) - 1, len(want) + 1} {
					block(len(sound) / 2)
					got := w.want(q, PageOptions{Order: order, Limit: 1000, Skip: max(skip, 0)})
					sh.show(sound, indexed)
					rest := w.want(q, PageOptions{Order: order, Limit: 1000, Skip: got.Skip, After: got.Next})
					wantSame(t, fmt.Sprintf("%s from %d", name, skip), append(idsOf(got), idsOf(rest)...), want[min(max(skip, 0), len(want)):])
				}
				back := w.want(q, PageOptions{Order: order, Limit: 1000, Before: rest.Previous})
				wantSame(t, name+" back", append(idsOf(back), idsOf(rest)...), want)
			}
		}
		block(len(sound)-1, len(sound)-2)
		_, err = w.Page(t.Context(), everything(), PageOptions{})
		if e, ok := errors.AsType[*sluice.Error](err); !ok || e.Code != sluice.Busy {
			t.Errorf("got nowhere: got %v, want busy", err)
		}
	})
}

// After a start a page goes on where the one before it ended, or not at all: what
// the index has not read again is not passed over.
func TestPagesAfterAStart(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		for i := range 3 {
			w.post(numbered("acme", fmt.Sprint(i, "-"), 13)...)
		}
		all := reversed(w.inLog(nil))
		first := w.want(everything(), PageOptions{Limit: 2})
		newest := w.want(everything(), PageOptions{Limit: 1, Partition: "audit"}).Events[0]
		w.stopSearch()
		gate := make(chan struct{})
		w.cfg.Pace = func(ctx context.Context) {
			select {
			case <-gate:
			case <-ctx.Done():
			}
		}
		w.start()
		synctest.Wait()
		for name, o := range map[string]PageOptions{
			"behind a cursor": {Limit: 1000, After: first.Next},
			"behind an event": {Limit: 1000, Partition: "audit", Behind: newest.Seq},
		} {
			p, err := w.Page(t.Context(), everything(), o)
			if e, ok := errors.AsType[*sluice.Error](err); !ok || e.Code != sluice.Busy {
				t.Errorf("%s, while the index is behind it: got %d events and error %v, want busy", name, len(p.Events), err)
			}
		}
		if p := w.want(everything(), PageOptions{Partition: "audit", Behind: 1 << 40}); len(p.Events) == 0 {
			t.Error("behind a number that is still to come: got no events, want the newest that are indexed")
		}
		time.AfterFunc(latePause, func() { close(gate) })
		wantSame(t, "a moment later", idsOf(w.want(everything(), PageOptions{Limit: 1000, After: first.Next})), all[2:])
	})
}

// What the log has lost below a cursor is not waited for.
func TestPagesBehindWhatIsLost(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.stopSearch()
		w.cfg.ChunkEvents = 1000 // no chunk
		w.start()
		for i := range 6 {
			w.post(event{"acme", "user.login", fmt.Sprint("e", i)})
		}
		first := w.want(everything(), PageOptions{Limit: 1})
		w.stopSearch()
		w.stopLog()
		w.stored = w.stored.Restart(eventlog.MemoryOptions{Log: logID()})
		for seq := uint64(4); seq <= 6; seq++ {
			w.stored.Lose("audit", seq)
		}
		w.openLog(map[string]eventlog.Floor{"audit": {Seq: 6, Total: 6}})
		w.start()
		synctest.Wait()
		p := w.want(everything(), PageOptions{After: first.Next})
		wantSame(t, "what is left", idsOf(p), []string{"e2", "e1", "e0"})
	})
}
