package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/ingest"
	"github.com/sluicelog/sluice/rest"
	"github.com/sluicelog/sluice/rest/resttest"
)

// client sends requests to an API without a network, behind its document.
type client struct {
	*controltest.World
	t       *testing.T
	doc     *resttest.Document
	api     *rest.API
	handler http.Handler // the API with what takes events, watched
	token   string
}

// simulate runs f against an API in simulated time.
func simulate(t *testing.T, configure func(*control.Config), f func(t *testing.T, c *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := controltest.New(t, configure)
		c := &client{World: w, t: t, doc: document(), token: w.AdminToken}
		c.serve(rest.Config{Version: "1.2.3"})
		f(t, c)
		w.Stop()
	})
}

// serve makes the API anew, and what stands before it as in the server.
func (c *client) serve(cfg rest.Config) {
	cfg.Service, cfg.Logger = c.Service, c.Logger()
	c.api = rest.New(cfg)
	in := ingest.New(c.Service, ingest.Options{Allow: "GET, HEAD, POST"})
	mux := http.NewServeMux()
	mux.Handle("/", c.api)
	mux.Handle("/api/v1/events", in)
	mux.Handle("GET /api/v1/events", c.api)
	mux.Handle("/services/collector", in.Collector())
	mux.Handle("/services/collector/", in.Collector())
	c.handler = c.doc.Watch(c.t, mux)
}

func (c *client) do(method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(c.t.Context(), method, path, strings.NewReader(body))
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	rec := httptest.NewRecorder()
	c.handler.ServeHTTP(rec, r)
	return rec
}

// want sends a request, checks the status and returns the answer.
func (c *client) want(status int, method, path, body string) map[string]any {
	c.t.Helper()
	rec := c.do(method, path, body)
	if rec.Code != status {
		c.t.Errorf("%s %s %.80s: got status %d with %s, want %d", method, path, body, rec.Code, rec.Body, status)
	}
	var out map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
		c.t.Errorf("%s %s: the answer %q is no JSON object: %v", method, path, rec.Body, err)
	}
	return out
}

// wantProblem also checks the form of an error.
func (c *client) wantProblem(status int, code, method, path, body string) map[string]any {
	c.t.Helper()
	e, _ := c.want(status, method, path, body)["error"].(map[string]any)
	if e["code"] != code || e["message"] == "" || e["message"] == nil || e["hint"] == nil || len(e) != 3 {
		c.t.Errorf("%s %s %.80s: got error %v, want code, message and hint with code %s", method, path, body, e, code)
	}
	return e
}

const (
	password = "hunter2-hunter2"
	header   = "Bearer header-secret"
	stream   = `{"namespace":"acme","name":"siem","kind":"memory","config":{"host":"sink.example","headers":[{"name":"Authorization","value":"` + header + `"}]},` +
		`"secrets":{"password":"` + password + `","signing_secret":"whsec_signing-secret"},"filter":{"event_types":["git.push"]}}`
)

func TestStreamsFromBeginningToEnd(t *testing.T) {
	simulate(t, nil, func(t *testing.T, c *client) {
		made := c.want(201, "POST", "/api/v1/streams", stream)
		for _, field := range []string{"id", "namespace", "name", "kind", "config", "secrets", "verification_token", "filter", "start", "until",
			"strict", "active", "status", "health", "ledger", "lanes", "created_at"} {
			if _, ok := made[field]; !ok {
				t.Errorf("the answer lacks %q", field)
			}
		}
		if made["id"] != 1.0 || made["status"] != "active" || made["start"] != "now" || fmt.Sprint(made["secrets"]) != "map[password:set signing_secret:set]" {
			t.Errorf("got %v", made)
		}
		c.Post("acme/web", "git.push", 3)
		synctest.Wait()
		got := c.want(200, "GET", "/api/v1/streams/1", "")
		if ledger := got["ledger"].(map[string]any); ledger["delivered"] != 3.0 {
			t.Errorf("ledger: got %v, want 3 delivered", ledger)
		}
		if got := c.want(200, "PATCH", "/api/v1/streams/1", `{"strict":true,"filter":{"namespaces":["acme/web"]}}`); got["strict"] != true {
			t.Errorf("patched: got %v", got)
		}
		if got := c.want(200, "POST", "/api/v1/streams/1/pause", ""); got["status"] != "paused" || got["active"] != false {
			t.Errorf("paused: got %v", got)
		}
		c.wantProblem(409, "conflict", "POST", "/api/v1/streams/1/retry", "")
		if got := c.want(200, "POST", "/api/v1/streams/1/resume", ""); got["active"] != true {
			t.Errorf("resumed: got %v", got)
		}
		for _, path := range []string{"/api/v1/streams/check", "/api/v1/streams/1/check"} {
			if got := c.want(200, "POST", path, stream); got["ok"] != true || len(got["stages"].([]any)) != 2 {
				t.Errorf("%s: got %v", path, got)
			}
		}
		for query, want := range map[string]int{"": 1, "?namespace=ACME": 1, "?namespace=umbra": 0, "?namespace=": 0} {
			if got := c.want(200, "GET", "/api/v1/streams"+query, ""); len(got["streams"].([]any)) != want {
				t.Errorf("list %q: got %v, want %d streams", query, got, want)
			}
		}
		if got := c.want(200, "GET", "/api/v1/streams/1/quarantine?limit=5", ""); len(got["events"].([]any)) != 0 {
			t.Errorf("quarantine: got %v, want nothing", got)
		}
		for _, act := range []string{"redeliver", "drop"} {
			if got := c.want(200, "POST", "/api/v1/streams/1/quarantine/"+act, `{}`); got["count"] != 0.0 {
				t.Errorf("%s: got %v, want 0", act, got)
			}
		}
		if got := c.want(200, "DELETE", "/api/v1/streams/1", ""); got["ledger"].(map[string]any)["delivered"] != 3.0 {
			t.Errorf("deleted: got %v, want the final ledger", got)
		}
		c.wantProblem(404, "not_found", "GET", "/api/v1/streams/1", "")
	})
}

func TestTokensAndNamespaces(t *testing.T) {
	simulate(t, nil, func(t *testing.T, c *client) {
		tok := c.want(201, "POST", "/api/v1/tokens", `{"kind":"producer","namespace":"acme","name":"ci","rate_limit":50}`)
		if len(tok["token"].(string)) != 47 || tok["id"] != "t2" || tok["rate_limit"] != 50.0 {
			t.Errorf("got %v", tok)
		}
		list := c.want(200, "GET", "/api/v1/tokens", "")["tokens"].([]any)
		if len(list) != 2 || list[1].(map[string]any)["token"] != nil {
			t.Errorf("list: got %v, want 2 without text", list)
		}
		if got := c.want(201, "POST", "/api/v1/namespaces", `{"path":"acme/web","kind":"project"}`); got["kind"] != "project" || got["id"] == nil {
			t.Errorf("declared: got %v", got)
		}
		c.wantProblem(409, "conflict", "POST", "/api/v1/namespaces", `{"path":"acme/web","kind":"project"}`)
		if got := c.want(200, "GET", "/api/v1/namespaces?within=acme", "")["namespaces"].([]any); len(got) != 2 {
			t.Errorf("namespaces: got %v, want 2", got)
		}

		admin := c.token
		c.token = tok["token"].(string)
		for _, path := range []string{"/api/v1/streams", "/api/v1/streams/1", "/api/v1/tokens", "/api/v1/namespaces", "/metrics"} {
			c.wantProblem(403, "forbidden", "GET", path, "")
		}
		c.wantProblem(403, "forbidden", "POST", "/api/v1/streams", stream)
		c.token = admin
		c.want(200, "DELETE", "/api/v1/tokens/t2", "")
		c.wantProblem(404, "not_found", "DELETE", "/api/v1/tokens/t2", "")
		c.wantProblem(409, "conflict", "DELETE", "/api/v1/tokens/t1", "")
		for _, c.token = range []string{"", "wrong", tok["token"].(string)} {
			c.wantProblem(401, "unauthorized", "GET", "/api/v1/streams", "")
			if got := c.do("GET", "/api/v1/streams", "").Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
				t.Errorf("WWW-Authenticate: got %q, want Bearer", got)
			}
		}
	})
}

func TestBadInput(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100)
	simulate(t, nil, func(t *testing.T, c *client) {
		c.want(201, "POST", "/api/v1/streams", stream)
		time.Sleep(time.Minute)
		synctest.Wait()
		before, events := stored(c), c.Log.Last("audit")
		for _, b := range []struct {
			status             int
			code               string
			method, path, body string
			mention            string
		}{
			{400, "invalid", "POST", "/api/v1/streams", ``, "empty"},
			{400, "invalid", "POST", "/api/v1/streams", `{"namespace":`, "not valid JSON"},
			{400, "invalid", "POST", "/api/v1/streams", `{"namespace":"a"}}`, "follows"},
			{400, "invalid", "POST", "/api/v1/streams", `{} {}`, "follows"},
			{400, "invalid", "POST", "/api/v1/streams", `[]`, "not a JSON object"},
			{400, "invalid", "POST", "/api/v1/streams", `"stream"`, "not a JSON object"},
			{400, "invalid", "POST", "/api/v1/streams", `{"nmae":"x"}`, `"nmae"`},
			{400, "invalid", "POST", "/api/v1/streams", `{"Name":"x"}`, `"Name"`},
			{400, "invalid", "POST", "/api/v1/streams", `{"filter":{"types":[]}}`, "types"},
			{400, "invalid", "POST", "/api/v1/streams", `{"name":"a","name":"b"}`, "twice"},
			{400, "invalid", "POST", "/api/v1/streams", `{"config":{"host":"a","host":"b"}}`, "twice"},
			{400, "invalid", "POST", "/api/v1/streams", `{"name":7}`, "name must be a string"},
			{400, "invalid", "POST", "/api/v1/streams", `{"strict":"yes"}`, "strict must be true or false"},
			{400, "invalid", "POST", "/api/v1/streams", `{"filter":{"event_types":"git.push"}}`, "must be a list"},
			{400, "invalid", "POST", "/api/v1/streams", `{"secrets":{"password":{"x":1}}}`, "must be a string"},
			{400, "invalid", "POST", "/api/v1/streams", `{"config":` + deep + `}`, "nested deeper"},
			{400, "invalid", "POST", "/api/v1/streams", "{\"name\":\"\xff\"}", "UTF-8"},
			{413, "too_large", "POST", "/api/v1/streams", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, "larger"},
			{400, "invalid", "POST", "/api/v1/streams", `{"namespace":"acme/web","kind":"memory","config":{"host":"a"}}`, "top-level"},
			{400, "invalid", "POST", "/api/v1/streams", strings.Replace(stream, "sink.example", "meta.example", 1), "169.254.169.254"},
			{409, "conflict", "POST", "/api/v1/streams", stream, "siem"},
			{400, "invalid", "POST", "/api/v1/streams/check", `{"namespace":"acme","kind":"fax"}`, "fax"},
			{400, "invalid", "PATCH", "/api/v1/streams/1", `{"namespace":"umbra"}`, "cannot be changed"},
			{400, "invalid", "PATCH", "/api/v1/streams/1", `{"status":"active"}`, `"status"`},
			{400, "invalid", "PATCH", "/api/v1/streams/1", `{"filter":{"namespaces":["umbra/x"]}}`, "umbra/x"},
			{404, "not_found", "PATCH", "/api/v1/streams/2", `{}`, ""},
			{404, "not_found", "GET", "/api/v1/streams/one", ``, ""},
			{404, "not_found", "GET", "/api/v1/streams/-1", ``, ""},
			{404, "not_found", "GET", "/api/v1/streams/99999999999999999999", ``, ""},
			{400, "invalid", "GET", "/api/v1/streams?name=x", ``, `"name"`},
			{400, "invalid", "GET", "/api/v1/streams?namespace=a&namespace=b", ``, "twice"},
			{400, "invalid", "GET", "/api/v1/streams/1/quarantine?limit=x", ``, "limit"},
			{400, "invalid", "GET", "/api/v1/streams/1/quarantine?limit=0", ``, "limit"},
			{400, "invalid", "POST", "/api/v1/streams/1/quarantine/drop", ``, "empty"},
			{400, "invalid", "POST", "/api/v1/streams/1/quarantine/drop", `{"events":[]}`, "not clear"},
			{400, "invalid", "POST", "/api/v1/streams/1/quarantine/drop", `{"all":false}`, "not clear"},
			{400, "invalid", "POST", "/api/v1/streams/1/quarantine/drop", `{"events":null}`, "not clear"},
			{400, "invalid", "POST", "/api/v1/streams/1/quarantine/drop", `{"all":true,"up_to":null}`, "not clear"},
			{400, "invalid", "POST", "/api/v1/streams/1/quarantine/drop", `{"events":[{"partition":"audit","number":1}]}`, "number"},
			{400, "invalid", "POST", "/api/v1/streams/1/quarantine/drop", `{"events":[{"partition":"audit","seq":"1"}]}`, "whole number"},
			{400, "invalid", "POST", "/api/v1/streams/1/quarantine/drop", `{"events":[{"partition":"audit"}]}`, "partition and seq"},
			{400, "invalid", "POST", "/api/v1/streams/1/quarantine/drop", `{"all":true,"up_to":[]}`, "not clear"},
			{400, "invalid", "POST", "/api/v1/streams/1/quarantine/drop", `{"events":[{"partition":"audit","seq":1}],"up_to":[{"partition":"audit","seq":1}]}`, "not clear"},
			{400, "invalid", "POST", "/api/v1/streams/1/quarantine/drop", `{"up_to":[{"partition":"audit"}]}`, "partition and seq"},
			{400, "invalid", "POST", "/api/v1/tokens", `{"token":"short"}`, "16 to 255"},
			{400, "invalid", "POST", "/api/v1/tokens", `{"rate_limit":1.5}`, "whole number"},
			{400, "invalid", "POST", "/api/v1/namespaces", `{"path":"a//b"}`, "empty segment"},
			{404, "not_found", "GET", "/api/v1/stream", ``, ""},
			{404, "not_found", "GET", "/", ``, ""},
			{405, "method_not_allowed", "PUT", "/api/v1/streams/1", `{}`, ""},
			{405, "method_not_allowed", "DELETE", "/api/v1/streams", ``, ""},
			{405, "method_not_allowed", "GET", "/api/v1/streams/check", ``, ""},
			{405, "method_not_allowed", "POST", "/healthz", ``, ""},
		} {
			e := c.wantProblem(b.status, b.code, b.method, b.path, b.body)
			if text := fmt.Sprint(e["message"], " ", e["hint"]); !strings.Contains(text, b.mention) {
				t.Errorf("%s %s %.60s: got %q, want it to mention %q", b.method, b.path, b.body, text, b.mention)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if after := stored(c); after != before {
			t.Errorf("bad input left something behind:\n%s\nbefore:\n%s", after, before)
		}
		if got := c.Log.Last("audit"); got != events {
			t.Errorf("bad input wrote %d events", got-events)
		}
	})
}

// stored returns all records but the counters: a number may be lost.
func stored(c *client) string {
	var keep []string
	for line := range strings.Lines(c.Records()) {
		if !strings.HasPrefix(line, "counter/") {
			keep = append(keep, line)
		}
	}
	return strings.Join(keep, "")
}

func TestMethodsAndHeaders(t *testing.T) {
	simulate(t, nil, func(t *testing.T, c *client) {
		for path, want := range map[string]string{
			"/api/v1/streams": "GET, HEAD, POST", "/api/v1/streams/1": "GET, HEAD, PATCH, DELETE", "/api/v1/tokens/t1": "DELETE", "/healthz": "GET, HEAD",
		} {
			if got := c.do("TRACE", path, "").Header().Get("Allow"); got != want {
				t.Errorf("%s: got Allow %q, want %q", path, got, want)
			}
		}
		rec := c.do("HEAD", "/api/v1/streams", "")
		if rec.Code != 200 {
			t.Errorf("HEAD: got status %d, want 200", rec.Code)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Content-Type": "application/json; charset=utf-8",
		} {
			if got := rec.Header().Get(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		if rec.Header().Get("Content-Security-Policy") == "" {
			t.Error("no Content-Security-Policy")
		}
	})
}

// Neither answers nor logs hold what was sent as a secret.
func TestSecretsInAnswersAndLogs(t *testing.T) {
	simulate(t, nil, func(t *testing.T, c *client) {
		answers := ""
		for _, r := range [][3]string{
			{"POST", "/api/v1/streams", stream}, {"POST", "/api/v1/streams", stream}, {"GET", "/api/v1/streams", ""}, {"GET", "/api/v1/streams/1", ""},
			{"PATCH", "/api/v1/streams/1", `{"secrets":{"password":"` + password + `!","passwort":"` + password + `"}}`},
			{"PATCH", "/api/v1/streams/1", `{"secrets":{"password":["` + password + `"]}}`},
			{"POST", "/api/v1/streams/check", stream}, {"DELETE", "/api/v1/streams/1", ""}, {"GET", "/api/v1/tokens", ""}, {"GET", "/metrics", ""},
		} {
			answers += c.do(r[0], r[1], r[2]).Body.String()
		}
		synctest.Wait()
		for _, v := range []string{password, "whsec_signing-secret", c.AdminToken} {
			if strings.Contains(answers, v) {
				t.Errorf("an answer holds %q", v)
			}
			if strings.Contains(c.Logs()+c.Records(), v) {
				t.Errorf("a log line or a record holds %q", v)
			}
		}
		if strings.Contains(c.Logs(), header) || !strings.Contains(answers, header) {
			t.Error("header values are for owners, and not for logs")
		}
		if !strings.Contains(c.Logs(), `"path":"/api/v1/streams/1"`) {
			t.Error("no access log")
		}
	})
}

func TestReady(t *testing.T) {
	var free atomic.Uint64
	free.Store(1 << 40)
	watch := func(c *control.Config) { c.FreeSpace = func() (uint64, error) { return free.Load(), nil } }
	simulate(t, watch, func(t *testing.T, c *client) {
		synctest.Wait()
		c.token = ""
		c.want(200, "GET", "/healthz", "")
		c.want(200, "GET", "/readyz", "")
		full := func(string) error { return eventlog.ErrFull }
		c.Blocks.Store(&full)
		free.Store(0)
		time.Sleep(time.Second)
		if rec := c.do("GET", "/readyz", ""); rec.Code != 503 || rec.Header().Get("Retry-After") == "" || !strings.Contains(rec.Body.String(), "space") {
			t.Errorf("without space: got %d with %s, want 503 with the reason", rec.Code, rec.Body)
		}
		c.want(200, "GET", "/healthz", "")
		c.Blocks.Store(nil)
		free.Store(1 << 40)
		time.Sleep(time.Second)
		c.want(200, "GET", "/readyz", "")
	})
}

var sampleLine = regexp.MustCompile(`^([a-z_]+)(\{[a-z]+="(?:[^"\\]|\\.)*"(?:,[a-z]+="(?:[^"\\]|\\.)*")*\})? (\S+)$`)

// The metrics are well-formed: each family is declared once, before its samples,
// no series is there twice, and histograms add up.
func TestMetrics(t *testing.T) {
	simulate(t, nil, func(t *testing.T, c *client) {
		c.serve(rest.Config{Version: "1.2.3", Measured: 10})
		for i := range 13 {
			c.want(201, "POST", "/api/v1/streams", strings.Replace(stream, "siem", strconv.Itoa(i), 1))
		}
		c.Post("acme", "git.push", 2)
		synctest.Wait()
		rec := c.do("GET", "/metrics", "")
		if got := rec.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") {
			t.Errorf("Content-Type: got %q", got)
		}
		samples := parseMetrics(t, rec.Body.String())
		for series, want := range map[string]float64{
			`sluice_build_info{version="1.2.3"}`:                       1,
			`sluice_ready`:                                             1,
			`sluice_ingest_events_total{result="accepted"}`:            2,
			`sluice_commit_seconds_count`:                              1,
			`sluice_log_events_total{partition="git"}`:                 2,
			`sluice_streams{status="active"}`:                          13,
			`sluice_stream_events{stream="1",outcome="delivered"}`:     2,
			`sluice_stream_events{stream="10",outcome="accepted"}`:     samples[`sluice_stream_events{stream="10",outcome="filtered"}`] + 2,
			`sluice_stream_events{stream="other",outcome="delivered"}`: 6,
			`sluice_stream_lag_events{stream="1"}`:                     0,
			`sluice_namespaces`:                                        1,
			`sluice_commit_seconds_bucket{le="+Inf"}`:                  1,
		} {
			if got, ok := samples[series]; !ok || got != want {
				t.Errorf("%s: got %v (there: %v), want %v", series, got, ok, want)
			}
		}
		if _, ok := samples[`sluice_stream_lag_events{stream="11"}`]; ok {
			t.Error("more than 10 streams are measured by id")
		}
		for series, least := range map[string]float64{"go_goroutines": 3, "process_open_fds": 3, "process_resident_memory_bytes": 1 << 20} {
			if got := samples[series]; got < least {
				t.Errorf("%s: got %v, want at least %v", series, got, least)
			}
		}
		open := httptest.NewRecorder()
		c.api.Metrics().ServeHTTP(open, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
		if open.Code != 200 {
			t.Errorf("on its own listener: got status %d, want 200", open.Code)
		}
		c.token = ""
		c.wantProblem(401, "unauthorized", "GET", "/metrics", "")
	})
}

func parseMetrics(t *testing.T, text string) map[string]float64 {
	t.Helper()
	samples, declared := map[string]float64{}, []string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ := strings.Cut(rest, " ")
			if slices.Contains(declared, name) {
				t.Errorf("%s is declared twice", name)
			}
			declared = append(declared, name)
			continue
		}
		if strings.HasPrefix(line, "# HELP ") {
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("not a sample: %q", line)
			continue
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			t.Errorf("not a number: %q", line)
		}
		last := declared[len(declared)-1]
		if m[1] != last && !strings.HasPrefix(m[1], last+"_") {
			t.Errorf("%q stands under %s", line, last)
		}
		if _, twice := samples[m[1]+m[2]]; twice {
			t.Errorf("%s%s is there twice", m[1], m[2])
		}
		samples[m[1]+m[2]] = value
	}
	return samples
}

// The manual names every path, and its examples are JSON.
func TestManual(t *testing.T) {
	manual, err := os.ReadFile("../docs/api/native.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/streams", "/api/v1/streams/check", "/api/v1/streams/preview", "/api/v1/streams/{id}", "/api/v1/streams/{id}/check", "/api/v1/streams/{id}/pause",
		"/api/v1/streams/{id}/resume", "/api/v1/streams/{id}/retry", "/api/v1/kinds", "/api/v1/streams/{id}/quarantine", "/api/v1/streams/{id}/quarantine/redeliver", "/api/v1/streams/{id}/quarantine/drop",
		"/api/v1/tokens", "/api/v1/tokens/{id}", "/api/v1/users", "/api/v1/users/{id}", "/api/v1/members", "/api/v1/me", "/api/v1/namespaces", "/healthz", "/readyz", "/metrics"} {
		if !strings.Contains(string(manual), path) {
			t.Errorf("the manual does not name %s", path)
		}
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(manual, -1)
	for _, b := range blocks {
		if !json.Valid(b[1]) {
			t.Errorf("an example is not JSON: %s", b[1])
		}
	}
	if len(blocks) < 10 {
		t.Errorf("the manual has %d examples, want at least 10", len(blocks))
	}
}
