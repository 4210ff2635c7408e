package target

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// fake answers as Sluice's contract says and keeps what it was asked.
type fake struct {
	mu      sync.Mutex
	streams []map[string]any
	resumed []string
}

func (f *fake) note(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resumed = append(f.resumed, what)
}

func (f *fake) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /api/v1/tokens", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"id":1,"token":"producer"}`)
	})
	mux.HandleFunc("POST /api/v1/streams", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		var stream map[string]any
		if err := json.NewDecoder(r.Body).Decode(&stream); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.streams = append(f.streams, stream)
		fmt.Fprintf(w, `{"id":%d,"status":"active","ledger":{}}`, len(f.streams))
	})
	mux.HandleFunc("POST /api/v1/streams/{id}/resume", func(_ http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.resumed = append(f.resumed, r.PathValue("id"))
	})
	mux.HandleFunc("POST /api/v1/streams/{id}/pause", func(_ http.ResponseWriter, r *http.Request) {
		f.note("pause " + r.PathValue("id"))
	})
	mux.HandleFunc("DELETE /api/v1/streams/{id}", func(_ http.ResponseWriter, r *http.Request) {
		f.note("delete " + r.PathValue("id"))
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "# HELP a An a.\n# TYPE a gauge\na 1.5\nb{p=\"x y\"} 2\nb{p=\"z\"} 3\n")
	})
	mux.HandleFunc("GET /api/v1/streams/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"id":%s,"status":"paused","ledger":{"accepted":5,"pending":5}}`, r.PathValue("id"))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+adminToken {
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func TestSluiceIsDrivenByItsContract(t *testing.T) {
	f := &fake{}
	server := httptest.NewServer(f.handler())
	defer server.Close()
	s := &Sluice{address: server.Listener.Addr().String(), client: newClient()}
	if err := s.awaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	destinations := []Destination{{URL: "http://sink/1"}, {URL: "http://sink/2", Namespace: "acme", Paused: true}}
	if err := s.setUp(t.Context(), destinations); err != nil {
		t.Fatal(err)
	}
	if got, want := s.Token(), "producer"; got != want {
		t.Errorf("token: got %q, want %q", got, want)
	}
	paused := 0
	for _, stream := range f.streams {
		if stream["active"] == false && stream["namespace"] == "acme" {
			paused++
		}
	}
	if got, want := len(f.streams), 2; got != want || paused != 1 {
		t.Errorf("streams: got %v, want two, the one of acme paused", f.streams)
	}
	if err := s.Resume(t.Context(), 0, 2); err != nil || len(f.resumed) != 2 {
		t.Errorf("resumed: got %v, %v, want both", f.resumed, err)
	}
	if got, err := s.Stream(t.Context(), 0); err != nil || got.Ledger.Pending != 5 || got.Status != "paused" {
		t.Errorf("stream: got %+v, %v, want 5 pending", got, err)
	}
}

func TestRefusalIsQuoted(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	s := &Sluice{address: server.Listener.Addr().String(), client: newClient()}
	if err := s.setUp(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("error: got %v, want the status in it", err)
	}
}

func TestStreamsArePausedAndReplaced(t *testing.T) {
	f := &fake{}
	server := httptest.NewServer(f.handler())
	defer server.Close()
	s := &Sluice{address: server.Listener.Addr().String(), client: newClient()}
	if err := s.setUp(t.Context(), []Destination{{URL: "http://h/1"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Pause(t.Context(), 0, 1); err != nil {
		t.Error(err)
	}
	if err := s.Replace(t.Context(), 0, Destination{URL: "http://h/2"}); err != nil {
		t.Error(err)
	}
	if got, want := strings.Join(f.resumed, ", "), "pause 1, delete 1"; got != want {
		t.Errorf("asked: got %q, want %q", got, want)
	}
	if got, want := s.streams[0].ID, int64(2); got != want {
		t.Errorf("stream in its place: got %d, want %d", got, want)
	}
	got, err := s.Metrics(t.Context())
	if err != nil || got["a"] != 1.5 || got["b"] != 5 || len(got) != 2 {
		t.Errorf("metrics: got %v, %v, want a 1.5 and b 5", got, err)
	}
}
