package segment_test

import (
	"fmt"
	"testing"

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
