package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/sluicelog/sluice/manifest"
)

// TestApplyKeepsItsOwnCredentials: a file that nobody reviewed does not get what
// the command signs in with, nor what lies elsewhere, and no receiver hears of it.
func TestApplyKeepsItsOwnCredentials(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("got a request with headers %v, want none", r.Header)
	}))
	defer receiver.Close()
	a := newApplied(t)
	stranger := t.TempDir()
	if err := os.WriteFile(filepath.Join(stranger, "bob.pw"), []byte("bobs-password"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.write("token", adminToken+"\n")
	a.environ = append(a.environ, "CI_TOKEN="+adminToken)
	stolen := "  - {name: web, kind: http, config: {url: \"" + receiver.URL + "\", headers: [{name: X-Stolen, value: {%s}}]}}\n"
	for reference, want := range map[string]string{
		"env: SLUICE_TOKEN":                          ": streams[0].config.headers[0].value.env must not be SLUICE_TOKEN",
		"env: SLUICE_ADMIN_TOKEN":                    "must not be SLUICE_ADMIN_TOKEN",
		"env: SLUICE_SMTP_PASSWORD":                  "must not be SLUICE_SMTP_PASSWORD",
		"env: CI_TOKEN":                              "it is a credential of this command itself",
		"file: token":                                "it is a credential of this command itself",
		"file: " + filepath.Join(stranger, "bob.pw"): "lies outside the folder of this file",
	} {
		a.write("stolen.yaml", acmeHead+strings.Replace(stolen, "%s", reference, 1))
		for _, flags := range [][]string{{"--plan", "--check"}, {"--check"}, {"--token-file", filepath.Join(a.dir, "token")}} {
			a.want(exitUsage, "", want, "stolen.yaml", flags...)
		}
	}
	a.write("stolen.yaml", acmeHead+strings.Replace(stolen, "%s", "env: SLUICE_TOKEN", 1))
	a.want(exitUsage, "", "must not be SLUICE_TOKEN", "stolen.yaml", "--plan", "--without-secrets")
	a.write("stolen.yaml", acmeHead+strings.Replace(stolen, "%s", "file: "+filepath.Join(stranger, "bob.pw"), 1))
	a.want(exitChanges, `"X-Stolen" from file `+filepath.Join(stranger, "bob.pw"), "", "stolen.yaml", "--plan", "--secret-root", stranger)
}

// TestApplyNamesReferences: who reads a plan sees which texts go where.
func TestApplyNamesReferences(t *testing.T) {
	a := newApplied(t)
	a.environ = append(a.environ, "HOOK=https://127.0.0.1/"+appliedQuery, "PRODUCER=a-token-that-was-chosen")
	a.write("key", "a-key")
	text := `version: 1
namespace: acme
notices: [{kind: http, address: {env: HOOK}}]
tokens: [{name: ci, token: {env: PRODUCER}}]
streams:
  - name: web
    kind: http
    config:
      url: {env: WEB_URL}
      headers: [{name: X-Team, value: audit}, {name: X-File, value: {file: ./key}}, {name: X-Env, value: {env: WEB_AUTHORIZATION}}]
    secrets: {signing_secret: {env: WEB_SIGNING}}
`
	a.write("web.yaml", text)
	want := `~ change notices of acme
    addresses  none -> "http (not shown, from env HOOK)"
+ create token ci of acme
    secrets.token  set from env PRODUCER
+ create stream web of acme
    kind                    "http"
    config.headers          ["X-Team","X-File","X-Env"], "X-File" from file ./key, "X-Env" from env WEB_AUTHORIZATION
    config.url              (not shown) from env WEB_URL
    secrets.signing_secret  set from env WEB_SIGNING
2 to create, 1 to change, 0 to delete.
`
	if got := a.apply("web.yaml", "--plan"); got.stdout != want {
		t.Errorf("got\n%s\nwant\n%s", got.stdout, want)
	}
	if got := a.apply("web.yaml", "--plan", "--without-secrets"); !strings.Contains(got.stdout, "secrets.signing_secret  set from env WEB_SIGNING\n") || !strings.Contains(got.stdout, `"X-File" from file ./key`) {
		t.Errorf("without secrets: got\n%s\nwant the references", got.stdout)
	}
	got := a.want(exitChanges, "{", "", "web.yaml", "--plan", "--json")
	var plan struct{ Changes []manifest.Change }
	if err := json.Unmarshal([]byte(got.stdout), &plan); err != nil || len(plan.Changes) != 3 {
		t.Fatalf("got %s, %v, want three changes", got.stdout, err)
	}
	references := []manifest.Reference{
		{Name: "config.headers.X-File.value", File: "./key"}, {Name: "config.headers.X-Env.value", Env: "WEB_AUTHORIZATION"},
		{Name: "config.url", Env: "WEB_URL"}, {Name: "secrets.signing_secret", Env: "WEB_SIGNING"},
	}
	if got := plan.Changes[2].References; !reflect.DeepEqual(got, references) {
		t.Errorf("got references %+v, want %+v", got, references)
	}
	a.want(exitOK, "Read back", "", "web.yaml")
	a.write("web.yaml", strings.NewReplacer("value: audit", "value: {env: HEC_TOKEN}").Replace(text))
	a.want(exitChanges, "    config.headers.X-Team.value  another value (not shown) from env HEC_TOKEN\n    secrets.signing_secret       sent from env WEB_SIGNING; replaced if it differs\n", "", "web.yaml", "--plan")
}

// TestApplyPrintsNothingThatSteersTerminals, whether it stands in a file, in the
// name of one, or at the server.
func TestApplyPrintsNothingThatSteersTerminals(t *testing.T) {
	const evil = "x\\u001b[2K\\n0 to create\\u0000\\u202e"
	a := newApplied(t)
	real, err := url.Parse(a.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(real)
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/api/v1/streams" && r.Method == http.MethodGet:
			_, _ = w.Write([]byte(`{"streams":[{"id":1,"name":"` + evil + `","kind":"http","namespace":"acme"},{"id":2,"name":"web","kind":"http","namespace":"acme","active":true,"config":{"url":"http://127.0.0.1:1/` + evil + `"},"secrets":{"` + evil + `":"set"}}]}`))
		case r.URL.Path == "/api/v1/streams/check":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":{"code":"invalid","message":"` + evil + `","hint":"` + evil + `"}}`))
		case strings.HasSuffix(r.URL.Path, "/check"):
			_, _ = w.Write([]byte(`{"ok":false,"stages":[{"name":"` + evil + `","message":"` + evil + `"}],"egress_addresses":["` + evil + `"]}`))
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	defer far.Close()
	a.environ = append(a.environ, "SLUICE_SERVER="+far.URL)
	a.write("web.yaml", acmeHead+"  - {name: web, kind: http, config: {url: \"http://127.0.0.1:1\", headers: [{name: A, value: {env: HEC_TOKEN}}]}}\n")
	a.write("new.yaml", acmeHead+"  - {name: new, kind: http, config: {url: \"http://127.0.0.1:1\"}}\n")
	a.write("bad.yaml", acmeHead+"  - {name: \""+evil+"\", kind: \""+evil+"\", config: {\""+evil+"\": 010}, \""+evil+"\": 1}\n")
	name := "\x1b[2Jforged\n.yaml"
	a.write(name, "7\n")
	for _, c := range []struct {
		file  string
		flags []string
	}{{"web.yaml", []string{"--plan"}}, {"web.yaml", []string{"--check"}}, {"web.yaml", nil}, {"new.yaml", []string{"--check"}}, {"new.yaml", []string{"--plan", "--prune"}}, {"bad.yaml", nil}, {name, nil}} {
		got := a.apply(c.file, c.flags...)
		out := got.stdout + got.stderr
		if strings.ContainsAny(out, "\x1b\x00\u202e") || strings.Contains(out, "\n0 to create\u0000") || strings.Contains(out, "\nforged") {
			t.Errorf("%q %v: got %q, want nothing that steers a terminal", c.file, c.flags, out)
		}
		if !strings.Contains(out, `\u001b[2`) {
			t.Errorf("%q %v: got %q, want what it is told of with escapes", c.file, c.flags, out)
		}
	}
}

// TestApplyWithScopesThatHideTokens: with admin:enterprise alone the server lists
// no producers' tokens, which is not the same as that there are none.
func TestApplyWithScopesThatHideTokens(t *testing.T) {
	a := newPeople(t)
	a.want(exitOK, "Read back", "", "people.yaml", "--secret-dir", filepath.Join(a.dir, "secrets"))
	a.write("tokens.yaml", "version: 1\nnamespace: acme\ntokens:\n  - {name: gitlab.acme.example, rate_limit: 500}\n")
	a.write("streams.yaml", acmeHead+"  - {name: web, kind: http, config: {url: \"http://127.0.0.1:1/in\"}}\n")
	a.write("members.yaml", "version: 1\nnamespace: acme\nmembers: []\n")
	a.environ = a.personal("jane", "admin:enterprise")
	a.want(exitFailure, "", "tokens.yaml:2:12: read what there is: this token may not read its tokens\nUse a token with the scope api, or leave this list out of the files: the scopes of this one do not let it read producers' tokens.\n",
		"tokens.yaml", "--secret-dir", filepath.Join(a.dir, "other"))
	a.want(exitOK, "Note: acme: this token may not read its tokens: they were not compared\nNothing to change in what was compared.\n", "", "tokens.yaml", "--plan")
	a.want(exitOK, nothingToDo, "", "streams.yaml")
	a.want(exitFailure, "", "this token may not read ", "members.yaml")
}

// TestApplyReadsNoPipeOfAFolder: nobody named it, and it would hang for ever.
func TestApplyReadsNoPipeOfAFolder(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(folder, "a.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := sluiceRun(t.Context(), nil, "", "apply", "-f", folder, "--plan")
	if got.code != exitUsage || !strings.Contains(got.stderr, "a.yaml is not a regular file") {
		t.Errorf("got %+v, want the pipe refused", got)
	}
}
