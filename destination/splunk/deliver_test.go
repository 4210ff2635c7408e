package splunk

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/deliver"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/splunk/splunktest"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/store"
)

// delivering is a log whose events go to a collector by way of package deliver.
type delivering struct {
	t   *testing.T
	log *eventlog.Log
	d   *deliver.Deliverer
}

// startDelivering posts n events with the ids e-0, e-1, ..., and delivers them.
func startDelivering(t *testing.T, n int, open func() (destination.Destination, error)) *delivering {
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
		id := fmt.Sprintf("e-%d", i)
		env := sluice.Envelope{ID: []byte(id), IDOffset: 7, Type: []byte("a.b"), Namespace: []byte("acme"), Class: sluice.Audit}
		b.Add(fmt.Appendf(nil, `{"id":%q,"event_type":"a.b","entity_path":"acme"}`, id), &env, "t1")
	}
	if _, err := log.Append(ctx, map[string]*eventlog.Batch{"audit": &b}); err != nil {
		t.Fatal(err)
	}
	return &delivering{t, log, d}
}

// until waits for a state of the stream.
func (w *delivering) until(what string, ok func(deliver.State) bool) deliver.State {
	w.t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		st, _ := w.d.State(w.t.Context(), 1)
		if ok(st) {
			return st
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			w.t.Fatalf("stream: got %s, %+v, want %s", st.Status, st.Ledger, what)
		}
	}
}

func settled(st deliver.State) bool { return st.Ledger.Accepted > 0 && st.Ledger.Pending == 0 }

// TestOnePoisonEventInFiveHundred looks at both ends: the ledger, and what the
// collector has.
func TestOnePoisonEventInFiveHundred(t *testing.T) {
	t.Parallel()
	const n, bad = 500, 300
	for _, c := range []struct {
		name    string
		options splunktest.Options
		fields  map[string]any
		most    int // times that an event may be stored
	}{
		{"Splunk", splunktest.Options{}, map[string]any{}, 1},
		{"a receiver that stores nothing of what it refuses", splunktest.Options{WholeBatch: true}, map[string]any{}, 1},
		{"Splunk with acknowledgement", splunktest.Options{Ack: true}, map[string]any{"indexer_ack": "require"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.options.Token, c.options.Plain, c.options.Refuse = testToken, true, refuseID(fmt.Sprintf("e-%d", bad), 6)
			s := splunktest.Start(c.options)
			t.Cleanup(s.Close)
			w := startDelivering(t, n, func() (destination.Destination, error) { return openAt(t, s.URL, fixedEnv(), c.fields), nil })
			st := w.until("all settled", settled)
			if st.Ledger.Delivered != n-1 || st.Ledger.Quarantined != 1 {
				t.Errorf("ledger: got %+v, want %d delivered and 1 quarantined", st.Ledger, n-1)
			}
			times := map[string]int{}
			for _, id := range stored(s) {
				times[id]++
			}
			for i := range n {
				id := fmt.Sprintf("e-%d", i)
				if got := times[id]; got > c.most || (got == 0) != (i == bad) {
					t.Errorf("event %s: got stored %d times, want 1 to %d, and 0 for e-%d", id, got, c.most, bad)
				}
			}
			if got := len(s.Requests()); got > 21 {
				t.Errorf("requests: got %d, want at most 21", got)
			}
		})
	}
}

// TestRefusingEverythingQuarantinesNothing has collectors that refuse whatever
// they get: the stream is to blame, and no event.
func TestRefusingEverythingQuarantinesNothing(t *testing.T) {
	t.Parallel()
	always := func(status int, body string) func(http.Handler) http.Handler {
		return func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				_, _ = io.Copy(io.Discard, q.Body)
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
			})
		}
	}
	for name, o := range map[string]splunktest.Options{
		"each event with its number": {Refuse: func(splunktest.Event) int { return 6 }},
		"400":                        {Wrap: always(400, "no")},
		"400 with code 6":            {Wrap: always(400, `{"text":"Invalid data format","code":6,"invalid-event-number":0}`)},
		"403":                        {Wrap: always(403, `{"text":"Invalid token","code":4}`)},
	} {
		o.Token, o.Plain = testToken, true
		for _, n := range []int{1, 60} {
			t.Run(fmt.Sprintf("%s, %d events", name, n), func(t *testing.T) {
				t.Parallel()
				s := splunktest.Start(o)
				t.Cleanup(s.Close)
				w := startDelivering(t, n, func() (destination.Destination, error) { return openAt(t, s.URL, fixedEnv(), nil), nil })
				st := w.until("held", func(st deliver.State) bool { return st.Status == sluice.StatusHeld })
				if st.Ledger.Quarantined != 0 || st.Ledger.Pending != uint64(n) {
					t.Errorf("ledger: got %+v, want all %d pending", st.Ledger, n)
				}
				if got := strings.Join(stored(s), " "); got != "" {
					t.Errorf("stored: got %s, want none", got)
				}
			})
		}
	}
}
