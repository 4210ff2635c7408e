package webtest_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// toHTTP is to add, list and update "HTTP destinations": name, headers, the type
// of the content, the verification token.
func toHTTP(t *testing.T, w *world) {
	e := newEndpoint(t)
	w.hide("first value", "second value", "third value")
	p := w.signedIn(t, "jane")
	p.configure("acme", p.words.HTTPEndpoint)
	p.Want("This destination receives all audit event data of acme", "For better security")
	p.Fill(p.words.Name, "siem", p.words.DestinationURL, e.URL)
	headers := p.In("fieldset", p.words.CustomHeaders)
	headers.Fill("Name of header 1", "X-First", "Value of header 1", "first value")
	headers.Set(p.words.Active, true)
	headers.Follow("button", p.words.AddHeader)
	headers = p.In("fieldset", p.words.CustomHeaders)
	headers.Fill("Name of header 2", "X-Second", "Value of header 2", "second value")
	headers.Set(p.words.Active+", header 2", false)
	p.checkAndSave()
	w.arrives("acme", "http_1", e.count)
	if h := e.last(); h.Get("X-First") != "first value" || h.Get("X-Second") != "" || h.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("got the headers %v, want the active one and no other", h)
	}

	p.logStreaming("acme")
	row := p.row("siem")
	token := regexp.MustCompile(`[\w-]{16,24}`).FindString(row.In(".copy code", "").Text())
	row.Want(p.words.VerificationToken, token)
	if got := e.last().Get("X-Gitlab-Event-Streaming-Token"); got != token || token == "" {
		t.Errorf("verification token: the page shows %q, the destination got %q", token, got)
	}
	if row.Has("field", p.words.VerificationToken) {
		t.Error("the verification token can be entered, want that it is shown alone")
	}
	row.Fill(p.words.Name, "siem two")
	row.Set(p.words.Active+", header 2", true)
	row.Click("summary", "set Replace the value of header 1")
	row.Fill("New value of header 1", "third value")
	row.Follow("button", p.words.AddHeader)
	row = p.row("siem two")
	row.Fill("Name of header 3", "Content-Type", "Value of header 3", "application/json")
	row.Follow("button", p.words.Save)
	p.In("details.stream", "siem two")
	w.arrives("acme", "http_2", e.count)
	if h := e.last(); h.Get("X-First") != "third value" || h.Get("X-Second") != "second value" || h.Get("Content-Type") != "application/json" {
		t.Errorf("got the headers %v, want the changed ones", h)
	}
	p.removeHeaders(w, e)
}

// removeHeaders is "To delete a streaming destination's custom HTTP headers", and
// "Delete an HTTP destination".
func (p *person) removeHeaders(w *world, e *endpoint) {
	p.t.Helper()
	p.logStreaming("acme")
	row := p.row("siem two")
	row.In("tr", "X-Second").Follow("button", p.words.Delete)
	row = p.row("siem two")
	row.Follow("button", p.words.Save)
	w.arrives("acme", "http_3", e.count)
	if h := e.last(); h.Get("X-First") != "third value" || h.Get("X-Second") != "" {
		p.t.Errorf("got the headers %v, want X-Second gone", h)
	}
	p.deleteStream("siem two")
}

// filters is "Update event filters" and "Update namespace filters".
func filters(t *testing.T, w *world) {
	e := newEndpoint(t)
	w.call("POST", "/api/v1/streams", map[string]any{"namespace": "acme", "kind": "http", "name": "narrow", "config": map[string]any{"url": e.URL}}, nil)
	p := w.signedIn(t, "jane")
	p.logStreaming("acme")
	row := p.row("narrow")
	p.In("summary", "narrow").In(".stream-state", "").WantNot(p.words.Filtered)
	row.Click("summary", p.words.FilterByType)
	row.Want("git.clone")
	row.Fill("Search: "+p.words.FilterByType, "created")
	row.In("ul", "member_created").WantNot("git.clone")
	row.Set("member_created", true)
	row.Follow("button", p.words.Save)
	p.In("summary", "narrow").In(".stream-state", "").Want(p.words.Filtered)
	p.Look("log-streaming-filtered")

	row = p.row("narrow")
	row.Click("summary", p.words.FilterByNamespace)
	row.Set("acme/platform", true)
	row.Follow("button", p.words.Save)
	p.In("summary", "narrow").In(".stream-state", "").Want(p.words.Filtered)
	w.post(`{"event_type":"member_created","entity_path":"acme/docs"}`, `{"event_type":"other","entity_path":"acme/platform"}`)
	w.post(`{"event_type":"member_created","entity_path":"acme/platform/api"}`)
	until(t, "the event that matches", func() bool { return slices.Contains(e.types(), "member_created") })
	got := strings.Join(e.types(), " ")
	if strings.Count(got, "member_created") != 1 || strings.Contains(got, "other") {
		t.Errorf("the filtered stream: got events of the types %s, want one member_created and no other", got)
	}

	p.logStreaming("acme")
	row = p.row("narrow")
	row.Click("summary", p.words.FilterByType)
	row.Set("member_created", false)
	row.Click("summary", p.words.FilterByNamespace)
	row.Set("acme/platform", false)
	row.Follow("button", p.words.Save)
	p.In("summary", "narrow").In(".stream-state", "").WantNot(p.words.Filtered)
	w.arrives("acme", "anything", e.count)
	p.logStreaming("acme")
	p.deleteStream("narrow")
}

// withoutScripts makes, changes, pauses, resumes and deletes a stream with plain
// forms.
func withoutScripts(t *testing.T, w *world) {
	e := newEndpoint(t)
	w.hide("plain value")
	p := w.window(t, true)
	p.signIn("jane")
	p.configure("hooli", p.words.HTTPEndpoint)
	p.Fill(p.words.Name, "plain", p.words.DestinationURL, e.URL)
	p.Follow("button", p.words.AddHeader)
	headers := p.In("fieldset", p.words.CustomHeaders)
	headers.Follow("button", "Delete header 1")
	headers = p.In("fieldset", p.words.CustomHeaders)
	headers.Fill("Name of header 1", "X-Plain", "Value of header 1", "plain value")
	p.checkAndSave()
	w.arrives("hooli", "plain_1", e.count)
	if got := e.last().Get("X-Plain"); got != "plain value" {
		t.Errorf("X-Plain: got %q", got)
	}
	p.logStreaming("hooli")
	p.open("plain")
	p.row("plain").Follow("link", p.words.PauseStream)
	p.Follow("button", p.words.PauseStream)
	p.In("summary", "plain").Want("Paused")
	p.open("plain")
	p.row("plain").Follow("button", p.words.ResumeStream)
	w.arrives("hooli", "plain_2", e.count)
	p.open("plain")
	p.deleteStream("plain")
	p.Want("Streaming is off for hooli")
	p.goTo("hooli")
	p.search("action:plain_1")
	p.Click("summary", "jane")
}

// open goes to the page of a stream where the tab has only a link to it.
func (p *person) open(name string) {
	p.t.Helper()
	if row := p.row(name); row.Has("link", "Open "+name) {
		row.Follow("link", "Open "+name)
	}
}

// endpoint is an HTTP destination.
type endpoint struct {
	*httptest.Server
	mu      sync.Mutex
	headers []http.Header // of the requests that were taken
	refused string        // type of the events that are refused
}

func newEndpoint(t *testing.T) *endpoint {
	e := &endpoint{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.refused != "" && e.refused == r.Header.Get("X-Gitlab-Audit-Event-Type") {
			http.Error(rw, "this one is not for us", http.StatusUnprocessableEntity)
			return
		}
		e.headers = append(e.headers, r.Header)
	}))
	t.Cleanup(e.Close)
	return e
}

// refuse has events of a type refused from now on; none with "".
func (e *endpoint) refuse(eventType string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refused = eventType
}

func (e *endpoint) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.headers)
}

// types returns the types of the events that arrived, each in a request.
func (e *endpoint) types() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, h := range e.headers {
		out = append(out, h.Get("X-Gitlab-Audit-Event-Type"))
	}
	return out
}

// last returns the headers of the newest request.
func (e *endpoint) last() http.Header {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.headers) == 0 {
		return nil
	}
	return e.headers[len(e.headers)-1]
}
