package target

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// reading serves what is there to read; every request must be the one wanted.
func reading(t *testing.T, want string, answer http.HandlerFunc) *Sluice {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.String(); got != want {
			t.Errorf("request: got %s, want %s", got, want)
		}
		if got, want := r.Header.Get("Authorization"), "Bearer "+adminToken; got != want {
			t.Errorf("authorization: got %q, want %q", got, want)
		}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return &Sluice{address: server.Listener.Addr().String(), client: newClient()}
}

func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

func TestPage(t *testing.T) {
	s := reading(t, "/api/v1/events?after=c&limit=50&namespace=acme&phrase=actor%3Amona", say(`{"events":[{},{}],"next":"n","more":true,"missing":1}`))
	got, err := s.Page(t.Context(), Question{Namespace: "acme", Phrase: "actor:mona", After: "c"})
	if p := got.Body; err != nil || len(p.Events) != 2 || p.Next != "n" || !p.More || p.Missing != 1 || got.Took <= 0 {
		t.Errorf("page: got %+v, %v, want two events and a cursor", got, err)
	}
}

func TestCount(t *testing.T) {
	s := reading(t, "/api/v1/events/counts?namespace=acme", say(`{"events":7,"counts":[{"name":"2026-01-01","events":7}]}`))
	if got, err := s.Count(t.Context(), Question{Namespace: "acme"}); err != nil || got.Body.Events != 7 || len(got.Body.Days) != 1 {
		t.Errorf("counts: got %+v, %v, want 7 of one day", got, err)
	}
}

func TestIndexIsReadyWhenEveryPartIs(t *testing.T) {
	const part = `{"state":%q,"events":5,"chunks":1,"bytes":9,"lag_events":3,"problem":%q}`
	for _, test := range []struct {
		states [2]string
		ready  bool
	}{{[2]string{"following", "following"}, true}, {[2]string{"following", "rebuilding"}, false}, {[2]string{"opening", "following"}, false}} {
		body := fmt.Sprintf(`{"partitions":[`+part+`,`+part+`]}`, test.states[0], "", test.states[1], "no space")
		got, err := reading(t, "/api/v1/events/index", say(body)).Index(t.Context())
		if want := (Index{Events: 10, Chunks: 2, Bytes: 18, Lag: 6, Ready: test.ready, Problem: "no space"}); err != nil || got != want {
			t.Errorf("index %v: got %+v, %v, want %+v", test.states, got, err, want)
		}
	}
}

func TestExport(t *testing.T) {
	const path = "/api/v1/events/export?from=2026-01-01T00%3A00%3A00.5Z&namespace=acme"
	answer := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Sluice-Events")
		if r.Header.Get("Accept-Encoding") == "gzip" {
			w.Header().Set("Content-Encoding", "gzip")
		}
		fmt.Fprint(w, "{}\n{}\n")
		w.Header().Set("Sluice-Events", "2")
	}
	e := ExportRequest{Question: Question{Namespace: "acme"}, From: time.Date(2026, 1, 1, 0, 0, 0, 5e8, time.UTC)}
	got, err := reading(t, path, answer).Export(t.Context(), e)
	if err != nil || got.Events != 2 || got.Lines != 2 || got.Bytes != 6 {
		t.Errorf("export: got %+v, %v, want two lines", got, err)
	}
	e.Gzip = true
	got, err = reading(t, path, answer).Export(t.Context(), e)
	if err != nil || got.Events != 2 || got.Lines != 0 || got.Bytes != 6 {
		t.Errorf("compressed export: got %+v, %v, want two events and no lines", got, err)
	}
	if _, err := reading(t, path, say("{}")).Export(t.Context(), e); err == nil {
		t.Error("an export that is not compressed: got no error")
	}
	e.Gzip = false
	cut := func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "{}\n")
		panic(http.ErrAbortHandler)
	}
	if _, err := reading(t, path, cut).Export(t.Context(), e); err == nil {
		t.Error("an export that is cut off: got no error")
	}
}
