package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A server whose control.db-wal is gone does not start, and nothing else takes what
// is left for all there was. With the file again nothing is missing; without it the
// server goes on with what is left when somebody says so.
func TestLostControlLog(t *testing.T) {
	got := &arrivals{ids: map[string]int{}}
	receiver := httptest.NewServer(got)
	defer receiver.Close()
	running, _, _ := prepared(t, receiver.URL)
	s := startServer(t, running, http.DefaultClient)
	var made struct{ Token string }
	if code := s.call("POST", "/api/v1/tokens", `{"kind":"producer","namespace":"acme","name":"since"}`, &made); code/100 != 2 {
		t.Fatalf("create token: got %d", code)
	}
	data := filepath.Join(t.TempDir(), "killed") // what a kill would leave
	copyData(t, running, data)
	stopped(t, s)
	log, aside := filepath.Join(data, controlFile+"-wal"), filepath.Join(t.TempDir(), "wal")
	if err := os.Rename(log, aside); err != nil {
		t.Fatal(err)
	}
	want := "sluice control restore --data " + data
	for range 2 { // the first has not made that file
		res := serveOnce(t, "--data", data)
		if res.code != exitFailure || !strings.Contains(res.stderr, controlFile+"-wal is not there") || !strings.Contains(res.stderr, want) {
			t.Fatalf("serve without %s-wal: got code %d: %s; want 1, the file and %q", controlFile, res.code, res.stderr, want)
		}
	}
	to := filepath.Join(t.TempDir(), "backup")
	if res := sluiceRun(t.Context(), nil, "", "backup", "--data", data, "--to", to); res.code != exitFailure || !strings.Contains(res.stderr, "is not there") {
		t.Errorf("backup: got code %d: %s; want 1 and the file", res.code, res.stderr)
	}
	wantRun(t, "is not there", "log", "verify", "--data", data)
	whole := filepath.Join(t.TempDir(), "whole")
	copyData(t, data, whole)
	if err := os.Rename(aside, filepath.Join(whole, controlFile+"-wal")); err != nil {
		t.Fatal(err)
	}
	wantSince(t, whole, made.Token, http.StatusOK)

	wantRun(t, "The control state is that of", "control", "restore", "--data", data)
	wantSince(t, data, made.Token, http.StatusUnauthorized)
}

func copyData(t *testing.T, from, to string) {
	t.Helper()
	if err := errors.Join(os.CopyFS(to, os.DirFS(from)), os.Chmod(filepath.Join(to, keyName), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// wantSince posts to the server of a folder with a token.
func wantSince(t *testing.T, data, token string, want int) {
	t.Helper()
	s := startServer(t, data, http.DefaultClient, "--existing")
	if code := postAs(t, s, token); code != want {
		t.Errorf("post with a token of the last moments: got %d, want %d", code, want)
	}
	stopped(t, s)
}

// What is newest comes first: a snapshot may be newer than what control.db holds.
func TestSourcesWithoutTheControlLog(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		lost int
		want string
	}{{13, "lost 12 10"}, {11, "12 lost 10"}, {9, "12 10 lost"}} {
		var got []string
		for _, s := range withLost([]snapshot{{"12", at(12)}, {"10", at(10)}}, snapshot{"lost", at(c.lost)}) {
			got = append(got, s.path)
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("lost since %d: got %q, want %q", c.lost, got, c.want)
		}
	}
}
