package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A connection that ends is made again, behind what was seen; gaps are told; what
// the server refuses ends the command.
func TestTail(t *testing.T) {
	event := func(id, seq string) string {
		return fmt.Sprintf("id: c%s\ndata: {\"event\":{\"id\":\"%s\",\"event_type\":\"git.push\",\"author_name\":\"mona\"},\"partition\":\"git\",\"seq\":%s,\"accepted_at\":\"2026-03-01T12:00:00Z\",\"source\":\"t1\"}\n\n", seq, id, seq)
	}
	var mu sync.Mutex
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.URL.RawQuery+" "+r.Header.Get("Last-Event-ID"))
		switch len(asked) {
		case 1:
			fmt.Fprint(w, "retry: 10\n:\nid: c0\n\n"+event("a", "1")+"event: gap\nid: c8\ndata: {\"partition\":\"git\",\"first_seq\":2,\"last_seq\":8,\"events\":5,\"reason\":\"behind\"}\n\n:\nid: c9\n\nid: cut")
		case 2:
			fmt.Fprint(w, event("b", "10"))
		default:
			writeAnswer(w, 403, apiError("forbidden", "not any more", "Ask for another token.", nil))
		}
	}))
	defer server.Close()
	environ := []string{"SLUICE_SERVER=" + server.URL, "SLUICE_TOKEN=secret"}
	got := sluiceRun(t.Context(), environ, "", "tail", "--namespace", "acme", "--json", "type:git.push", "actor:mona")
	if got.code != 1 || strings.Count(got.stdout, "\n") != 2 || !strings.Contains(got.stdout, `{"event":{"id":"b",`) || !strings.Contains(got.stderr, "git:2-8 not shown, up to 5 events") || !strings.Contains(got.stderr, "not any more") {
		t.Errorf("got %+v", got)
	}
	if want := "namespace=acme&phrase=type%3Agit.push+actor%3Amona ,namespace=acme&phrase=type%3Agit.push+actor%3Amona c9,namespace=acme&phrase=type%3Agit.push+actor%3Amona c10"; strings.Join(asked, ",") != want {
		t.Errorf("got requests %q, want %s", asked, want)
	}
	if got := sluiceRun(t.Context(), environ, "", "tail", "--phrase", "x", "y"); got.code != 2 || !strings.Contains(got.stderr, "twice") {
		t.Errorf("two phrases: got %+v", got)
	}
	if got := sluiceRun(t.Context(), []string{"SLUICE_SERVER=http://127.0.0.1:1", "SLUICE_TOKEN=secret"}, "", "tail"); got.code != 1 || !strings.Contains(got.stderr, "cannot reach") {
		t.Errorf("no server: got %+v", got)
	}
}

// What is posted is shown by a tail that runs, until the server stops.
func TestTailEndToEnd(t *testing.T) {
	s := startServer(t, t.TempDir(), http.DefaultClient)
	ctx, cancel := context.WithCancel(t.Context())
	var out lockedBuffer
	var problems bytes.Buffer
	env := &Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &problems, Environ: []string{"SLUICE_SERVER=" + s.url, "SLUICE_TOKEN=" + adminToken}}
	var wg sync.WaitGroup
	var code int
	wg.Go(func() { code = run(ctx, env, []string{"tail", "type:user.add"}) })
	n := 0
	wait(t, "the head and an event to be shown, whose cells come one by one", func() bool {
		n++
		s.call("POST", "/api/v1/events", fmt.Sprintf(`{"id":"%d","event_type":"user.add","entity_path":"acme/web","author_name":"nadia"}`, n), nil)
		return strings.Count(out.String(), "\n") > 1
	})
	if got := out.String(); !strings.Contains(got, "ACCEPTED") || !strings.Contains(got, "user.add") || !strings.Contains(got, "nadia") {
		t.Errorf("got %s", out.String())
	}
	if got := s.stop(); got.code != 0 || strings.Contains(got.stderr, "cut off") {
		t.Errorf("stop with a reader: got %+v", got)
	}
	cancel()
	wg.Wait()
	if code != 0 {
		t.Errorf("tail: got status %d with %s", code, problems.String())
	}
}
