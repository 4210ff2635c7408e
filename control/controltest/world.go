// Package controltest sets up package control on memory engines, for tests of
// control itself and of the surfaces above it.
package controltest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/deliver"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/notice"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/store"
)

// World is a running service with everything below it in memory. Its fields
// belong to the test; those that configure are read by Start.
type World struct {
	T       testing.TB
	Store   *store.Memory
	Engine  *eventlog.Memory
	Ring    *secret.Ring
	Kind    *Kind
	Sender  *Sender // of notices to every kind of address
	Service *control.Service
	Deliver *deliver.Deliverer
	Log     *eventlog.Log
	// Configure changes the configuration before the service is made.
	Configure func(*control.Config)
	// Blocks is asked before each block is stored; see [eventlog.MemoryOptions].
	Blocks atomic.Pointer[func(partition string) error]
	// Looks is called before a moment is looked for in the log.
	Looks atomic.Pointer[func()]
	// Admin is the administrator.
	Admin control.Principal
	// AdminToken is its token.
	AdminToken string
	// Broken: the log is expected to fail.
	Broken bool

	posted atomic.Int64 // events so far
	logs   buffer
	stop   func()
}

// buffer holds what was logged.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// Logs returns what was logged, at every level.
func (w *World) Logs() string {
	w.logs.mu.Lock()
	defer w.logs.mu.Unlock()
	return w.logs.b.String()
}

// Logger returns a logger that writes there.
func (w *World) Logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(&w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// New returns a world that runs. The caller stops it.
func New(t testing.TB, configure func(*control.Config)) *World {
	t.Helper()
	w := &World{
		T: t, Store: store.NewMemory(), Engine: eventlog.NewMemory(eventlog.MemoryOptions{Log: eventlog.LogID{1}}),
		Ring: secret.NewRing(), Kind: &Kind{}, Sender: &Sender{}, Configure: configure, AdminToken: "an-administrator-s-token",
	}
	w.Start()
	return w
}

// Start runs the service on what is stored.
func (w *World) Start() {
	t := w.T
	t.Helper()
	ctx := context.Background()
	floors, err := deliver.Floors(ctx, w.Store)
	must(t, err)
	w.Engine = w.Engine.Restart(eventlog.MemoryOptions{Log: eventlog.LogID{1}, Before: func(partition string, _ []byte) error {
		if f := w.Blocks.Load(); f != nil {
			return (*f)(partition)
		}
		return nil
	}})
	w.Log, err = eventlog.Open(ctx, watched{w.Engine, w}, eventlog.Options{ID: eventlog.LogID{1}, Floors: floors, Logger: w.Logger()})
	must(t, err)
	var service *control.Service
	w.Deliver = deliver.New(w.Log, w.Store, deliver.Options{Logger: w.Logger(), Emit: func(ctx context.Context, n deliver.Notice) error {
		return service.Emit(ctx, n)
	}})
	must(t, w.Deliver.Load(ctx))
	cfg := control.Config{
		Log: w.Log, Store: w.Store, Deliver: w.Deliver, Kinds: []destination.Kind{w.Kind}, Ring: w.Ring, Logger: w.Logger(),
		PasswordMemory: 64,
		Senders:        map[string]notice.Sender{notice.HTTP: w.Sender, notice.Email: w.Sender},
		Env: destination.Env{UserAgent: "Sluice/test", Dialer: destination.NewDialer(destination.DialerConfig{
			Resolver: destination.Hosts{"meta.example": {netip.MustParseAddr("169.254.169.254")}, "sink.example": {netip.MustParseAddr("203.0.114.7")}},
		})},
	}
	if w.Configure != nil {
		w.Configure(&cfg)
	}
	service = control.New(cfg)
	w.Service = service
	must(t, service.Open(ctx))
	w.run()
	_, err = service.EnsureAdmin(ctx, secret.Text(w.AdminToken))
	must(t, err)
	w.Admin, err = service.Authenticate(ctx, w.AdminToken)
	must(t, err)
}

// watched is an engine that tells the world when somebody looks for a moment.
type watched struct {
	eventlog.Engine
	w *World
}

func (e watched) Open(ctx context.Context, partition string) (eventlog.Partition, error) {
	p, err := e.Engine.Open(ctx, partition)
	return watchedPartition{p, e.w}, err
}

type watchedPartition struct {
	eventlog.Partition
	w *World
}

func (p watchedPartition) Since(ctx context.Context, t time.Time) (eventlog.Stored, error) {
	if f := p.w.Looks.Load(); f != nil {
		(*f)()
	}
	return p.Partition.Since(ctx, t)
}

// run starts everything that runs, in order; stop ends it in reverse.
func (w *World) run() {
	var stops []func()
	for _, run := range []func(context.Context) error{w.Log.Run, w.Deliver.Run, w.Service.Run} {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := run(ctx); err != nil && !w.Broken {
				w.T.Errorf("run: %v", err)
			}
		})
		stops = append(stops, func() { cancel(); wg.Wait() })
	}
	w.stop = func() {
		for i := len(stops) - 1; i >= 0; i-- {
			stops[i]()
		}
		if err := w.Log.Close(); err != nil && !w.Broken {
			w.T.Errorf("close the log: %v", err)
		}
	}
}

// Stop ends everything in order.
func (w *World) Stop() {
	w.stop()
}

// Restart stops and starts again.
func (w *World) Restart() {
	w.Stop()
	w.Start()
}

// Crash goes on with what was durable when it was called.
func (w *World) Crash() {
	w.T.Helper()
	store := w.Store.Snapshot()
	w.Broken = true
	w.stop()
	w.Broken = false
	w.Store = store
	w.Start()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Records returns every stored record as text.
func (w *World) Records() string {
	w.T.Helper()
	var b strings.Builder
	for r, err := range w.Store.List(context.Background(), "") {
		must(w.T, err)
		fmt.Fprintf(&b, "%s %s\n", r.Key, r.Value)
	}
	return b.String()
}

// Stored is an event that is in the log.
type Stored struct {
	ID            string          `json:"id"`
	CreatedAt     time.Time       `json:"created_at"`
	EventType     string          `json:"event_type"`
	EntityType    string          `json:"entity_type"`
	EntityPath    string          `json:"entity_path"`
	AuthorName    string          `json:"author_name"`
	AuthorID      int64           `json:"author_id"`
	TargetType    string          `json:"target_type"`
	TargetID      any             `json:"target_id"`
	TargetDetails string          `json:"target_details"`
	Details       map[string]any  `json:"details"`
	Raw           json.RawMessage `json:"-"`
}

// Events returns the events of a partition whose type has the prefix.
func (w *World) Events(partition, prefix string) []Stored {
	w.T.Helper()
	var out []Stored
	for seq := w.Log.First(partition); seq <= w.Log.Last(partition); {
		b, err := w.Log.Block(context.Background(), partition, seq)
		must(w.T, err)
		for i := range b.Entries {
			payload, err := b.Payload(i)
			must(w.T, err)
			s := Stored{Raw: bytes.Clone(payload)}
			must(w.T, json.Unmarshal(payload, &s))
			if strings.HasPrefix(s.EventType, prefix) {
				out = append(out, s)
			}
		}
		seq = b.Last() + 1
	}
	return out
}

// Post appends n events of a namespace and type as a producer would.
func (w *World) Post(namespace, eventType string, n int) {
	w.T.Helper()
	var events []string
	for range n {
		events = append(events, fmt.Sprintf(`{"id":%q,"event_type":%q,"entity_path":%q}`, fmt.Sprint("e", w.posted.Add(1)), eventType, namespace))
	}
	w.PostRaw(events...)
}

// PostRaw posts events as they are, in one request.
func (w *World) PostRaw(events ...string) {
	w.T.Helper()
	batches := map[string]*eventlog.Batch{}
	var scanner sluice.Scanner
	for _, src := range events {
		payload, env, _, err := scanner.Scan(nil, []byte(src))
		must(w.T, err)
		if batches[string(env.Class)] == nil {
			batches[string(env.Class)] = &eventlog.Batch{}
		}
		batches[string(env.Class)].Add(payload, &env, "t0")
	}
	_, err := w.Service.Accept(context.Background(), &control.Producer{Source: "t0"}, batches)
	must(w.T, err)
}
