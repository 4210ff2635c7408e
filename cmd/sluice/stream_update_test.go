package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// TestStreamUpdate changes streams of a real server as their owners would.
func TestStreamUpdate(t *testing.T) {
	s := startServer(t, filepath.Join(t.TempDir(), "data"), http.DefaultClient)
	environ := []string{"SLUICE_SERVER=" + s.url, "SLUICE_TOKEN=" + adminToken}
	for _, c := range []struct {
		line   string
		code   int
		stdout string
	}{
		{"stream create --namespace acme --url http://127.0.0.1:1/in --inactive", exitOK, "Created stream 1"},
		{"stream update 1 --set format=array --name siem", exitOK, "Changed stream 1: acme to http, paused."}, // the stored concurrency goes
		{"stream show 1", exitOK, `"format": "array"`},
		{"stream update 1 --set format=null --set concurrency=1", exitOK, ""},
		{"stream update 1 --set format=array --set concurrency=1", exitFailure, ""}, // they exclude each other
		{"stream update 1 --set format=array", exitOK, ""},
		{"stream update 1 --set url=null", exitFailure, ""},
		{"stream update 1 --event-type repo.create", exitOK, ""},
		{"stream show 1", exitOK, `"repo.create"`},
	} {
		got := sluiceRun(t.Context(), environ, "", strings.Fields(c.line)...)
		if got.code != c.code || !strings.Contains(got.stdout, c.stdout) {
			t.Errorf("sluice %s: got %+v, want code %d, stdout with %q", c.line, got, c.code, c.stdout)
		}
	}
}

// TestCreateChecksWithTheStreamsToken: the receiver sees one token, before and
// after the stream was created.
func TestCreateChecksWithTheStreamsToken(t *testing.T) {
	tokens := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case tokens <- r.Header.Get("X-Gitlab-Event-Streaming-Token"):
		default: // the first one counts
		}
	}))
	defer receiver.Close()
	s := startServer(t, filepath.Join(t.TempDir(), "data"), http.DefaultClient)
	environ := []string{"SLUICE_SERVER=" + s.url, "SLUICE_TOKEN=" + adminToken}
	got := sluiceRun(t.Context(), environ, "", "stream", "create", "--namespace", "acme", "--url", receiver.URL, "--check")
	var view streamView
	s.call("GET", "/api/v1/streams/1", "", &view)
	if checked := <-tokens; got.code != exitOK || len(checked) != 24 || view.Token != checked {
		t.Errorf("create --check: got %+v, token %q, want that of the check, %q", got, view.Token, checked)
	}
}
