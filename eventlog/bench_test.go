package eventlog_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/segment"
)

const kilobyte = 1024

// payload returns an event of about a kilobyte that compresses as events do.
func payload(id string, rnd *rand.Rand) []byte {
	b := fmt.Appendf(nil, `{"id":"%s","event_type":"user.login","entity_path":"acme/web","author_name":"user-%d"`, id, rnd.IntN(1000))
	for i := 0; len(b) < kilobyte-60; i++ {
		b = fmt.Appendf(b, `,"detail_%d":"%x %x"`, i, rnd.Uint64(), 4096+i)
	}
	return append(b, '}')
}

// producer makes batches of events that were never there before.
type producer struct {
	batch  eventlog.Batch
	events [][]byte
	name   int
	next   int
}

func newProducer(name, size int) *producer {
	rnd := rand.New(rand.NewPCG(uint64(name), 1))
	p := &producer{name: name}
	for range size {
		p.events = append(p.events, payload(fmt.Sprintf("%08d-%08d", name, 0), rnd))
	}
	return p
}

func (p *producer) fill() *eventlog.Batch {
	p.batch.Reset()
	env := sluice.Envelope{IDOffset: len(`{"id":"`), Type: []byte("user.login"), Namespace: []byte("acme/web"), Class: sluice.Audit}
	for _, e := range p.events {
		p.next++
		id := e[env.IDOffset : env.IDOffset+17]
		for i, n := 16, p.next; i > 8; i, n = i-1, n/10 {
			id[i] = byte('0' + n%10)
		}
		env.ID = id
		p.batch.Add(e, &env, "token")
	}
	return &p.batch
}

func benchmarkAppend(b *testing.B, e eventlog.Engine, codec eventlog.Codec, size int) {
	l, err := eventlog.Open(context.Background(), e, eventlog.Options{ID: id(), Partitions: []string{"audit"}, Codec: codec})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = l.Run(ctx) }()
	const producers = 16
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.SetBytes(kilobyte)
	b.ResetTimer()
	for p := range producers {
		wg.Go(func() {
			p := newProducer(p, size)
			for left.Add(int64(-size)) > int64(-size) {
				if _, err := l.Append(ctx, map[string]*eventlog.Batch{"audit": p.fill()}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	if n := l.Stats("audit").Blocks; n > 0 {
		b.ReportMetric(float64(b.N)/float64(n), "events/block")
	}
	cancel()
	<-done
	if err := l.Close(); err != nil {
		b.Error(err)
	}
}

// discard is an engine that keeps nothing: what is measured is the log alone.
type discard struct{ eventlog.Engine }

type discardPartition struct{ eventlog.Partition }

func (d discard) Open(ctx context.Context, name string) (eventlog.Partition, error) {
	p, err := d.Engine.Open(ctx, name)
	return discardPartition{p}, err
}

func (discardPartition) Append(context.Context, []byte) error { return nil }

// BenchmarkAppend measures a whole Append per event of a kilobyte, sixteen
// requests at once.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 1} {
		b.Run(fmt.Sprintf("discard/%d", size), func(b *testing.B) {
			benchmarkAppend(b, discard{eventlog.NewMemory(eventlog.MemoryOptions{Log: id()})}, eventlog.S2, size)
		})
		b.Run(fmt.Sprintf("memory/%d", size), func(b *testing.B) {
			benchmarkAppend(b, eventlog.NewMemory(eventlog.MemoryOptions{Log: id()}), eventlog.S2, size)
		})
		for name, codec := range map[string]eventlog.Codec{"s2": eventlog.S2, "zstd": eventlog.Zstd} {
			b.Run(fmt.Sprintf("segment-%s/%d", name, size), func(b *testing.B) {
				e, err := segment.Open(b.TempDir(), segment.Options{Log: id()})
				if err != nil {
					b.Fatal(err)
				}
				benchmarkAppend(b, e, codec, size)
			})
		}
	}
}

// BenchmarkStart opens a log with enough events to fill the recent ids and waits
// until they are there; per event.
func BenchmarkStart(b *testing.B) {
	for _, size := range []int{500, 1} {
		b.Run(fmt.Sprintf("%d-an-append", size), func(b *testing.B) {
			dir := b.TempDir()
			events := eventlog.RecentEvents
			if size == 1 {
				events = 40_000
			}
			store(b, dir, events, size)
			b.ResetTimer()
			for range b.N {
				e, err := segment.Open(dir, segment.Options{Log: id()})
				if err != nil {
					b.Fatal(err)
				}
				l, err := eventlog.Open(context.Background(), e, eventlog.Options{ID: id(), Partitions: []string{"audit"}})
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan struct{})
				go func() { defer close(done); _ = l.Run(ctx) }()
				if _, err := l.Append(ctx, map[string]*eventlog.Batch{"audit": newProducer(1<<20, 1).fill()}); err != nil {
					b.Fatal(err)
				}
				cancel()
				<-done
				if err := l.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*events), "ns/event")
		})
	}
}

// store fills a log, a block for each append.
func store(b *testing.B, dir string, events, size int) {
	e, err := segment.Open(dir, segment.Options{Log: id()})
	if err != nil {
		b.Fatal(err)
	}
	l, err := eventlog.Open(context.Background(), e, eventlog.Options{ID: id(), Partitions: []string{"audit"}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = l.Run(ctx) }()
	p := newProducer(0, size)
	for n := 0; n < events; n += size {
		if _, err := l.Append(ctx, map[string]*eventlog.Batch{"audit": p.fill()}); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	<-done
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}
