package deliver

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// correct gives a stream's keys another prefix, as a change of it does.
func (w *world) correct(id sluice.StreamID, b *bucket, prefix string) {
	w.t.Helper()
	b.deal(func(b *bucket) { b.prefix = prefix })
	w.change(id, func(*Stream) {})
}

func (b *bucket) deal(f func(*bucket)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(b)
}

// under fails the test unless every key begins with the prefix.
func (b *bucket) under(prefix string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		if !strings.HasPrefix(key, prefix) {
			b.t.Errorf("key: got %s, want it to begin with %s", key, prefix)
		}
	}
}

func (w *world) lastMessage(id sluice.StreamID) string {
	st, _ := w.d.State(context.Background(), id)
	if f := st.Lanes[0].LastError; f != nil {
		return f.Message
	}
	return ""
}

// TestRefusedPlanIsMadeAnew: nothing can lie under the wrong key, so the events
// get another one, and are chosen and cut as the stream says now.
func TestRefusedPlanIsMadeAnew(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %t", restart), func(t *testing.T) {
			simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
				b := w.bucket(1, "acme")
				b.deal(func(b *bucket) { b.prefix, b.deny = "never/", "never/" })
				w.post("acme", "a", 30)
				w.post("acme", "b", 20)
				time.Sleep(5 * time.Minute)
				w.expect(1, sluice.Ledger{Accepted: 50, Pending: 50})
				if restart {
					w.crash()
				}
				b.cutBy(destination.ObjectLimits{Bytes: 1 << 20, Events: 15, Age: time.Minute})
				w.change(1, func(s *Stream) { s.Filter = sluice.Filter{EventTypes: []string{"a"}} })
				w.correct(1, b, "audit/")
				w.expect(1, sluice.Ledger{Accepted: 50, Delivered: 30, Filtered: 20})
				b.expect(15, 15)
				b.under("audit/")
				left(t, w)
			})
		})
	}
}

// TestPlanThatMayBeStoredKeepsItsKey has the answer of the first try get lost.
func TestPlanThatMayBeStoredKeepsItsKey(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		b := w.bucket(1, "acme")
		w.loseFirstAnswer(b)
		w.post("acme", "a", 30)
		time.Sleep(2 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 30, Pending: 30})
		if m := w.lastMessage(1); strings.Contains(m, "keeps the key") {
			t.Errorf("message before a change: got %q, want nothing about the key in it", m)
		}
		w.correct(1, b, "audit/")
		w.expect(1, sluice.Ledger{Accepted: 30, Pending: 30})
		if m, want := w.lastMessage(1), "keeps the key never/"; !strings.Contains(m, want) {
			t.Errorf("message: got %q, want %q in it", m, want)
		}
		b.deal(func(b *bucket) { b.deny = "" })
		time.Sleep(10 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 30, Delivered: 30})
		b.expect(30)
	})
}

// loseFirstAnswer has the first object stored under never/ and its answer lost;
// from then on, keys below never/ are refused.
func (w *world) loseFirstAnswer(b *bucket) {
	b.deal(func(b *bucket) { b.prefix, b.glitches = "never/", 1 })
	tries := 0
	b.hook("before", func(context.Context) {
		if tries++; tries == 2 {
			b.deal(func(b *bucket) { b.deny = "never/" })
		}
	})
}

// TestKillInATryAfterRefusals: the try after many refusals stores the object, and
// the process ends before it knows.
func TestKillInATryAfterRefusals(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		b := w.wrongKey(false)
		w.post("acme", "a", 30)
		time.Sleep(2 * time.Minute)
		b.deal(func(b *bucket) { b.deny = "" })
		kill := w.killer()
		b.hook("after", kill.hook)
		<-kill.hit
		b.hook("after", nil)
		b.deal(func(b *bucket) { b.deny = "never/" })
		kill.finish()
		w.correct(1, b, "audit/")
		w.expect(1, sluice.Ledger{Accepted: 30, Pending: 30})
		w.afterKill(b)
	})
}

// TestKillsAroundACorrectedKey ends the process after each write of the lane's
// record, and in each of the first tries, while a stream with the wrong key is
// corrected. Wherever that is, each event lies in the bucket once in the end.
func TestKillsAroundACorrectedKey(t *testing.T) {
	for _, lost := range []bool{false, true} {
		done := false
		for n := int64(1); !done; n++ {
			t.Run(fmt.Sprintf("lost answer %t, write %d", lost, n), func(t *testing.T) {
				simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
					b := w.wrongKey(lost)
					w.writes.Store(n)
					w.correctLater(b)
					done = !w.full.Load()
					kept := w.store.Snapshot()
					w.stop()
					w.full.Store(false)
					w.writes.Store(0)
					w.use(kept)
					w.start()
					w.afterKill(b)
				})
			})
		}
		for n := range int64(6) {
			t.Run(fmt.Sprintf("lost answer %t, try %d", lost, n+1), func(t *testing.T) {
				simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
					b := w.wrongKey(lost)
					kill := w.killer()
					var tries atomic.Int64
					before := b.hooks["before"]
					b.hook("before", func(ctx context.Context) {
						if before != nil {
							before(ctx)
						}
						if tries.Add(1) == n+1 {
							kill.hook(ctx)
						}
					})
					w.correctLater(b)
					b.hook("before", nil)
					kill.finish()
					w.afterKill(b)
				})
			})
		}
	}
}

func (w *world) wrongKey(lost bool) *bucket {
	b := w.bucket(1, "acme")
	if lost {
		w.loseFirstAnswer(b)
	} else {
		b.deal(func(b *bucket) { b.prefix, b.deny = "never/", "never/" })
	}
	return b
}

func (w *world) correctLater(b *bucket) {
	w.post("acme", "a", 30)
	time.Sleep(2 * time.Minute)
	w.correct(1, b, "audit/")
	time.Sleep(2 * time.Minute)
}

func (w *world) afterKill(b *bucket) {
	w.t.Helper()
	time.Sleep(10 * time.Minute)
	b.deal(func(b *bucket) { b.deny = "" })
	time.Sleep(10 * time.Minute)
	w.expect(1, sluice.Ledger{Accepted: 30, Delivered: 30})
	b.once()
}

// TestCheckTriesTheKeptKey: a test object passes at the corrected place, but an
// object that may be stored keeps its key, and is refused.
func TestCheckTriesTheKeptKey(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		b := w.bucket(1, "acme")
		check := func(want bool, words string) {
			t.Helper()
			var last destination.Stage
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			start := time.Now()
			ok, err := w.d.Check(ctx, 1, func(s destination.Stage) { last = s })
			if err != nil || ok != want || !strings.Contains(last.Message, words) || words != "" && (last.Name != "pending object" || last.OK != want) {
				t.Errorf("check: got %v, %v and the stage %+v, want %v and %q", ok, err, last, want, words)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("check: took %s", took)
			}
		}
		w.loseFirstAnswer(b)
		check(true, "")
		w.post("acme", "a", 30)
		time.Sleep(2 * time.Minute)
		w.correct(1, b, "audit/")
		time.Sleep(3 * time.Second)
		check(false, "keeps the key never/")
		w.change(1, func(s *Stream) { s.Paused = true })
		time.Sleep(3 * time.Second)
		check(false, "keeps the key never/")
		w.change(1, func(s *Stream) { s.Paused = false })
		time.Sleep(3 * time.Second)
		w.crash()
		time.Sleep(3 * time.Second)
		check(false, "keeps the key never/")
		b.deal(func(b *bucket) { b.deny = "" })
		time.Sleep(3 * time.Second)
		check(true, "is")
		w.expect(1, sluice.Ledger{Accepted: 30, Delivered: 30})
		check(true, "")
	})
}
