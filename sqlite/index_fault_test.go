//go:build linux

package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sluicelog/sluice/index"
)

// A file of which the disk cannot read a place is damaged: another takes its place.
func TestIndexThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/proc/self/mem", filepath.Join(dir, "audit-1.db")); err != nil { // reading its beginning is an input/output error
		t.Fatal(err)
	}
	x := openIndex(t, dir)
	if p, err := x.Open(t.Context(), "audit"); !errors.Is(err, index.ErrDamaged) {
		t.Fatalf("Open: got %v and error %v, want %v", p, err, index.ErrDamaged)
	}
	p, err := x.Renew(t.Context(), "audit")
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Adopt(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Close(), x.Close()); err != nil {
		t.Fatal(err)
	}
}

// An index that cannot be opened for want of descriptors is not damaged.
func TestIndexWithoutDescriptors(t *testing.T) {
	dir := t.TempDir()
	appendTo(t, dir, 300)
	x := openIndex(t, dir)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	limit := func(n uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
	}
	defer limit(before.Cur)
	refused := 0
	for n := uint64(4); ; n++ {
		limit(n)
		p, err := x.Open(t.Context(), "audit")
		limit(before.Cur)
		if err == nil {
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			break
		}
		if refused++; errors.Is(err, index.ErrDamaged) {
			t.Errorf("with descriptors up to %d: got %v", n, err)
		}
	}
	if refused == 0 {
		t.Error("Open was never refused")
	}
}

// An index that is not given out, since one before it cannot be removed, is closed:
// it is opened again and again.
func TestIndexNotGivenOutIsClosed(t *testing.T) {
	dir := t.TempDir()
	appendTo(t, dir, 300)
	first := filepath.Join(dir, "audit-1.db")
	if err := errors.Join(os.Rename(first, filepath.Join(dir, "audit-2.db")), os.MkdirAll(filepath.Join(first, "in the way"), 0o700)); err != nil {
		t.Fatal(err)
	}
	x := openIndex(t, dir)
	before := descriptors(t)
	for range 5 {
		if p, err := x.Open(t.Context(), "audit"); err == nil {
			t.Fatalf("Open: got %v, want an error", p)
		}
	}
	if got := descriptors(t); got > before {
		t.Errorf("descriptors: got %d, want the %d from before", got, before)
	}
	if err := os.RemoveAll(first); err != nil {
		t.Fatal(err)
	}
	p, err := x.Open(t.Context(), "audit")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Close(), x.Close()); err != nil {
		t.Fatal(err)
	}
}

// descriptors counts those that are open.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
