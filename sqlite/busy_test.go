package sqlite

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicelog/sluice/store"
)

// Another program that keeps the write lock is waited for, and then said to be there;
// when it is done, the same change is carried out.
func TestBusyHeals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.db")
	s, err := OpenStore(path, Options{BusyTimeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	other, err := connect(path, Options{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	var version uint64
	change := store.Change{Key: "cursor", Value: []byte("1"), NewVersion: &version}
	if errs := s.Apply(t.Context(), change); len(errs) != 1 || !errors.Is(errs[0], store.ErrBusy) || version != 0 {
		t.Errorf("while it is locked: got %v and version %d, want %v and none", errs, version, store.ErrBusy)
	}
	if _, err := s.Get(t.Context(), "cursor"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("read while it is locked: got %v, want %v", err, store.ErrNotFound)
	}
	if _, err := other.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	apply(t, s, change)
	if version == 0 || s.Cause() != nil {
		t.Errorf("version %d and cause %v when it is free again", version, s.Cause())
	}
}
