package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Secrets of every sort that a stream of kind http has. None may appear in what
// a server writes or answers, apart from the configuration that owners read.
const (
	hiddenToken  = "veri-token-4711-xyz"
	hiddenKey    = "key-of-the-signatures-0815"
	hiddenHeader = "header-value-2342"
	hiddenBasic  = "basic-password-1729"
	hiddenQuery  = "query-value-6174"
	hiddenUser   = "user-info-3141"
)

func hiddenSigning() string { return "whsec_" + base64.StdEncoding.EncodeToString([]byte(hiddenKey)) }

// spellings are the forms in which the secrets must not be found.
func spellings() []string {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("jane:"+hiddenBasic))
	return []string{hiddenToken, hiddenKey, hiddenSigning(), hiddenSigning()[6:], hiddenHeader, hiddenBasic, basic[6:], hiddenQuery, hiddenUser,
		base64.StdEncoding.EncodeToString([]byte(hiddenToken)), base64.StdEncoding.EncodeToString([]byte(hiddenHeader))}
}

func wantHidden(t *testing.T, where, text string, allowed ...string) {
	t.Helper()
	for _, s := range spellings() {
		if i := strings.Index(text, s); i >= 0 && !slices.Contains(allowed, s) {
			t.Errorf("%s shows %q: ...%s...", where, s, text[max(0, i-120):min(len(text), i+len(s)+40)])
		}
	}
}

// talkative is a receiver that fails in many ways and repeats all that it got.
func talkative(t *testing.T) *httptest.Server {
	hung := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		echo := fmt.Sprintf("%s\n%v\n%q\n%s", r.URL, r.Header, r.Header, body)
		switch name := strings.TrimPrefix(r.URL.Path, "/"); name {
		case "hang":
			select {
			case <-hung:
			case <-r.Context().Done():
			}
		case "close":
			panic(http.ErrAbortHandler)
		case "302":
			w.Header().Set("Location", "https://elsewhere.example/?"+r.URL.RawQuery)
			w.WriteHeader(http.StatusFound)
		default:
			var status int
			fmt.Sscan(name, &status)
			w.Header().Set("X-Echo", strings.ReplaceAll(echo, "\n", " "))
			w.WriteHeader(status)
			fmt.Fprint(w, echo)
		}
	}))
	t.Cleanup(func() { close(hung); s.Close() })
	return s
}

// serveProcess starts this binary as a server in a process of its own.
func serveProcess(t *testing.T, data string, args ...string) (*running, *exec.Cmd, *lockedBuffer) {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), executable, append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--allow-private-destinations"}, args...)...)
	cmd.Env = []string{"SLUICE_ADMIN_TOKEN=" + adminToken, "SLUICE_REQUEST_LIMIT=0", "GOTRACEBACK=all"}
	out := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, output: out}
	r.answers(http.DefaultClient, nil)
	wait(t, "the server to be ready", func() bool { return r.call("GET", "/readyz", "", nil) == http.StatusOK })
	return r, cmd, out
}

// patience bounds a wait for what a real server does. It is never used up unless
// something is wrong, whatever else the machine has to do.
const patience = time.Minute

// wait polls in real time: what is waited for happens in another process.
func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// get returns the text of an answer.
func (r *running) get(method, path, body string) string {
	r.t.Helper()
	var out json.RawMessage
	r.call(method, path, body, &out)
	return string(out)
}

func streamBody(url string) string {
	body, err := json.Marshal(map[string]any{
		"namespace": "acme", "kind": "http",
		"config": map[string]any{"url": url, "headers": []map[string]any{
			{"name": "X-Api-Key", "value": hiddenHeader},
			{"name": "Authorization", "value": "Basic " + base64.StdEncoding.EncodeToString([]byte("jane:"+hiddenBasic))},
			{"name": "X-Off", "value": hiddenHeader, "active": false},
		}},
		"secrets": map[string]string{"signing_secret": hiddenSigning()},
	})
	if err != nil {
		panic(err) // it is JSON
	}
	return string(body)
}

func TestSecretsNeverAppear(t *testing.T) {
	receiver := talkative(t)
	data := filepath.Join(t.TempDir(), "data")
	r, cmd, output := serveProcess(t, data, "--log-level", "debug")

	refused := strings.Replace(receiver.URL, "http://", "http://jane:"+hiddenUser+"@", 1)
	wantHidden(t, "the refusal of an address", r.get("POST", "/api/v1/streams", streamBody(refused+"/500?key="+hiddenQuery)))
	failing := []string{"500", "503", "429", "401", "403", "404", "410", "400", "413", "422", "302", "close"}
	for i, name := range append(failing, "hang", "200") {
		body := streamBody(receiver.URL + "/" + name + "?key=" + hiddenQuery)
		body = strings.Replace(body, `"secrets":{`, fmt.Sprintf(`"secrets":{"verification_token":"%s%02d",`, hiddenToken, i), 1)
		wantHidden(t, "the check of a draft", r.get("POST", "/api/v1/streams/check", strings.Replace(body, "/hang", "/404", 1)))
		if code := r.call("POST", "/api/v1/streams", body, nil); code != http.StatusCreated {
			t.Fatalf("create %s: got status %d", name, code)
		}
	}
	if code := r.call("POST", "/api/v1/events", `[{"id":"a","event_type":"user.add","entity_path":"acme"},{"id":"b","event_type":"user.add","entity_path":"acme/web"}]`, nil); code != http.StatusOK {
		t.Fatalf("post: got status %d", code)
	}
	notices := `{"addresses":[{"kind":"http","address":"` + receiver.URL + `/403?key=` + hiddenQuery + `"}]}`
	if code := r.call("PUT", "/api/v1/notices?namespace=acme", notices, nil); code != http.StatusOK {
		t.Fatalf("set notices: got status %d", code)
	}
	wantHidden(t, "a test notice", r.get("POST", "/api/v1/notices/test?namespace=acme", ""))
	for i := range failing {
		lookAtStream(t, r, int64(i+1))
	}
	r.call("PATCH", "/api/v1/streams/1", `{"secrets":{"signing_secret":""},"config":{"url":"`+receiver.URL+`/500?other=`+hiddenQuery+`"}}`, nil)
	r.call("DELETE", "/api/v1/streams/2", "", nil)
	wantHidden(t, "a rotation", r.get("POST", "/api/v1/secrets/rotate", "")+r.get("GET", "/api/v1/secrets", ""))
	wantHidden(t, "metrics", metricsOf(t, r))

	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	if _, crashed := errors.AsType[*exec.ExitError](cmd.Wait()); !crashed {
		t.Error("SIGQUIT: got a clean end, want a dump of all goroutines")
	}
	if dump := output.String(); !strings.Contains(dump, "goroutine ") || !strings.Contains(dump, "SIGQUIT") || !strings.Contains(dump, `stream held`) {
		t.Errorf("output: got %.300s, want log lines and a dump", dump)
	}
	wantHidden(t, "the log or the dump", output.String())
	events := sluiceRun(t.Context(), nil, "", "log", "cat", "--data", data)
	if events.code != exitOK || !strings.Contains(events.stdout, "stream.create") {
		t.Errorf("log cat: got %.300s", events.stderr)
	}
	wantHidden(t, "the audit log", events.stdout)
	for _, file := range []string{"control.db", "control.db-wal"} {
		stored, err := os.ReadFile(filepath.Join(data, file))
		if err != nil && file == "control.db" {
			t.Fatal(err)
		}
		// The address itself is stored in plain: it is configuration.
		wantHidden(t, file, string(bytes.ToValidUTF8(stored, nil)), hiddenQuery)
	}
}

// lookAtStream waits until a delivery of the stream has failed, then reads
// everything that is told about it.
func lookAtStream(t *testing.T, r *running, id int64) {
	t.Helper()
	path := fmt.Sprintf("/api/v1/streams/%d", id)
	var view struct {
		Health struct {
			LastError *struct{ Message string } `json:"last_error"`
		}
		Lanes, Ledger json.RawMessage
	}
	wait(t, path+" to fail", func() bool {
		r.call("GET", path, "", &view)
		return view.Health.LastError != nil || strings.Contains(string(view.Lanes), `"message"`)
	})
	whole := r.get("GET", path, "")
	basic := base64.StdEncoding.EncodeToString([]byte("jane:" + hiddenBasic))
	wantHidden(t, path, whole, hiddenToken, hiddenHeader, basic, hiddenQuery) // which owners read
	wantHidden(t, path+" lanes", string(view.Lanes))
	wantHidden(t, path+" quarantine", r.get("GET", path+"/quarantine", ""))
	attempts := r.get("GET", path+"/attempts", "")
	if !strings.Contains(attempts, `"outcome"`) {
		t.Errorf("attempts of %s: got %s, want some", path, attempts)
	}
	wantHidden(t, path+" attempts", attempts+r.get("GET", path+"/activity", ""))
	wantHidden(t, path+" check", r.get("POST", path+"/check", ""))
}

func metricsOf(t *testing.T, r *running) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
