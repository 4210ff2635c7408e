package sqlite

import (
	"syscall"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/index"
)

// BenchmarkIndexAppend stores full chunks, and reports the processor time and the
// bytes on disk that an event takes.
func BenchmarkIndexAppend(b *testing.B) {
	x, err := OpenIndex(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	p, err := x.Open(b.Context(), "audit")
	if err != nil {
		b.Fatal(err)
	}
	head := index.NewHead()
	varied(b)(head, 1)
	var cpu time.Duration
	chunk := head.Seal()
	for b.Loop() {
		start := cpuTime(b)
		if err := p.Append(b.Context(), chunk, index.Position{Seq: chunk.Info.Last}); err != nil {
			b.Fatal(err)
		}
		cpu += cpuTime(b) - start
		chunk.Info.First += index.ChunkEvents
		chunk.Info.Last += index.ChunkEvents
	}
	size, err := p.Size(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	events := float64(b.N) * index.ChunkEvents
	b.ReportMetric(float64(cpu)/events, "cpu-ns/event")
	b.ReportMetric(float64(b.Elapsed())/events, "ns/event")
	b.ReportMetric(float64(chunk.Info.Bytes)/index.ChunkEvents, "chunk-B/event")
	b.ReportMetric(float64(size)/events, "B/event")
	if err := p.Close(); err != nil {
		b.Fatal(err)
	}
}

// varied returns a function that fills a head with events of the varied corpus.
func varied(b *testing.B) func(head *index.Head, first uint64) {
	b.Helper()
	c, err := corpus.New(corpus.Spec{Kind: corpus.Varied, Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	g := c.Generator(0)
	var scanner sluice.Scanner
	return func(head *index.Head, first uint64) {
		for i := first; i < first+index.ChunkEvents; i++ {
			payload, env, _, err := scanner.Scan(nil, g.Append(nil, i, 1_714_946_400_000_000_000))
			if err != nil {
				b.Fatal(err)
			}
			head.Add(&index.Event{Seq: i, Accepted: 1_714_946_400_000_000 + int64(i/500)*5000, Time: env.Time.UnixMicro(),
				Type: string(env.Type), Namespace: string(env.Namespace), Source: "a-producer-token", ID: env.ID, Payload: payload})
		}
	}
}

// BenchmarkIndexFind asks all of eight chunks, a million events, with a cache that
// holds what the queries need, and says what a chunk takes.
func BenchmarkIndexFind(b *testing.B) {
	const chunks = 8
	p := filled(b, chunks)
	infos, err := p.Chunks(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	org := index.Query{Scope: index.Below("org-0003")}
	word := index.Query{Scope: index.Everything(), Clauses: []index.Clause{{Terms: []index.Term{index.NewTerm(index.FieldWord, "absent")}}}}
	id := index.Query{Scope: index.Everything(), Clauses: []index.Clause{{IDs: []string{"absent"}}}}
	days := index.Query{Scope: org.Scope, Clauses: []index.Clause{{Ranges: []index.Range{
		{From: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}}}}}
	for _, c := range []struct {
		name  string
		q     index.Query
		cache int
		days  bool
	}{
		{"organization", org, 32 << 20, false}, {"absent word", word, 32 << 20, false}, {"absent word, cold", word, 0, false},
		{"absent id", id, 32 << 20, false}, {"organization by day", org, 32 << 20, true}, {"range", days, 32 << 20, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			cache := index.NewCache(c.cache)
			for b.Loop() {
				for _, info := range infos {
					r, err := index.NewChunk(p, info, cache).Find(b.Context(), &c.q)
					if err == nil && c.days {
						err = r.Days(b.Context(), func(int64, int) {})
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/chunks, "µs/chunk")
		})
	}
}

// filled returns an index of full chunks.
func filled(b *testing.B, chunks int) index.Partition {
	b.Helper()
	x, err := OpenIndex(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	p, err := x.Open(b.Context(), "audit")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.Close(); err != nil {
			b.Error(err)
		}
	})
	fill := varied(b)
	for i := range chunks {
		head := index.NewHead()
		fill(head, uint64(i)*index.ChunkEvents+1)
		sealed := head.Seal()
		if err := p.Append(b.Context(), sealed, index.Position{Seq: sealed.Info.Last}); err != nil {
			b.Fatal(err)
		}
	}
	return p
}

// cpuTime returns the processor time that the process has taken.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
