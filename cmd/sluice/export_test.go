package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exportServer answers exports of a few events, some of them with one id.
type exportServer struct {
	*httptest.Server
	queries []string
	cutAt   int // bytes after which the next answer is cut off, 0 for none
}

var exportIDs = []string{"a", "b", "x", "x", "c", "d"}

func exportLine(i int) string {
	return fmt.Sprintf(`{"id":"%s","event_type":"t","entity_path":"acme","n":%d,"text":"two\nlines, \"quoted\""}`, exportIDs[i], i)
}

func newExportServer(t *testing.T) *exportServer {
	s := &exportServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(s.answer))
	t.Cleanup(s.Close)
	return s
}

func (s *exportServer) answer(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.queries = append(s.queries, r.URL.RawQuery)
	from := 0
	if id := q.Get("after_id"); id != "" {
		switch n := strings.Count(strings.Join(exportIDs, ""), id); n {
		case 0:
			w.WriteHeader(400)
			writeAnswer(w, 400, apiError("invalid", "no such id", "", nil))
			return
		case 1:
			from = strings.Index(strings.Join(exportIDs, ""), id) + 1
		default:
			writeAnswer(w, 409, apiError("conflict", "several events have that id", "", nil))
			return
		}
	}
	var body strings.Builder
	table := csv.NewWriter(&body)
	if q.Get("format") == "csv" {
		_ = table.Write([]string{"ID", "Action"})
	}
	for i := from; i < len(exportIDs); i++ {
		if q.Get("format") == "csv" {
			_ = table.Write([]string{exportIDs[i], fmt.Sprintf("two\nlines, \"quoted\" %d", i)})
		} else {
			body.WriteString(exportLine(i) + "\n")
		}
	}
	table.Flush()
	w.Header().Set("Trailer", "Sluice-Cursor")
	w.Header().Set("Sluice-Estimate", "6")
	if cut := s.cutAt; cut > 0 && cut < body.Len() {
		s.cutAt = 0
		_, _ = w.Write([]byte(body.String()[:cut]))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write([]byte(body.String()))
	w.Header().Set("Sluice-Cursor", "CURSOR")
}

func (s *exportServer) environ() []string {
	return []string{"SLUICE_SERVER=" + s.URL, "SLUICE_TOKEN=secret"}
}

// A download that ended anywhere is gone on with, and becomes what it would have
// been in one piece.
func TestExportResumes(t *testing.T) {
	s := newExportServer(t)
	for _, format := range []string{"ndjson", "json", "csv"} {
		file := filepath.Join(t.TempDir(), "events")
		line := []string{"export", "--format", format, "--output", file, "actor:mona"}
		if got := sluiceRun(t.Context(), s.environ(), "", line...); got.code != 0 || !strings.Contains(got.stderr, "6 events") {
			t.Fatalf("%s: got %+v", format, got)
		}
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wantExport(t, format, whole)
		for size := 0; size <= len(whole); size += 5 {
			// What a run leaves behind that is killed.
			if got := sluiceRun(t.Context(), []string{"SLUICE_SERVER=http://127.0.0.1:1", "SLUICE_TOKEN=secret"}, "", append(line, "--restart")...); got.code != 1 {
				t.Fatalf("without a server: got %+v", got)
			}
			if err := os.WriteFile(file+partSuffix, whole[:size], 0o600); err != nil {
				t.Fatal(err)
			}
			got := sluiceRun(t.Context(), s.environ(), "", append(line, "--json")...)
			var total exportTotal
			if err := json.Unmarshal([]byte(got.stdout), &total); err != nil || got.code != 0 || total.Events != 6 || total.Cursor != "CURSOR" || total.Bytes != int64(len(whole)) {
				t.Errorf("%s behind %d bytes: got %+v", format, size, got)
			}
			if again, err := os.ReadFile(file); err != nil || string(again) != string(whole) {
				t.Fatalf("%s behind %d bytes: got %q, want %q", format, size, again, whole)
			}
		}
		if left, err := filepath.Glob(file + ".part*"); err != nil || len(left) != 0 {
			t.Errorf("%s: %q is left", format, left)
		}
	}
}

// wantExport checks the first export of each format by a reader of that format.
func wantExport(t *testing.T, format string, whole []byte) {
	t.Helper()
	n := 0
	switch format {
	case "csv":
		rows, err := csv.NewReader(strings.NewReader(string(whole))).ReadAll()
		if err != nil {
			t.Error(err)
		}
		n = len(rows) - 1
	case "json":
		var list []json.RawMessage
		if err := json.Unmarshal(whole, &list); err != nil {
			t.Error(err)
		}
		n = len(list)
	default:
		n = strings.Count(string(whole), "\n")
	}
	if n != len(exportIDs) {
		t.Errorf("%s: got %d events, want %d in %s", format, n, len(exportIDs), whole)
	}
}

// A connection that breaks is gone on with at once.
func TestExportGoesOn(t *testing.T) {
	for _, format := range []string{"ndjson", "json", "csv"} {
		s := newExportServer(t)
		file := filepath.Join(t.TempDir(), "events")
		s.cutAt = len(exportLine(0))*2 + 30
		if format == "csv" {
			s.cutAt = 60
		}
		got := sluiceRun(t.Context(), s.environ(), "", "export", "--format", format, "--output", file)
		whole, err := os.ReadFile(file)
		if got.code != 0 || err != nil || !strings.Contains(got.stderr, "connection broke") || len(s.queries) < 2 || !strings.Contains(s.queries[len(s.queries)-1], "after_id=") {
			t.Errorf("%s: got %+v, error %v, queries %q", format, got, err, s.queries)
		}
		wantExport(t, format, whole)
	}
}

// Two exports do not write one file: the second is refused, and the first is whole.
func TestExportOneAtATime(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, exportLine(0)+"\n"+exportLine(1)[:10])
		_ = http.NewResponseController(w).Flush()
		begun <- struct{}{}
		<-goOn
		_, _ = io.WriteString(w, exportLine(1)[10:]+"\n")
	}))
	defer s.Close()
	environ := []string{"SLUICE_SERVER=" + s.URL, "SLUICE_TOKEN=secret"}
	file := filepath.Join(t.TempDir(), "events")
	first := make(chan result, 1)
	go func() { first <- sluiceRun(t.Context(), environ, "", "export", "--output", file) }()
	<-begun
	wait(t, "the first lines", func() bool {
		info, err := os.Stat(file + partSuffix)
		return err == nil && info.Size() > 0
	})
	for _, more := range [][]string{nil, {"--restart"}} {
		ctx, cancel := context.WithCancel(t.Context())
		second := make(chan result, 1)
		go func() {
			second <- sluiceRun(ctx, environ, "", append([]string{"export", "--output", file}, more...)...)
		}()
		select {
		case <-begun:
			t.Errorf("%q beside another export: it began", more)
		case got := <-second:
			if got.code != exitFailure || !strings.Contains(got.stderr, "another export writes") {
				t.Errorf("%q beside another export: got %+v", more, got)
			}
		}
		cancel()
	}
	close(goOn)
	if got := <-first; got.code != exitOK {
		t.Errorf("the first export: got %+v", got)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != exportLine(0)+"\n"+exportLine(1)+"\n" {
		t.Errorf("the first export: got %q, error %v", text, err)
	}
}

// An export that lacks events says so with its exit code, too.
func TestExportThatLacksEvents(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Sluice-Missing")
		_, _ = io.WriteString(w, exportLine(0)+"\n")
		w.Header().Set("Sluice-Missing", "2")
	}))
	defer s.Close()
	file := filepath.Join(t.TempDir(), "events")
	for _, args := range [][]string{{}, {"--output", file}, {"--output", file, "--json"}} {
		got := sluiceRun(t.Context(), []string{"SLUICE_SERVER=" + s.URL, "SLUICE_TOKEN=secret"}, "", append([]string{"export"}, args...)...)
		if got.code != exitFailure || !strings.Contains(got.stderr, "2 events") {
			t.Errorf("%q: got %+v", args, got)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != exportLine(0)+"\n" {
		t.Errorf("the file: got %q, error %v", text, err)
	}
}

// An export behind a cursor that has to take back all that it got begins there again.
func TestExportBeginsAgainAtItsCursor(t *testing.T) {
	s := newExportServer(t)
	file := filepath.Join(t.TempDir(), "events")
	line := []string{"export", "--output", file, "--after", "EARLIER"}
	if got := sluiceRun(t.Context(), []string{"SLUICE_SERVER=http://127.0.0.1:1", "SLUICE_TOKEN=secret"}, "", line...); got.code != 1 {
		t.Fatalf("without a server: got %+v", got)
	}
	if err := os.WriteFile(file+partSuffix, []byte(exportLine(2)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := sluiceRun(t.Context(), s.environ(), "", line...)
	if got.code != 0 || len(s.queries) != 2 || !strings.Contains(s.queries[0], "after_id=x") || !strings.Contains(s.queries[1], "after=EARLIER") {
		t.Errorf("got %+v and the queries %q, want one behind the event and one behind the cursor", got, s.queries)
	}
}

func TestExportCommand(t *testing.T) {
	s := newExportServer(t)
	dir := t.TempDir()
	if got := sluiceRun(t.Context(), s.environ(), "", "export", "--namespace", "acme", "--from", "2026-03-01", "--to", "2026-03-02", "--class", "git", "--after", "X", "a", "b"); got.code != 0 || got.stderr != "" || strings.Count(got.stdout, "\n") != 6 {
		t.Errorf("standard output: got %+v", got)
	}
	if got, want := s.queries[0], "after=X&class=git&format=ndjson&from=2026-03-01&namespace=acme&phrase=a+b&to=2026-03-02"; got != want {
		t.Errorf("got query %s, want %s", got, want)
	}
	s.cutAt = 100
	if got := sluiceRun(t.Context(), s.environ(), "", "export"); got.code != 1 || !strings.Contains(got.stderr, "not all") {
		t.Errorf("a broken connection to standard output: got %+v", got)
	}
	file := filepath.Join(dir, "f")
	for _, c := range []struct {
		args   []string
		code   int
		stderr string
		before func()
	}{
		{[]string{"--json"}, 2, "--json needs --output", nil},
		{[]string{"--format", "xml"}, 2, "must be one of", nil},
		{[]string{"--output", dir}, 2, "is a folder", nil},
		{[]string{"--output", filepath.Join(dir, "absent", "f")}, 1, "begin the export", nil},
		{[]string{"--output", file}, 1, "not from here", func() { writeFile(t, file+partSuffix, "x") }},
		{[]string{"--output", file, "--restart"}, 0, "6 events", nil},
		{[]string{"--output", file}, 1, "another export", func() { writeFile(t, file+stateSuffix, "{}") }},
	} {
		if c.before != nil {
			c.before()
		}
		if got := sluiceRun(t.Context(), s.environ(), "", append([]string{"export"}, c.args...)...); got.code != c.code || !strings.Contains(got.stderr, c.stderr) {
			t.Errorf("%q: got %+v, want code %d with %q", c.args, got, c.code, c.stderr)
		}
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDrawBar(t *testing.T) {
	for _, c := range []struct {
		n, total uint64
		want     string
	}{
		{5, 0, ""}, {0, 10, "[........................]   0 %  "}, {5, 10, "[############............]  50 %  "}, {12, 10, "[########################] 100 %  "},
	} {
		if got := drawBar(c.n, c.total); got != c.want {
			t.Errorf("%d of %d: got %q, want %q", c.n, c.total, got, c.want)
		}
	}
}

// What was posted is exported, in every format, compressed on the wire or not.
func TestExportEndToEnd(t *testing.T) {
	s := startServer(t, t.TempDir(), http.DefaultClient)
	var body strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&body, `{"id":"e%d","event_type":"project_created","entity_path":"acme/web","author_name":"nadia"}`+"\n", i)
	}
	if status := s.call("POST", "/api/v1/events", body.String(), nil); status != 200 {
		t.Fatalf("post: got status %d", status)
	}
	s.found(1000, "--limit", "5000", "type:project_created")
	code, stdout, stderr := s.command("export", "--namespace", "acme", "type:project_created")
	if code != 0 || stdout != body.String() {
		t.Errorf("export: got status %d with %d bytes and %q, want %d bytes", code, len(stdout), stderr, body.Len())
	}
	file := filepath.Join(t.TempDir(), "f.json")
	code, stdout, stderr = s.command("export", "--format", "json", "--output", file, "--json", "type:project_created")
	text, err := os.ReadFile(file)
	var list []json.RawMessage
	if code != 0 || err != nil || json.Unmarshal(text, &list) != nil || len(list) != 1000 || !strings.Contains(stdout, `"events": 1000`) {
		t.Errorf("json: got status %d with %q, %q and %d events", code, stdout, stderr, len(list))
	}
	if got := s.found(2, "type:audit_log.export"); !strings.Contains(got, `"query_phrase":"type:project_created"`) {
		t.Errorf("got %s, want both exports recorded", got)
	}
}

// A server that stops does not wait for exports, nor for their clients, which go on
// when it is back.
func TestStopEndsExports(t *testing.T) {
	data := t.TempDir()
	s := startServer(t, data, http.DefaultClient, "--shutdown-timeout", "20m")
	const events = 30 // more than fits into what lies between server and client
	for i := range events {
		body := fmt.Sprintf(`{"id":"e%d","event_type":"project_created","entity_path":"acme","text":"%s"}`, i, strings.Repeat("x", 900_000))
		if status := s.call("POST", "/api/v1/events", body, nil); status != 200 {
			t.Fatalf("post: got status %d", status)
		}
	}
	export := func(s *running, query string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/api/v1/events/export?namespace=acme&phrase=type:project_created"+query, nil)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+adminToken)
		return (&http.Transport{DisableCompression: true}).RoundTrip(r)
	}
	res, err := export(s, "")
	if err != nil {
		t.Fatal(err)
	}
	got := s.stop()
	if got.code != 0 || strings.Contains(got.stderr, "requests cut off") || !strings.Contains(got.stderr, "export cut off") {
		t.Errorf("stop: got %+v", got)
	}
	text, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a client that did not read: got %d bytes and error %v, want an answer that is cut off", len(text), err)
	}
	whole := strings.Count(string(text), "\n")
	if whole == 0 || whole == events {
		t.Fatalf("got %d of %d events, want some", whole, events)
	}
	s = startServer(t, data, http.DefaultClient)
	wait(t, "the rest, for which the index has to be open", func() bool {
		res, err := export(s, fmt.Sprintf("&after_id=e%d", whole-1))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "\n"); res.StatusCode == 200 && n != events-whole {
			t.Errorf("the rest: got %d events, want %d", n, events-whole)
		}
		return res.StatusCode == 200
	})
}
