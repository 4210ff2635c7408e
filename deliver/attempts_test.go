package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/store"
)

func randomAttempt(r *rand.Rand, at time.Time) Attempt {
	a := Attempt{Time: at.Truncate(time.Millisecond).UTC(), Took: time.Duration(r.IntN(1e6)) * time.Microsecond, First: r.Uint64N(1e12), Bytes: r.IntN(1 << 20)}
	a.Events = 1 + r.IntN(1000)
	a.Last, a.Delivered = a.First+uint64(a.Events), a.Events
	if r.IntN(2) == 0 {
		return a
	}
	a.Class = classes[1+r.IntN(3)]
	a.Delivered = r.IntN(2) * r.IntN(a.Events)
	a.Status = r.IntN(2) * 503
	a.Words = []string{"", "busy", "not again", strings.Repeat("ü", 100)}[r.IntN(4)]
	return a
}

// What goes into a ring comes out of it, the last 200 at least, also after it
// was stored and read again in between.
func TestRing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var ring ring
	var want []Attempt
	at := time.Unix(1_700_000_000, 0)
	for i := range 3000 {
		at = at.Add(time.Duration(r.IntN(100_000)-1000) * time.Millisecond)
		a := randomAttempt(r, at)
		want = append(want, a)
		ring.add(&a, maxRing)
		if i%7 == 0 {
			stored := ring.encode(nil)
			if !ring.decode(&reader{b: stored}) {
				t.Fatalf("after %d: what was stored cannot be read", i)
			}
		}
		if i%97 != 0 && i > 10 {
			continue
		}
		got := ring.list()
		if n := min(len(want), MaxAttempts); len(got) < n || len(got) > MaxAttempts+spareAttempts {
			t.Fatalf("after %d: got %d attempts, want %d or a few more", len(want), len(got), n)
		}
		if w := want[len(want)-len(got):]; !reflect.DeepEqual(got, w) {
			for k := range got {
				if got[k] != w[k] {
					t.Fatalf("after %d: got %+v, want %+v", len(want), got[k], w[k])
				}
			}
		}
	}
}

func TestRingIsBounded(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	for name, c := range map[string]struct {
		words func(i int) string
		most  int
		want  int // bytes
	}{
		"delivered":              {func(int) string { return "" }, maxRing, 6 << 10},
		"the same words":         {func(int) string { return strings.Repeat("x", 500) }, maxRing, 8 << 10},
		"words that differ":      {func(i int) string { return fmt.Sprint(i, strings.Repeat("x", 500)) }, maxRing, 100 << 10},
		"differ, with too many":  {func(i int) string { return fmt.Sprint(i, strings.Repeat("x", 500)) }, crowdedRing, 4 << 10},
		"delivered, of too many": {func(int) string { return "" }, crowdedRing, 3 << 10},
	} {
		var ring ring
		for i := range 5000 {
			a := Attempt{Time: at.Add(time.Duration(i) * time.Second), Took: time.Second, First: uint64(i * 1000), Last: uint64(i*1000 + 999), Events: 1000, Bytes: 1 << 20, Words: c.words(i)}
			if a.Words != "" {
				a.Class = "unavailable"
			}
			ring.add(&a, c.most)
			if got := cap(ring.b); got > c.want {
				t.Fatalf("%s: got %d bytes after %d attempts, want at most %d", name, got, i, c.want)
			}
		}
		if got := len(ring.list()); got == 0 || c.most == maxRing && name != "words that differ" && got < MaxAttempts {
			t.Errorf("%s: got %d attempts", name, got)
		}
	}
}

func FuzzJournal(f *testing.F) {
	j := &journal{js: newJournals(store.NewMemory(), slog.New(slog.DiscardHandler)), loaded: true}
	for i := range 5 {
		j.add(&Attempt{Time: time.Unix(int64(1_700_000_000+i*40), 0), First: 1, Last: 3, Events: 3, Delivered: 1, Class: classes[i], Words: "words"})
	}
	f.Add(j.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		j := &journal{js: newJournals(store.NewMemory(), slog.New(slog.DiscardHandler))}
		j.decode(b)
		got := j.ring.list()
		if len(got) != j.ring.count {
			t.Errorf("got %d attempts, want %d", len(got), j.ring.count)
		}
		j.ring.add(&Attempt{Time: time.Unix(1_700_000_000, 0), Events: 1, Delivered: 1}, maxRing)
	})
}

// An attempt is kept without an allocation, but for the memory that grows.
func TestAttemptsCostNothing(t *testing.T) {
	j := &journal{js: newJournals(store.NewMemory(), slog.New(slog.DiscardHandler)), loaded: true}
	a := Attempt{Time: time.Unix(1_700_000_000, 0), First: 1, Last: 100, Events: 100, Delivered: 100, Bytes: 100_000}
	for range 1000 {
		j.add(&a)
	}
	if got := testing.AllocsPerRun(1000, func() { a.First, a.Last = a.First+100, a.Last+100; j.add(&a) }); got > 0 {
		t.Errorf("allocations for an attempt: got %v, want none", got)
	}
}

func BenchmarkAttempt(b *testing.B) {
	j := &journal{js: newJournals(store.NewMemory(), slog.New(slog.DiscardHandler)), loaded: true}
	a := Attempt{Time: time.Unix(1_700_000_000, 0), Events: 1, Delivered: 1, Bytes: 1000}
	b.ReportAllocs()
	for b.Loop() {
		a.First, a.Last = a.First+1, a.Last+1
		a.Time = a.Time.Add(50 * time.Microsecond)
		j.add(&a)
	}
}

func attemptsOf(t *testing.T, w *world, id sluice.StreamID) []Attempt {
	t.Helper()
	list, err := w.d.Attempts(t.Context(), id, MaxAttempts)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func activityOf(t *testing.T, w *world, id sluice.StreamID) (sum Minute, minutes int) {
	t.Helper()
	list, err := w.d.Activity(t.Context(), id, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range list {
		if i > 0 && !m.Time.After(list[i-1].Time) {
			t.Errorf("minutes: got %s after %s", m.Time, list[i-1].Time)
		}
		sum.Delivered += m.Delivered
		sum.Bytes += m.Bytes
		sum.Failures += m.Failures
	}
	return sum, len(list)
}

func TestAttemptsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		r := w.stream(1, "acme")
		w.stream(2, "umbra")
		w.post("acme", "a", 3)
		synctest.Wait()
		refuse(r, &destination.Error{Class: destination.Unavailable, Status: 503, Message: "busy"})
		w.post("acme", "a", 2)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		troubles := w.d.Troubles()
		if len(troubles) != 1 || troubles[0].Stream != 1 || troubles[0].Status != sluice.StatusFailing || troubles[0].Tries < 2 || troubles[0].Last.Message != "busy" ||
			time.Since(troubles[0].Since) < 9*time.Second {
			t.Errorf("troubles: got %+v, want stream 1 failing for 10 s", troubles)
		}
		refuse(r, nil)
		time.Sleep(10 * time.Minute) // the next try may be minutes away
		synctest.Wait()
		if got := w.d.Troubles(); len(got) != 0 {
			t.Errorf("troubles after success: got %+v", got)
		}
		check := func(when string) {
			t.Helper()
			list := attemptsOf(t, w, 1)
			if len(list) < 4 {
				t.Fatalf("%s: got %d attempts, want 4 or more", when, len(list))
			}
			first, second, last := list[len(list)-1], list[len(list)-2], list[0]
			if first.Class != "" || first.Events != 3 || first.First != 1 || first.Last != 3 || first.Bytes == 0 || first.Partition != "audit" {
				t.Errorf("%s: got first %+v, want three events delivered", when, first)
			}
			if second.Class != "unavailable" || second.Status != 503 || second.Words != "busy" || second.Delivered != 0 {
				t.Errorf("%s: got second %+v, want it failed", when, second)
			}
			if last.Class != "" {
				t.Errorf("%s: got last %+v, want it delivered", when, last)
			}
			sum, minutes := activityOf(t, w, 1)
			if sum.Delivered != 5 || sum.Failures != uint64(len(list)-countOK(list)) || minutes == 0 || sum.Bytes == 0 {
				t.Errorf("%s: got %+v in %d minutes, want 5 delivered and each failure", when, sum, minutes)
			}
			if got := attemptsOf(t, w, 2); len(got) != 0 {
				t.Errorf("%s: an idle stream has attempts: %+v", when, got)
			}
			if at, err := w.d.LastSuccess(t.Context(), 1); err != nil || at.IsZero() {
				t.Errorf("%s: last success: got %s, error %v", when, at, err)
			}
		}
		check("before the restart")
		again(w)
		check("after the restart")
		for _, l := range w.d.streams[2].lanes {
			if l.journal.Load() != nil {
				t.Error("an idle stream has a journal in memory")
			}
		}
		w.stop()
	})
}

// refuse has every send fail, or none with nil.
func refuse(r *receiver, err *destination.Error) {
	r.set(func(r *receiver) {
		r.refuse = nil
		if err != nil {
			r.refuse = func([]destination.Event) *destination.Error { return err }
		}
	})
}

// again stops the world in order and starts it.
func again(w *world) {
	w.stop()
	w.start()
}

func countOK(list []Attempt) int {
	n := 0
	for _, a := range list {
		if a.Class == "" {
			n++
		}
	}
	return n
}

// Counts by minute outlive hours and restarts, and are forgotten after a week.
func TestActivityByMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.stream(1, "acme")
		posted := 0
		for i := range 200 {
			w.post("acme", "a", 1)
			posted++
			time.Sleep(7 * time.Minute)
			if i%60 == 59 {
				synctest.Wait()
				again(w)
			}
		}
		synctest.Wait()
		if sum, minutes := activityOf(t, w, 1); sum.Delivered != uint64(posted) || minutes != posted {
			t.Errorf("got %d delivered in %d minutes, want %d in as many", sum.Delivered, minutes, posted)
		}
		for range 9 {
			time.Sleep(24 * time.Hour)
			w.post("acme", "a", 1)
			time.Sleep(2 * time.Hour)
			w.post("acme", "a", 1)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		sum, _ := activityOf(t, w, 1)
		if sum.Delivered < 12 || sum.Delivered > 14 {
			t.Errorf("after nine days: got %d delivered, want those of the last seven", sum.Delivered)
		}
		records := 0
		for rec, err := range w.store.List(context.Background(), activityPrefix) {
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(rec.Key, "/lag/") {
				records++
			}
		}
		if records > 10 {
			t.Errorf("got %d records of activity, want at most ten", records)
		}
		if _, err := w.d.Remove(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		delete(w.confs, 1)
		time.Sleep(time.Minute)
		for rec := range w.store.List(context.Background(), activityPrefix) {
			t.Errorf("a removed stream keeps %s", rec.Key)
		}
		w.stop()
	})
}
