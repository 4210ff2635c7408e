package search

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/index"
)

// benchEvents is how many events of about 1 KB the benchmarks work on.
const benchEvents = 400_000

// benchLog returns a log in memory with benchEvents events of 200 organizations,
// 5,000 actors and 300 types, and what stops it.
func benchLog(b *testing.B) (*eventlog.Log, func()) {
	b.Helper()
	log, err := eventlog.Open(b.Context(), eventlog.NewMemory(eventlog.MemoryOptions{Log: logID()}),
		eventlog.Options{ID: logID(), Partitions: []string{"audit"}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	rnd := rand.New(rand.NewPCG(1, 2))
	orgs, actors, types := rand.NewZipf(rnd, 1.1, 1, 199), rand.NewZipf(rnd, 1.1, 1, 4999), rand.NewZipf(rnd, 1.1, 1, 299)
	var batch eventlog.Batch
	for i := range benchEvents {
		id, typ := fmt.Sprintf("%032x", i), fmt.Sprint("repo.action_", types.Uint64())
		ns := fmt.Sprintf("org-%d/repo-%d", orgs.Uint64(), rnd.IntN(20000))
		payload := fmt.Appendf(nil, `{"id":"%s","action":"%s","actor":"actor-%d","org":"org","repo":"%s","created_at":%d,"actor_ip":"10.0.%d.%d","user_agent":"%0600d","message":"changed the settings of a repository %d times"}`,
			id, typ, actors.Uint64(), ns, 1767225600000+i, rnd.IntN(256), rnd.IntN(256), rnd.Uint64(), rnd.IntN(1000))
		batch.Add(payload, &sluice.Envelope{ID: []byte(id), IDOffset: len(`{"id":"`), Type: []byte(typ), Namespace: []byte(ns), Class: sluice.Audit}, "t1")
		if batch.Len() == 500 {
			if _, err := log.Append(ctx, map[string]*eventlog.Batch{"audit": &batch}); err != nil {
				b.Fatal(err)
			}
			batch.Reset()
		}
	}
	return log, func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
		_ = log.Close()
	}
}

// index runs a service until it has found everything.
func indexAll(b *testing.B, log *eventlog.Log) (s *Service, stop func()) {
	b.Helper()
	s = New(Config{Log: log, Engine: index.NewMemory()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.Status(ctx)[0].Indexed < benchEvents {
		<-tick.C
	}
	return s, func() { cancel(); <-done }
}

func BenchmarkIndexing(b *testing.B) {
	log, stop := benchLog(b)
	defer stop()
	for b.Loop() {
		_, end := indexAll(b, log)
		end()
	}
	b.ReportMetric(benchEvents*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkQueries(b *testing.B) {
	log, stop := benchLog(b)
	defer stop()
	s, end := indexAll(b, log)
	defer end()
	for _, c := range []struct {
		name, phrase string
		scope        index.Scope
	}{
		{"newest", "", index.Everything()},
		{"organization", "", index.Below("org-7")},
		{"rare-actor", "actor:actor-4321", index.Everything()},
		{"three-qualifiers", "type:repo.action_3 actor:actor-2 -ip:10.0.0.1", index.Below("org-1")},
		{"word", "settings", index.Everything()},
		{"id", "id:00000000000000000000000000000abc", index.Everything()},
	} {
		clauses, err := index.ParsePhrase(c.phrase)
		if err != nil {
			b.Fatal(err)
		}
		q := index.Query{Scope: c.scope, Clauses: clauses}
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Page(b.Context(), q, PageOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("count-by-day", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Count(b.Context(), index.Query{Scope: index.Below("org-7")}, ByDay, ""); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkExport(b *testing.B) {
	log, stop := benchLog(b)
	defer stop()
	s, end := indexAll(b, log)
	defer end()
	for _, c := range []struct {
		name, phrase string
		scope        index.Scope
	}{
		{"everything", "", index.Everything()},
		{"organization", "", index.Below("org-1")},
		{"phrase", "-actor:actor-1", index.Everything()},
	} {
		clauses, err := index.ParsePhrase(c.phrase)
		if err != nil {
			b.Fatal(err)
		}
		q := index.Query{Scope: c.scope, Clauses: clauses}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				e, err := s.Export(b.Context(), q, ExportOptions{})
				for err == nil {
					if _, err = e.Next(b.Context()); err == nil {
						n++
					}
				}
				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
