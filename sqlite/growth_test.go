package sqlite

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"github.com/sluicelog/sluice/store"
)

// watched counts the syncs of a file and lets them fail.
type watched struct {
	*os.File
	syncs int
	err   error
}

func (w *watched) Sync() error {
	w.syncs++
	return errors.Join(w.err, w.File.Sync())
}

// watch takes the place of the file that a store syncs again.
func watch(t *testing.T, s *Store) *watched {
	t.Helper()
	f, err := os.Open(s.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.wal.close(); err != nil {
		t.Fatal(err)
	}
	w := &watched{File: f}
	s.wal.file = w
	return w
}

func TestCommitsThatGrowTheWALAreSyncedAgain(t *testing.T) {
	s := openIn(t, t.TempDir())
	apply(t, s, store.Change{Key: "a", Value: []byte("v")})
	w := watch(t, s)
	apply(t, s, store.Change{Key: "b", Value: []byte("v")})
	if got, want := w.syncs, 1; got != want {
		t.Errorf("syncs for a commit at the end of the file: got %d, want %d", got, want)
	}
	// A checkpoint lets the file be written from its start again.
	if _, err := s.conn.ExecContext(t.Context(), "PRAGMA wal_checkpoint(RESTART)"); err != nil {
		t.Fatal(err)
	}
	w.syncs = 0
	apply(t, s, store.Change{Key: "c", Value: []byte("v")})
	if got, want := w.syncs, 0; got != want {
		t.Errorf("syncs for a commit inside the file: got %d, want %d", got, want)
	}
}

// What was committed and may not be on disk is neither answered as done nor read.
func TestACommitWhoseSecondSyncFailsIsNotAnswered(t *testing.T) {
	s := openIn(t, t.TempDir())
	apply(t, s, store.Change{Key: "a", Value: []byte("v")})
	w := watch(t, s)
	w.err = errors.New("the disk is gone")
	errs := s.Apply(t.Context(), store.Change{Key: "b", Value: make([]byte, 3*pageSize)})
	if len(errs) != 1 || !errors.Is(errs[0], store.ErrFailed) {
		t.Errorf("Apply: got %v, want %v", errs, store.ErrFailed)
	}
	for i, key := range []string{"a", "b"} {
		if _, err := s.Get(t.Context(), key); !errors.Is(err, store.ErrFailed) {
			t.Errorf("Get %s: got %v, want %v", key, err, store.ErrFailed)
		}
		errs := s.Apply(t.Context(), store.Change{Key: "c" + strconv.Itoa(i), Value: []byte("v")})
		if len(errs) != 1 || !errors.Is(errs[0], store.ErrFailed) {
			t.Errorf("Apply afterwards: got %v, want %v", errs, store.ErrFailed)
		}
	}
	for _, err := range s.List(t.Context(), "") {
		if !errors.Is(err, store.ErrFailed) {
			t.Errorf("List: got %v, want %v", err, store.ErrFailed)
		}
	}
	w.err = nil
}
