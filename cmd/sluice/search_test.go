package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// command runs a command against the server as the administrator.
func (r *running) command(args ...string) (code int, stdout, stderr string) {
	r.t.Helper()
	var out, problems bytes.Buffer
	env := &Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &problems, Environ: []string{"SLUICE_SERVER=" + r.url, "SLUICE_TOKEN=" + adminToken}}
	code = run(r.t.Context(), env, args)
	return code, out.String(), problems.String()
}

// found searches until it finds n events.
func (r *running) found(n int, args ...string) string {
	r.t.Helper()
	var stdout string
	wait(r.t, fmt.Sprintf("%d events by search %q", n, args), func() bool {
		var code int
		code, stdout, _ = r.command(append([]string{"search", "--json"}, args...)...)
		return code == 0 && strings.Count(stdout, "\n") == n
	})
	return stdout
}

// What was posted is found, also after a restart, and over many pages.
func TestSearchEndToEnd(t *testing.T) {
	data := t.TempDir()
	s := startServer(t, data, http.DefaultClient)
	var body strings.Builder
	for i := range 1200 {
		fmt.Fprintf(&body, `{"id":"e%d","event_type":"project_created","entity_path":"acme/web","author_name":"nadia"}`+"\n", i)
	}
	body.WriteString(`{"_document_id":"x","action":"git.push","business":"umbra","org":"umbra-dev","repo":"umbra-dev/app","actor":"mona"}`)
	if status := s.call("POST", "/api/v1/events", body.String(), nil); status != 200 {
		t.Fatalf("post: got status %d", status)
	}
	for _, then := range []func(){func() {}, func() { spoil(t, data) }, func() {}} {
		s.found(1200, "--limit", "5000", "--namespace", "acme", "type:project_created")
		one := s.found(1, "actor:mona")
		if !strings.Contains(one, `"event":{"_document_id":"x",`) || !strings.Contains(one, `"partition":"git"`) {
			t.Errorf("got %s", one)
		}
		s.found(7, "--limit", "7", "--oldest", "actor:nadia")
		code, stdout, _ := s.command("search", "actor:mona")
		if code != 0 || !strings.Contains(stdout, "git.push  mona   umbra/umbra-dev/app") {
			t.Errorf("table: got status %d with %q", code, stdout)
		}
		if code, _, stderr := s.command("search", "actor:\""); code != 1 || !strings.Contains(stderr, "column") {
			t.Errorf("a broken phrase: got status %d with %q, want its column", code, stderr)
		}
		s.stop()
		then()
		s = startServer(t, data, http.DefaultClient)
	}
}

// spoil overwrites the files of the index, which are then made anew.
func spoil(t *testing.T, data string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, indexFolder, "*.db"))
	if err != nil || len(files) != 2 {
		t.Fatalf("got files %q and error %v, want one for each partition", files, err)
	}
	for _, file := range files {
		if err := os.WriteFile(file, bytes.Repeat([]byte("no index "), 1000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFit(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", " a\tb\nc ": "a b c", "\x1b[31mred\u202e": "[31mred", strings.Repeat("ä", 100): strings.Repeat("ä", 77) + "...",
	} {
		if got := fit(in); got != want {
			t.Errorf("fit %q: got %q, want %q", in, got, want)
		}
	}
}

// The path of events is shared by those who post and those who search: what each
// method is answered names all of them.
func TestMethodsOfEvents(t *testing.T) {
	s := startServer(t, t.TempDir(), http.DefaultClient)
	for _, method := range []string{"PUT", "DELETE"} {
		req, err := http.NewRequestWithContext(t.Context(), method, s.url+"/api/v1/events", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+adminToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD, POST" {
			t.Errorf("%s: got status %d with Allow %q", method, resp.StatusCode, resp.Header.Get("Allow"))
		}
	}
}
