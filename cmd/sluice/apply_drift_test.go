package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestApplyReadsBack: what the server says it did is not taken for what it is.
func TestApplyReadsBack(t *testing.T) {
	a := newApplied(t)
	a.want(exitOK, "Read back", "", "least.yaml")
	real, err := url.Parse(a.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(real)
	forgetful := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/2") {
			_, _ = io.Copy(io.Discard, r.Body) // the client may still send it
			r.Method, r.Body, r.ContentLength = http.MethodGet, http.NoBody, 0
		}
		proxy.ServeHTTP(w, r)
	}))
	defer forgetful.Close()
	a.environ = append(a.environ, "SLUICE_SERVER="+forgetful.URL)
	a.want(exitFailure, "5 to change", "sluice: all changes were made, and the server still differs: stream splunk of acme: config.domain, config.index, ", "full.yaml")
	got := a.want(exitFailure, `"drift": [`, "the server still differs", "full.yaml", "--json")
	if !strings.Contains(got.stdout, `"error": "all changes were made, and the server still differs: stream splunk of acme: config.domain`) {
		t.Errorf("got %s, want the error in it", got.stdout)
	}
}

// TestApplyOrder: owners come before those who are no owners any more, and what
// goes with another value of a field is not told as a change of its own.
func TestApplyOrder(t *testing.T) {
	a := newPeople(t)
	a.want(exitOK, "Read back", "", "people.yaml", "--secret-dir", filepath.Join(a.dir, "secrets"))
	a.write("swap.yaml", `version: 1
namespace: acme
members:
  - {user: jane, role: auditor}
  - {user: joe, role: owner}
streams:
  - {name: new, kind: http, config: {url: "http://127.0.0.1:1/in"}}
  - {name: web, kind: http, config: {url: "http://127.0.0.1:1/in", format: ndjson}}
`)
	want := `~ change member joe of acme (u2)
    role  "auditor" -> "owner"
~ change member jane of acme (u1)
    role  "owner" -> "auditor"
+ create stream new of acme
    kind        "http"
    config.url  "http://127.0.0.1:1/in"
~ change stream web of acme (1)
    config.format  "event" -> "ndjson"
1 to create, 3 to change, 0 to delete.
Changed member joe of acme (u2)
Changed member jane of acme (u1)
Created stream new of acme: it is stream 2
Changed stream web of acme (1)
Read back: the server is as the files say.
`
	if got := a.apply("swap.yaml"); got.code != exitOK || got.stdout != want {
		t.Errorf("got %+v, want\n%s", got, want)
	}
	// A text that was left over is not taken for that of a token that has one.
	a.write("secrets/everything.token.new", "left-over-from-another-run\n")
	before := a.secret("everything.token")
	a.write("people.yaml", strings.NewReplacer("jane, role: owner", "jane, role: auditor", "Joe, role: auditor", "Joe, role: owner", "/in\"}", "/in\", format: ndjson}").Replace(people))
	a.want(exitOK, nothingToDo, "", "people.yaml", "--secret-dir", filepath.Join(a.dir, "secrets"))
	if got := a.secret("everything.token"); got != before {
		t.Errorf("got another token than before")
	}
	if _, err := os.Stat(filepath.Join(a.dir, "secrets", "everything.token.new")); err != nil {
		t.Errorf("got %v, want the left-over file", err)
	}
}
