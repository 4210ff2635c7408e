package deliver

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
)

// slowly makes a receiver take n events each 100 ms.
func slowly(n int) func(*receiver) {
	return func(r *receiver) { r.delay, r.limits.Events = 100*time.Millisecond, n }
}

// postMany appends events in requests of 1,000, waiting for delivery before each
// as producers do, and returns how long that took.
func (w *world) postMany(namespace string, n int) time.Duration {
	start := time.Now()
	for ; n > 0; n -= 1000 {
		w.d.Pace(context.Background())
		w.post(namespace, "a", 1000)
		time.Sleep(time.Millisecond)
	}
	return time.Since(start)
}

// postOf appends one request with so many events of each namespace.
func (w *world) postOf(counts map[string]int, pad string) {
	var b eventlog.Batch
	for _, namespace := range slices.Sorted(maps.Keys(counts)) {
		for range counts[namespace] {
			w.next++
			id := fmt.Sprintf("e%d", w.next)
			payload := fmt.Sprintf(`{"id":%q,"event_type":"a","entity_path":%q,"pad":%q}`, id, namespace, pad)
			env := sluice.Envelope{ID: []byte(id), IDOffset: 7, Type: []byte("a"), Namespace: []byte(namespace), Class: sluice.Audit}
			b.Add([]byte(payload), &env, "t1")
		}
	}
	if _, err := w.log.Append(context.Background(), map[string]*eventlog.Batch{"audit": &b}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) behind(id sluice.StreamID) bool {
	synctest.Wait()
	st, _ := w.d.State(context.Background(), id)
	return st.Lanes[0].Behind
}

// When processors are what all wait for, producers wait too, and no lane has to
// read again what it could not take.
func TestBusyProcessorsMakeTheTailWait(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		const events = 150_000
		w.busy.Store(true)
		for id := sluice.StreamID(1); id <= 3; id++ {
			w.stream(id, "acme").set(slowly(1000))
		}
		w.post("acme", "a", 1)
		time.Sleep(time.Minute) // all at the tail
		took := w.postMany("acme", events)
		for id := sluice.StreamID(1); id <= 3; id++ {
			if w.behind(id) {
				t.Errorf("stream %d fell behind, want it to be waited for", id)
			}
		}
		if took < 5*time.Second {
			t.Errorf("producers took %s, want them to wait for delivery", took)
		}
		time.Sleep(time.Minute)
		for id := sluice.StreamID(1); id <= 3; id++ {
			w.expect(id, sluice.Ledger{Accepted: events + 1, Delivered: events + 1})
		}
	})
}

// Destinations that are slow by themselves hold up nobody.
func TestSlowDestinationsHoldUpNobody(t *testing.T) {
	cases := []struct {
		name string
		busy bool
		slow sluice.StreamID // streams 1 to slow of 5 are
	}{
		{"processors have time", false, 4},
		{"processors are busy with others", true, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, Options{}, func(t *testing.T, w *world) {
				const events = 150_000
				w.busy.Store(c.busy)
				for id := sluice.StreamID(1); id <= 5; id++ {
					w.stream(id, "acme").set(func(r *receiver) {
						if id <= c.slow {
							slowly(10)(r)
						}
					})
				}
				w.post("acme", "a", 1)
				time.Sleep(time.Minute)
				if took := w.postMany("acme", events); took > 2*time.Second {
					t.Errorf("producers took %s, want them not to wait", took)
				}
				time.Sleep(time.Second)
				for id := sluice.StreamID(1); id <= 5; id++ {
					if got, want := w.behind(id), id <= c.slow; got != want {
						t.Errorf("stream %d behind: got %t, want %t", id, got, want)
					}
					if id > c.slow {
						w.expect(id, sluice.Ledger{Accepted: events + 1, Delivered: events + 1})
					}
				}
			})
		})
	}
}

// A few slow destinations whose events fill the memory hold up nobody either,
// even when processors are busy with others.
func TestFewSlowTenantsHoldUpNobody(t *testing.T) {
	simulate(t, Options{Memory: 64 << 20}, func(t *testing.T, w *world) {
		const tenants, slow, events = 12, 4, 60_000
		name := func(id sluice.StreamID) string { return fmt.Sprintf("tenant%d", id) }
		w.busy.Store(true)
		for id := sluice.StreamID(1); id <= tenants; id++ {
			w.stream(id, name(id)).set(func(r *receiver) {
				if id <= slow {
					slowly(10)(r)
				}
			})
			w.post(name(id), "a", 1)
		}
		time.Sleep(time.Minute)
		for id := sluice.StreamID(1); id <= tenants; id++ {
			if took := w.postMany(name(id), events); took > 5*time.Second {
				t.Errorf("producers of %s took %s, want seconds at most", name(id), took)
			}
		}
		time.Sleep(time.Second)
		for id := sluice.StreamID(slow + 1); id <= tenants; id++ {
			w.expect(id, sluice.Ledger{Accepted: events + 1, Delivered: events + 1})
		}
		if used := w.d.used.Load(); used > int64(w.d.quickBytes()) {
			t.Errorf("memory in use: got %d, want at most %d", used, w.d.quickBytes())
		}
	})
}

// A lane that gets little of each block, and falls back, does not keep blocks in
// memory until there is none left.
func TestSlowLaneDoesNotKeepBlocks(t *testing.T) {
	simulate(t, Options{Memory: 64 << 20}, func(t *testing.T, w *world) {
		w.stream(1, "acme") // beside the slow one, and before it
		w.stream(2, "acme").set(func(r *receiver) { r.delay, r.limits.Events = 900*time.Millisecond, 16 })
		w.stream(3, "big")
		pad := strings.Repeat("x", 350)
		w.postOf(map[string]int{"big": 1, "acme": 1}, pad)
		time.Sleep(time.Minute) // all at the tail
		start := time.Now()
		for range 200 {
			w.d.Pace(context.Background())
			w.postOf(map[string]int{"big": 1000, "acme": 30}, pad)
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("producers took %s, want them not to wait", took)
		}
		time.Sleep(time.Second)
		w.expect(1, sluice.Ledger{Accepted: 6001, Delivered: 6001})
		w.expect(3, sluice.Ledger{Accepted: 200_001, Delivered: 200_001})
	})
}

// gitToo makes a stream begin in the partition of Git events, too.
func (w *world) gitToo(s *Stream) {
	seq, total := w.log.Position("git", s.Namespace)
	s.Start["git"] = Start{Seq: seq, Total: total}
}

// postGit appends n Git events.
func (w *world) postGit(namespace string, n int) {
	w.t.Helper()
	var b eventlog.Batch
	pad := strings.Repeat("x", 1000)
	for range n {
		w.next++
		id := fmt.Sprintf("e%d", w.next)
		payload := fmt.Sprintf(`{"id":%q,"event_type":"git.clone","entity_path":%q,"pad":%q}`, id, namespace, pad)
		env := sluice.Envelope{ID: []byte(id), IDOffset: 7, Type: []byte("git.clone"), Namespace: []byte(namespace), Class: sluice.Git}
		b.Add([]byte(payload), &env, "t1")
	}
	if _, err := w.log.Append(context.Background(), map[string]*eventlog.Batch{"git": &b}); err != nil {
		w.t.Fatal(err)
	}
}

// A slow destination that holds the memory with what came through one partition
// holds up nothing in another, though nothing more comes through the first.
func TestSlowDestinationHoldsUpNoOtherPartition(t *testing.T) {
	simulate(t, Options{Memory: 8 << 20}, func(t *testing.T, w *world) {
		w.stream(1, "acme", w.gitToo).set(func(r *receiver) { r.delay = 20 * time.Second })
		w.stream(2, "other", w.gitToo)
		time.Sleep(time.Minute) // all at the tail
		for n := 10; w.d.used.Load() <= w.d.quickBytes(); n = 400 {
			w.postGit("acme", n)
			synctest.Wait()
		}
		w.post("other", "a", 1)
		time.Sleep(2 * time.Second)
		w.expect(2, sluice.Ledger{Accepted: 1, Delivered: 1})
	})
}

// Who posts waits for the partitions that are posted to.
func TestLatePartitionDelaysNoOther(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		w.busy.Store(true)
		w.stream(1, "acme", w.gitToo).set(slowly(100))
		time.Sleep(time.Minute) // all at the tail
		for range 12 {
			w.postGit("acme", 1000)
		}
		synctest.Wait()
		took := func(partitions ...string) time.Duration {
			start := time.Now()
			w.d.Pace(context.Background(), partitions...)
			return time.Since(start)
		}
		if got := took("audit"); got > 0 {
			t.Errorf("who posts to audit waited %s, want no wait for git", got)
		}
		if got := took("audit", "git"); got == 0 {
			t.Error("who posts to git did not wait, want a wait: it is late")
		}
	})
}

func TestProcessorsAreNotBusyAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p processors
		for range 100 {
			time.Sleep(busyStep)
			if p.areBusy() {
				t.Fatal("got busy, want not: nothing ran")
			}
		}
	})
}
