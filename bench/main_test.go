package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sluicelog/sluice/bench/floor"
)

// TestMain lets the test binary play the children of the benchmark, and Sluice.
func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		if err := serveFake(ctx, os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 && child(os.Args[1]) != nil {
		if err := child(os.Args[1])(ctx, os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveFake is the floor behind Sluice's contract: enough to test the benchmark.
// Streams with the same URL are one, and get the events of all namespaces.
func serveFake(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	data, address := f.String("data", "", ""), f.String("listen", "", "")
	f.Bool("allow-private-destinations", false, "")
	f.Bool("index", false, "")
	if err := errors.Join(f.Parse(args), os.MkdirAll(*data, 0o700)); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(*data, "log"))
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	fl := floor.New(file)
	server := &http.Server{Handler: fakeAPI(ctx, fl)}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func fakeAPI(ctx context.Context, fl *floor.Floor) http.Handler {
	var mu sync.Mutex
	var starts []func() // of streams, by id - 1
	byURL := map[string]func(){}
	mux := http.NewServeMux()
	mux.Handle("POST /api/v1/events", fl)
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /api/v1/tokens", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"token":"x"}`) })
	mux.HandleFunc("POST /api/v1/streams", func(w http.ResponseWriter, r *http.Request) {
		var stream struct {
			Config struct{ URL string }
			Active bool
		}
		if err := json.NewDecoder(r.Body).Decode(&stream); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		start := byURL[stream.Config.URL]
		if start == nil {
			start = sync.OnceFunc(func() { go fl.Forward(ctx, stream.Config.URL) })
			byURL[stream.Config.URL] = start
		}
		if starts = append(starts, start); stream.Active {
			start()
		}
		fmt.Fprintf(w, `{"id":%d}`, len(starts))
	})
	mux.HandleFunc("GET /api/v1/streams/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"id":1,"ledger":{"accepted":7,"delivered":7}}`)
	})
	mux.HandleFunc("POST /api/v1/streams/{id}/resume", func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var id int
		if _, err := fmt.Sscan(r.PathValue("id"), &id); err == nil {
			starts[id-1]()
		}
	})
	fakeSearch(mux)
	return mux
}

// fakeSearch answers as a log that has everything but rare actors.
func fakeSearch(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/events/index", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"partitions":[{"state":"following","events":1000000}]}`)
	})
	mux.HandleFunc("GET /api/v1/events", func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.FormValue("phrase"), "rare") {
			fmt.Fprint(w, `{"events":[]}`)
			return
		}
		fmt.Fprint(w, `{"events":[{}],"next":"x"}`)
	})
	mux.HandleFunc("GET /api/v1/streams", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"streams":[]}`) })
	mux.HandleFunc("POST /api/v1/users", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) })
	mux.HandleFunc("/-/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a page") })
	mux.HandleFunc("GET /api/v1/events/counts", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"events":2,"counts":[{},{}]}`)
	})
	mux.HandleFunc("GET /api/v1/events/export", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Sluice-Events")
		if r.Header.Get("Accept-Encoding") == "gzip" {
			w.Header().Set("Content-Encoding", "gzip")
		}
		fmt.Fprint(w, "{}\n{}\n")
		w.Header().Set("Sluice-Events", "2")
	})
}

// TestScenarioIndex searches a log, and then the one that this run has kept.
func TestScenarioIndex(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0") // a second for each child
	dir := t.TempDir()
	args := []string{"-keep", "", "-rounds", "2", "-run", "^index$", "-index-events", "1000", "-sluice", os.Args[0], "-dir", dir, "-index-dir", filepath.Join(dir, "kept")}
	for range 2 {
		var out, log bytes.Buffer
		if err := run(t.Context(), args, &out, &log); err != nil {
			t.Fatalf("run: %v\n%s", err, log.String())
		}
		for _, want := range []string{"(1 rounds)", "indexed/s", "three qualifiers p99 ms", "page Log streaming p95 ms", "export events/s", "events of that organization 2"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("table: got\n%s, want %q in it", out.String(), want)
			}
		}
		if strings.Contains(out.String(), "wrong answer to") {
			t.Errorf("table: got\n%s, want no wrong answers", out.String())
		}
	}
	args[7] = "2000"
	if err := run(t.Context(), args, &bytes.Buffer{}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "holds 1000 events") {
		t.Errorf("another number of events: got %v, want an error that names those there are", err)
	}
}

// TestWholeBenchmark runs one scenario with real child processes.
func TestWholeBenchmark(t *testing.T) {
	dir := t.TempDir()
	keep := filepath.Join(dir, "kept")
	args := []string{"-short", "-seconds", "1", "-rounds", "1", "-run", "flat100-d1$", "-sluice", os.Args[0], "-dir", dir, "-keep", keep}
	var out, log bytes.Buffer
	if err := run(t.Context(), args, &out, &log); err != nil {
		t.Fatalf("run: %v\n%s", err, log.String())
	}
	for _, want := range []string{"flat100-d1: ", "floor ", "sluice ", "acked / floor", "lost or out of order"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("table: got\n%s, want %q in it", out.String(), want)
		}
	}
	text, err := os.ReadFile(filepath.Join(keep, "flat100-d1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var results struct {
		Scenario struct {
			Rounds []struct {
				Base, Test struct {
					Acked float64 `json:"acked_per_s"`
					CPU   float64 `json:"cpu_s_per_million"`
					RSS   float64 `json:"max_rss_mib"`
					E2E   float64 `json:"e2e_p50_ms"`
					Lost  uint64
				}
			}
		}
	}
	if err := json.Unmarshal(text, &results); err != nil {
		t.Fatal(err)
	}
	for _, got := range results.Scenario.Rounds {
		if got.Base.Acked <= 0 || got.Base.RSS <= 0 || got.Base.E2E <= 0 || got.Base.Lost != 0 || got.Test.Acked <= 0 || got.Test.Lost != 0 {
			t.Errorf("round: got %+v, want events and none lost", got)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "sluice-bench-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("directory: got %v, %v, want nothing left", left, err)
	}
}

func TestServerThatDoesNotStartIsQuoted(t *testing.T) {
	args := []string{"-short", "-keep", "", "-rounds", "1", "-run", "restart", "-sluice", "/bin/ls", "-dir", t.TempDir()}
	err := run(t.Context(), args, &bytes.Buffer{}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "it has ended") || !strings.Contains(err.Error(), "--data") {
		t.Errorf("error: got %v, want that it has ended, and the server's own words", err)
	}
}

func TestFlags(t *testing.T) {
	for _, test := range []struct {
		args string
		want string // in the error
	}{
		{"-rounds 0", "positive"},
		{"-only vector", "vector"},
		{"-run (", "-run"},
		{"extra", "extra"},
	} {
		if _, err := parse(strings.Fields(test.args), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("flags %q: got %v, want an error about %s", test.args, err, test.want)
		}
	}
	o, err := parse([]string{"-short", "-log-gib", "2"}, &bytes.Buffer{})
	if err != nil || o.seconds != 3 || o.logGiB != 2 || o.indexEvents != 1_000_000 {
		t.Errorf("short: got %d s, %v GiB, %d events, %v, want 3 s, a million events and the 2 GiB given", o.seconds, o.logGiB, o.indexEvents, err)
	}
}
