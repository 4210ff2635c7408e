package deliver

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// A stream that could not be put, for the log was not readable at that moment, is
// put again, and then gets everything.
func TestPutAfterAPutThatFailed(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := &receiver{limits: destination.Limits{Events: 100, Bytes: 1 << 20, Timeout: time.Minute}}
		w.dests[1] = r
		seq, total := w.log.Position("audit", "acme")
		conf := Stream{ID: 1, Namespace: "acme", Version: 1, Start: map[string]Start{"audit": {Seq: seq, Total: total}},
			Until: time.Now().Add(time.Hour), Open: func() (destination.Destination, error) { return r, nil }}
		broken, cancel := context.WithCancel(context.Background())
		cancel()
		w.post("acme", "a", 2)
		if err := w.d.Put(broken, conf); err == nil {
			t.Fatal("Put without a log that can be read: got no error")
		}
		w.post("acme", "a", 1)
		w.put(conf)
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
		w.post("acme", "a", 2)
		w.expect(1, sluice.Ledger{Accepted: 5, Delivered: 5})
	})
}

// What ends late of a stream that was halted does not touch the one that goes on
// in its place.
func TestNoticeUnderWayWhenAHaltedStreamGoesOn(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		emit, begun, goOn := w.d.opts.Emit, make(chan struct{}), make(chan struct{})
		var once sync.Once
		w.d.opts.Emit = func(ctx context.Context, n Notice) error {
			once.Do(func() { close(begun); <-goOn })
			return emit(ctx, n)
		}
		w.stream(1, "acme")
		w.post("acme", "a", 1)
		w.expect(1, sluice.Ledger{Accepted: 1, Delivered: 1})
		l := w.lane(1)
		l.mu.Lock()
		l.notice("stream.gap", nil)
		l.notice("stream.gap", nil)
		l.mu.Unlock()
		<-begun
		if _, err := w.d.Halt(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
		w.put(w.confs[1])
		close(goOn)
		time.Sleep(time.Minute)
		synctest.Wait()
		ids := map[string]bool{}
		for _, n := range w.noted() {
			if n.Type != "stream.gap" || n.ID == "" {
				t.Errorf("notice: got %+v, want one of a gap", n)
			}
			ids[n.ID] = true
		}
		if len(ids) != 2 {
			t.Errorf("notices: got %d, want 2", len(ids))
		}
	})
}

// Drop of a stream that is halted meanwhile takes nothing from the one that goes
// on in its place.
func TestDropWhenAHaltedStreamGoesOn(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		r.set(func(r *receiver) {
			r.single, r.check = true, true
			r.refuse = poison(destination.RejectedBatch, "e1", "e2", "e3")
		})
		w.post("acme", "a", 4)
		w.expect(1, sluice.Ledger{Accepted: 4, Delivered: 1, Quarantined: 3})
		old := w.lane(1)
		if _, err := w.d.Halt(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
		w.put(w.confs[1])
		// A Drop that had found the lane before it was halted goes on here.
		if _, err := w.d.leaveQuarantine(context.Background(), old, 2, func(r *record) { r.Expired++ }); err == nil {
			t.Error("an event left the quarantine of a lane that was stopped: got no error")
		}
		l := w.lane(1)
		l.mu.Lock()
		if want := []uint64{1, 2, 3}; !slices.Equal(l.rec.Quarantined, want) {
			t.Errorf("quarantined: got %v, want %v", l.rec.Quarantined, want)
		}
		l.mu.Unlock()
		w.expect(1, sluice.Ledger{Accepted: 4, Delivered: 1, Quarantined: 3})
	})
}
