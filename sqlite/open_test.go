package sqlite

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/store"
)

func TestOpenSettings(t *testing.T) {
	s := openIn(t, t.TempDir())
	for _, c := range []struct{ pragma, want string }{
		{"journal_mode", "wal"},
		{"synchronous", "2"},
		{"page_size", "4096"},
		{"wal_autocheckpoint", "1000"},
		{"journal_size_limit", "8192000"},
		{"busy_timeout", "5000"},
		{"query_only", "0"},
	} {
		var got string
		if err := s.conn.QueryRowContext(t.Context(), "PRAGMA "+c.pragma).Scan(&got); err != nil || got != c.want {
			t.Errorf("%s of the writing connection: got %s, error %v; want %s", c.pragma, got, err, c.want)
		}
	}
	var queryOnly string
	if err := s.readers.QueryRowContext(t.Context(), "PRAGMA query_only").Scan(&queryOnly); err != nil || queryOnly != "1" {
		t.Errorf("query_only of a reading connection: got %s, error %v; want 1", queryOnly, err)
	}
}

func TestOpenFileModes(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	apply(t, s, store.Change{Key: "a", Value: []byte("v")})
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 4 {
		t.Errorf("files of an open store: got %v, error %v; want database, WAL, shared memory and lock", files, err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("mode of %s: got %v, error %v; want 0600", f.Name(), info.Mode(), err)
		}
	}
}

// The last connection empties the WAL into the database: a copy of the one file
// of a stopped server is a whole backup.
func TestCloseLeavesOneFile(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	apply(t, s, store.Change{Key: "a", Value: []byte("v")})
	if _, err := s.Get(t.Context(), "a"); err != nil {
		t.Errorf("Get: %v", err)
	}
	for range s.List(t.Context(), "") {
		break
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	for _, name := range []string{"control.db-wal", "control.db-shm"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s after Close: got error %v, want %v", name, err, os.ErrNotExist)
		}
	}
}

func TestOpenOnce(t *testing.T) {
	dir := t.TempDir()
	first := openIn(t, dir)
	locked := 0
	o := Options{Locked: func() error { locked++; return os.ErrPermission }}
	_, err := OpenStore(filepath.Join(dir, "control.db"), o)
	want := "in use by process " + strconv.Itoa(os.Getpid())
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("second OpenStore: got error %v, want one that says %q", err, want)
	}
	if err := first.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if locked != 0 {
		t.Error("Locked was called while another had the lock")
	}
	if _, err := OpenStore(filepath.Join(dir, "control.db"), o); !errors.Is(err, os.ErrPermission) || locked != 1 {
		t.Errorf("got error %v and Locked called %d times, want its own and 1", err, locked)
	}
	openIn(t, dir)
}

func TestOpenAwkwardPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%20&e=é;")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	apply(t, openIn(t, dir), store.Change{Key: "a", Value: []byte("v")})
	if _, err := os.Stat(filepath.Join(dir, "control.db-wal")); err != nil {
		t.Errorf("the database is not where it was asked for: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	newer := func(t *testing.T, path string) {
		s, err := OpenStore(path, Options{})
		if err != nil {
			t.Fatalf("OpenStore: %v", err)
		}
		if _, err := s.conn.ExecContext(t.Context(), "UPDATE meta SET value = 3, sum = ? WHERE name = 'schema'", metaSum(metaSchema, 3)); err != nil {
			t.Fatalf("raise the schema: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	foreign := func(t *testing.T, path string) {
		db, err := connect(path, Options{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := createFile(path); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("CREATE TABLE recipes(name)"); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	text := func(t *testing.T, path string) {
		if err := os.WriteFile(path, bytes.Repeat([]byte("not a database\n"), 1000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	folder := func(t *testing.T, path string) {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		make func(*testing.T, string)
		want string
	}{
		{"newer schema", newer, "schema 3 and this program knows schemas up to 2 only"},
		{"another program's database", foreign, "database of something else"},
		{"text", text, "not a database"},
		{"folder", folder, "is a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "control.db")
			c.make(t, path)
			for range 2 { // the second shows that the first gave its lock back
				s, err := OpenStore(path, Options{})
				if err == nil {
					t.Fatalf("OpenStore: got no error, want one (Close: %v)", s.Close())
				}
				if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("OpenStore: got error %q, want one with the path and %q", err, c.want)
				}
			}
		})
	}
	if _, err := OpenStore(filepath.Join(t.TempDir(), "absent", "control.db"), Options{}); err == nil {
		t.Error("OpenStore in an absent folder: got no error")
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	var changes []store.Change
	for i := range 2000 {
		changes = append(changes, store.Change{Key: "key/" + strconv.Itoa(i), Value: []byte("some value")})
	}
	apply(t, s, changes...)
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("Check of a sound store: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if err := s.Check(t.Context()); err == nil {
		t.Error("Check of a closed store: got no error")
	}
	path := filepath.Join(dir, "control.db")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A page in the middle of the tree.
	page := len(b) / pageSize / 2 * pageSize
	copy(b[page:page+pageSize], bytes.Repeat([]byte{0x5a}, pageSize))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := OpenStore(path, Options{}); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("OpenStore of a damaged file: got %v, error %v; want %v", s, err, store.ErrDamaged)
	}
}

func apply(t testing.TB, s *Store, changes ...store.Change) {
	t.Helper()
	for i, err := range s.Apply(t.Context(), changes...) {
		if err != nil {
			t.Fatalf("apply change %d: %v", i, err)
		}
	}
}
