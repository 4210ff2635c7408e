package segment_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/eventlog/eventlogtest"
	"github.com/sluicelog/sluice/segment"
)

// benchLog opens a log in a folder of the machine with blocks of the size given.
func benchLog(b *testing.B, blocks, size int) (dir string, p eventlog.Partition, m *eventlogtest.Maker) {
	b.Helper()
	dir = b.TempDir()
	e, err := segment.Open(dir, segment.Options{Log: logID()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	if p, err = e.Open(b.Context(), "audit"); err != nil {
		b.Fatal(err)
	}
	m = &eventlogtest.Maker{Log: logID(), Partition: "audit"}
	for range blocks {
		if err := p.Append(b.Context(), m.Block(1, size)); err != nil {
			b.Fatal(err)
		}
	}
	return dir, p, m
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{4 << 10, 150 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			_, p, m := benchLog(b, 0, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				b.StopTimer()
				block := m.Block(1, size)
				b.StartTimer()
				if err := p.Append(b.Context(), block); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNext reads one block after the other, header and bytes.
func BenchmarkNext(b *testing.B) {
	for _, size := range []int{600, 150 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			blocks := min(20_000, 200<<20/size)
			_, p, _ := benchLog(b, blocks, size)
			buf := make([]byte, size+1000)
			seq := uint64(1)
			b.SetBytes(int64(size))
			for b.Loop() {
				s, err := p.Next(b.Context(), seq)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := s.ReadAt(buf[:s.Header.Size()], 0); err != nil {
					b.Fatal(err)
				}
				if seq = s.Header.Last() + 1; seq > uint64(blocks) {
					seq = 1
				}
			}
		})
	}
}

// BenchmarkNextRandom finds blocks at random.
func BenchmarkNextRandom(b *testing.B) {
	for _, size := range []int{600, 150 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			blocks := min(20_000, 200<<20/size)
			_, p, _ := benchLog(b, blocks, size)
			seq := uint64(0)
			for b.Loop() {
				seq = (seq*31 + 7919) % uint64(blocks)
				if _, err := p.Next(b.Context(), seq+1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEvent reads single events at random: with the whole block, or with the
// frame alone.
func BenchmarkEvent(b *testing.B) {
	const blocks, size, each = 200, 500, 1000
	dir := b.TempDir()
	e, err := segment.Open(dir, segment.Options{Log: logID()})
	if err != nil {
		b.Fatal(err)
	}
	l, err := eventlog.Open(b.Context(), e, eventlog.Options{ID: logID(), Partitions: []string{"audit"}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := errors.Join(<-done, l.Close()); err != nil {
			b.Error(err)
		}
	})
	rnd := rand.NewChaCha8([32]byte{1})
	for i := range blocks {
		batch := &eventlog.Batch{}
		for n := range size {
			id := fmt.Sprintf("%d-%d", i, n)
			var body [(each - 100) / 2]byte
			_, _ = rnd.Read(body[:]) // it never fails
			payload := fmt.Appendf(nil, `{"id":"%s","event_type":"user.login","entity_path":"acme/web","body":"%x"}`, id, body)
			batch.Add(payload, &sluice.Envelope{ID: []byte(id), IDOffset: len(`{"id":"`), Type: []byte("user.login"), Namespace: []byte("acme/web"), Class: sluice.Audit}, "t1")
		}
		if _, err := l.Append(ctx, map[string]*eventlog.Batch{"audit": batch}); err != nil {
			b.Fatal(err)
		}
	}
	for name, read := range map[string]func(seq uint64) ([]byte, error){
		"block": func(seq uint64) ([]byte, error) {
			block, err := l.Block(ctx, "audit", seq)
			if err != nil {
				return nil, err
			}
			return block.Payload(int(seq - block.First))
		},
		"outline": func(seq uint64) ([]byte, error) {
			o, err := l.Outline(ctx, "audit", seq)
			if err != nil {
				return nil, err
			}
			return o.Event(int(seq - o.First))
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			seq := uint64(0)
			for b.Loop() {
				seq = (seq*31 + 7919) % (blocks * size)
				if _, err := read(seq + 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
