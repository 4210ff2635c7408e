package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice/store"
)

// durations of single calls, for percentiles.
type durations []time.Duration

func (d *durations) add(call func()) {
	began := time.Now()
	call()
	*d = append(*d, time.Since(began))
}

func (d durations) report(b *testing.B) {
	slices.Sort(d)
	b.ReportMetric(float64(d[len(d)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(d[len(d)*99/100].Microseconds()), "p99-µs")
}

func BenchmarkApplyOne(b *testing.B)      { benchmarkApply(b, 1) }
func BenchmarkApplyThousand(b *testing.B) { benchmarkApply(b, 1000) }

// benchmarkApply replaces n records of 300 bytes in each call.
func benchmarkApply(b *testing.B, n int) {
	s := openIn(b, b.TempDir())
	changes := make([]store.Change, n)
	for i := range changes {
		changes[i] = store.Change{Key: fmt.Sprintf("lane/%06d", i), Value: make([]byte, 300), NewVersion: new(uint64)}
	}
	apply(b, s, changes...)
	var times durations
	for b.Loop() {
		for i := range changes {
			changes[i].Version = *changes[i].NewVersion
		}
		times.add(func() { apply(b, s, changes...) })
	}
	times.report(b)
}

// BenchmarkSync is what no commit can beat: two pages overwritten, one fsync.
func BenchmarkSync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	pages := make([]byte, 2*pageSize)
	var times durations
	for b.Loop() {
		times.add(func() {
			if _, err := f.WriteAt(pages, 0); err != nil {
				b.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
		})
	}
	times.report(b)
}

// BenchmarkApplyConcurrent is 1,000 calls of one change each from 16 goroutines.
func BenchmarkApplyConcurrent(b *testing.B) {
	s := openIn(b, b.TempDir())
	const workers, calls = 16, 1000
	var versions [calls]uint64
	for b.Loop() {
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < calls; i += workers {
					apply(b, s, store.Change{
						Key: fmt.Sprintf("lane/%06d", i), Value: make([]byte, 300),
						Version: versions[i], NewVersion: &versions[i],
					})
				}
			})
		}
		wg.Wait()
	}
}

func BenchmarkListTenThousand(b *testing.B)     { benchmarkList(b, 10_000) }
func BenchmarkListHundredThousand(b *testing.B) { benchmarkList(b, 100_000) }

// benchmarkList lists n records of 300 bytes.
func benchmarkList(b *testing.B, n int) {
	s := openIn(b, b.TempDir())
	fill(b, s, n)
	for b.Loop() {
		got := 0
		for _, err := range s.List(b.Context(), "lane/") {
			if err != nil {
				b.Fatal(err)
			}
			got++
		}
		if got != n {
			b.Fatalf("List: got %d records, want %d", got, n)
		}
	}
}

// fill creates n records of 300 bytes.
func fill(b *testing.B, s *Store, n int) {
	for from := 0; from < n; from += 10_000 {
		var changes []store.Change
		for i := from; i < min(n, from+10_000); i++ {
			changes = append(changes, store.Change{Key: fmt.Sprintf("lane/%06d", i), Value: make([]byte, 300)})
		}
		apply(b, s, changes...)
	}
}

// BenchmarkOpen opens and closes a file of 100,000 records.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := openIn(b, dir)
	fill(b, s, 100_000)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := openIn(b, dir).Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSnapshot verifies and copies 100,000 records.
func BenchmarkSnapshot(b *testing.B) {
	dir := b.TempDir()
	s := openIn(b, dir)
	fill(b, s, 100_000)
	for b.Loop() {
		if err := s.Snapshot(b.Context(), filepath.Join(dir, "snapshot")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	s := openIn(b, b.TempDir())
	apply(b, s, store.Change{Key: "a", Value: make([]byte, 300)})
	for b.Loop() {
		if _, err := s.Get(b.Context(), "a"); err != nil {
			b.Fatal(err)
		}
	}
}
