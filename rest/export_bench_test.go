package rest_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/deliver"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/rest"
	"github.com/sluicelog/sluice/search"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/segment"
	"github.com/sluicelog/sluice/store"
)

const (
	exportedEvents = 300_000
	exportToken    = "a-benchmark-s-token"
)

// BenchmarkExport reads exports over HTTP on loopback; server and client share
// the processors. events/s are those that were found; heap-MB is the most that both
// held beyond what there was before.
func BenchmarkExport(b *testing.B) {
	server := exportServer(b)
	for _, c := range []struct{ name, query, encoding string }{
		{"everything", "", "identity"},
		{"organization", "namespace=org-0000", "identity"},
		{"phrase", "phrase=" + url.QueryEscape("-type:repository_git_operation -actor:nobody"), "identity"},
		{"class", "class=audit", "identity"},
		{"json", "format=json", "identity"},
		{"csv", "format=csv", "identity"},
		{"gzip", "", "gzip"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			events, size := 0, int64(0)
			runtime.GC()
			before, most := heap(), uint64(0)
			for b.Loop() {
				n, bytes, held := readExport(b, server, c.query, c.encoding)
				events, size, most = events+n, size+bytes, max(most, held)
			}
			if c.encoding == "gzip" {
				events = b.N * exportedEvents
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(size)/b.Elapsed().Seconds()/1e6, "MB/s")
			b.ReportMetric(float64(max(most, before)-before)/1e6, "heap-MB")
		})
	}
}

// heap returns the bytes that the last collection found in use.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// readExport reads an export to its end, counts lines and bytes, and looks how large
// the heap becomes.
func readExport(b *testing.B, server *httptest.Server, query, encoding string) (lines int, size int64, held uint64) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), "GET", server.URL+"/api/v1/events/export?"+query, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+exportToken)
	r.Header.Set("Accept-Encoding", encoding)
	res, err := server.Client().Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	buf := make([]byte, 256<<10)
	for reads := 0; ; reads++ {
		if reads%256 == 0 {
			held = max(held, heap())
		}
		n, err := res.Body.Read(buf)
		lines, size = lines+bytes.Count(buf[:n], []byte("\n")), size+int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if res.StatusCode != 200 || res.Trailer.Get("Sluice-Cursor") == "" {
		b.Fatalf("got status %d and trailers %v", res.StatusCode, res.Trailer)
	}
	return lines, size, held
}

// exportServer serves a log on disk with events of about 1 KB, all of which are
// indexed.
func exportServer(b *testing.B) *httptest.Server {
	b.Helper()
	fail := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	id := eventlog.LogID{1}
	engine, err := segment.Open(filepath.Join(b.TempDir(), "log"), segment.Options{Log: id})
	fail(err)
	log, err := eventlog.Open(b.Context(), engine, eventlog.Options{ID: id})
	fail(err)
	state := store.NewMemory()
	delivery := deliver.New(log, state, deliver.Options{})
	finder := search.New(search.Config{Log: log, Engine: index.NewMemory(), Logger: slog.New(slog.DiscardHandler)})
	service := control.New(control.Config{
		Log: log, Store: state, Deliver: delivery, Kinds: []destination.Kind{&controltest.Kind{}}, Ring: secret.NewRing(), Search: finder,
	})
	fail(delivery.Load(b.Context()))
	fail(service.Open(b.Context()))
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{log.Run, finder.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				b.Error(err)
			}
		})
	}
	_, err = service.EnsureAdmin(b.Context(), exportToken)
	fail(err)
	fillExport(b, log)
	waitIndexed(b, finder)
	server := httptest.NewServer(rest.New(rest.Config{Service: service}))
	b.Cleanup(func() {
		server.Close()
		stop()
		wg.Wait()
		_ = log.Close()
	})
	return server
}

// fillExport appends events of the varied corpus.
func fillExport(b *testing.B, log *eventlog.Log) {
	b.Helper()
	made, err := corpus.New(corpus.Spec{Kind: corpus.Varied, Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	var scanner sluice.Scanner
	var buf, payload []byte
	g, batches := made.Generator(0), map[string]*eventlog.Batch{"audit": {}, "git": {}}
	for i := range exportedEvents {
		buf = g.Append(buf[:0], uint64(i), 1_763_000_000_123_456_789)
		out, env, _, err := scanner.Scan(payload[:0], buf)
		if err != nil {
			b.Fatal(err)
		}
		payload = out
		batches[string(env.Class)].Add(out, &env, "t1")
		if i%1000 != 999 {
			continue
		}
		if _, err := log.Append(b.Context(), batches); err != nil {
			b.Fatal(err)
		}
		for _, batch := range batches {
			batch.Reset()
		}
	}
}

// waitIndexed waits until everything is found.
func waitIndexed(b *testing.B, s *search.Service) {
	b.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.Lag(b.Context()) > 0 || s.Status(b.Context())[0].State != search.StateFollowing {
		<-tick.C
	}
}
