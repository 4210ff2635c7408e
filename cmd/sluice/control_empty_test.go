package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/sqlite"
)

// Control state that was emptied, that does not know the log beside it, or that is
// another server's, is taken neither for that of a first start nor into a backup, and
// the snapshot takes its place.
func TestEmptyControlState(t *testing.T) {
	got := &arrivals{ids: map[string]int{}}
	receiver := httptest.NewServer(got)
	defer receiver.Close()
	data, _, _ := prepared(t, receiver.URL)
	other, _, _ := prepared(t, receiver.URL)
	path, to := filepath.Join(data, controlFile), filepath.Join(t.TempDir(), "backup")
	wantRun(t, "is complete", "backup", "--data", data, "--to", to)
	for name, empty := range map[string]func() error{
		"no byte":   func() error { return os.Truncate(path, 0) },
		"one byte":  func() error { return os.Truncate(path, 1) }, // SQLite takes it for none
		"no record": func() error { return newStore(path) },
		"of another server": func() error {
			b, err := os.ReadFile(filepath.Join(other, controlFile))
			return errors.Join(err, os.WriteFile(path, b, 0o600))
		},
	} {
		if err := empty(); err != nil {
			t.Fatal(err)
		}
		before := sizeOf(t, path)
		want := "sluice control restore --data " + data
		if res := serveOnce(t, "--data", data); res.code != exitFailure || !strings.Contains(res.stderr, want) {
			t.Fatalf("%s: serve: got code %d: %s; want 1 and %q", name, res.code, res.stderr, want)
		}
		if after := sizeOf(t, path); after != before {
			t.Errorf("%s: serve changed the file: got %d bytes, want %d", name, after, before)
		}
		if res := sluiceRun(t.Context(), nil, "", "backup", "--data", data, "--to", to); res.code == exitOK {
			t.Errorf("%s: a backup was made: %s", name, res.stdout)
		}
		wantRun(t, "The control state is that of", "control", "restore", "--data", data)
	}
	wantRun(t, "is whole", "restore", "--from", to, "--check")
	wantRun(t, "new identity", "restore", "--from", to, "--data", filepath.Join(t.TempDir(), "again"))
	wantRun(t, "anchor: holds", "log", "verify", "--data", data)
	s := startServer(t, data, http.DefaultClient, "--existing")
	s.post(30, 31)
	stopped(t, s)
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// newStore puts a store without a record at path.
func newStore(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	s, err := sqlite.OpenStore(path, sqlite.Options{})
	if err != nil {
		return err
	}
	return s.Close()
}
