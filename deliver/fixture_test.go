package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/store"
)

// world is a log, a store and a Deliverer on simulated time. Restart throws away
// everything that is not durable.
type world struct {
	t      *testing.T
	engine *eventlog.Memory
	store  *store.Memory
	log    *eventlog.Log
	d      *Deliverer
	opts   Options
	stop   func()
	next   int
	dests  map[sluice.StreamID]*receiver
	confs  map[sluice.StreamID]Stream
	noting sync.Mutex
	notes  []Notice    // guarded by noting
	full   atomic.Bool // the store has no space
	broken storeFault
	died   atomic.Bool // the Deliverer ended because of an error
	since  time.Time   // when it was started
	// writes of lane records until it has none; 0 for no such limit
	writes atomic.Int64
	busy   atomic.Bool // the processors are
	// disk says how the log's disk behaves from the next start on; failed, that it
	// fails, so that what runs on it ends with errors.
	disk   eventlog.MemoryOptions
	failed atomic.Bool
	ahead  atomic.Int64      // nanoseconds that the log's clock is ahead of ours
	mute   atomic.Int64      // notices that cannot be written
	echo   atomic.Int64      // notices that are written, with an error for an answer
	random func(int64) int64 // of the Deliverer, unless nil
	logs   slog.Handler      // of the Deliverer
}

func newWorld(t *testing.T, opts Options) *world {
	w := &world{t: t, engine: eventlog.NewMemory(eventlog.MemoryOptions{Log: eventlog.LogID{1}}),
		opts: opts, logs: slog.DiscardHandler, dests: map[sluice.StreamID]*receiver{}, confs: map[sluice.StreamID]Stream{}}
	w.use(store.NewMemory())
	w.start()
	return w
}

// use has the next start find the records of s.
func (w *world) use(s *store.Memory) {
	w.store = s
	s.SetBefore(func(c store.Change) error {
		if strings.HasPrefix(c.Key, lanePrefix) && w.writes.Add(-1) == 0 {
			w.full.Store(true)
		}
		if w.full.Load() {
			return store.ErrFull
		}
		return w.broken.due(1)
	})
	s.SetAfter(func(store.Change) error { return w.broken.due(2) })
}

// load makes a log and a Deliverer of what is durable, which do not run yet.
func (w *world) load(ctx context.Context) {
	w.t.Helper()
	disk := w.disk
	disk.Log = eventlog.LogID{1}
	w.engine = w.engine.Restart(disk)
	floors, err := Floors(ctx, w.store)
	if err != nil {
		w.t.Fatal(err)
	}
	w.log, err = eventlog.Open(ctx, w.engine, eventlog.Options{ID: eventlog.LogID{1}, Floors: floors, Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	opts := w.opts
	opts.Logger = slog.New(w.logs)
	opts.Emit = func(_ context.Context, n Notice) error {
		w.noting.Lock()
		defer w.noting.Unlock()
		if w.mute.Add(-1) >= 0 {
			return errors.New("the log does not take it")
		}
		w.notes = append(w.notes, n)
		if w.echo.Add(-1) >= 0 {
			return errors.New("the log took it, and the answer is lost")
		}
		return nil
	}
	w.d = New(w.log, inOrder{w.store}, opts)
	w.d.busy = w.busy.Load
	if w.random != nil {
		w.d.random = w.random
	}
	if err := w.d.Load(ctx); err != nil {
		w.t.Fatal(err)
	}
	for _, id := range sortedKeys(w.confs) {
		if err := w.d.Put(ctx, w.confs[id]); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) start() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w.load(ctx)
	var wg sync.WaitGroup
	logCtx, logCancel := context.WithCancel(context.Background())
	var logs sync.WaitGroup
	logs.Go(func() {
		if err := w.log.Run(logCtx); err != nil && !w.failed.Load() {
			w.t.Error(err)
		}
	})
	w.died.Store(false)
	w.since = time.Now()
	wg.Go(func() {
		err := w.d.Run(ctx)
		w.died.Store(err != nil)
		if err != nil && !w.failed.Load() {
			w.t.Error(err)
		}
	})
	w.stop = func() {
		cancel()
		wg.Wait()
		logCancel()
		logs.Wait()
		if err := w.log.Close(); err != nil {
			w.t.Error(err)
		}
	}
}

// now is the log's clock.
func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// noted returns what was told so far.
func (w *world) noted() []Notice {
	w.noting.Lock()
	defer w.noting.Unlock()
	return slices.Clone(w.notes)
}

func sortedKeys(m map[sluice.StreamID]Stream) []sluice.StreamID {
	var ids []sluice.StreamID
	for id := range maps.Keys(m) {
		ids = append(ids, id)
	}
	for i := range ids {
		for j := range ids[:i] {
			if ids[i] < ids[j] {
				ids[i], ids[j] = ids[j], ids[i]
			}
		}
	}
	return ids
}

// post appends n events of a namespace and type and returns their ids.
func (w *world) post(namespace, kind string, n int) []string {
	w.t.Helper()
	ids, b := w.batch(namespace, kind, n)
	if err := w.append(b); err != nil {
		w.t.Fatal(err)
	}
	return ids
}

// batch makes n events of a namespace and type.
func (w *world) batch(namespace, kind string, n int) ([]string, *eventlog.Batch) {
	var b eventlog.Batch
	var ids []string
	for range n {
		w.next++
		id := fmt.Sprintf("e%d", w.next)
		payload := fmt.Sprintf(`{"id":%q,"event_type":%q,"entity_path":%q}`, id, kind, namespace)
		env := sluice.Envelope{ID: []byte(id), IDOffset: 7, Type: []byte(kind), Namespace: []byte(namespace), Class: sluice.Audit}
		b.Add([]byte(payload), &env, "t1")
		ids = append(ids, id)
	}
	return ids, &b
}

func (w *world) append(b *eventlog.Batch) error {
	_, err := w.log.Append(context.Background(), map[string]*eventlog.Batch{"audit": b})
	return err
}

// stream adds a stream that starts now.
func (w *world) stream(id sluice.StreamID, namespace string, change ...func(*Stream)) *receiver {
	w.t.Helper()
	r := &receiver{limits: destination.Limits{Events: 100, Bytes: 1 << 20, Timeout: 30 * time.Second}}
	w.dests[id] = r
	seq, total := w.log.Position("audit", namespace)
	conf := Stream{ID: id, Namespace: namespace, Version: 1, Start: map[string]Start{"audit": {Seq: seq, Total: total}},
		Open: func() (destination.Destination, error) { return r, nil }}
	for _, c := range change {
		c(&conf)
	}
	w.put(conf)
	return r
}

func (w *world) put(conf Stream) {
	w.t.Helper()
	w.confs[conf.ID] = conf
	if err := w.d.Put(context.Background(), conf); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) change(id sluice.StreamID, f func(*Stream)) {
	w.t.Helper()
	conf := w.confs[id]
	conf.Version++
	f(&conf)
	w.put(conf)
}

func (w *world) ledger(id sluice.StreamID) sluice.Ledger {
	w.t.Helper()
	st, ok := w.d.State(context.Background(), id)
	if !ok {
		w.t.Fatalf("stream %d is not there", id)
	}
	w.sane(id, st.Ledger)
	return st.Ledger
}

// sane fails the test unless the ledger adds up with no count below zero.
func (w *world) sane(id sluice.StreamID, l sluice.Ledger) {
	if !l.Balanced() || max(l.Delivered, l.Filtered, l.Pending, l.Quarantined, l.Expired) > l.Accepted {
		w.t.Errorf("ledger of stream %d does not add up: %+v", id, l)
	}
}

// watch looks at the ledgers of all streams each millisecond for a while: they
// add up at every moment, and what was accepted stays accepted.
func (w *world) watch(d *Deliverer, ids []sluice.StreamID, while time.Duration) {
	accepted := map[sluice.StreamID]uint64{}
	for range while / time.Millisecond {
		for _, id := range ids {
			st, ok := d.State(context.Background(), id)
			if !ok {
				continue
			}
			w.sane(id, st.Ledger)
			if w.ahead.Load() == 0 && st.Ledger.Accepted < accepted[id] {
				w.t.Errorf("stream %d had accepted %d events, now %d", id, accepted[id], st.Ledger.Accepted)
			}
			accepted[id] = st.Ledger.Accepted
		}
		time.Sleep(time.Millisecond)
	}
}

func (w *world) status(id sluice.StreamID) sluice.Status {
	st, _ := w.d.State(context.Background(), id)
	return st.Status
}

// expect waits until nothing moves for a while and compares the ledger.
func (w *world) expect(id sluice.StreamID, want sluice.Ledger) {
	w.t.Helper()
	time.Sleep(3 * time.Second) // simulated
	synctest.Wait()
	if got := w.ledger(id); got != want {
		w.t.Errorf("ledger of stream %d: got %+v, want %+v", id, got, want)
	}
}

// receiver is a destination in memory with a rule for each event.
type receiver struct {
	mu     sync.Mutex
	limits destination.Limits
	got    []string // ids, in the order of acceptance
	sends  int
	// refuse decides about a batch; nil accepts it.
	refuse func(events []destination.Event) *destination.Error
	// check decides about a test event.
	check   bool
	explode bool // Check panics
	single  bool // reports an outcome for each event
	prefix  bool // single, and what follows a failure is not tried
	// late is how long after the end of a Send that was cut off, while it waited,
	// its events are accepted all the same; 0 for never.
	late time.Duration
	// glitches is the number of sends that report a failure after the events
	// were accepted, when single of every other one of them.
	glitches int
	delay    time.Duration
	secret   int // the one that is taken, of those that ask, see keyed
	opened   int // of these, those that are not closed
}

var _ destination.Destination = (*receiver)(nil)

func (r *receiver) Send(ctx context.Context, b *destination.Batch) destination.Result {
	r.mu.Lock()
	delay, late := r.delay, r.late
	r.mu.Unlock()
	switch {
	case late > 0 && interrupted(ctx, delay):
		events := slices.Clone(b.Events)
		for i := range events {
			events[i].ID = slices.Clone(events[i].ID)
		}
		time.AfterFunc(late, func() {
			r.set(func(r *receiver) { r.judge(&destination.Batch{Events: events}) })
		})
		return destination.Result{Err: &destination.Error{Class: destination.Unavailable, Message: "interrupted"}}
	case late == 0 && delay > 0:
		time.Sleep(delay) // simulated
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sends++
	if r.glitches > 0 {
		r.glitches--
		return r.glitch(b.Events)
	}
	return r.judge(b)
}

// interrupted waits, and reports whether ctx ended before.
func interrupted(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-ctx.Done():
		return true
	}
}

// glitch accepts what is not refused and reports a failure all the same.
func (r *receiver) glitch(events []destination.Event) destination.Result {
	res := destination.Result{Err: &destination.Error{Class: destination.Unavailable, Message: "connection lost"}}
	for i := range events {
		outcome := destination.Unsent
		if r.refuse == nil || r.refuse(events[i:i+1]) == nil {
			r.accept(events[i : i+1])
			if i%2 == 1 {
				outcome = destination.Delivered
			}
		}
		if r.single {
			res.Events = append(res.Events, outcome)
		}
	}
	return res
}

// judge decides about a batch by the receiver's rules.
func (r *receiver) judge(b *destination.Batch) destination.Result {
	if r.refuse == nil {
		r.accept(b.Events)
		return destination.Result{}
	}
	if !r.single {
		if err := r.refuse(b.Events); err != nil {
			return destination.Result{Err: err}
		}
		r.accept(b.Events)
		return destination.Result{}
	}
	res := destination.Result{Events: make([]destination.Outcome, len(b.Events)), Reasons: map[int]string{}}
	for i := range b.Events {
		if r.prefix && res.Err != nil {
			res.Events[i] = destination.Unsent
			continue
		}
		err := r.refuse(b.Events[i : i+1])
		switch {
		case err == nil:
			r.accept(b.Events[i : i+1])
			res.Events[i] = destination.Delivered
		case err.Class == destination.RejectedBatch:
			res.Events[i], res.Reasons[i], res.Err = destination.Rejected, err.Message, err
		default:
			res.Err = err
		}
	}
	return res
}

func (r *receiver) accept(events []destination.Event) {
	for i := range events {
		r.got = append(r.got, string(events[i].ID))
	}
}

func (r *receiver) Check(context.Context, func(destination.Stage)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.explode {
		panic("a mistake in Check")
	}
	return r.check || r.refuse == nil
}

func (r *receiver) Limits() destination.Limits {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.limits
}

func (r *receiver) Close() error { return nil }

func (r *receiver) sent() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sends
}

func (r *receiver) set(f func(*receiver)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r)
}

func (r *receiver) received() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.got...)
}

func unavailable([]destination.Event) *destination.Error {
	return &destination.Error{Class: destination.Unavailable, Status: 503, Message: "busy"}
}

func rejectAll([]destination.Event) *destination.Error {
	return &destination.Error{Class: destination.RejectedBatch, Status: 400, Message: "no"}
}

// poison refuses every batch that holds one of the ids.
func poison(class destination.Class, ids ...string) func([]destination.Event) *destination.Error {
	return func(events []destination.Event) *destination.Error {
		for _, e := range events {
			for _, id := range ids {
				if string(e.ID) == id {
					return &destination.Error{Class: class, Status: 400, Message: "bad " + id}
				}
			}
		}
		return nil
	}
}
