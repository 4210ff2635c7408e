package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/destination/cloudlogging/cloudloggingtest"
)

// Values that no output of apply may hold.
const (
	appliedHeader  = "Bearer applied-header-4711"
	appliedSigning = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
	appliedQuery   = "applied-query-0815"
	appliedHEC     = "applied-hec-token"
	appliedKey     = "applied/secret/access/key"
	appliedShared  = "YXBwbGllZC1zaGFyZWQta2V5LTEyMzQ1Njc4OTAxMjM0NTY="
)

// applied is a server of the test's own, with files beside it.
type applied struct {
	*running
	dir     string
	environ []string
	hidden  []string // what no output may hold
	// Secrets as they are.
	googleKey, hub string
}

func newApplied(t *testing.T) *applied {
	t.Helper()
	account, err := cloudloggingtest.NewAccount("acme-audit-1234")
	if err != nil {
		t.Fatal(err)
	}
	a := &applied{running: startServer(t, filepath.Join(t.TempDir(), "data"), http.DefaultClient), dir: t.TempDir()}
	a.environ = []string{
		"SLUICE_SERVER=" + a.url, "SLUICE_TOKEN=" + adminToken,
		"WEB_URL=http://127.0.0.1:1/in?key=" + appliedQuery, "WEB_AUTHORIZATION=" + appliedHeader, "WEB_SIGNING=" + appliedSigning,
		"HEC_TOKEN=" + appliedHEC, "S3_KEY=" + appliedKey,
	}
	a.hub = "Endpoint=sb://127.0.0.1/;SharedAccessKeyName=sluice;SharedAccessKey=" + appliedShared
	a.environ, a.googleKey = append(a.environ, "HUB="+a.hub), account.File()
	a.write("key.json", account.File())
	a.hidden = []string{appliedHeader, appliedSigning, appliedQuery, appliedHEC, appliedKey, appliedShared, adminToken, strings.Split(account.PEM(), "\n")[2]}
	for _, name := range []string{"least.yaml", "full.yaml"} {
		text, err := os.ReadFile(filepath.Join("testdata", "apply", name))
		if err != nil {
			t.Fatal(err)
		}
		a.write(name, string(text))
	}
	return a
}

func (a *applied) write(name, text string) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// apply applies a file of the folder. Whatever it says, it holds no secret.
func (a *applied) apply(file string, flags ...string) result {
	a.t.Helper()
	got := sluiceRun(a.t.Context(), a.environ, "", append([]string{"apply", "-f", filepath.Join(a.dir, file)}, flags...)...)
	for _, secret := range a.hidden {
		if strings.Contains(got.stdout+got.stderr, secret) {
			a.t.Errorf("apply %s %v: got %q in its output: %s%s", file, flags, secret, got.stdout, got.stderr)
		}
	}
	return got
}

func (a *applied) want(code int, stdout, stderr, file string, flags ...string) result {
	a.t.Helper()
	got := a.apply(file, flags...)
	if got.code != code || !strings.Contains(got.stdout, stdout) || !strings.Contains(got.stderr, stderr) {
		a.t.Fatalf("apply %s %v: got code %d, stdout\n%s\nstderr\n%s\nwant code %d, stdout with %q, stderr with %q", file, flags, got.code, got.stdout, got.stderr, code, stdout, stderr)
	}
	return got
}

// streams returns all streams by name.
func (a *applied) streams() map[string]map[string]any {
	a.t.Helper()
	var list struct{ Streams []map[string]any }
	a.call("GET", "/api/v1/streams", "", &list)
	out := map[string]map[string]any{}
	for _, s := range list.Streams {
		out[s["name"].(string)] = s
	}
	return out
}

const nothingToDo = "Nothing to change: the server is as the files say.\n"

// TestApplyEveryField goes from the least to everything and back: whatever the
// server makes of a field, the next run finds nothing to change.
func TestApplyEveryField(t *testing.T) {
	a := newApplied(t)
	for i, file := range []string{"least.yaml", "full.yaml", "least.yaml"} {
		version := map[string]any{}
		for name, s := range a.streams() {
			version[name] = s["version"]
		}
		if got := a.want(exitChanges, "", "", file, "--plan"); strings.Count(got.stdout, " stream ") < 5 {
			t.Errorf("%s: got plan %s, want 5 streams in it", file, got.stdout)
		}
		for name, s := range a.streams() {
			if s["version"] != version[name] {
				t.Errorf("%s --plan: got version %v of %s, want %v", file, s["version"], name, version[name])
			}
		}
		a.want(exitOK, "Read back: the server is as the files say.", "", file)
		before := fmt.Sprint(a.versions())
		a.want(exitOK, nothingToDo, "", file)
		a.want(exitOK, nothingToDo, "", file, "--plan")
		if got := fmt.Sprint(a.versions()); got != before {
			t.Errorf("%s again: got versions %s, want %s", file, got, before)
		}
		if i == 1 {
			a.full()
		}
	}
}

func (a *applied) versions() map[string]any {
	out := map[string]any{}
	for name, s := range a.streams() {
		out[name] = s["version"]
	}
	return out
}

// full looks at what full.yaml came to at the server.
func (a *applied) full() {
	a.t.Helper()
	streams := a.streams()
	for name, want := range map[string]string{
		"web": `{"concurrency":4,"format":"event","headers":[{"active":true,"name":"X-Team","value":"audit"},{"active":false,"name":"Authorization","value":"` +
			appliedHeader + `"}],"ssl_verify":false,"url":"http://127.0.0.1:1/in?key=` + appliedQuery + `"}`,
		"splunk": `{"domain":"::1","index":"audit","indexer_ack":"require","path":"/services/collector/event/1.0","port":443,"source":"2024","sourcetype":"true","ssl_verify":false}`,
		"hub":    `{"name":"auditlog-2","partition_by":"none"}`,
		"bucket": `{"access_key_id":"AKIAIOSFODNN7EXAMPLF","bucket":"audit-log-2","endpoint":"http://127.0.0.1:2","force_path_style":false,"object_bytes":65536,"object_events":1,` +
			`"object_seconds":3600,"prefix":"audit/acme","region":"eu-central-1"}`,
		"google": `{"client_email":"sluice@acme-audit-1234.iam.gserviceaccount.com","endpoint":"http://127.0.0.1:2","log_id":"audit/acme","project_id":"acme-audit-5678","token_url":"http://127.0.0.1:2/token"}`,
	} {
		got, err := json.Marshal(streams[name]["config"])
		if err != nil || string(got) != want {
			a.t.Errorf("%s: got configuration %s, want %s", name, got, want)
		}
	}
	web := streams["web"]
	if web["strict"] != true || web["active"] != false || web["until"] != "2099-01-31T10:00:00Z" || fmt.Sprint(web["secrets"]) != "map[signing_secret:set]" {
		a.t.Errorf("web: got %v", web)
	}
}

// TestApplyOnlyAtTheBeginning: what is given once, in any spelling, is no
// difference later.
func TestApplyOnlyAtTheBeginning(t *testing.T) {
	a := newApplied(t)
	a.environ = append(a.environ, "VERIFY=veri-token-4711-xyz")
	text := `version: 1
namespace: ""
streams:
  - name: replay
    kind: http
    config: {url: "http://127.0.0.1:1"}
    secrets: {verification_token: {env: VERIFY}}
    start: 2026-01-01T01:00:00.50+01:00
    until: 2026-02-01T00:00:00Z
`
	a.write("replay.yaml", text)
	a.want(exitOK, "Read back", "", "replay.yaml")
	a.want(exitOK, nothingToDo, "", "replay.yaml", "--send-secrets")
	s := a.streams()["replay"]
	if s["namespace"] != "" || s["start"] != "2026-01-01T00:00:00.5Z" || s["verification_token"] != "veri-token-4711-xyz" {
		t.Errorf("got %v", s)
	}
	a.write("replay.yaml", strings.Replace(text, "until: 2026", "until: 2096", 1))
	a.want(exitUsage, "", "replay.yaml:9:12: the stream ended at 2026-02-01T00:00:00Z, and cannot go on", "replay.yaml")
	a.write("replay.yaml", strings.Replace(text, "    start: 2026-01-01T01:00:00.50+01:00\n", "    strict: true\n", 1))
	a.want(exitOK, "strict  false -> true", "", "replay.yaml")
	a.want(exitOK, nothingToDo, "", "replay.yaml")
}

// Folders, several files and standard input are read alike.
func TestApplyFiles(t *testing.T) {
	a := newApplied(t)
	folder := filepath.Join(a.dir, "all")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	stream := func(name string) string {
		return "version: 1\nnamespace: acme\nstreams:\n  - {name: " + name + ", kind: http, config: {url: \"http://127.0.0.1:1\"}}\n"
	}
	for name, text := range map[string]string{"all/a.yaml": stream("a"), "all/b.yml": stream("b"), "all/notes.txt": "no YAML: [", "c.yaml": stream("c")} {
		a.write(name, text)
	}
	got := sluiceRun(t.Context(), a.environ, stream("d"), "apply", "-f", folder, "-f", filepath.Join(a.dir, "c.yaml"), "--file", "-")
	if got.code != exitOK || len(a.streams()) != 4 {
		t.Errorf("got %+v, want four streams", got)
	}
	got = sluiceRun(t.Context(), a.environ, stream("a"), "apply", "-f", folder, "-f", "-")
	if got.code != exitUsage || !strings.Contains(got.stderr, `another stream "a" at `) {
		t.Errorf("the same twice: got %+v, want an error", got)
	}
	got = sluiceRun(t.Context(), a.environ, stream("a"), "apply", "-f", "-", "--prune")
	if got.code != exitUsage || !strings.Contains(got.stderr, "the plan deletes something") {
		t.Errorf("nobody to ask: got %+v, want an error", got)
	}
}
