package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicelog/sluice/client"
	"github.com/sluicelog/sluice/manifest"
)

const acmeHead = "version: 1\nnamespace: acme\nstreams:\n"

// TestApplyDrift: what somebody changed by hand is told field by field, and put
// right.
func TestApplyDrift(t *testing.T) {
	a := newApplied(t)
	a.want(exitOK, "Read back", "", "full.yaml")
	for _, body := range []string{
		`{"config":{"headers":[{"name":"x-team","value":"other"},{"name":"Authorization","value":"` + appliedHeader + `"},{"name":"X-New","value":"x"}],"concurrency":16}}`,
		`{"filter":{"namespaces":["acme/api","acme/Web"],"event_types":[]},"until":""}`,
		`{"active":true}`,
	} {
		if code := a.call("PATCH", "/api/v1/streams/1", body, nil); code != 200 {
			t.Fatalf("patch %s: got status %d", body, code)
		}
	}
	want := `~ change stream web of acme (1)
    until                                none -> "2099-01-31T10:00:00Z"
    active                               true -> false
    filter.event_types                   [] -> ["repo.create","repo.destroy"]
    config.concurrency                   16 -> 4
    config.headers.Authorization.active  true -> false
    config.headers.X-New                 (not shown) -> none
    config.headers.X-Team.name           "x-team" -> "X-Team"
    config.headers.X-Team.value          another value (not shown)
    secrets.signing_secret               sent from env WEB_SIGNING; replaced if it differs
Not compared, since secrets cannot be read back: stream splunk of acme (token); stream hub of acme (connection_string); stream bucket of acme (secret_access_key); stream google of acme (private_key). --send-secrets sends them.
0 to create, 1 to change, 0 to delete.
`
	if got := a.want(exitChanges, "", "", "full.yaml", "--plan"); got.stdout != want {
		t.Errorf("plan: got\n%s\nwant\n%s", got.stdout, want)
	}
	a.want(exitOK, "Read back", "", "full.yaml")
	a.full()
	a.want(exitOK, nothingToDo, "", "full.yaml")
}

func TestApplySecrets(t *testing.T) {
	a := newApplied(t)
	a.want(exitOK, "Read back", "", "full.yaml")
	before := fmt.Sprint(a.versions())
	a.want(exitChanges, "secrets.token  sent from env HEC_TOKEN; replaced if it differs", "", "full.yaml", "--plan", "--send-secrets")
	a.want(exitOK, "Changed stream splunk of acme (2): the secrets were the same", "", "full.yaml", "--send-secrets")
	if got := fmt.Sprint(a.versions()); got != before {
		t.Errorf("the same secrets: got versions %s, want %s", got, before)
	}
	a.environ = append(a.environ, "HEC_TOKEN=another-hec-token")
	a.want(exitOK, nothingToDo, "", "full.yaml")
	if got := a.want(exitOK, "Changed stream splunk of acme (2)\n", "", "full.yaml", "--send-secrets"); strings.Count(got.stdout, "the secrets were the same") != 4 {
		t.Errorf("another secret: got %s, want it sent, the others the same", got.stdout)
	}
	web := "  - name: web\n    kind: http\n    config: {url: {env: WEB_URL}}\n    secrets: {%s}\n"
	a.write("web.yaml", acmeHead+fmt.Sprintf(web, "signing_secret: null"))
	a.want(exitOK, "secrets.signing_secret", "", "web.yaml")
	if got := fmt.Sprint(a.streams()["web"]["secrets"]); got != "map[]" {
		t.Errorf("removed: got secrets %s, want none", got)
	}
	a.want(exitOK, nothingToDo, "", "web.yaml", "--send-secrets")
	a.write("web.yaml", acmeHead+fmt.Sprintf(web, "verification_token: {env: HEC_TOKEN}"))
	a.want(exitUsage, "", "web.yaml:7:35: the verification token of a stream cannot be changed, and the stream has another one", "web.yaml")
	a.write("web.yaml", acmeHead+fmt.Sprintf(web, "token: {env: HEC_TOKEN}"))
	a.want(exitUsage, "", `web.yaml:7:22: kind http has no field secrets."token": the fields are verification_token, signing_secret`, "web.yaml")
}

// TestApplyRefusesWhatCannotBe: all of it is found before anything is changed.
func TestApplyRefusesWhatCannotBe(t *testing.T) {
	a := newApplied(t)
	a.want(exitOK, "Read back", "", "least.yaml")
	for _, c := range []struct{ stream, want string }{
		{"{name: web, kind: splunk, config: {domain: x}, secrets: {token: {env: HEC_TOKEN}}}", "4:23: kind of a stream cannot be changed from http to splunk: to start anew, give the stream in the file another name"},
		{"{name: web, kind: http, config: {url: \"http://127.0.0.1:1/in\"}, start: earliest}", "4:76: start of a stream cannot be changed from now to earliest"},
		{"{name: web, kind: http, config: {url: \"http://127.0.0.1:1/in\"}, until: 2020-01-01T00:00:00Z}", "4:76: until must lie in the future"},
		{"{name: a, kind: ftp}", "4:21: the server has no kind \"ftp\": its kinds are cloudlogging, eventhubs, http, s3, splunk"},
		{"{name: a, kind: http}", "4:5: config.url is missing"},
		{"{name: a, kind: http, config: {url: 7}}", "4:41: config.url must be text: put it in quotes"},
		{"{name: a, kind: http, config: {url: x://y}}", "4:41: config.url must start with http:// or https://: for example"},
		{"{name: a, kind: http, config: {url: \"http://x\", concurrency: \"4\"}}", "4:66: config.concurrency must be a whole number"},
		{"{name: a, kind: http, config: {url: \"http://x\", concurrency: 4, format: array}}", "4:66: config.concurrency is for the format \"event\" only"},
		{"{name: a, kind: http, config: {url: \"http://x\", format: xml}}", "4:61: config.format must be one of event, array, ndjson"},
		{"{name: a, kind: http, config: {url: \"http://x\", headers: {a: b}}}", "4:62: config.headers must be a list"},
		{"{name: a, kind: http, config: {url: \"http://x\", headers: [{name: Host, value: x}]}}", "4:70: config.headers[0].name: the header Host cannot be set"},
		{"{name: a, kind: http, config: {url: \"http://x\", headers: [{name: A, vlaue: x}]}}", "4:80: config.headers[0] has no field \"vlaue\""},
		{"{name: a, kind: splunk, config: {domain: x}}", "4:5: secrets.token is missing: name where it is"},
		{"{name: a, kind: cloudlogging, config: {project_id: acme-audit-1234}, secrets: {private_key: {env: HEC_TOKEN}}}", "4:97: secrets.private_key"},
	} {
		a.write("one.yaml", acmeHead+"  - "+c.stream+"\n")
		a.want(exitUsage, "", "one.yaml:"+c.want, "one.yaml")
	}
	if n := len(a.streams()); n != 5 {
		t.Errorf("got %d streams, want nothing done", n)
	}
	for line, want := range map[string]string{"apply": "no file", "apply -f /nowhere": "no such file", "apply -f " + t.TempDir(): "there is no .yaml or .yml file in it"} {
		if got := sluiceRun(t.Context(), a.environ, "", strings.Fields(line)...); got.code != exitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: got %+v, want %q", line, got, want)
		}
	}
}

// TestApplyStopsAndGoesOn: an address that only the server knows to be refused
// ends it; what was made stays, and the corrected file does the rest.
func TestApplyStopsAndGoesOn(t *testing.T) {
	a := newApplied(t)
	text := acmeHead + "  - {name: a, kind: http, config: {url: \"http://127.0.0.1:1\"}}\n  - {name: b, kind: http, config: {url: \"http://169.254.169.254/\"}}\n  - {name: c, kind: http, config: {url: \"http://127.0.0.1:1\"}}\n"
	a.write("three.yaml", text)
	got := a.want(exitFailure, "Not done: create stream c of acme.\n1 of 3 changes were made. Applied again, it goes on with the rest.\n", "sluice: create stream b of acme: ", "three.yaml")
	if len(a.streams()) != 1 || !strings.Contains(got.stdout, "Created stream a of acme") {
		t.Errorf("got %s, want the first stream", got.stdout)
	}
	a.write("three.yaml", strings.Replace(text, "169.254.169.254", "127.0.0.1", 1))
	got = a.want(exitOK, "2 to create, 0 to change, 0 to delete.", "", "three.yaml")
	if len(a.streams()) != 3 {
		t.Errorf("got %s, want three streams", got.stdout)
	}
}

func TestApplyChecksFirst(t *testing.T) {
	var refuse atomic.Bool
	var token atomic.Value
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token.Store(r.Header.Get("X-Gitlab-Event-Streaming-Token"))
		if refuse.Load() {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer receiver.Close()
	a := newApplied(t)
	a.write("web.yaml", acmeHead+"  - {name: web, kind: http, config: {url: \""+receiver.URL+"/one\"}, active: false}\n")
	refuse.Store(true)
	for _, flags := range [][]string{{"--check"}, {"--check", "--plan"}} {
		got := a.want(exitFailure, "FAILED  ", "a check failed: nothing was changed", "web.yaml", flags...)
		if !strings.Contains(got.stdout, "Check of stream web of acme:") || len(a.streams()) != 0 {
			t.Errorf("refused: got %s, want nothing done", got.stdout)
		}
	}
	refuse.Store(false)
	a.want(exitChanges, "ok  ", "", "web.yaml", "--check", "--plan")
	a.want(exitOK, "Read back", "", "web.yaml", "--check")
	if got := a.streams()["web"]["verification_token"]; got != token.Load() {
		t.Errorf("got verification token %v, want the one of the check", got)
	}
	refuse.Store(true)
	a.write("web.yaml", acmeHead+"  - {name: web, kind: http, config: {url: \""+receiver.URL+"/two\"}, active: false}\n")
	a.want(exitFailure, "FAILED  ", "", "web.yaml", "--check")
	if got := a.streams()["web"]["verification_token"]; got != token.Load() {
		t.Errorf("got verification token %v in the check of a change, want the stream's %v", token.Load(), got)
	}
	a.write("web.yaml", acmeHead+"  - {name: web, kind: http, config: {url: \""+receiver.URL+"/one\"}, strict: true}\n")
	a.want(exitOK, "Read back", "", "web.yaml", "--check") // nothing about the destination
}

// A change between plan and deed is not overwritten.
func TestApplySomebodyWasFaster(t *testing.T) {
	a := newApplied(t)
	a.want(exitOK, "Read back", "", "least.yaml")
	a.write("web.yaml", acmeHead+"  - {name: web, kind: http, config: {url: \"http://127.0.0.1:2\"}}\n")
	c, err := client.New(client.Config{Server: a.url, Token: adminToken})
	if err != nil {
		t.Fatal(err)
	}
	run := &applying{env: &Env{Environ: a.environ}, files: []string{a.dir + "/web.yaml"}}
	m, err := run.read()
	if err != nil {
		t.Fatal(err)
	}
	p, err := (&manifest.Planner{Client: c, Canonical: canonical, Now: time.Now}).Plan(t.Context(), m)
	if err != nil || len(p.Changes) != 1 {
		t.Fatalf("plan: got %+v, %v, want one change", p, err)
	}
	a.call("POST", "/api/v1/streams/1/pause", "", nil)
	made, err := p.Carry(t.Context(), manifest.Carrying{Client: c})
	if made != 0 || err == nil || !strings.Contains(err.Error(), "change stream web of acme: the stream was changed meanwhile") {
		t.Errorf("got %d, %v, want a conflict", made, err)
	}
}

// TestApplyAtOnce: however many apply the same, there is one of each.
func TestApplyAtOnce(t *testing.T) {
	a := newApplied(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			got := a.apply("full.yaml")
			if got.code != exitOK && (got.code != exitFailure || !strings.Contains(got.stderr, "another stream of the namespace has the name")) {
				t.Errorf("got %+v, want success, or that somebody was faster", got)
			}
		})
	}
	wg.Wait()
	a.want(exitOK, "the server is as the files say", "", "full.yaml")
	if n := len(a.streams()); n != 5 {
		t.Errorf("got %d streams, want 5", n)
	}
	a.want(exitOK, nothingToDo, "", "full.yaml")
}

func TestApplyJSON(t *testing.T) {
	a := newApplied(t)
	var out struct {
		Changes []struct {
			Action, Type, Namespace, Name string
			Fields                        []struct {
				Name     string
				From, To any
			}
			Secrets []struct{ Name, Action string }
		}
		Unmanaged   []any
		NotCompared []any `json:"not_compared"`
		Made        *int
		Error       string
	}
	read := func(code int, flags ...string) {
		t.Helper()
		got := a.want(code, "{", "", "least.yaml", append(flags, "--json")...)
		out.Made, out.Error, out.Changes = nil, "", nil
		if err := json.Unmarshal([]byte(got.stdout), &out); err != nil {
			t.Fatalf("got %s: %v", got.stdout, err)
		}
	}
	read(exitChanges, "--plan")
	if len(out.Changes) != 5 || out.Changes[1].Action != "create" || out.Changes[1].Secrets[0].Action != "set" || out.Changes[0].Fields[1].To != "http://127.0.0.1:1/in" || out.Made != nil {
		t.Errorf("plan: got %+v", out)
	}
	read(exitOK)
	if out.Made == nil || *out.Made != 5 || len(out.Changes) != 5 || out.Error != "" {
		t.Errorf("apply: got %+v", out)
	}
	read(exitOK, "--plan")
	if len(out.Changes) != 0 || len(out.NotCompared) != 4 || out.Unmanaged == nil {
		t.Errorf("again: got %+v", out)
	}
}

// TestApplyIsAudited: each change is one event, and no change is none.
func TestApplyIsAudited(t *testing.T) {
	a := newApplied(t)
	a.want(exitOK, "Read back", "", "least.yaml")
	a.want(exitOK, "the secrets were the same", "", "least.yaml", "--send-secrets")
	a.want(exitOK, "Read back", "", "full.yaml")
	got := map[string]int{}
	wait(t, "the events of the changes", func() bool {
		var found struct {
			Events []struct {
				Event struct {
					Type string `json:"event_type"`
				} `json:"event"`
			} `json:"events"`
		}
		if a.call("GET", "/api/v1/events?limit=100", "", &found) != http.StatusOK {
			return false
		}
		clear(got)
		for _, e := range found.Events {
			got[e.Event.Type]++
		}
		return got["stream.update"] >= 5 && got["stream.pause"] >= 1
	})
	if got["stream.create"] != 5 || got["stream.update"] != 5 || got["stream.pause"] != 1 {
		t.Errorf("got events %v, want 5 streams created, then 5 changed, one of them paused, too", got)
	}
}

type canonicaler = func(string, json.RawMessage, map[string]string, []string) (json.RawMessage, bool, error)

// TestApplyToAnotherVersion: what only the server or only this program knows of a
// kind is no difference, as long as the file does not name it.
func TestApplyToAnotherVersion(t *testing.T) {
	a := newApplied(t)
	a.write("web.yaml", acmeHead+"  - {name: web, kind: http, config: {url: \"http://127.0.0.1:1\", headers: [{name: A, value: b}]}}\n")
	a.want(exitOK, "Read back", "", "web.yaml")
	c, err := client.New(client.Config{Server: a.url, Token: adminToken})
	if err != nil {
		t.Fatal(err)
	}
	m, err := (&applying{env: &Env{}, files: []string{a.dir + "/web.yaml"}}).read()
	if err != nil {
		t.Fatal(err)
	}
	changed := func(edit func(map[string]any)) canonicaler {
		return func(kind string, config json.RawMessage, secrets map[string]string, missing []string) (json.RawMessage, bool, error) {
			config, known, err := canonical(kind, config, secrets, missing)
			var members map[string]any
			if err := json.Unmarshal(config, &members); err != nil {
				t.Error(err)
			}
			edit(members)
			config, _ = json.Marshal(members)
			return config, known, err
		}
	}
	for name, canonical := range map[string]canonicaler{
		"a newer server":  changed(func(m map[string]any) { delete(m, "concurrency"); delete(m, "ssl_verify") }),
		"an older one":    changed(func(m map[string]any) { m["compression"] = "zstd" }),
		"an unknown kind": nil,
	} {
		p, err := (&manifest.Planner{Client: c, Canonical: canonical, Now: time.Now}).Plan(t.Context(), m)
		if err != nil || len(p.Changes) != 0 {
			t.Errorf("%s: got %+v, %v, want nothing to change", name, p, err)
		}
	}
}

// TestApplyWithoutSecrets: a job that looks for drift needs no secret, and tells
// everything that can be told without them.
func TestApplyWithoutSecrets(t *testing.T) {
	a := newPeople(t)
	a.want(exitOK, "Read back", "", "people.yaml", "--secret-dir", a.dir+"/secrets")
	all := a.environ
	blind := []string{"SLUICE_SERVER=" + a.url, "SLUICE_TOKEN=" + adminToken}
	a.environ = blind
	got := a.want(exitOK, "Note: notices of acme: not compared, as not all of it can be read: addresses", "", "people.yaml", "--plan", "--without-secrets")
	if !strings.Contains(got.stdout, "Nothing to change in what was compared.") {
		t.Errorf("got %s, want nothing else to do", got.stdout)
	}
	for _, file := range []string{"least.yaml", "full.yaml", "least.yaml", "full.yaml"} {
		a.environ = blind
		a.want(exitUsage, "", ": the environment variable HEC_TOKEN is not set", file, "--plan")
		if got := a.want(exitChanges, "", "", file, "--plan", "--without-secrets"); strings.Count(got.stdout, " stream ") < 4 {
			t.Errorf("%s: got %s, want what else differs", file, got.stdout)
		}
		a.environ = all
		a.want(exitOK, "Read back", "", file)
		a.environ = blind
		a.want(exitOK, "Nothing to change in what was compared.\n", "", file, "--plan", "--without-secrets")
	}
	a.want(exitOK, "Note: stream web of acme (1): not compared, as not all of it can be read: config.headers, config.url\n", "", "full.yaml", "--plan", "--without-secrets")
	a.call("PATCH", "/api/v1/streams/1", `{"config":{"headers":[{"name":"X-Team","value":"other"},{"name":"Authorization","value":"changed"}]}}`, nil)
	got = a.want(exitChanges, "config.headers.X-Team.value          another value (not shown)", "", "full.yaml", "--plan", "--without-secrets")
	if strings.Contains(got.stdout, "Authorization.value") || !strings.Contains(got.stdout, "Authorization.active") {
		t.Errorf("got %s, want the header whose value is not known compared but for its value", got.stdout)
	}
	a.want(exitUsage, "", "--without-secrets goes with --plan", "full.yaml", "--without-secrets")
	a.want(exitUsage, "", "--without-secrets goes with --plan", "full.yaml", "--without-secrets", "--plan", "--check")
}
