package load

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/bench/floor"
	"github.com/sluicelog/sluice/bench/sink"
)

// forever is longer than any test; its runs end by their number of events.
const forever = time.Hour

func config(server *httptest.Server, perRequest int, events uint64) Config {
	return Config{Address: server.Listener.Addr().String(), Token: "secret", Flow: Flow{Connections: 4, PerRequest: perRequest},
		Duration: forever, Events: events, Corpus: corpus.Spec{Kind: corpus.Plain}}
}

// TestNothingIsLostThroughTheFloor runs generator, floor and sink together.
func TestNothingIsLostThroughTheFloor(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var s sink.Sink
	served, forwarded := make(chan error, 1), make(chan struct{})
	go func() { served <- s.Serve(ctx, ln) }()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f := floor.New(file)
	go func() { f.Forward(ctx, "http://"+ln.Addr().String()+"/a"); close(forwarded) }()
	server := httptest.NewServer(f)
	defer server.Close()
	var next uint64
	for _, perRequest := range []int{1, 100} {
		c := config(server, perRequest, 2000)
		c.First = next
		got, err := Run(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		if got.Acked < 2000 || got.Acked != got.Next-got.First || got.Errors+got.Refused != 0 || got.P50 <= 0 {
			t.Errorf("result: got %+v, want at least 2000 acknowledged and no errors", got)
		}
		next = got.Next
	}
	for s.Stats(0).Paths["/a"].Unique < next { // the forwarder is a moment behind the answers
		runtime.Gosched()
	}
	if got := s.Stats(next).Paths["/a"]; got.Missing+got.Duplicates+got.Foreign+got.Disordered != 0 {
		t.Errorf("sink: got %+v, want each event once and in order", got)
	}
	cancel()
	<-forwarded
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestRequestIsWhatAServerExpects(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || strings.Count(string(body), "\n") != 3 {
			t.Errorf("body: got %q, %v, want three lines", body, err)
		}
		if got, want := r.Header.Get("Authorization"), "Bearer secret"; got != want {
			t.Errorf("authorization: got %q, want %q", got, want)
		}
		if got, want := r.Method+" "+r.URL.Path, "POST /api/v1/events"; got != want {
			t.Errorf("request: got %q, want %q", got, want)
		}
		w.(http.Flusher).Flush() // makes the answer a chunked one
		io.WriteString(w, `{"accepted":3}`)
	}))
	defer server.Close()
	if got, err := Run(t.Context(), config(server, 3, 30)); err != nil || got.Acked < 30 || got.Errors != 0 {
		t.Errorf("result: got %+v, %v, want 30 acknowledged", got, err)
	}
}

func TestRefusedIsRepeatedAndBrokenIsUnknown(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch requests.Add(1) {
		case 1:
			http.Error(w, "busy", http.StatusServiceUnavailable)
		case 2:
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	c := config(server, 10, 100)
	c.Connections = 1
	got, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if got.Acked != 90 || got.Refused != 1 || got.Errors != 1 || len(got.Unknown) != 1 || got.Unknown[0] != (Range{0, 10}) {
		t.Errorf("result: got %+v, want 90 acknowledged, one refusal, 0 to 10 unknown", got)
	}
}

func TestSteadyLoadKeepsItsSchedule(t *testing.T) {
	r := &run{}
	for number, want := range []time.Duration{80, 90, 100, 110} {
		p := newProducer(r, Flow{Rate: 1000, PerRequest: 10, Connections: 4}, number, nil)
		p.requests = 2
		if got := p.due().Sub(r.start); got != want*time.Millisecond {
			t.Errorf("third request of connection %d: got %v, want %v ms", number, got, want)
		}
	}
}

func TestCancelEndsARun(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel(errors.New("enough")) }))
	defer server.Close()
	if _, err := Run(ctx, config(server, 1, 0)); err != nil {
		t.Error(err)
	}
}

// TestLinesAreWritten sends lines to a server that answers nothing, from two flows
// at once, whose events are numbered together.
func TestLinesAreWritten(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var s sink.Sink
	var reading sync.WaitGroup
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			reading.Go(func() {
				body, _ := io.ReadAll(conn)
				s.Count("/lines", body, time.Now())
			})
		}
	}()
	got, err := Run(t.Context(), Config{Address: ln.Addr().String(), Lines: true, Flow: Flow{Connections: 2, PerRequest: 100},
		Beside: []Flow{{Connections: 3, PerRequest: 1}}, Duration: forever, Events: 3000, Corpus: corpus.Spec{Kind: corpus.Plain}})
	if err != nil || got.Acked < 3000 || got.Acked != got.Next || got.Errors != 0 {
		t.Errorf("result: got %+v, %v, want all written", got, err)
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	<-served
	reading.Wait()
	if got := s.Stats(got.Next).Paths["/lines"]; got.Requests != 5 || got.Missing+got.Duplicates+got.Foreign+got.Disordered != 0 {
		t.Errorf("read: got %+v, want each event once and in order over five connections", got)
	}
}

func TestBadFlows(t *testing.T) {
	for _, f := range []Flow{{0, 1, 0}, {1, 0, 0}, {1, 1, -1}, {corpus.MaxConnections, 1, 0}} {
		c := Config{Flow: Flow{Connections: 1, PerRequest: 1}, Beside: []Flow{f}}
		if _, err := Run(t.Context(), c); err == nil {
			t.Errorf("flow %+v: got no error", f)
		}
	}
}
