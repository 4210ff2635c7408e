package deliver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// spooled are options with a folder for objects.
func spooled(t *testing.T, opts Options) Options {
	opts.Spool = filepath.Join(t.TempDir(), "spool")
	return opts
}

func TestObjectsAreCutByEventsAndAge(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		b := w.bucket(1, "acme")
		w.post("acme", "a", 30)
		w.post("other", "a", 5)
		time.Sleep(10 * time.Second)
		w.expect(1, sluice.Ledger{Accepted: 30, Pending: 30})
		st, _ := w.d.State(context.Background(), 1)
		if l := st.Lanes[0]; l.Behind || st.Status != sluice.StatusActive {
			t.Errorf("lane that waits for the age: got behind %t, %s, want neither behind nor failing", l.Behind, st.Status)
		}
		w.post("acme", "a", 220)
		w.expect(1, sluice.Ledger{Accepted: 250, Delivered: 200, Pending: 50})
		b.expect(100, 100)
		time.Sleep(time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 250, Delivered: 250})
		b.expect(100, 100, 50)
		time.Sleep(time.Hour)
		w.post("acme", "a", 1)
		time.Sleep(50 * time.Second)
		w.expect(1, sluice.Ledger{Accepted: 251, Delivered: 250, Pending: 1})
		time.Sleep(10 * time.Second)
		w.expect(1, sluice.Ledger{Accepted: 251, Delivered: 251})
		b.expect(100, 100, 50, 1)
		if b.puts != 4 {
			t.Errorf("puts: got %d, want one for each of 4 objects", b.puts)
		}
		left(t, w)
	})
}

// left fails the test when files are left in the spool.
func left(t *testing.T, w *world) {
	t.Helper()
	entries, err := os.ReadDir(w.opts.Spool)
	if err != nil || len(entries) != 0 || w.d.spool.used.Load() != 0 {
		t.Errorf("spool: got %d files and %d bytes, %v, want none", len(entries), w.d.spool.used.Load(), err)
	}
}

func TestObjectsAreCutBySize(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		b := w.bucketBy(1, "acme", destination.ObjectLimits{Bytes: 1000, Events: 1e6, Age: time.Hour})
		w.post("acme", "a", 45) // of 51 bytes mostly
		time.Sleep(time.Hour)
		w.expect(1, sluice.Ledger{Accepted: 45, Delivered: 45})
		b.expect(20, 20, 5)
		w.post("acme", "a", 45) // what they come to is known now
		w.expect(1, sluice.Ledger{Accepted: 90, Delivered: 85, Pending: 5})
		b.expect(20, 20, 5, 20, 20)
	})
}

func TestObjectsHoldWhatTheFilterWants(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		b := w.bucket(1, sluice.Instance, func(s *Stream) { s.Filter = sluice.Filter{EventTypes: []string{"a"}} })
		for range 20 {
			w.post("acme", "a", 3)
			w.post("beta", "b", 7)
			time.Sleep(time.Second)
		}
		time.Sleep(2 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 200, Delivered: 60, Filtered: 140})
		b.expect(60)
	})
}

func TestLostAnswerStoresNothingTwice(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		b := w.bucket(1, "acme")
		b.set(func(r *receiver) { r.glitches = 3 })
		w.post("acme", "a", 150)
		time.Sleep(10 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 150, Delivered: 150})
		b.expect(100, 50)
		list, err := w.d.Attempts(context.Background(), 1, 10)
		if err != nil || len(list) != 5 {
			t.Fatalf("attempts: got %d, %v, want 5", len(list), err)
		}
		last, first := list[0], list[4]
		if last.Class != "" || last.Events != 50 || last.Delivered != 50 || last.First != 101 || last.Last != 150 || last.Bytes == 0 {
			t.Errorf("last attempt: got %+v, want 50 events from 101 on delivered", last)
		}
		if first.Class != "unavailable" || first.Events != 100 || first.Delivered != 0 || first.Words != "connection lost" {
			t.Errorf("first attempt: got %+v, want it failed", first)
		}
	})
}

// TestKillsAroundAPut ends the process before and after the object is stored, and
// starts it with what was durable then.
func TestKillsAroundAPut(t *testing.T) {
	for _, at := range []string{"before", "after"} {
		t.Run(at, func(t *testing.T) {
			simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
				b := w.bucket(1, "acme")
				kill := w.killer()
				b.hook(at, kill.hook)
				w.post("acme", "a", 130)
				<-kill.hit
				b.hook(at, nil)
				kill.finish()
				w.post("acme", "a", 7) // must not change what is in the object
				time.Sleep(3 * time.Minute)
				w.expect(1, sluice.Ledger{Accepted: 137, Delivered: 137})
				b.expect(100, 37)
				left(t, w)
			})
		})
	}
}

func TestPlanOutlivesFilterPauseAndRestart(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		b := w.bucket(1, "acme")
		b.set(func(r *receiver) { r.refuse = unavailable })
		w.post("acme", "a", 20)
		w.post("acme", "b", 20)
		time.Sleep(2 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 40, Pending: 40})
		if st := w.status(1); st != sluice.StatusFailing {
			t.Errorf("status: got %s, want %s", st, sluice.StatusFailing)
		}
		w.change(1, func(s *Stream) { s.Filter, s.Paused = sluice.Filter{EventTypes: []string{"b"}}, true })
		w.post("acme", "a", 5)
		w.post("acme", "b", 5)
		time.Sleep(time.Minute)
		left(t, w) // a paused lane keeps no file
		w.crash()
		b.set(func(r *receiver) { r.refuse = nil })
		w.change(1, func(s *Stream) { s.Paused = false })
		time.Sleep(5 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 50, Delivered: 45, Filtered: 5})
		b.expect(40, 5) // what was planned stays as it was
	})
}

func TestRefusedObjectHoldsTheStream(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		b := w.bucket(1, "acme")
		b.set(func(r *receiver) { r.refuse = rejectAll })
		w.post("acme", "a", 150)
		time.Sleep(time.Hour)
		w.expect(1, sluice.Ledger{Accepted: 150, Pending: 150})
		if st := w.status(1); st != sluice.StatusHeld {
			t.Errorf("status: got %s, want %s", st, sluice.StatusHeld)
		}
		b.set(func(r *receiver) { r.refuse = nil })
		time.Sleep(10 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 150, Delivered: 150})
		b.expect(100, 50)
	})
}

func TestUntilCutsTheRestAtOnce(t *testing.T) {
	for _, later := range []bool{false, true} { // whether another event shows where the stream ends
		t.Run(fmt.Sprintf("later %t", later), func(t *testing.T) {
			simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
				b := w.bucketBy(1, "acme", destination.ObjectLimits{Bytes: 1 << 20, Events: 100, Age: time.Hour}, func(s *Stream) { s.Until = time.Now().Add(20 * time.Second) })
				w.post("acme", "a", 9)
				time.Sleep(21 * time.Second)
				if later {
					w.post("acme", "a", 4)
				}
				w.expect(1, sluice.Ledger{Accepted: 9, Delivered: 9})
				b.expect(9)
				if st := w.status(1); st != sluice.StatusDone {
					t.Errorf("status: got %s, want %s", st, sluice.StatusDone)
				}
			})
		})
	}
}

func TestRemovalEndsAPut(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		b := w.bucket(1, "acme")
		started := make(chan struct{})
		b.hook("before", func(ctx context.Context) {
			close(started)
			<-ctx.Done()
		})
		w.post("acme", "a", 100)
		<-started
		st, err := w.d.Remove(context.Background(), 1)
		if want := (sluice.Ledger{Accepted: 100, Pending: 100}); err != nil || st.Ledger != want {
			t.Errorf("Remove: got %+v, %v, want %+v", st.Ledger, err, want)
		}
		delete(w.confs, 1)
		left(t, w)
	})
}

func TestFullSpoolIsTriedAgain(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		b := w.bucket(1, "acme")
		if err := os.RemoveAll(w.opts.Spool); err != nil {
			t.Fatal(err)
		}
		w.post("acme", "a", 100)
		w.expect(1, sluice.Ledger{Accepted: 100, Pending: 100})
		st, _ := w.d.State(context.Background(), 1)
		if f := st.Lanes[0].LastError; f == nil || f.Class != "unavailable" || !strings.Contains(f.Message, "spool folder") {
			t.Errorf("failure: got %+v, want it to name the spool folder", f)
		}
		if err := os.Mkdir(w.opts.Spool, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 100, Delivered: 100})
		b.expect(100)
	})
}

func TestWithoutASpoolTheStreamIsHeld(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		w.bucket(1, "acme")
		w.post("acme", "a", 3)
		time.Sleep(2 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 3, Pending: 3})
		if st := w.status(1); st != sluice.StatusHeld {
			t.Errorf("status: got %s, want %s", st, sluice.StatusHeld)
		}
	})
}

// TestManyBucketsShareThePlaces has more streams than places, all due at once.
func TestManyBucketsShareThePlaces(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		var all []*bucket
		for id := range sluice.StreamID(40) {
			all = append(all, w.bucket(id+1, "acme"))
		}
		for range 3 {
			w.post("acme", "a", 55)
		}
		time.Sleep(2 * time.Minute)
		for i, b := range all {
			w.expect(sluice.StreamID(i+1), sluice.Ledger{Accepted: 165, Delivered: 165})
			b.expect(100, 65)
		}
		left(t, w)
	})
}

// TestSparseBucketReadsWhatItWants: a stream that wants little of a busy log does
// not read the rest of it.
func TestSparseBucketReadsWhatItWants(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		b := w.bucket(1, "acme")
		for range 300 {
			w.post("beta", "a", 10)
		}
		w.post("acme", "a", 60)
		for range 300 {
			w.post("beta", "a", 10)
		}
		w.post("acme", "a", 60)
		w.post("acme", "a", 3)
		for range 300 {
			w.post("beta", "a", 10)
		}
		w.expect(1, sluice.Ledger{Accepted: 123, Delivered: 100, Pending: 23})
		s, err := w.d.stream(1)
		if err != nil {
			t.Fatal(err)
		}
		l := s.lanes[0]
		if n := len(l.fill.runs); !l.fill.known || n != 1 {
			t.Errorf("account: got known %t with %d runs, want one run left", l.fill.known, n)
		}
		build := &building{conf: w.confs[1]}
		first := l.fill.runs[0]
		for at, want := range map[uint64]Start{
			l.rec.Cursor:         {Seq: l.rec.Cursor, Total: l.rec.Total}, // inside of the run
			first.last:           {Seq: l.p.processed, Total: 123},
			first.before.Seq - 5: first.before,
		} {
			from := Start{Seq: at, Total: 1}
			if at == l.rec.Cursor {
				from = want
			}
			if got := l.skip(build, from); got != want {
				t.Errorf("skip from %d: got %+v, want %+v", at, got, want)
			}
		}
		time.Sleep(time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 123, Delivered: 123})
		b.expect(100, 23)
	})
}

// TestPlanWhoseEventsAreGone: what can no longer be built is expired, unless the
// bucket has it.
func TestPlanWhoseEventsAreGone(t *testing.T) {
	for _, stored := range []bool{false, true} {
		t.Run(fmt.Sprintf("stored %t", stored), func(t *testing.T) {
			simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
				b := w.bucket(1, "acme")
				b.set(func(r *receiver) { r.refuse = unavailable })
				if stored {
					b.set(func(r *receiver) { r.refuse, r.glitches = nil, 1_000_000 })
				}
				w.post("acme", "a", 10) // 1 to 10
				w.post("acme", "a", 10)
				w.post("acme", "a", 10)
				time.Sleep(2 * time.Minute)
				w.stop()
				if !w.engine.Lose("audit", 15) {
					t.Fatal("lose block: got false, want true")
				}
				w.start()
				b.set(func(r *receiver) { r.refuse, r.glitches = nil, 0 })
				w.post("acme", "a", 1)
				time.Sleep(10 * time.Minute)
				if stored {
					w.expect(1, sluice.Ledger{Accepted: 31, Delivered: 31})
					b.expect(30, 1)
					return
				}
				w.expect(1, sluice.Ledger{Accepted: 31, Delivered: 21, Expired: 10})
				b.expect(20, 1)
			})
		})
	}
}

func TestRetentionPastAPlan(t *testing.T) {
	retention := map[string]Retention{"audit": {Age: 24 * time.Hour}}
	simulate(t, spooled(t, Options{Retention: retention}), func(t *testing.T, w *world) {
		b := w.bucket(1, "acme")
		b.set(func(r *receiver) { r.refuse = unavailable })
		for range 12 { // days
			w.post("acme", "a", 10)
			time.Sleep(24 * time.Hour)
		}
		synctest.Wait()
		got := w.ledger(1)
		if got.Expired == 0 || got.Expired+got.Pending != 120 {
			t.Errorf("ledger: got %+v, want what is older than 8 days expired and the rest pending", got)
		}
		b.set(func(r *receiver) { r.refuse = nil })
		time.Sleep(time.Hour)
		w.expect(1, sluice.Ledger{Accepted: 120, Delivered: 120 - got.Expired, Expired: got.Expired})
		b.once()
	})
}

// TestIdleBucketIsNotBehind: a stream that has a few events an hour never counts
// as behind, and its events are kept all the same.
func TestIdleBucketIsNotBehind(t *testing.T) {
	retention := map[string]Retention{"audit": {Bytes: 1}}
	simulate(t, spooled(t, Options{Retention: retention}), func(t *testing.T, w *world) {
		b := w.bucketBy(1, "acme", destination.ObjectLimits{Bytes: 1 << 20, Events: 100, Age: time.Hour})
		for range 10 * 24 {
			w.post("acme", "a", 2)
			time.Sleep(time.Hour)
		}
		time.Sleep(2 * time.Hour)
		w.expect(1, sluice.Ledger{Accepted: 480, Delivered: 480})
		b.once()
		for _, n := range w.noted() {
			t.Errorf("notice: got %s %v, want none", n.Type, n.Fields)
		}
	})
}

// TestReplacedDestination has a stream go from a bucket to events and back.
func TestReplacedDestination(t *testing.T) {
	simulate(t, spooled(t, Options{}), func(t *testing.T, w *world) {
		b := w.bucket(1, "acme")
		open := w.confs[1].Open
		b.set(func(r *receiver) { r.refuse = unavailable })
		w.post("acme", "a", 30)
		time.Sleep(2 * time.Minute)
		other := &receiver{limits: destination.Limits{Events: 10, Bytes: 1 << 20, Timeout: time.Second}}
		w.change(1, func(s *Stream) { s.Open = func() (destination.Destination, error) { return other, nil } })
		w.expect(1, sluice.Ledger{Accepted: 30, Delivered: 30})
		left(t, w)
		b.set(func(r *receiver) { r.refuse = nil })
		w.change(1, func(s *Stream) { s.Open = open })
		w.post("acme", "a", 4)
		time.Sleep(2 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 34, Delivered: 34})
		b.expect(4)
	})
}
