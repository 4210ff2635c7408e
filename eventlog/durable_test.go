package eventlog_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/segment"
	"github.com/sluicelog/sluice/segment/segmenttest"
)

func id() eventlog.LogID { return eventlog.LogID{4, 5} }

func oneEvent(n int) map[string]*eventlog.Batch {
	key := fmt.Sprint(n)
	b := &eventlog.Batch{}
	b.Add([]byte(`{"id":"`+key+`"}`), &sluice.Envelope{ID: []byte(key), IDOffset: 7, Type: []byte("t"), Namespace: []byte("acme"), Class: sluice.Audit}, "s")
	return map[string]*eventlog.Batch{"audit": b}
}

// running runs a log over an engine and returns what ends it.
func running(t *testing.T, e eventlog.Engine) (*eventlog.Log, func()) {
	t.Helper()
	l, err := eventlog.Open(t.Context(), e, eventlog.Options{ID: id(), Partitions: []string{"audit"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = l.Run(ctx) }()
	return l, func() { cancel(); <-done }
}

// hasty is an engine that does not wait: its Append returns before the block is
// stored. A log over it acknowledges events that may never be.
type hasty struct{ eventlog.Engine }

type hastyPartition struct {
	eventlog.Partition
	blocks chan []byte
	done   chan struct{}
}

func (h hasty) Open(ctx context.Context, name string) (eventlog.Partition, error) {
	p, err := h.Engine.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	q := &hastyPartition{Partition: p, blocks: make(chan []byte, 1000), done: make(chan struct{})}
	go func() {
		defer close(q.done)
		for b := range q.blocks {
			_ = p.Append(context.Background(), b)
		}
	}()
	return q, nil
}

func (q *hastyPartition) Append(_ context.Context, b []byte) error {
	q.blocks <- append([]byte(nil), b...)
	return nil
}

func (q *hastyPartition) Close() error {
	close(q.blocks)
	<-q.done
	return q.Partition.Close()
}

// TestNothingReturnsBeforeItsBlockIsStored holds the engine in the middle of an
// append: no producer may have its answer. The same with a log that does not
// wait has to be noticed.
func TestNothingReturnsBeforeItsBlockIsStored(t *testing.T) {
	for name, c := range map[string]struct {
		wrap  func(eventlog.Engine) eventlog.Engine
		early bool
	}{
		"as it is":       {func(e eventlog.Engine) eventlog.Engine { return e }, false},
		"wait taken out": {func(e eventlog.Engine) eventlog.Engine { return hasty{e} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := returnedEarly(t, c.wrap) > 0; got != c.early {
					t.Errorf("returned early: got %v, want %v", got, c.early)
				}
			})
		})
	}
}

// returnedEarly counts the appends that return while the engine stores a block,
// in front of it and behind it.
func returnedEarly(t *testing.T, wrap func(eventlog.Engine) eventlog.Engine) int {
	const producers = 50
	step := make(chan struct{})
	hold := func(string, []byte) error { <-step; return nil }
	m := eventlog.NewMemory(eventlog.MemoryOptions{Log: id(), Before: hold, After: hold})
	l, stop := running(t, wrap(m))
	var mu sync.Mutex
	var wg sync.WaitGroup
	returned := 0
	for i := range producers {
		wg.Go(func() {
			if _, err := l.Append(context.Background(), oneEvent(i)); err != nil {
				t.Error(err)
			}
			mu.Lock()
			returned++
			mu.Unlock()
		})
	}
	early := 0
	count := func(stored uint64) {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		early += max(0, returned-int(stored))
	}
	count(0)
	step <- struct{}{} // to store the block
	count(0)
	close(step)
	wg.Wait()
	stop()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	return early
}

// TestPowerCut cuts the power at each operation of the disk while producers
// append: everything that was acknowledged is there afterwards. On a disk whose
// sync does nothing the same test has to find events lost.
func TestPowerCut(t *testing.T) {
	for _, how := range []segmenttest.Crash{segmenttest.Lose, segmenttest.Tear} {
		for stop := 1; stop < 60; stop += 3 {
			if lost := lostBy(t, uint64(stop), how, stop); len(lost) > 0 {
				t.Errorf("crash %d after %d operations: acknowledged events %v are lost", how, stop, lost)
			}
		}
	}
	lost := 0
	for stop := 20; stop < 60; stop += 10 {
		lost += len(lostBy(t, uint64(stop), segmenttest.Lose, stop, segmenttest.Sync))
	}
	if lost == 0 {
		t.Error("sync taken out: got no event lost, want the test to find some")
	}
}

// lostBy appends until the disk is off and returns the acknowledged events that
// are not found after a restart.
func lostBy(t *testing.T, seed uint64, how segmenttest.Crash, stop int, ignored ...segmenttest.Op) []int {
	t.Helper()
	disk := segmenttest.NewDisk(seed)
	disk.StopAfter(stop)
	disk.Ignore(ignored...)
	open := func() (eventlog.Engine, error) {
		return segment.Open("log", segment.Options{Log: id(), SegmentSize: segment.MinSegmentSize, FS: disk})
	}
	e, err := open()
	if err != nil {
		t.Fatal(err)
	}
	var acknowledged []int
	if l, err := eventlog.Open(t.Context(), e, eventlog.Options{ID: id(), Partitions: []string{"audit"}}); err == nil {
		acknowledged = produce(l)
	}
	disk = disk.Restart(how)
	if e, err = open(); err != nil {
		t.Fatal(err)
	}
	l, done := running(t, e)
	defer func() { done(); _ = l.Close() }()
	var lost []int
	for _, n := range acknowledged {
		got, err := l.Append(t.Context(), oneEvent(n))
		if err != nil {
			t.Fatal(err)
		}
		if got["audit"].Duplicates != 1 {
			lost = append(lost, n)
		}
	}
	return lost
}

// produce appends from four goroutines until that fails and returns what was
// acknowledged.
func produce(l *eventlog.Log) []int {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.Run(ctx) })
	var mu sync.Mutex
	var acknowledged []int
	var producers sync.WaitGroup
	for p := range 4 {
		producers.Go(func() {
			for i := p; i < 400; i += 4 {
				if _, err := l.Append(ctx, oneEvent(i)); err != nil {
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, i)
				mu.Unlock()
			}
		})
	}
	producers.Wait()
	cancel()
	wg.Wait()
	return acknowledged
}
