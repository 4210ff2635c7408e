package index_test

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/index"
)

// benchEvents makes events of one of the benchmark's corpora, as the log would
// hand them out.
func benchEvents(b *testing.B, kind string, n int) []index.Event {
	b.Helper()
	c, err := corpus.New(corpus.Spec{Kind: kind, Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	g := c.Generator(0)
	var scanner sluice.Scanner
	events := make([]index.Event, n)
	for i := range events {
		payload, env, _, err := scanner.Scan(nil, g.Append(nil, uint64(i), 1_714_946_400_000_000_000))
		if err != nil {
			b.Fatal(err)
		}
		accepted := 1_714_946_400_000_000 + int64(i/500)*5000
		events[i] = index.Event{Seq: uint64(i + 1), Accepted: accepted, Time: env.Time.UnixMicro(), Type: string(env.Type),
			Namespace: string(env.Namespace), Source: "a-producer-token", ID: env.ID, Payload: payload}
	}
	return events
}

// eachCorpus runs a benchmark on both corpora and reports the processor time that
// an event takes, whatever else the machine does.
func eachCorpus(b *testing.B, n int, run func(b *testing.B, events []index.Event)) {
	for _, kind := range []string{corpus.Plain, corpus.Varied} {
		b.Run(kind, func(b *testing.B) {
			events := benchEvents(b, kind, n)
			runtime.GC()
			b.ReportAllocs()
			b.ResetTimer()
			run(b, events)
		})
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

// BenchmarkTerms reads the terms of an event.
func BenchmarkTerms(b *testing.B) {
	eachCorpus(b, 2000, func(b *testing.B, events []index.Event) {
		var terms index.Terms
		for i := 0; b.Loop(); i++ {
			terms.Read(&events[i%len(events)])
		}
	})
}

// BenchmarkChunk fills a head and seals it: all that indexing costs but for
// storing what comes of it.
func BenchmarkChunk(b *testing.B) {
	eachCorpus(b, index.ChunkEvents, func(b *testing.B, events []index.Event) {
		var add, seal, terms time.Duration
		n, size, bytes := 0, 0, int64(0)
		for b.Loop() {
			var t index.Terms
			start := cpuTime(b)
			for i := range events[:10000] {
				t.Read(&events[i])
			}
			terms += cpuTime(b) - start
			start = cpuTime(b)
			h := index.NewHead()
			var batch index.Batch
			for i := range events {
				batch.Add(&events[i])
				if batch.Full() || i+1 == len(events) {
					h.AddBatch(&batch)
					batch.Reset()
				}
			}
			added := cpuTime(b)
			sealed := h.Seal()
			add, seal = add+added-start, seal+cpuTime(b)-added
			n, size, bytes = n+sealed.Info.Events, h.Size(), bytes+sealed.Info.Bytes
		}
		b.ReportMetric(float64(terms)/float64(b.N)/10000, "terms-cpu-ns/event")
		b.ReportMetric(float64(add)/float64(n), "add-cpu-ns/event")
		b.ReportMetric(float64(seal)/float64(n), "seal-cpu-ns/event")
		b.ReportMetric(float64(bytes)/float64(n), "B/event")
		b.ReportMetric(float64(n)/float64(b.N), "events/chunk")
		b.ReportMetric(float64(size)/(1<<20), "head-MiB")
	})
}
