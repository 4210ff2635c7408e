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
	addVaried(b, head)
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

// addVaried fills a head from the varied corpus.
func addVaried(b *testing.B, head *index.Head) {
	b.Helper()
	c, err := corpus.New(corpus.Spec{Kind: corpus.Varied, Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	g := c.Generator(0)
	var scanner sluice.Scanner
	for i := range uint64(index.ChunkEvents) {
		payload, env, _, err := scanner.Scan(nil, g.Append(nil, i, 1_714_946_400_000_000_000))
		if err != nil {
			b.Fatal(err)
		}
		head.Add(&index.Event{Seq: i + 1, Accepted: 1_714_946_400_000_000 + int64(i/500)*5000, Time: env.Time.UnixMicro(),
			Type: string(env.Type), Namespace: string(env.Namespace), Source: "a-producer-token", ID: env.ID, Payload: payload})
	}
}

// cpuTime returns the processor time that the process has taken.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
