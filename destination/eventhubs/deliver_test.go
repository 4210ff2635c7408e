package eventhubs

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/deliver"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/eventhubs/eventhubstest"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/store"
)

// startDelivering posts n events with the ids e-0, e-1, ... to a log whose events
// package deliver brings to a destination. The event bad holds the marker that
// the hub "reject-one" refuses.
func startDelivering(t *testing.T, n, bad int, open func() (destination.Destination, error)) *deliver.Deliverer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log, err := eventlog.Open(ctx, eventlog.NewMemory(eventlog.MemoryOptions{Log: eventlog.LogID{1}}), eventlog.Options{ID: eventlog.LogID{1}})
	if err != nil {
		t.Fatal(err)
	}
	d := deliver.New(log, store.NewMemory(), deliver.Options{Logger: slog.New(slog.DiscardHandler),
		Emit: func(context.Context, deliver.Notice) error { return nil }})
	if err := d.Load(ctx); err != nil {
		t.Fatal(err)
	}
	if err := d.Put(ctx, deliver.Stream{ID: 1, Namespace: "acme", Version: 1, Start: map[string]deliver.Start{"audit": {}}, Open: open}); err != nil {
		t.Fatal(err)
	}
	var running, logging sync.WaitGroup
	logCtx, logCancel := context.WithCancel(context.Background())
	logging.Go(func() { _ = log.Run(logCtx) })
	running.Go(func() { _ = d.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		logCancel()
		logging.Wait()
		_ = log.Close()
	})
	var b eventlog.Batch
	for i := range n {
		id, note := fmt.Sprintf("e-%d", i), "fine"
		if i == bad {
			note = "swallow-me-not"
		}
		env := sluice.Envelope{ID: []byte(id), IDOffset: 7, Type: []byte("a.b"), Namespace: []byte("acme"), Class: sluice.Audit}
		b.Add(fmt.Appendf(nil, `{"id":%q,"event_type":"a.b","entity_path":"acme","note":%q}`, id, note), &env, "t1")
	}
	if _, err := log.Append(ctx, map[string]*eventlog.Batch{"audit": &b}); err != nil {
		t.Fatal(err)
	}
	return d
}

// waitForState waits for a state of the stream.
func waitForState(t *testing.T, d *deliver.Deliverer, what string, ok func(deliver.State) bool) (last deliver.State) {
	t.Helper()
	waitFor(t, what, func() bool {
		last, _ = d.State(t.Context(), 1)
		return ok(last)
	})
	return last
}

// TestBlame looks at both ends: one event of 500 goes to quarantine and the others
// arrive once; a hub that refuses everything costs no event.
func TestBlame(t *testing.T) {
	b := startBroker(t)
	opener := func(hub string) func() (destination.Destination, error) {
		l := listen(t, b, eventhubstest.ListenOptions{})
		return func() (destination.Destination, error) {
			return openHub(t, named(hub), withKey(l.Host(), eventhubstest.KeyName, eventhubstest.Key)+emulated, testEnv()), nil
		}
	}
	t.Run("one of 500", func(t *testing.T) {
		t.Parallel()
		d := startDelivering(t, 500, 300, opener("reject-one"))
		st := waitForState(t, d, "all settled", func(st deliver.State) bool { return st.Ledger.Accepted > 0 && st.Ledger.Pending == 0 })
		if st.Ledger.Delivered != 499 || st.Ledger.Quarantined != 1 {
			t.Errorf("ledger: got %+v, want 499 delivered and 1 quarantined", st.Ledger)
		}
		stored := b.Stored("reject-one")
		if got := len(slices.Compact(slices.Sorted(slices.Values(stored)))); got != 499 || len(stored) != 499 {
			t.Errorf("stored: got %d events, %d of them different, want 499 once", len(stored), got)
		}
		if got := len(b.Messages("reject-one")); got > 21 {
			t.Errorf("batches: got %d, want at most 21", got)
		}
	})
	for _, hub := range []string{"refusing", "forbidden"} {
		for _, n := range []int{1, 5, 60} {
			t.Run(fmt.Sprintf("%s with %d events", hub, n), func(t *testing.T) {
				t.Parallel()
				d := startDelivering(t, n, -1, opener(hub))
				st := waitForState(t, d, "held", func(st deliver.State) bool { return st.Status == sluice.StatusHeld })
				if st.Ledger.Quarantined != 0 || st.Ledger.Pending != uint64(n) {
					t.Errorf("ledger: got %+v, want all %d pending", st.Ledger, n)
				}
			})
		}
	}
}

// TestLostAnswer loses the answer to a stored batch once: everything arrives, and
// nothing more than that batch twice.
func TestLostAnswer(t *testing.T) {
	b := startBroker(t)
	var once sync.Once
	l := listen(t, b, eventhubstest.ListenOptions{Answer: func(eventhubstest.Message) string {
		answer := "accept"
		once.Do(func() { answer = "store-and-cut" })
		return answer
	}})
	d := startDelivering(t, 100, -1, func() (destination.Destination, error) {
		return openHub(t, named("hub"), withKey(l.Host(), eventhubstest.KeyName, eventhubstest.Key)+emulated, testEnv()), nil
	})
	st := waitForState(t, d, "all settled", func(st deliver.State) bool { return st.Ledger.Accepted > 0 && st.Ledger.Pending == 0 })
	if st.Ledger.Delivered != 100 {
		t.Errorf("ledger: got %+v, want 100 delivered", st.Ledger)
	}
	stored := b.Stored("hub")
	first := len(b.Messages("hub")[0].Events)
	if distinct := len(slices.Compact(slices.Sorted(slices.Values(stored)))); distinct != 100 || len(stored) > 100+first {
		t.Errorf("stored: got %d events, %d of them different, want 100 and at most %d twice", len(stored), distinct, first)
	}
}
