package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// answering returns a client of a server that answers every request alike, and
// the last request it got.
func answering(t *testing.T, status int, header http.Header, body string) (*Client, func() (*http.Request, string)) {
	t.Helper()
	var last *http.Request
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		last, got = r, string(text)
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	c, err := New(Config{Server: s.URL + "/base/", Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, func() (*http.Request, string) { return last, got }
}

func TestPostEvents(t *testing.T) {
	c, last := answering(t, 200, nil, `{"accepted":2,"duplicates":1,"last":{"git":7}}`)
	res, err := c.PostEvents(t.Context(), []byte("{}\n"), "k")
	if err != nil || res.Accepted != 2 || res.Duplicates != 1 || res.Last["git"] != 7 {
		t.Errorf("got %+v, %v, want 2, 1, git 7", res, err)
	}
	r, body := last()
	if r.URL.Path != "/base/api/v1/events" || r.Header.Get("Idempotency-Key") != "k" || r.Header.Get("Authorization") != "Bearer secret" || body != "{}\n" {
		t.Errorf("got request %s with %v and %q", r.URL, r.Header, body)
	}
}

func TestErrors(t *testing.T) {
	const refusal = `{"error":{"code":"invalid","message":"1 bad event","hint":"look","events":[{"index":3,"code":"invalid","message":"no type","hint":"add one"}]}}`
	for _, c := range []struct {
		name      string
		status    int
		header    http.Header
		body      string
		want      Error
		temporary bool
	}{
		{"refusal", 400, nil, refusal, Error{Status: 400, Code: "invalid", Message: "1 bad event", Hint: "look",
			Events: []EventError{{3, "invalid", "no type", "add one"}}}, false},
		{"busy", 503, http.Header{"Retry-After": {"7"}}, `{"error":{"code":"busy","message":"busy"}}`, Error{Status: 503, Code: "busy", Message: "busy", RetryAfter: 7 * time.Second}, true},
		{"not JSON", 502, nil, "<html>", Error{Status: 502, Code: CodeBadAnswer}, true},
		{"redirect", 302, http.Header{"Location": {"/elsewhere"}}, "", Error{Status: 302, Code: CodeBadAnswer, Hint: "Is that the address of a Sluice server?"}, false},
		{"not an answer of Sluice", 200, nil, "hello", Error{Status: 200, Code: CodeBadAnswer, Hint: "Is that the address of a Sluice server?"}, false},
	} {
		cl, _ := answering(t, c.status, c.header, c.body)
		_, err := cl.PostEvents(t.Context(), nil, "")
		got, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("%s: got %v, want an Error", c.name, err)
			continue
		}
		if c.want.Message == "" {
			c.want.Message = got.Message
		}
		gotText, _ := json.Marshal(got)
		wantText, _ := json.Marshal(c.want)
		if string(gotText) != string(wantText) || got.Temporary() != c.temporary {
			t.Errorf("%s: got %s, temporary %t, want %s, %t", c.name, gotText, got.Temporary(), wantText, c.temporary)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	c, err := New(Config{Server: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Streams(t.Context(), nil)
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Code != CodeUnreachable || !e.Temporary() || e.Unwrap() == nil {
		t.Errorf("got %v, want a temporary Error with code %s", err, CodeUnreachable)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if _, err := c.Streams(ctx, nil); !errors.Is(err, why) {
		t.Errorf("ended context: got %v, want its cause", err)
	}
}

func TestNew(t *testing.T) {
	for _, server := range []string{"localhost:8080", "ftp://x", "http://", "http://u:p@x", "http://x?a=b", "http://x#f"} {
		if _, err := New(Config{Server: server}); err == nil || strings.Contains(err.Error(), ":p@") {
			t.Errorf("New(%q): got %v, want an error without a password", server, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Duration{"": 0, "5": 5 * time.Second, " 60 ": time.Minute, "-1": 0, "x": 0,
		"Sun, 01 Mar 2026 12:00:30 GMT": 30 * time.Second, "Sun, 01 Mar 2026 11:00:00 GMT": 0} {
		if got := retryAfter(in, now); got != want {
			t.Errorf("retryAfter(%q): got %v, want %v", in, got, want)
		}
	}
}

func TestListsInBothForms(t *testing.T) {
	for _, body := range []string{`[{"id":7,"name":"a"}]`, `{"tokens":[{"id":"7","name":"a"}]}`} {
		c, _ := answering(t, 200, nil, body)
		got, err := c.Tokens(t.Context())
		if err != nil || len(got) != 1 || got[0].ID != "7" || got[0].Name != "a" {
			t.Errorf("%s: got %+v, %v, want token 7", body, got, err)
		}
	}
	c, _ := answering(t, 200, nil, `{"other":[]}`)
	if _, err := c.Tokens(t.Context()); err == nil {
		t.Error("another object: got no error")
	}
}

func TestStreamKeepsRaw(t *testing.T) {
	const body = `{"id":3,"namespace":"acme","kind":"http","status":"active","ledger":{"accepted":5,"pending":5},"more":{"x":1}}`
	c, last := answering(t, 200, nil, body)
	s, err := c.Stream(t.Context(), 3)
	if err != nil || s.ID != 3 || s.Ledger.Pending != 5 || string(s.Raw) != body {
		t.Errorf("got %+v, %v, want stream 3 with all its text", s, err)
	}
	if r, _ := last(); r.URL.Path != "/base/api/v1/streams/3" {
		t.Errorf("got path %s", r.URL.Path)
	}
}

// A choice that came out empty is not sent: for the server that would be all events.
func TestQuarantineNeedsAChoice(t *testing.T) {
	c, last := answering(t, 200, nil, `{"count":7}`)
	for _, act := range []QuarantineAct{{}, {Events: []EventRef{}}} {
		if n, err := c.Drop(t.Context(), 1, act); err == nil {
			t.Errorf("drop of %+v: got %d", act, n)
		}
	}
	if r, body := last(); r != nil {
		t.Errorf("got a request with %s", body)
	}
	if n, err := c.Drop(t.Context(), 1, QuarantineAct{All: true}); n != 7 || err != nil {
		t.Errorf("drop of all: got %d, %v", n, err)
	}
}
