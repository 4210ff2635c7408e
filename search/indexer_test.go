package search

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/index"
)

// faulty is an engine whose partitions can be made to fail.
type faulty struct {
	index.Engine
	onAppend atomic.Pointer[func() error] // before a chunk is stored
	onPage   atomic.Pointer[func() error]
	onDrop   atomic.Pointer[func() error]
	onRenew  atomic.Pointer[func() error]
	onAdopt  atomic.Pointer[func() error]
	renewed  atomic.Int64 // how many indexes were begun anew
}

// fails returns what a function that is set says.
func fails(f *atomic.Pointer[func() error]) error {
	if f := f.Load(); f != nil {
		return (*f)()
	}
	return nil
}

type faultyPartition struct {
	index.Partition
	of *faulty
}

func (f *faulty) Open(ctx context.Context, name string) (index.Partition, error) {
	return f.wrap(f.Engine.Open(ctx, name))
}

func (f *faulty) Renew(ctx context.Context, name string) (index.Partition, error) {
	if err := fails(&f.onRenew); err != nil {
		return nil, err
	}
	f.renewed.Add(1)
	return f.wrap(f.Engine.Renew(ctx, name))
}

func (f *faulty) Adopt(ctx context.Context, p index.Partition) error {
	if err := fails(&f.onAdopt); err != nil {
		return err
	}
	return f.Engine.Adopt(ctx, p.(*faultyPartition).Partition)
}

func (f *faulty) wrap(p index.Partition, err error) (index.Partition, error) {
	if err != nil {
		return nil, err
	}
	return &faultyPartition{p, f}, nil
}

func (p *faultyPartition) Append(ctx context.Context, c *index.Sealed, pos index.Position) error {
	if err := fails(&p.of.onAppend); err != nil {
		return err
	}
	return p.Partition.Append(ctx, c, pos)
}

func (p *faultyPartition) Page(ctx context.Context, first uint64, page int) ([]byte, error) {
	if err := fails(&p.of.onPage); err != nil {
		return nil, err
	}
	return p.Partition.Page(ctx, first, page)
}

func (p *faultyPartition) Drop(ctx context.Context, t time.Time) (int, error) {
	if err := fails(&p.of.onDrop); err != nil {
		return 0, err
	}
	return p.Partition.Drop(ctx, t)
}

// withFaults puts a faulty engine below a world's service.
func (w *world) withFaults() *faulty {
	w.stopSearch()
	f := &faulty{Engine: w.engine}
	w.engine = f
	w.start()
	synctest.Wait()
	return f
}

// check compares everything that is found with the log.
func (w *world) check(what string) {
	w.t.Helper()
	synctest.Wait()
	wantSame(w.t, what, w.all(everything(), Oldest, 1000), w.inLog(nil))
	for _, st := range w.Status(context.Background()) {
		if st.Lag != 0 || st.State != StateFollowing || st.Problem != "" {
			w.t.Errorf("%s: got status %+v, want one that follows", what, st)
		}
	}
}

// However often and wherever the process ends between and within the steps of
// sealing, every event is found once.
func TestKills(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		f := w.withFaults()
		for i := range 40 {
			// Kill before or after the next chunk is stored, or anywhere else.
			ctx, kill := context.WithCancel(context.Background())
			var once sync.Once
			w.stopSearch()
			service := New(w.cfg)
			stop := background(t, func(context.Context) error { return service.Run(ctx) })
			before := func() error {
				if i%3 == 0 {
					once.Do(kill)
					return ctx.Err()
				}
				return nil
			}
			f.onAppend.Store(&before)
			w.append(numbered("acme", fmt.Sprint(i, "-"), 1+i%17)...)
			synctest.Wait()
			kill()
			stop()
			f.onAppend.Store(nil)
			w.start()
			if i%5 == 0 {
				w.check(fmt.Sprint("after kill ", i))
			}
		}
		w.check("in the end")
		if st := w.Status(t.Context())[0]; st.Chunks < 10 {
			t.Errorf("got %d chunks, want many", st.Chunks)
		}
	})
}

// A full disk makes indexing wait; queries go on.
func TestFullDisk(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		f := w.withFaults()
		full := func() error { return index.ErrFull }
		f.onAppend.Store(&full)
		w.post(numbered("acme", "a", 40)...)
		w.post(numbered("acme", "b", 40)...)
		st := w.Status(t.Context())[0]
		if st.Problem == "" || st.Lag == 0 || w.Lag(t.Context()) != 0 {
			t.Errorf("on a full disk: got %+v", st)
		}
		if p := w.want(everything(), PageOptions{}); len(p.Events) == 0 {
			t.Error("on a full disk nothing is found")
		}
		time.Sleep(time.Second)
		if w.Lag(t.Context()) == 0 {
			t.Error("no lag on a full disk")
		}
		f.onAppend.Store(nil)
		time.Sleep(time.Minute)
		w.check("with space again")
	})
}

// An engine that fails is opened again.
func TestFailingEngine(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		f := w.withFaults()
		broken := func() error { return errors.New("input/output error") }
		f.onAppend.Store(&broken)
		w.post(numbered("acme", "a", 40)...)
		if st := w.Status(t.Context())[0]; st.Problem == "" {
			t.Errorf("got %+v, want a problem", st)
		}
		f.onAppend.Store(nil)
		time.Sleep(time.Minute)
		w.check("when it works again")
	})
}

// An index that does not fit the log is replaced.
func TestUnfitIndex(t *testing.T) {
	for name, pos := range map[string]index.Position{
		"of another log":   {Log: [16]byte{9}, Format: index.Format, Seq: 1},
		"of other format":  {Log: logID(), Format: index.Format + 1, Seq: 1},
		"ahead of the log": {Log: logID(), Format: index.Format, Seq: 1 << 40},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				w.stopSearch()
				w.engine = index.NewMemory()
				p, err := w.engine.Open(t.Context(), "audit")
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(p.Append(t.Context(), nil, pos), p.Close()); err != nil {
					t.Fatal(err)
				}
				w.append(numbered("acme", "a", 50)...)
				w.start()
				w.check("made anew")
				w.stopSearch()
				w.start()
				w.check("started again")
			})
		})
	}
}

// While a chunk is being stored, its events are found, and so are those that
// follow, until a second head is full.
func TestSealingGoesOnBeside(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		f := w.withFaults()
		hold := make(chan struct{})
		wait := func() error { <-hold; return nil }
		f.onAppend.Store(&wait)
		w.post(numbered("acme", "a", 10)...)
		w.append(numbered("acme", "b", 7)...)
		w.append(numbered("acme", "c", 40)...)
		synctest.Wait()
		audit, git := w.Status(t.Context())[0], w.Status(t.Context())[1]
		if audit.Chunks != 0 || audit.Indexed < 10 || audit.Lag == 0 {
			t.Errorf("while a chunk is being stored: got %+v", audit)
		}
		found := w.all(everything(), Oldest, 1000)
		if got, want := uint64(len(found)), audit.Indexed+git.Indexed; got != want {
			t.Errorf("while a chunk is being stored: found %d events, want the %d that are indexed", got, want)
		}
		close(hold)
		w.check("afterwards")
		if st := w.Status(t.Context())[0]; st.Chunks < 3 || st.Lag != 0 {
			t.Errorf("afterwards: got %+v", st)
		}
	})
}

// Heads that take too much memory together are stored before they are full.
func TestHeadsAreBoundedTogether(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.stopSearch()
		w.cfg.ChunkEvents, w.cfg.heads = 1000, 1
		w.start()
		for i := range 6 {
			w.post(numbered("acme", fmt.Sprint(i, "-"), 6)...)
		}
		w.check("afterwards")
		for _, st := range w.Status(t.Context()) {
			if st.Chunks < 3 {
				t.Errorf("%s: got %d chunks, want one after the other", st.Partition, st.Chunks)
			}
		}
	})
}

// Damage is found by queries. The index is made anew while what is sound answers.
func TestDamage(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		f := w.withFaults()
		w.cfg.CacheBytes = 1 // nothing is kept
		w.stopSearch()
		w.start()
		for i := range 6 {
			w.post(numbered("acme", fmt.Sprint(i, "-"), 30)...)
		}
		w.check("before")
		bad := func() error { return fmt.Errorf("page: %w", index.ErrDamaged) }
		f.onPage.Store(&bad)
		p := w.want(everything(), PageOptions{Limit: 1000})
		if !p.Incomplete || p.Missing != 0 {
			t.Errorf("while it is damaged: got %+v, want an incomplete page", p)
		}
		f.onPage.Store(nil)
		hold := make(chan struct{})
		wait := func() error { <-hold; return nil }
		f.onAppend.Store(&wait)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if st := w.Status(t.Context())[0]; st.State != StateRebuilding || st.Reason == "" || st.Indexed == 0 {
			t.Errorf("got %+v, want a rebuilding index that answers", st)
		}
		wantSame(t, "meanwhile", w.all(everything(), Oldest, 1000), w.inLog(nil))
		close(hold)
		time.Sleep(2 * time.Second)
		w.check("afterwards")
	})
}

// A clock that was ahead when an index was made anew does not keep the next damage
// from being mended.
func TestDamageWhenTheClockWasSetBack(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		f := w.withFaults()
		w.stopSearch()
		var ahead atomic.Int64
		w.cfg.CacheBytes, w.cfg.Now = 1, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		w.start()
		w.post(numbered("acme", "a", 40)...)
		bad := func() error { return fmt.Errorf("page: %w", index.ErrDamaged) }
		for _, by := range []time.Duration{24 * time.Hour, 0} {
			ahead.Store(int64(by))
			time.Sleep(2 * rebuildPause)
			f.onPage.Store(&bad)
			w.want(everything(), PageOptions{Limit: 1000})
			f.onPage.Store(nil)
			hold := make(chan struct{})
			wait := func() error { <-hold; return nil }
			f.onAppend.Store(&wait)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if st := w.Status(t.Context())[0]; st.State != StateRebuilding {
				t.Errorf("clock ahead by %s: got %s, want an index that is made anew", by, st.State)
			}
			f.onAppend.Store(nil)
			close(hold)
			time.Sleep(2 * time.Second)
			w.check(fmt.Sprintf("clock ahead by %s", by))
			if st := w.Status(t.Context())[0]; st.State != StateFollowing {
				t.Errorf("clock ahead by %s, afterwards: got %s, want an index that is complete", by, st.State)
			}
		}
	})
}

// Where the log was cut, events are not shown, and only a recorded gap is silent.
func TestLostEvents(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		for i := range 10 {
			w.post(event{"acme", "user.login", fmt.Sprint("e", i)})
		}
		w.stopSearch()
		w.stopLog()
		last := w.log.Last("audit")
		w.stored = w.stored.Restart(eventlog.MemoryOptions{Log: logID()})
		for seq := uint64(8); seq <= 10; seq++ {
			w.stored.Lose("audit", seq)
		}
		w.openLog(map[string]eventlog.Floor{"audit": {Seq: last, Total: last}})
		w.start()
		synctest.Wait()
		w.post(event{"acme", "user.login", "after"})
		p := w.want(everything(), PageOptions{Order: Oldest})
		wantSame(t, "after a cut", idsOf(p), []string{"e0", "e1", "e2", "e3", "e4", "e5", "e6", "after"})
		if p.Missing != 0 {
			t.Errorf("got %d missing, want none: the log records the gap", p.Missing)
		}
	})
}

// Pace is asked before each block.
func TestPace(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.stopSearch()
		gate := make(chan struct{})
		w.cfg.Pace = func(ctx context.Context) {
			select {
			case <-gate:
			case <-ctx.Done():
			}
		}
		w.start()
		w.post(numbered("acme", "a", 9)...)
		if st := w.Status(t.Context())[0]; st.Indexed != 0 || st.Lag == 0 {
			t.Errorf("while others need the processors: got %+v", st)
		}
		close(gate)
		w.check("later")
	})
}

// Where memory is needed elsewhere, heads are stored sooner.
func TestHeadsAreSmallerInACrowd(t *testing.T) {
	chunks := map[bool]int{}
	for _, crowded := range []bool{false, true} {
		simulate(t, func(t *testing.T, w *world) {
			w.stopSearch()
			w.cfg.ChunkEvents, w.cfg.heads, w.cfg.Crowded = 100_000, 800_000, func() bool { return crowded }
			w.start()
			for i := range 40 {
				w.post(numbered("acme", fmt.Sprint(i, "-"), 100)...)
			}
			w.check("afterwards")
			for _, st := range w.Status(t.Context()) {
				chunks[crowded] += st.Chunks
			}
		})
	}
	if chunks[true] < chunks[false]*3/2 {
		t.Errorf("chunks: got %d in a crowd and %d without, want more", chunks[true], chunks[false])
	}
}
