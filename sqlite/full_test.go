package sqlite

import (
	"errors"
	"strconv"
	"testing"

	"github.com/sluicelog/sluice/store"
)

// limitPages makes SQLite answer as on a full disk when the file would pass n
// pages beyond its present ones.
func limitPages(t *testing.T, s *Store, n int) {
	t.Helper()
	var pages int
	if err := s.conn.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := s.conn.ExecContext(t.Context(), "PRAGMA max_page_count = "+strconv.Itoa(pages+n)); err != nil {
		t.Fatal(err)
	}
}

func TestFullDiskHeals(t *testing.T) {
	s := openIn(t, t.TempDir())
	apply(t, s, store.Change{Key: "before", Value: []byte("v")})
	limitPages(t, s, 20)
	large := make([]byte, 100*pageSize)
	var v uint64
	errs := s.Apply(t.Context(), store.Change{Key: "large", Value: large, NewVersion: &v})
	if len(errs) != 1 || !errors.Is(errs[0], store.ErrFull) || v != 0 {
		t.Fatalf("Apply on a full disk: got %v and version %d, want %v and none", errs, v, store.ErrFull)
	}
	if _, err := s.Get(t.Context(), "large"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of what did not fit: got error %v, want %v", err, store.ErrNotFound)
	}
	if _, err := s.Get(t.Context(), "before"); err != nil {
		t.Errorf("Get on a full disk: %v", err)
	}
	limitPages(t, s, 1000)
	apply(t, s, store.Change{Key: "large", Value: large, NewVersion: &v})
	if v == 0 {
		t.Error("version after the disk healed: got 0")
	}
}

// What does not fit must not take down what shares its transaction and does.
func TestFullDiskKeepsSmallChanges(t *testing.T) {
	s := openIn(t, t.TempDir())
	var v uint64
	apply(t, s, store.Change{Key: "cursor", Value: []byte("1"), NewVersion: &v})
	limitPages(t, s, 20)
	errs := s.Apply(t.Context(),
		store.Change{Key: "cursor", Value: []byte("2"), Version: v},
		store.Change{Key: "large", Value: make([]byte, 100*pageSize)},
		store.Change{Key: "cursor", Value: []byte("3"), Version: v},
		store.Change{Key: "small", Value: []byte("v")},
	)
	if len(errs) != 4 {
		t.Fatalf("Apply: got %v, want 4 answers", errs)
	}
	for i, want := range []error{nil, store.ErrFull, store.ErrConflict, nil} {
		if !errors.Is(errs[i], want) {
			t.Errorf("answer %d: got %v, want %v", i, errs[i], want)
		}
	}
	r, err := s.Get(t.Context(), "cursor")
	if err != nil || string(r.Value) != "2" {
		t.Errorf("Get of the small change: got %q, error %v; want 2", r.Value, err)
	}
}

// A version given by a transaction that was taken back must not be given again
// after a restart, nor may the reservation be believed that went with it.
func TestReservationIsTakenBackWithItsTransaction(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	limitPages(t, s, 20)
	errs := s.Apply(t.Context(), store.Change{Key: "large", Value: make([]byte, 100*pageSize)})
	if !errors.Is(errors.Join(errs...), store.ErrFull) {
		t.Fatalf("Apply on a full disk: got %v, want %v", errs, store.ErrFull)
	}
	if s.reserved != 0 {
		t.Errorf("reserved after a rollback: got %d, want 0", s.reserved)
	}
	var v, w uint64
	apply(t, s, store.Change{Key: "a", Value: []byte("v"), NewVersion: &v})
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	apply(t, openIn(t, dir), store.Change{Key: "b", Value: []byte("v"), NewVersion: &w})
	if w <= v {
		t.Errorf("version after reopen: got %d, want one above %d", w, v)
	}
}

// After an error that leaves open what is on disk, nothing more is written or told.
func TestFailedCommitEndsWriting(t *testing.T) {
	s := openIn(t, t.TempDir())
	apply(t, s, store.Change{Key: "a", Value: []byte("v")})
	if err := s.commit.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		errs := s.Apply(t.Context(), store.Change{Key: "b", Value: []byte("v")}, store.Change{Key: "c", Value: []byte("v")})
		if len(errs) != 2 || !errors.Is(errs[0], store.ErrFailed) || !errors.Is(errs[1], store.ErrFailed) {
			t.Errorf("Apply %d after a failed commit: got %v, want %v twice", i, errs, store.ErrFailed)
		}
	}
	if r, err := s.Get(t.Context(), "a"); !errors.Is(err, store.ErrFailed) {
		t.Errorf("Get after a failed commit: got %q, error %v; want %v", r.Value, err, store.ErrFailed)
	}
}

func TestGroupSize(t *testing.T) {
	call := func(changes, bytes int) *request {
		r := &request{changes: make([]store.Change, changes)}
		r.changes[0].Value = make([]byte, bytes)
		return r
	}
	for _, c := range []struct {
		name  string
		queue []*request
		want  int
	}{
		{"one", []*request{call(1, 10)}, 1},
		{"several small", []*request{call(1, 10), call(2, 10), call(3, 10)}, 3},
		{"one too large", []*request{call(1, 3*groupBytes), call(1, 10)}, 1},
		{"large behind small", []*request{call(1, 10), call(1, groupBytes)}, 1},
		{"many changes", []*request{call(groupChanges-1, 0), call(1, 0), call(1, 0)}, 2},
	} {
		if got := groupSize(c.queue); got != c.want {
			t.Errorf("%s: got %d calls in the group, want %d", c.name, got, c.want)
		}
	}
}

func TestPrefixEnd(t *testing.T) {
	for _, c := range []struct{ prefix, want string }{
		{"", "\xff"}, {"a", "b"}, {"a/", "a0"}, {"é", "ê"}, {"a\u007f", "a\x80"}, {"\xff", "\xff"},
	} {
		if got := prefixEnd(c.prefix); got != c.want {
			t.Errorf("prefixEnd(%q): got %q, want %q", c.prefix, got, c.want)
		}
	}
}
