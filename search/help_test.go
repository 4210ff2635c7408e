package search

import (
	"bytes"
	"context"
	"fmt"
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

// world is a log on a memory engine with a service that indexes it, in simulated
// time.
type world struct {
	t      *testing.T
	stored *eventlog.Memory
	log    *eventlog.Log
	engine index.Engine
	cfg    Config
	*Service

	stopLog, stopSearch func()
}

func logID() eventlog.LogID { return eventlog.LogID{7} }

// simulate runs f in a world whose chunks have some 10 events.
func simulate(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, stored: eventlog.NewMemory(eventlog.MemoryOptions{Log: logID()}), engine: index.NewMemory(),
			cfg: Config{ChunkEvents: 10}}
		w.openLog(nil)
		w.start()
		f(t, w)
		w.stopSearch()
		w.stopLog()
	})
}

// openLog runs the log; floors are what is known of it from elsewhere.
func (w *world) openLog(floors map[string]eventlog.Floor) {
	w.t.Helper()
	var err error
	w.log, err = eventlog.Open(context.Background(), w.stored, eventlog.Options{ID: logID(), Floors: floors})
	if err != nil {
		w.t.Fatal(err)
	}
	w.stopLog = background(w.t, w.log.Run)
	stop := w.stopLog
	w.stopLog = func() { stop(); _ = w.log.Close() }
}

// start runs the service, with what the engine has.
func (w *world) start() {
	w.cfg.Log, w.cfg.Engine = w.log, w.engine
	w.Service = New(w.cfg)
	w.stopSearch = background(w.t, w.Service.Run)
}

// background runs f until the function that it returns is called.
func background(t *testing.T, f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return func() { cancel(); wg.Wait() }
}

// event is an event of a test.
type event struct{ ns, typ, id string }

// post appends events in one request and waits until they are indexed.
func (w *world) post(events ...event) {
	w.t.Helper()
	w.append(events...)
	synctest.Wait()
}

func (w *world) append(events ...event) {
	w.t.Helper()
	batches := map[string]*eventlog.Batch{}
	for _, e := range events {
		class := sluice.ClassOf(e.typ)
		b := batches[string(class)]
		if b == nil {
			b = &eventlog.Batch{}
			batches[string(class)] = b
		}
		payload := fmt.Appendf(nil, `{"id":"%s","entity_path":"%s","event_type":"%s","author_name":"%s"}`, e.id, e.ns, e.typ, "author-"+e.ns)
		b.Add(payload, &sluice.Envelope{ID: []byte(e.id), IDOffset: len(`{"id":"`), Type: []byte(e.typ), Namespace: []byte(e.ns), Class: class}, "token-1")
	}
	if _, err := w.log.Append(context.Background(), batches); err != nil {
		w.t.Fatal(err)
	}
}

// numbered returns n events of a namespace; every third is a Git event.
func numbered(ns, prefix string, n int) []event {
	events := make([]event, n)
	for i := range events {
		events[i] = event{ns, "user.login", fmt.Sprint(prefix, i)}
		if i%3 == 2 {
			events[i].typ = "git.push"
		}
	}
	return events
}

// want returns a page, which has to succeed.
func (w *world) want(q index.Query, o PageOptions) Page {
	w.t.Helper()
	p, err := w.Page(context.Background(), q, o)
	if err != nil {
		w.t.Fatalf("page: %v", err)
	}
	return p
}

// all reads every page, from first to last.
func (w *world) all(q index.Query, order Order, limit int) (ids []string) {
	w.t.Helper()
	o := PageOptions{Order: order, Limit: limit}
	for {
		p := w.want(q, o)
		ids = append(ids, idsOf(p)...)
		if !p.More {
			return ids
		}
		o.After = p.Next
	}
}

func everything() index.Query { return index.Query{Scope: index.Everything()} }

func below(ns string) index.Query { return index.Query{Scope: index.Below(ns)} }

func phrase(t *testing.T, scope index.Scope, clauses ...index.Clause) index.Query {
	t.Helper()
	return index.Query{Scope: scope, Clauses: clauses}
}

func idsOf(p Page) []string {
	ids := []string{}
	for _, e := range p.Events {
		ids = append(ids, idOf(e.Payload))
	}
	return ids
}

func idOf(payload []byte) string {
	id, _, _ := bytes.Cut(bytes.TrimPrefix(payload, []byte(`{"id":"`)), []byte(`"`))
	return string(id)
}

// inLog returns the ids of what the log has, as pages with the oldest first have
// them.
func (w *world) inLog(match func(event) bool) (ids []string) {
	w.t.Helper()
	type row struct {
		at        time.Time
		partition string
		seq       uint64
		id        string
	}
	var rows []row
	for _, p := range w.log.Partitions() {
		for seq := uint64(1); seq <= w.log.Stored(p); {
			b, err := w.log.Block(context.Background(), p, seq)
			if err != nil {
				w.t.Fatal(err)
			}
			for i := range b.Entries {
				payload, err := b.Payload(i)
				if err != nil {
					w.t.Fatal(err)
				}
				e := event{b.Namespaces[b.Entries[i].Namespace].Path, b.Types[b.Entries[i].Type].Name, idOf(payload)}
				if match == nil || match(e) {
					rows = append(rows, row{b.Accepted, p, b.First + uint64(i), e.id})
				}
			}
			seq = b.Last() + 1
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		if c := strings.Compare(a.partition, b.partition); c != 0 {
			return c
		}
		return int(a.seq) - int(b.seq)
	})
	for _, r := range rows {
		ids = append(ids, r.id)
	}
	return ids
}

// wantSame compares ids with what they have to be.
func wantSame(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %d events %.300q, want %d events %.300q", what, len(got), got, len(want), want)
	}
}

func reversed(list []string) []string {
	out := slices.Clone(list)
	slices.Reverse(out)
	return out
}

// TestMain has the compressor made before any test: it must not belong to the
// simulated time of one.
func TestMain(m *testing.M) {
	h := index.NewHead()
	h.Add(&index.Event{Seq: 1, Payload: []byte("{}")})
	h.Seal()
	m.Run()
}
