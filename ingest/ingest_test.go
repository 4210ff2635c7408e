package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
)

func TestBodies(t *testing.T) {
	tests := []struct {
		name, body        string
		accepted, git, at int // at: audit events
	}{
		{"one object", good, 1, 0, 1},
		{"one object with white space around", " \n\t" + good + "\r\n ", 1, 0, 1},
		{"one object over several lines", "{\n \"event_type\": \"a\",\n \"entity_path\": \"acme\"\n}\n", 1, 0, 1},
		{"array", "[" + good + "," + goodGit + "]", 2, 1, 1},
		{"array with white space", " [ " + good + "\n, \n" + goodGit + " ] \n", 2, 1, 1},
		{"empty array", " [ ] ", 0, 0, 0},
		{"lines", good + "\n" + goodGit + "\n", 2, 1, 1},
		{"lines without an end", good + "\n" + goodGit, 2, 1, 1},
		{"empty lines", "\n\n" + good + "\r\n\r\n \n" + goodGit + "\n\n", 2, 1, 1},
		{"objects with white space between", good + " " + goodGit + "\t{\"action\":\"x\",\"org\":\"y\"}", 3, 1, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDoor(t)
			r := post(t, New(d, Options{}), tt.body)
			if r.status != http.StatusOK || r.Accepted != tt.accepted || r.Duplicates != 0 {
				t.Fatalf("got %d %s, want 200 with %d accepted", r.status, r.text, tt.accepted)
			}
			if got := len(d.stored(t, "git")); got != tt.git {
				t.Errorf("got %d git events, want %d", got, tt.git)
			}
			if got := len(d.stored(t, "audit")); got != tt.at {
				t.Errorf("got %d audit events, want %d", got, tt.at)
			}
		})
	}
}

func TestAnswer(t *testing.T) {
	h := New(newDoor(t), Options{})
	r := post(t, h, good+"\n"+goodGit+"\n"+good)
	if got, want := r.text, `{"accepted":2,"duplicates":1,"last":{"audit":1,"git":1}}`+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r = post(t, h, `{"id":"9","event_type":"a","entity_path":"acme"}`)
	if got, want := r.text, `{"accepted":1,"duplicates":0,"last":{"audit":2}}`+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r = post(t, h, good)
	if got, want := r.text, `{"accepted":0,"duplicates":1,"last":{"audit":1}}`+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBadEvents(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"malformed", `{"id":`, "0 malformed_json"},
		{"not JSON", `hello`, "0 malformed_json"},
		{"scalar", `17`, "0 not_an_object"},
		{"scalar in an array", `[17]`, "0 not_an_object"},
		{"no namespace", `{"event_type":"a"}`, "0 missing_namespace"},
		{"no type", typeles, "0 missing_type"},
		{"unreadable time", `{"event_type":"a","entity_path":"acme","created_at":"soon"}`, "0 bad_time"},
		{"unreadable path", `{"event_type":"a","entity_path":"acme/../x"}`, "0 bad_namespace"},
		{"foreign namespace", foreign, "0 foreign_namespace"},
		{"the installation's", `{"event_type":"a","entity_type":"User","entity_path":"x"}`, "0 foreign_namespace"},
		{"duplicate key", `{"event_type":"a","event_type":"a","entity_path":"acme"}`, "0 duplicate_key"},
		{"not UTF-8", "{\"event_type\":\"\xff\",\"entity_path\":\"acme\"}", "0 invalid_utf8"},
		{"too deep", `{"a":` + strings.Repeat("[", 101) + strings.Repeat("]", 101) + `}`, "0 too_deep"},
		{"bytes after the end", good + "}", "0 malformed_json"},
		{"bytes after the end on the line", good + " x\n" + typeles, "0 malformed_json,1 missing_type"},
		{"objects without white space between", good + goodGit, "0 malformed_json"},
		{"bytes after the array", "[" + good + "]" + good, "1 malformed_json"},
		{"array without an end", "[" + good, "1 malformed_json"},
		{"array without a comma", "[" + good + good + "]", "1 malformed_json"},
		{"array with a comma too many", "[" + good + ",]", "1 malformed_json"},
		{"array with a comma first", "[," + good + "]", "0 malformed_json"},
		{"array stops where it is malformed", "[" + typeles + `,{"a":,` + typeles + "]", "0 missing_type,1 malformed_json"},
		{"array goes on where it is not", "[" + typeles + "," + good + "," + foreign + "]", "0 missing_type,2 foreign_namespace"},
		{"lines", good + "\n" + typeles + "\n{\"a\":\n" + good + "\n" + foreign + "\n", "1 missing_type,2 malformed_json,4 foreign_namespace"},
		{"line that is cut off", `{"id":"1","event_ty` + "\n" + typeles, "0 malformed_json,1 missing_type"},
		{"lines of rubbish", "x\ny\n" + good, "0 malformed_json,1 malformed_json"},
		{"malformed object over lines", "{\n  \"a\": 1,\n  \"b\": }\n", "0 malformed_json"},
		{"refused and followed by rubbish", typeles + "x\n" + good, "0 missing_type"},
		{"byte order mark", "\ufeff" + good, "0 malformed_json"},
	}
	d := newDoor(t)
	h := New(d, Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := post(t, h, tt.body)
			if r.status != http.StatusBadRequest || r.Error.Code != "invalid_events" {
				t.Fatalf("got %d %s, want 400 invalid_events", r.status, r.text)
			}
			if got := r.codes(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			for _, e := range r.Error.Events {
				if e.Message == "" || e.Hint == "" {
					t.Errorf("got %+v, want message and hint", e)
				}
			}
		})
	}
	if got := d.count(); got != 0 {
		t.Errorf("got %d events stored, want none", got)
	}
}

func TestAtMostAHundredBadEventsAreListed(t *testing.T) {
	d := newDoor(t)
	h := New(d, Options{})
	r := post(t, h, strings.Repeat(typeles+"\n", 250)+good)
	if got, want := len(r.Error.Events), 100; got != want {
		t.Errorf("got %d listed, want %d", got, want)
	}
	if got, want := r.Error.Total, 250; got != want {
		t.Errorf("got total %d, want %d", got, want)
	}
	if got, want := h.Stats().Refused[sluice.CodeMissingType], uint64(250); got != want {
		t.Errorf("got %d counted, want %d", got, want)
	}
	if got := d.count(); got != 0 {
		t.Errorf("got %d events stored, want none", got)
	}
}

func TestHeads(t *testing.T) {
	tests := []struct {
		name   string
		change func(r *http.Request)
		status int
		code   string
		header string // name and value that the answer has
	}{
		{"no token", func(r *http.Request) { r.Header.Del("Authorization") }, 401, "unauthorized", `Www-Authenticate: Bearer realm="sluice"`},
		{"unknown token", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 401, "unauthorized", ""},
		{"empty token", func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, 401, "unauthorized", ""},
		{"other scheme", func(r *http.Request) { r.Header.Set("Authorization", "Basic "+acmeToken) }, 401, "unauthorized", ""},
		{"two tokens", func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") }, 401, "unauthorized", ""},
		{"long token", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+strings.Repeat("x", 513)) }, 401, "unauthorized", ""},
		{"GET", func(r *http.Request) { r.Method = http.MethodGet }, 405, "method_not_allowed", "Allow: POST"},
		{"PUT", func(r *http.Request) { r.Method = http.MethodPut }, 405, "method_not_allowed", "Allow: POST"},
		{"unknown encoding", func(r *http.Request) { r.Header.Set("Content-Encoding", "br") }, 415, "unsupported_encoding", "Accept-Encoding: gzip, zstd"},
		{"two encodings", func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip, gzip") }, 415, "unsupported_encoding", ""},
		{"two encoding headers", func(r *http.Request) {
			r.Header.Add("Content-Encoding", "gzip")
			r.Header.Add("Content-Encoding", "zstd")
		}, 415, "unsupported_encoding", ""},
		{"empty key", func(r *http.Request) { r.Header.Set("Idempotency-Key", "") }, 400, "invalid_idempotency_key", ""},
		{"long key", func(r *http.Request) { r.Header.Set("Idempotency-Key", strings.Repeat("k", 256)) }, 400, "invalid_idempotency_key", ""},
		{"key beyond ASCII", func(r *http.Request) { r.Header.Set("Idempotency-Key", "ké") }, 400, "invalid_idempotency_key", ""},
		{"two keys", func(r *http.Request) {
			r.Header.Add("Idempotency-Key", "a")
			r.Header.Add("Idempotency-Key", "b")
		}, 400, "invalid_idempotency_key", ""},
		{"too long", func(r *http.Request) { r.ContentLength = 16<<20 + 1 }, 413, "too_large", "Connection: close"},
		{"no body", func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, 0 }, 400, "empty_body", ""},
	}
	d := newDoor(t)
	h := New(d, Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(strings.NewReader(good))
			tt.change(r)
			got := serve(t, h, r)
			if got.status != tt.status || got.Error.Code != tt.code {
				t.Errorf("got %d %s, want %d %s", got.status, got.text, tt.status, tt.code)
			}
			if name, want, ok := strings.Cut(tt.header, ": "); ok && got.header.Get(name) != want {
				t.Errorf("got %s %q, want %q", name, got.header.Get(name), want)
			}
		})
	}
	if got := d.calls.Load(); got != 0 {
		t.Errorf("got %d appends, want none", got)
	}
}

func TestTokens(t *testing.T) {
	tests := []struct {
		name   string
		header []string
		status int
	}{
		{"scheme in another case", []string{"Authorization", "bearer " + acmeToken}, 200},
		{"GitLab's header", []string{"X-Gitlab-Event-Streaming-Token", acmeToken}, 200},
		{"GitLab's header with an unknown token", []string{"X-Gitlab-Event-Streaming-Token", "x"}, 401},
		{"GitLab's header twice", []string{"X-Gitlab-Event-Streaming-Token", acmeToken, "X-Gitlab-Event-Streaming-Token", acmeToken}, 401},
		{"Authorization counts", []string{"Authorization", "Bearer x", "X-Gitlab-Event-Streaming-Token", acmeToken}, 401},
	}
	h := New(newDoor(t), Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(strings.NewReader(good))
			r.Header = http.Header{}
			for i := 0; i < len(tt.header); i += 2 {
				r.Header.Add(tt.header[i], tt.header[i+1])
			}
			if got := serve(t, h, r); got.status != tt.status {
				t.Errorf("got %d %s, want %d", got.status, got.text, tt.status)
			}
		})
	}
}

func TestErrorsOfTheDoor(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
		code   string
		retry  string
	}{
		{"no space", sluice.Errorf(sluice.NoSpace, "full").WithHint("free some"), 507, "no_space", ""},
		{"busy", sluice.Errorf(sluice.Busy, "starting").WithHint("wait"), 503, "busy", "1"},
		{"internal", sluice.Errorf(sluice.Internal, "/var/lib/secret"), 500, "internal", ""},
		{"unknown", errors.New("/var/lib/secret"), 500, "internal", ""},
		{"forbidden", sluice.Errorf(sluice.Forbidden, "no").WithHint("ask"), 403, "forbidden", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDoor(t)
			d.before = func(context.Context) error { return tt.err }
			r := post(t, New(d, Options{}), good)
			if r.status != tt.status || r.Error.Code != tt.code || r.header.Get("Retry-After") != tt.retry {
				t.Errorf("got %d %s with Retry-After %q, want %d %s with %q", r.status, r.text, r.header.Get("Retry-After"), tt.status, tt.code, tt.retry)
			}
			if strings.Contains(r.text, "secret") {
				t.Errorf("got %s, want nothing internal in it", r.text)
			}
		})
	}
}

func TestProducerThatLeaves(t *testing.T) {
	d := newDoor(t)
	ctx, cancel := context.WithCancel(t.Context())
	d.before = func(ctx context.Context) error { cancel(); return context.Cause(ctx) }
	h := New(d, Options{})
	r := serve(t, h, request(strings.NewReader(good)).WithContext(ctx))
	if got, want := r.status, http.StatusServiceUnavailable; got != want {
		t.Errorf("got %d, want %d", got, want)
	}
	if got := h.Stats().Memory; got != 0 {
		t.Errorf("got %d bytes held, want 0", got)
	}
}

func TestRateLimitRefusesTheWholeRequest(t *testing.T) {
	d := newDoor(t)
	var asked []int
	d.admit = func(events int) (time.Duration, bool) {
		asked = append(asked, events)
		return 1200 * time.Millisecond, len(asked) > 1
	}
	h := New(d, Options{})
	r := post(t, h, good+"\n"+goodGit)
	if r.status != http.StatusTooManyRequests || r.Error.Code != "rate_limited" || r.header.Get("Retry-After") != "2" {
		t.Errorf("got %d %s with Retry-After %q, want 429 with 2", r.status, r.text, r.header.Get("Retry-After"))
	}
	if got := d.count(); got != 0 {
		t.Errorf("got %d events stored, want none", got)
	}
	if r := post(t, h, good+"\n"+goodGit); r.Accepted != 2 {
		t.Errorf("got %s, want 2 accepted", r.text)
	}
	if got, want := fmt.Sprint(asked), "[2 2]"; got != want {
		t.Errorf("got %s asked for, want %s", got, want)
	}
	post(t, h, typeles)
	if got, want := len(asked), 2; got != want {
		t.Errorf("got %d questions, want %d: a bad request uses up nothing", got, want)
	}
}

func TestInstanceTokenPostsForAll(t *testing.T) {
	h := New(newDoor(t), Options{})
	body := good + "\n" + foreign + "\n" + `{"event_type":"a","entity_type":"User"}`
	r := serve(t, h, func() *http.Request {
		r := request(strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+instanceToken)
		return r
	}())
	if r.Accepted != 3 {
		t.Errorf("got %d %s, want 3 accepted", r.status, r.text)
	}
}

func TestPiecesOfALargeRequest(t *testing.T) {
	// Tiny events without ids take more memory than their body: they are appended
	// in several pieces, in order, each once.
	const n = 6000
	for _, form := range []string{"array", "lines"} {
		t.Run(form, func(t *testing.T) {
			var body strings.Builder
			for i := range n {
				body.WriteString(map[bool]string{true: "[", false: ","}[i == 0][:btoi(form == "array")])
				fmt.Fprintf(&body, `{"action":"a","org":"o%d","n":%d}`+"\n", i%100, i)
			}
			body.WriteString("]"[:btoi(form == "array")])
			d := newDoor(t)
			h := New(d, Options{})
			r := post(t, h, body.String(), "Idempotency-Key", "k")
			if r.Accepted != n || r.Last["audit"] != n {
				t.Fatalf("got %d %.200s, want %d accepted", r.status, r.text, n)
			}
			if got := d.calls.Load(); got < 2 {
				t.Errorf("got %d appends, want several", got)
			}
			for i, event := range d.stored(t, "audit") {
				var e struct{ N int }
				if err := json.Unmarshal([]byte(event), &e); err != nil || e.N != i {
					t.Fatalf("got event %s at %d (%v), want n %d", event, i, err, i)
				}
			}
			if r := post(t, h, body.String(), "Idempotency-Key", "k"); r.Duplicates != n {
				t.Errorf("got %.200s, want %d duplicates", r.text, n)
			}
			if got := h.Stats().Memory; got != 0 {
				t.Errorf("got %d bytes held, want 0", got)
			}
		})
	}
}

// A request of which a part is stored goes on however busy the server is, and one
// that cannot says what was stored.
func TestPiecesGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 6000
		body := strings.Repeat(`{"action":"a","org":"o"}`+"\n", n)
		d := newDoor(t)
		h := New(d, Options{Parsers: 1})
		d.before = func(ctx context.Context) error {
			if d.calls.Load() == 1 {
				time.AfterFunc(5*maxWait, func() { h.turns.give(1) })
				return h.turns.take(ctx, 1)
			}
			return nil
		}
		if r := post(t, h, body); r.Accepted != n {
			t.Errorf("while others are parsed for long: got %d %.200s, want %d accepted", r.status, r.text, n)
		}
		before, calls := d.count(), d.calls.Load()
		d.before = func(context.Context) error {
			if d.calls.Load() > calls+1 {
				return sluice.Errorf(sluice.NoSpace, "full").WithHint("nothing was stored")
			}
			return nil
		}
		r := post(t, h, body)
		if want := fmt.Sprintf("%d of the request's events were stored", d.count()-before); r.status != http.StatusInsufficientStorage || !strings.HasPrefix(r.Error.Hint, want) {
			t.Errorf("on a disk that is full behind the first piece: got %d %.200s, want 507 and %q", r.status, r.text, want)
		}
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestAMalformedEndOfALargeRequestStoresNothing(t *testing.T) {
	d := newDoor(t)
	body := strings.Repeat(`{"action":"a","org":"o"}`+"\n", 100_000) + typeles
	r := post(t, New(d, Options{}), body)
	if r.status != http.StatusBadRequest || r.Error.Total != 1 || r.Error.Events[0].Index != 100_000 {
		t.Errorf("got %d %.300s, want 400 for event 100000", r.status, r.text)
	}
	if got := d.calls.Load(); got != 0 {
		t.Errorf("got %d appends, want none", got)
	}
}

func TestStats(t *testing.T) {
	h := New(newDoor(t), Options{})
	post(t, h, good+"\n"+goodGit)
	post(t, h, good)
	post(t, h, typeles)
	s := h.Stats()
	if got, want := fmt.Sprint(s.Requests, s.Accepted, s.Duplicates, s.Refused[sluice.CodeMissingType]),
		"map[2xx:2 3xx:0 4xx:1 5xx:0] map[audit:1 git:1] 1 1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if want := uint64(len(good+"\n"+goodGit) + len(good) + len(typeles)); s.WireBytes != want || s.RawBytes != want {
		t.Errorf("got %d and %d bytes, want %d", s.WireBytes, s.RawBytes, want)
	}
	if s.Time <= 0 || s.Memory != 0 {
		t.Errorf("got time %v and memory %d, want some and none", s.Time, s.Memory)
	}
}

var _ http.Handler = (*Handler)(nil)

// newServer serves h on a connection.
func newServer(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}
