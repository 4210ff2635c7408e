package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/destination/webhook"
	"github.com/sluicelog/sluice/quota"
	"github.com/sluicelog/sluice/rest"
	"github.com/sluicelog/sluice/rest/resttest"
)

// document reads the document once for all tests.
var document = sync.OnceValue(readDocument)

func readDocument() *resttest.Document {
	d, err := resttest.Read(rest.OpenAPI())
	if err != nil {
		panic("read openapi.yaml: " + err.Error())
	}
	return d
}

// The document is one of OpenAPI 3.1 for somebody else's program, too, which
// knows the published schema.
func TestDocumentIsValid(t *testing.T) {
	const program = "../bin/testservers/openapi"
	if _, err := os.Stat(program); err != nil {
		t.Fatal("bin/testservers/openapi is missing: run scripts/prepare, which builds it")
	}
	if out, err := exec.CommandContext(t.Context(), program, "openapi.yaml").CombinedOutput(); err != nil {
		t.Errorf("got %v and %s, want a valid document", err, out)
	}
	if err := document().CheckExamples(); err != nil {
		t.Error(err)
	}
}

// Every path that is served is in the document, and nothing else is.
func TestDocumentNamesEveryRoute(t *testing.T) {
	served := append(rest.New(rest.Config{}).Routes(), "POST /api/v1/events", // and what package ingest serves
		"POST /services/collector", "POST /services/collector/event", "POST /services/collector/event/1.0",
		"GET /services/collector/health", "GET /services/collector/health/1.0")
	documented := document().Operations()
	for _, op := range served {
		if !slices.Contains(documented, op) {
			t.Errorf("%s is not in openapi.yaml", op)
		}
	}
	for _, op := range documented {
		if !slices.Contains(served, op) {
			t.Errorf("%s is in openapi.yaml and is not served", op)
		}
	}
}

func TestDocumentIsServed(t *testing.T) {
	simulate(t, nil, func(t *testing.T, c *client) {
		c.token = ""
		rec := c.do("GET", "/api/v1/openapi.yaml", "")
		if rec.Code != 200 || rec.Body.String() != string(rest.OpenAPI()) || !strings.Contains(rec.Header().Get("Cache-Control"), "max-age") {
			t.Errorf("got status %d with %d bytes and %v", rec.Code, rec.Body.Len(), rec.Header())
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/openapi.yaml", nil)
		r.Header.Set("If-None-Match", rec.Header().Get("ETag"))
		again := httptest.NewRecorder()
		if c.handler.ServeHTTP(again, r); again.Code != 304 || again.Body.Len() != 0 {
			t.Errorf("with its tag: got status %d, want 304", again.Code)
		}
	})
}

// The query parameters of each path are those of the document.
func TestDocumentNamesEveryParameter(t *testing.T) {
	searching(t, func(t *testing.T, c *client) {
		c.want(201, "POST", "/api/v1/streams", stream)
		told := 0
		for _, op := range c.doc.Operations() {
			method, path, _ := strings.Cut(op, " ")
			if strings.HasPrefix(path, "/services/") || op == "POST /api/v1/events" || path == "/api/v1/openapi.yaml" {
				continue
			}
			rec := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), method, strings.Replace(path, "{id}", "1", 1)+"?unknown=1", nil)
			r.Header.Set("Authorization", "Bearer "+c.token)
			c.api.ServeHTTP(rec, r)
			var out struct {
				Error struct{ Message, Hint string }
			}
			_ = json.Unmarshal(rec.Body.Bytes(), &out) // others answer something else
			var known []string
			if strings.HasPrefix(out.Error.Message, "there is no query parameter") {
				list, _ := strings.CutPrefix(out.Error.Hint, "the query parameters are ")
				known = strings.Split(list, ", ")
				slices.Sort(known)
				told++
			} else if out.Error.Message == "" && strings.HasPrefix(path, "/api/") {
				t.Errorf("%s with an unknown parameter: got status %d, want an error", op, rec.Code)
			}
			if want := c.doc.Queries(op); !slices.Equal(known, want) && !(want == nil && out.Error.Hint == "this path has none") {
				t.Errorf("%s takes %v (%s), and openapi.yaml names %v", op, known, rec.Body, want)
			}
		}
		if told < 10 {
			t.Errorf("got %d paths that say what they take, want most", told)
		}
	})
}

// What is told of the limit of requests is in the document, too.
func TestDocumentKnowsTheLimit(t *testing.T) {
	simulate(t, nil, func(t *testing.T, c *client) {
		synctest.Wait()
		c.serve(rest.Config{Requests: quota.New(1, nil)})
		if rec := c.do("GET", "/api/v1/me", ""); rec.Code != 200 || rec.Header().Get("RateLimit-Remaining") != "0" {
			t.Errorf("got status %d with headers %v, want none left", rec.Code, rec.Header())
		}
		c.wantProblem(429, "rate_limited", "GET", "/api/v1/streams", "")
		c.wantProblem(429, "rate_limited", "PUT", "/api/v1/streams", "")
		if rec := c.do("GET", "/api/v1/events/live", ""); rec.Header().Get("Retry-After") != "60" {
			t.Errorf("got headers %v, want Retry-After 60", rec.Header())
		}
		c.want(200, "GET", "/readyz", "")
	})
}

// Every operation answers as the document says, not only with errors.
func TestDocumentHoldsForEveryOperation(t *testing.T) {
	addKind := func(c *control.Config) { c.Kinds = append(c.Kinds, webhook.Kind{}) }
	searchingWith(t, addKind, func(t *testing.T, c *client) {
		synctest.Wait()
		c.doc = readDocument()
		c.serve(rest.Config{Version: "1.2.3"})
		c.callStreams()
		c.callPeople()
		c.callEvents()
		for _, r := range [][3]string{
			{"PUT", "/api/v1/notices?namespace=acme", `{"addresses":[{"kind":"email","address":"jane@acme.example"}]}`},
			{"GET", "/api/v1/notices?namespace=acme"}, {"POST", "/api/v1/notices/test?namespace=acme"},
			{"GET", "/api/v1/info"}, {"GET", "/api/v1/kinds"}, {"GET", "/api/v1/secrets"}, {"POST", "/api/v1/secrets/rotate"}, {"POST", "/api/v1/secrets/prune"},
			{"GET", "/api/v1/openapi.yaml"}, {"GET", "/healthz"}, {"GET", "/readyz"}, {"GET", "/metrics"},
			{"DELETE", "/api/v1/streams/1"},
		} {
			c.well(r[0], r[1], r[2])
		}
		for _, op := range c.doc.Unseen() {
			t.Errorf("%s was never answered with success: call it here", op)
		}
	})
}

// well sends a request that has to succeed.
func (c *client) well(method, path, body string, header ...string) {
	c.t.Helper()
	r := httptest.NewRequestWithContext(c.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+c.token)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	if c.handler.ServeHTTP(rec, r); rec.Code/100 != 2 {
		c.t.Errorf("%s %s %.80s: got status %d with %s, want success", method, path, body, rec.Code, rec.Body)
	}
}

// callStreams has a stream with one event that its destination refuses.
func (c *client) callStreams() {
	c.t.Helper()
	c.Kind.Poison("bad")
	c.well("POST", "/api/v1/streams", stream)
	for i := range 12 {
		c.PostRaw(fmt.Sprintf(`{"id":"%d","event_type":"git.push","entity_path":"acme/web"}`, i))
	}
	c.PostRaw(`{"id":"bad","event_type":"git.push","entity_path":"acme/web"}`)
	synctest.Wait()
	list := c.want(200, "GET", "/api/v1/streams/1/quarantine", "")["events"].([]any)
	if len(list) != 1 {
		c.t.Fatalf("quarantine: got %v, want the bad event", list)
	}
	seq := list[0].(map[string]any)["seq"]
	c.Kind.Poison("")
	c.well("POST", "/api/v1/streams/1/quarantine/redeliver", fmt.Sprintf(`{"events":[{"partition":"git","seq":%v}]}`, seq))
	c.well("POST", "/api/v1/streams/1/quarantine/drop", `{"up_to":[{"partition":"audit","seq":1000}]}`)
	c.well("POST", "/api/v1/streams/check", stream)
	c.well("POST", "/api/v1/streams/preview", stream)
	c.well("PATCH", "/api/v1/streams/1", `{"strict":true,"config":{"level":null},"filter":{"namespaces":["acme/web"]}}`)
	for _, act := range []string{"check", "retry", "pause", "resume"} {
		c.well("POST", "/api/v1/streams/1/"+act, "")
	}
	for _, what := range []string{"", "/1", "/1/attempts", "/1/activity?minutes=5", "/1/lag?hours=5"} {
		c.well("GET", "/api/v1/streams"+what, "")
	}
}

func (c *client) callPeople() {
	c.t.Helper()
	for _, r := range [][3]string{
		{"POST", "/api/v1/users", `{"name":"jane"}`}, {"GET", "/api/v1/users"}, {"GET", "/api/v1/users/jane"}, {"PATCH", "/api/v1/users/jane", `{"password":""}`},
		{"POST", "/api/v1/members", `{"namespace":"acme","user":"jane","role":"owner"}`}, {"GET", "/api/v1/members?namespace=acme"},
		{"POST", "/api/v1/tokens", `{"kind":"personal","user":"jane","scopes":["api"]}`}, {"GET", "/api/v1/tokens"}, {"GET", "/api/v1/me"},
		{"DELETE", "/api/v1/members?namespace=acme&user=jane"}, {"DELETE", "/api/v1/tokens/t2"},
		{"POST", "/api/v1/namespaces", `{"path":"acme/web","kind":"project"}`}, {"GET", "/api/v1/namespaces?within=acme"},
		{"GET", "/api/v1/counts?namespace=acme&hours=2&by=namespace"},
	} {
		c.well(r[0], r[1], r[2])
	}
}

func (c *client) callEvents() {
	c.t.Helper()
	made := c.want(201, "POST", "/api/v1/tokens", `{"kind":"producer","namespace":"acme","name":"ci"}`)
	producer, _ := made["token"].(string)
	const event = `{"event_type":"user.login","entity_path":"acme"}`
	c.well("POST", "/api/v1/events", event+"\n"+event, "Authorization", "Bearer "+producer)
	for _, path := range []string{"", "/event", "/event/1.0"} {
		c.well("POST", "/services/collector"+path, `{"time":1.5,"event":`+event+`}`, "Authorization", "Splunk "+producer)
	}
	for _, path := range []string{
		"/services/collector/health", "/services/collector/health/1.0", "/api/v1/events?order=asc&limit=5", "/api/v1/events/counts?by=type&class=git",
		"/api/v1/events/index", "/api/v1/events/export?format=csv", "/api/v1/events/export?format=ndjson", "/api/v1/events/export?format=json",
	} {
		c.well("GET", path, "")
	}
	h, stop := c.connect()
	l := c.listen(h, "/api/v1/events/live?namespace=acme&phrase=type:user.login")
	post(c, "acme", "live")
	l.want("live")
	_ = l.res.Body.Close()
	stop()
}
