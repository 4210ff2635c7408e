package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
)

// collect sends a request to the collector and returns status and body.
func collect(t *testing.T, h http.Handler, method, path, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	document().Watch(t, h).ServeHTTP(rec, r)
	return rec.Code, rec.Body.String(), rec.Header()
}

const splunkToken = "Splunk " + acmeToken

// What GitHub and Splunk's clients send is stored, object after object.
func TestCollector(t *testing.T) {
	inner := strings.ReplaceAll(good, `"1"`, `"9"`)
	for _, tt := range []struct {
		name, body string
		want       []string
	}{
		{"one", `{"event":` + good + `}`, []string{good}},
		{"one behind the other", `{"event":` + good + `}{"time":1.5,"host":"h","event":` + inner + `,"fields":{"a":"b"}}`, []string{good, inner}},
		{"with white space", " \n{\"event\": " + good + " }\r\n\n{\"event\":" + inner + "}\n", []string{good, inner}},
		{"as text", `{"event":"{\"id\":\"1\",\"event_type\":\"project_created\",\"entity_path\":\"acme/web\"}"}`, []string{good}},
		{"over several lines", "{\"event\":{\"id\":\"1\",\n\"event_type\":\"project_created\",\n\"entity_path\":\"acme/web\"}}", []string{good}},
		{"the last of two members", `{"event":{"id":"0"},"event":` + good + `}`, []string{good}},
		{"a check", "", nil},
		{"a check with a line", "\r\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, path := range []string{"", "/event", "/event/1.0"} {
				d := newDoor(t)
				status, body, _ := collect(t, New(d, Options{}).Collector(), http.MethodPost, collectorPrefix+path, tt.body, "Authorization", splunkToken)
				if status != http.StatusOK || body != `{"text":"Success","code":0}` {
					t.Errorf("%s: got %d %s, want a success", path, status, body)
				}
				if got := strings.Join(d.stored(t, "audit"), "\n"); got != strings.Join(tt.want, "\n") {
					t.Errorf("%s: stored %s, want %s", path, got, tt.want)
				}
			}
		})
	}
}

// Packed bodies, other ways to send the token, and health.
func TestCollectorClients(t *testing.T) {
	d := newDoor(t)
	h := New(d, Options{}).Collector()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(`{"event":` + good + `}`))
	_ = z.Close()
	if status, body, _ := collect(t, h, http.MethodPost, "/services/collector", packed.String(), "Authorization", splunkToken, "Content-Encoding", "gzip"); status != http.StatusOK {
		t.Errorf("gzip: got %d %s", status, body)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/services/collector/event", strings.NewReader(`{"event":`+goodGit+`}`))
	r.SetBasicAuth("x", acmeToken)
	rec := httptest.NewRecorder()
	if h.ServeHTTP(rec, r); rec.Code != http.StatusOK {
		t.Errorf("basic authentication: got %d %s", rec.Code, rec.Body)
	}
	if got := len(d.stored(t, "audit")) + len(d.stored(t, "git")); got != 2 {
		t.Errorf("stored %d events, want 2", got)
	}
	if status, body, _ := collect(t, h, http.MethodGet, "/services/collector/health", ""); status != http.StatusOK || !strings.Contains(body, `"code":17`) {
		t.Errorf("health: got %d %s", status, body)
	}
}

// Everything else is refused with Splunk's codes, and nothing is stored.
func TestCollectorRefuses(t *testing.T) {
	second := `{"event":` + good + `}{"event":`
	for _, tt := range []struct {
		name, path, body, token string
		status                  int
		want                    string
	}{
		{"no token", "", second, "", 401, `"code":2`},
		{"another scheme", "", second, "Bearer " + acmeToken, 401, `"code":3`},
		{"a wrong token", "", second, "Splunk wrong-token-of-nobody", 403, `"code":4`},
		{"a wrong token of a check", "", "", "Splunk wrong-token-of-nobody", 403, `"code":4`},
		{"no event", "", second + `null}`, splunkToken, 400, `"code":12,"invalid-event-number":1`},
		{"no member event", "", `{"time":1}`, splunkToken, 400, `"code":12,"invalid-event-number":0`},
		{"blank", "", second + `" "}`, splunkToken, 400, `"code":13,"invalid-event-number":1`},
		{"a number", "", second + `5}`, splunkToken, 400, `"code":6,"invalid-event-number":1`},
		{"text", "", second + `"hello"}`, splunkToken, 400, `"code":6,"invalid-event-number":1`},
		{"two in one", "", second + `"{}\n{}"}`, splunkToken, 400, `"code":6,"invalid-event-number":1`},
		{"text that is not UTF-8", "", second + `"{` + strings.Repeat("\xfb", 4<<10) + `}"}`, splunkToken, 400, `"details":"the event is not UTF-8"`},
		{"cut off", "", second + `{"id":1`, splunkToken, 400, `"code":6,"invalid-event-number":1`},
		{"no JSON", "", "hello", splunkToken, 400, `"code":6,"invalid-event-number":0`},
		{"a bad event", "", second + typeles + `}`, splunkToken, 400, `"code":6,"invalid-event-number":1`},
		{"another tenant's", "", second + foreign + `}`, splunkToken, 400, `"invalid-event-number":1`},
		{"too large", "", `{"event":"` + strings.Repeat("x", 1<<20) + `"}`, splunkToken, 413, `"code":27`},
		{"raw", "/raw", "hello", splunkToken, 404, `"code":404`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDoor(t)
			header := []string{"Authorization", tt.token}
			if tt.token == "" {
				header = nil
			}
			status, body, _ := collect(t, New(d, Options{MaxRequest: 1 << 19}).Collector(), http.MethodPost, collectorPrefix+tt.path, tt.body, header...)
			if status != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("got %d %s, want %d with %s", status, body, tt.status, tt.want)
			}
			if got := d.stored(t, "audit"); len(got) != 0 {
				t.Errorf("stored %s, want nothing", got)
			}
		})
	}
}

// A log without space, and a token without its rate, tell to come back.
func TestCollectorUnderPressure(t *testing.T) {
	d := newDoor(t)
	d.before = func(context.Context) error { return sluice.Errorf(sluice.NoSpace, "the disk is full") }
	h := New(d, Options{}).Collector()
	status, body, header := collect(t, h, http.MethodPost, "/services/collector", `{"event":`+good+`}`, "Authorization", splunkToken)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, `"code":9`) || header.Get("Retry-After") == "" {
		t.Errorf("without space: got %d %s, Retry-After %q", status, body, header.Get("Retry-After"))
	}
	d.before, d.admit = nil, func(int) (time.Duration, bool) { return 3 * time.Second, false }
	status, body, header = collect(t, h, http.MethodPost, "/services/collector", `{"event":`+good+`}`, "Authorization", splunkToken)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, `"code":9`) || header.Get("Retry-After") != "3" {
		t.Errorf("without rate: got %d %s, Retry-After %q", status, body, header.Get("Retry-After"))
	}
}

// FuzzCollector: whatever is posted, nothing panics, and what is stored are events
// that were sent.
func FuzzCollector(f *testing.F) {
	f.Add([]byte(`{"event":` + good + `}{"event":"{}"}`))
	f.Add([]byte(`{"event":{"id":"a"}} {"event":null}`))
	f.Add([]byte("{\"event\":\"\\u007b\\u007d\"}"))
	d := newDoor(f)
	h := New(d, Options{MaxRequest: 64 << 10}).Collector()
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/services/collector", bytes.NewReader(body))
		r.Header.Set("Authorization", splunkToken)
		rec := httptest.NewRecorder()
		if h.ServeHTTP(rec, r); rec.Code >= http.StatusInternalServerError {
			t.Errorf("got %d %s", rec.Code, rec.Body)
		}
	})
}
