package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/client"
	"github.com/sluicelog/sluice/manifest"
)

const people = `version: 1
namespace: ""
users:
  - name: jane
  - {name: joe, password: {env: JOE}, administrator: true}
  - {name: left, disabled: true}
tokens:
  - name: everything
---
version: 1
namespace: acme
members:
  - {user: jane, role: owner}
  - {user: Joe, role: auditor}
notices:
  - {kind: http, address: {env: HOOK}}
tokens:
  - {name: gitlab.acme.example, rate_limit: 500}
  - {name: given, token: {env: GIVEN}}
streams:
  - {name: web, kind: http, config: {url: "http://127.0.0.1:1/in"}}
`

func newPeople(t *testing.T) *applied {
	t.Helper()
	a := newApplied(t)
	a.environ = append(a.environ, "JOE=joes-long-password", "HOOK=http://127.0.0.1:1/hooks/"+appliedQuery, "GIVEN=a-token-that-was-chosen")
	a.write("people.yaml", people)
	return a
}

func (a *applied) secret(name string) string {
	a.t.Helper()
	path := filepath.Join(a.dir, "secrets", name)
	info, err := os.Stat(path)
	if err != nil {
		a.t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		a.t.Errorf("%s: got mode %v, want one for the owner alone", name, info.Mode())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		a.t.Fatal(err)
	}
	return strings.TrimSuffix(string(text), "\n")
}

// as makes a request with a token and returns the status.
func (a *applied) as(token, method, path, body string) int {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		a.t.Fatal(err)
	}
	return res.StatusCode
}

func TestApplyPeople(t *testing.T) {
	a := newPeople(t)
	secrets := filepath.Join(a.dir, "secrets")
	a.want(exitUsage, "", "people.yaml:4:5: its secret is made when it is created, and there is no place to keep it", "people.yaml")
	if n := len(a.streams()); n != 0 {
		t.Fatalf("got %d streams, want nothing done", n)
	}
	a.want(exitChanges, "+ create user jane", "", "people.yaml", "--plan")
	got := a.want(exitOK, "Read back", "", "people.yaml", "--secret-dir", secrets)
	for _, want := range []string{"its secret is in " + filepath.Join(secrets, "jane.password"), "addresses  none -> \"http (not shown, from env HOOK)\"", "+ create member jane of acme\n    role  \"owner\"\n"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("got %s, want %q in it", got.stdout, want)
		}
	}
	for _, made := range []string{a.secret("jane.password"), a.secret("everything.token"), a.secret("acme/gitlab.acme.example.token"), "joes-long-password", "a-token-that-was-chosen"} {
		if len(made) < 16 || strings.Contains(got.stdout, made) {
			t.Errorf("got secret %q, want a long one that is not shown", made)
		}
	}
	for token, want := range map[string]int{a.secret("everything.token"): 200, a.secret("acme/gitlab.acme.example.token"): 200, "a-token-that-was-chosen": 200, "another": 401} {
		if status := a.as(token, "POST", "/api/v1/events", `{"action":"repo.create","repo":"acme/web"}`); status != want {
			t.Errorf("post with %q: got status %d, want %d", token, status, want)
		}
	}
	var users struct {
		Users []struct {
			Name                    string
			Administrator, Disabled bool
			Roles                   map[string]string
		}
	}
	a.call("GET", "/api/v1/users", "", &users)
	if len(users.Users) != 3 || users.Users[0].Roles["acme"] != "owner" || !users.Users[1].Administrator || !users.Users[2].Disabled {
		t.Errorf("got users %+v", users)
	}
	a.want(exitOK, nothingToDo, "", "people.yaml", "--secret-dir", secrets)

	// What changes, and what cannot.
	a.write("people.yaml", strings.NewReplacer("joe, password: {env: JOE}, administrator: true", "joe", "left, disabled: true", "left", "Joe, role: auditor", "joe, role: owner").Replace(people))
	a.want(exitOK, "administrator  true -> false", "", "people.yaml")
	a.want(exitOK, nothingToDo, "", "people.yaml")
	a.write("people.yaml", strings.Replace(people, "rate_limit: 500", "rate_limit: 7", 1))
	a.want(exitUsage, "", "people.yaml:18:5: rate_limit of a token cannot be changed from 500 to 7: add a token with another name", "people.yaml")
	a.write("people.yaml", strings.Replace(people, "user: jane", "user: nobody", 1))
	a.want(exitUsage, "", `people.yaml:13:5: there is no user "nobody"`, "people.yaml")
}

// TestApplyKeepsSecretsOverACrash: a text that was kept before the server heard of
// it is the one that the next run uses.
func TestApplyKeepsSecretsOverACrash(t *testing.T) {
	a := newPeople(t)
	if err := os.MkdirAll(filepath.Join(a.dir, "secrets", "acme"), 0o700); err != nil {
		t.Fatal(err)
	}
	a.write("secrets/acme/gitlab.acme.example.token.new", "kept-by-an-earlier-run\n")
	a.write("secrets/everything.token.new", "half a te")
	a.want(exitFailure, "", "everything.token.new is not complete, and was never used: remove it", "people.yaml", "--secret-dir", filepath.Join(a.dir, "secrets"))
	if err := os.Remove(filepath.Join(a.dir, "secrets", "everything.token.new")); err != nil {
		t.Fatal(err)
	}
	a.want(exitOK, "Read back", "", "people.yaml", "--secret-dir", filepath.Join(a.dir, "secrets"))
	if got := a.secret("acme/gitlab.acme.example.token"); got != "kept-by-an-earlier-run" {
		t.Errorf("got token %q, want the one that was kept", got)
	}
	// Interrupted after the server took it.
	if err := os.Rename(filepath.Join(a.dir, "secrets", "jane.password"), filepath.Join(a.dir, "secrets", "jane.password.new")); err != nil {
		t.Fatal(err)
	}
	a.want(exitOK, nothingToDo, "", "people.yaml", "--secret-dir", filepath.Join(a.dir, "secrets"))
	a.secret("jane.password")
	// The folder cannot be looked into, and there is nothing to change.
	a.write("no-folder", "a file")
	a.want(exitFailure, nothingToDo, "keep a secret: ", "people.yaml", "--secret-dir", filepath.Join(a.dir, "no-folder"))
	// The secret of a token that was revoked is not used again.
	a.call("DELETE", "/api/v1/tokens/"+a.tokenID("gitlab.acme.example"), "", nil)
	a.want(exitUsage, "", "holds the secret of an earlier one: move that file away", "people.yaml", "--secret-dir", filepath.Join(a.dir, "secrets"))
}

// Addresses that somebody has added since the plan was made are not removed with it.
func TestApplyKeepsAddressesOfOthers(t *testing.T) {
	a := newApplied(t)
	a.write("notices.yaml", "version: 1\nnamespace: acme\nnotices:\n  - {kind: http, address: \"http://127.0.0.1:1/new\"}\n")
	c, err := client.New(client.Config{Server: a.url, Token: adminToken})
	if err != nil {
		t.Fatal(err)
	}
	m, err := (&applying{env: &Env{}, files: []string{filepath.Join(a.dir, "notices.yaml")}}).read()
	if err != nil {
		t.Fatal(err)
	}
	p, err := (&manifest.Planner{Client: c, Now: time.Now}).Plan(t.Context(), m)
	if err != nil || len(p.Changes) != 1 {
		t.Fatalf("plan: got %+v, %v, want one change", p, err)
	}
	a.call("PUT", "/api/v1/notices?namespace=acme", `{"addresses":[{"kind":"http","address":"http://127.0.0.1:1/theirs"}]}`, nil)
	if made, err := p.Carry(t.Context(), manifest.Carrying{Client: c}); made != 0 || err == nil || !strings.Contains(err.Error(), "change notices of acme: the addresses were changed meanwhile") {
		t.Errorf("got %d, %v, want that somebody was faster", made, err)
	}
	if now, err := c.Notices(t.Context(), "acme"); err != nil || len(now) != 1 || !strings.HasSuffix(now[0].Address, "/theirs") {
		t.Errorf("got %d addresses and error %v, want theirs", len(now), err)
	}
	a.want(exitOK, "Read back", "", "notices.yaml")
}

// Of two runs at once that keep what they make in one folder, the slower one neither
// makes a second token nor writes over the secret of the first.
func TestApplyKeepsSecretsOfOthers(t *testing.T) {
	a := newApplied(t)
	c, err := client.New(client.Config{Server: a.url, Token: adminToken})
	if err != nil {
		t.Fatal(err)
	}
	plan := func(file, tokens string) *manifest.Plan {
		a.write(file, "version: 1\nnamespace: acme\ntokens: "+tokens+"\n")
		m, err := (&applying{env: &Env{}, files: []string{filepath.Join(a.dir, file)}}).read()
		if err != nil {
			t.Fatal(err)
		}
		p, err := (&manifest.Planner{Client: c, Now: time.Now}).Plan(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	slow, fast := plan("two.yaml", "[{name: other}, {name: emitter}]"), plan("one.yaml", "[{name: emitter}]")
	how := manifest.Carrying{Client: c, SecretDir: filepath.Join(a.dir, "secrets")}
	between := how
	between.Done = func(*manifest.Change, string) {
		if made, err := fast.Carry(t.Context(), how); made != 1 || err != nil {
			t.Errorf("the fast one: got %d, %v, want it done", made, err)
		}
	}
	made, err := slow.Carry(t.Context(), between)
	if made != 1 || err == nil || !strings.Contains(err.Error(), "emitter.token is there: somebody else has created it meanwhile") {
		t.Errorf("the slow one: got %d, %v, want that somebody was faster", made, err)
	}
	var list struct{ Tokens []struct{ Name string } }
	a.call("GET", "/api/v1/tokens", "", &list)
	if n := strings.Count(fmt.Sprint(list), "emitter"); n != 1 {
		t.Errorf("got %d tokens, want one", n)
	}
	if status := a.as(a.secret("acme/emitter.token"), "POST", "/api/v1/events", `{"action":"x","repo":"acme/web"}`); status != http.StatusOK {
		t.Errorf("post with the secret that was kept: got status %d, want 200", status)
	}
}

func (a *applied) tokenID(name string) string {
	a.t.Helper()
	var list struct{ Tokens []struct{ ID, Name string } }
	a.call("GET", "/api/v1/tokens", "", &list)
	for _, token := range list.Tokens {
		if token.Name == name {
			return token.ID
		}
	}
	a.t.Fatalf("got tokens %+v, want one with the name %s", list, name)
	return ""
}

func TestApplyPrune(t *testing.T) {
	a := newPeople(t)
	a.want(exitOK, "Read back", "", "people.yaml", "--secret-dir", filepath.Join(a.dir, "secrets"))
	a.call("POST", "/api/v1/streams", `{"namespace":"other","kind":"http","config":{"url":"http://127.0.0.1:1"}}`, nil)
	a.write("less.yaml", "version: 1\nnamespace: acme\nmembers:\n  - {user: jane, role: owner}\ntokens: []\nstreams: []\n---\nversion: 1\nnamespace: ''\nusers: []\n")
	got := a.want(exitOK, "Not in the files: member joe of acme (u2) (--prune deletes it)", "", "less.yaml", "--plan")
	for _, want := range []string{"token given of acme", "stream web of acme (1)", "user jane (u1)\n", nothingToDo} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("plan: got %s, want %q in it", got.stdout, want)
		}
	}
	a.want(exitChanges, "- delete stream web of acme (1): its ledger ends: 0 delivered, and ", "", "less.yaml", "--plan", "--prune")
	a.want(exitUsage, "", "the plan deletes something: nothing was changed", "less.yaml", "--prune")
	if got := a.ask("n\n", "less.yaml", "--prune"); got.code != exitFailure || len(a.streams()) != 2 {
		t.Errorf("refused: got %+v, want nothing done", got)
	}
	if got := a.ask("y\n", "less.yaml", "--prune"); got.code != exitOK || !strings.Contains(got.stdout, "Deleted stream web of acme (1)") || !strings.Contains(got.stdout, "Read back") {
		t.Errorf("confirmed: got %+v, want everything done", got)
	}
	if n := len(a.streams()); n != 1 {
		t.Errorf("got %d streams, want the other namespace's", n)
	}
	if status := a.as("a-token-that-was-chosen", "POST", "/api/v1/events", `{"action":"x","repo":"acme/web"}`); status != http.StatusUnauthorized {
		t.Errorf("post with a deleted token: got status %d, want 401", status)
	}
	if status := a.as(a.secret("everything.token"), "POST", "/api/v1/events", `{"action":"x","repo":"acme/web"}`); status != http.StatusOK {
		t.Errorf("post with a token of a list that is not managed: got status %d, want 200", status)
	}
	a.want(exitOK, nothingToDo, "", "less.yaml", "--prune", "--yes")
}

// ask applies in front of a person.
func (a *applied) ask(answer, file string, flags ...string) result {
	var stdout, stderr bytes.Buffer
	env := &Env{Stdin: strings.NewReader(answer), Stdout: &stdout, Stderr: &stderr, Environ: a.environ, Terminal: true}
	code := run(a.t.Context(), env, append([]string{"apply", "-f", filepath.Join(a.dir, file)}, flags...))
	return result{code, stdout.String(), stderr.String()}
}

// personal makes a user's token, and returns an environment with it.
func (a *applied) personal(user, scope string) []string {
	a.t.Helper()
	var made struct{ Token string }
	if code := a.call("POST", "/api/v1/tokens", `{"kind":"personal","user":"`+user+`","scopes":["`+scope+`"]}`, &made); code != http.StatusCreated {
		a.t.Fatalf("token of %s: got status %d", user, code)
	}
	return append(a.environ, "SLUICE_TOKEN="+made.Token)
}

// An owner applies what concerns the own namespace, and an auditor may look at what
// would change.
func TestApplyAsOwnerAndAuditor(t *testing.T) {
	a := newPeople(t)
	a.want(exitOK, "Read back", "", "people.yaml", "--secret-dir", filepath.Join(a.dir, "secrets"))
	_, acme, _ := strings.Cut(people, "---\n")
	a.write("acme.yaml", acme)
	administrator := a.environ
	a.environ = a.personal("jane", "api")
	a.want(exitOK, nothingToDo, "", "acme.yaml")
	a.write("acme.yaml", strings.Replace(acme, "/in\"}", "/in?key={}\", headers: [{name: X-Key, value: {env: WEB_AUTHORIZATION}}]}", 1))
	a.want(exitOK, "Read back", "", "acme.yaml")
	a.want(exitFailure, "", "read what there is: this token may not read its tokens, users\nUse the token of an owner", "people.yaml")
	a.want(exitChanges, "Note: the instance: this token may not read its tokens: they were not compared\nNote: the instance: this token may not read its users: they were not compared\n0 to create, 1 to change", "", "people.yaml", "--plan")
	a.write("acme.yaml", strings.Replace(acme, "user: jane, role: owner", "user: jane, role: auditor", 1))
	a.want(exitUsage, "", "jane would take its own rights away", "acme.yaml")
	a.write("acme.yaml", strings.Replace(acme, "  - {user: jane, role: owner}\n", "", 1))
	a.want(exitUsage, "", "jane would take its own rights away", "acme.yaml", "--prune", "--yes")

	a.environ = administrator
	a.write("people.yaml", strings.Replace(people, "administrator: true", "administrator: false", 1))
	a.want(exitOK, "Read back", "", "people.yaml")
	a.environ = a.personal("joe", "read_api")
	text := strings.Split(acme, "members:")[0] + "streams:\n  - {name: web, kind: http, config: {url: \"http://127.0.0.1:1/in\"}}\n"
	a.write("streams.yaml", text)
	a.want(exitOK, nothingToDo, "", "streams.yaml", "--plan")
	a.want(exitOK, "Note: acme: this token may not read its tokens: they were not compared\nNote: acme: this token may not read its members", "", "acme.yaml", "--plan")
	a.want(exitFailure, "", "acme.yaml:2:12: read what there is: this token may not read its tokens", "acme.yaml")
	streamsOnly := a.environ
	a.environ = a.personal("joe", "read:audit_log")
	a.want(exitOK, "Note: acme: this token may not read its streams", "", "streams.yaml", "--plan")
	a.environ = streamsOnly
	a.write("other.yaml", "version: 1\nnamespace: other\nstreams:\n  - {name: x, kind: http, config: {url: \"http://127.0.0.1:1\"}}\n")
	a.want(exitFailure, "", "this token may not read its streams", "other.yaml")
	a.want(exitOK, "Note: other: this token may not read its streams", "", "other.yaml", "--plan")
	a.environ = administrator
	a.write("streams.yaml", strings.Replace(text, "/in\"}", "/in?key=1\", headers: [{name: X-Key, value: one}]}", 1))
	a.want(exitOK, "Read back", "", "streams.yaml")
	a.environ = a.personal("joe", "read_api")
	a.want(exitOK, "not compared, as not all of it can be read: config.headers.X-Key, config.url", "", "streams.yaml", "--plan")
	a.write("streams.yaml", strings.Replace(text, "/in\"}", "/out\", headers: [{name: X-Key, value: two}]}", 1))
	a.want(exitChanges, "config.url  \"http://127.0.0.1:1/in?***\" -> \"http://127.0.0.1:1/out\"", "", "streams.yaml", "--plan")
	if got := a.want(exitFailure, "", "the plan is not whole: nothing was changed", "streams.yaml"); strings.Contains(got.stdout, "Applied again") {
		t.Errorf("not begun: got %s, want nothing about the rest", got.stdout)
	}
	a.write("streams.yaml", strings.Replace(text, "/in\"}", "/in?key=1\", headers: [{name: X-Key, value: one}]}", 1))
	a.want(exitFailure, "Nothing to change in what was compared.", "the plan is not whole: nothing was changed", "streams.yaml")
	a.write("streams.yaml", text)
	a.want(exitFailure, "0 of 1 changes were made.", "change stream web of acme: this token may not change streams", "streams.yaml")
}

// An owner applies a stream with addresses that an administrator has set, and
// cannot set others.
func TestApplyKeepsReserved(t *testing.T) {
	a := newPeople(t)
	a.want(exitOK, "Read back", "", "people.yaml", "--secret-dir", filepath.Join(a.dir, "secrets"))
	const google = `version: 1
namespace: acme
streams:
  - name: google
    kind: cloudlogging
    config: {project_id: acme-audit-1234, log_id: one, endpoint: "http://127.0.0.1:2/"}
    secrets: {private_key: {file: key.json}}
`
	a.write("google.yaml", google)
	a.want(exitOK, "Read back", "", "google.yaml")
	a.environ = a.personal("jane", "api")
	a.want(exitOK, nothingToDo, "", "google.yaml")
	a.write("google.yaml", strings.Replace(google, "log_id: one", "log_id: two", 1))
	a.want(exitOK, `"one" -> "two"`, "", "google.yaml")
	a.write("google.yaml", strings.Replace(google, "127.0.0.1:2", "127.0.0.1:3", 1))
	a.want(exitFailure, "", "config.endpoint can be set by administrators only", "google.yaml")
}
