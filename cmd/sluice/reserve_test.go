package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReserve keeps space while there is some, gives it back when there is none at
// a start, and keeps it again later.
func TestReserve(t *testing.T) {
	const floor = 64 << 20
	free := uint64(1 << 30)
	r := &reserve{path: filepath.Join(t.TempDir(), reserveFile), floor: floor, lg: slog.New(slog.DiscardHandler),
		free: func() (uint64, error) { return free, nil }}
	is := func(what string, want bool) {
		t.Helper()
		info, err := os.Stat(r.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if got := err == nil && info.Size() == reserveSize; got != want {
			t.Errorf("%s: the reserve is there: got %v, want %v", what, got, want)
		}
	}
	do := func(f func() error) {
		t.Helper()
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	release := func() error { return r.release(t.Context()) }
	do(release)
	do(r.keep)
	is("with room", true)
	do(release)
	is("a start with room", true)
	if err := r.advise(errors.New("broken")); err.Error() != "broken" {
		t.Errorf("with room: advised %q", err)
	}
	free = floor + reserveSize - 1
	do(release)
	is("a start near the floor", true)
	free = 0
	if err := r.advise(errors.New("locked")); err.Error() != "locked" {
		t.Errorf("while the reserve is there: advised %q", err)
	}
	do(release)
	is("a start on a full disk", false)
	do(release)
	if err := r.advise(errors.New("broken")); !strings.Contains(err.Error(), "broken\n") || !strings.Contains(err.Error(), "free 4MiB there") {
		t.Errorf("on a full disk: advised %q", err)
	}
	free = floor + reserveSize - 1
	do(r.keep)
	is("near the floor", false)
	free++
	if err := os.WriteFile(r.path, []byte("cut by a crash"), 0o600); err != nil {
		t.Fatal(err)
	}
	do(r.keep)
	is("with room again", true)
}
