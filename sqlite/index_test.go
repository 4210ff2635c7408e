package sqlite

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/index/indextest"
)

func openIndex(t *testing.T, dir string) index.Engine {
	t.Helper()
	x, err := OpenIndex(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestIndex(t *testing.T) { indextest.Test(t, openIndex) }

func TestIndexKill(t *testing.T) { indextest.TestKill(t, openIndex) }

// appendTo opens the index in dir and appends a chunk of n events to it.
func appendTo(t *testing.T, dir string, n int) {
	t.Helper()
	x := openIndex(t, dir)
	p, err := x.Open(t.Context(), "audit")
	if err != nil {
		t.Fatal(err)
	}
	head := index.NewHead()
	for i := range n {
		head.Add(&index.Event{Seq: uint64(i + 1), Type: "t", ID: []byte{byte(i)}, Payload: []byte("{}")})
	}
	if err := p.Append(t.Context(), head.Seal(), index.Position{Seq: uint64(n)}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Close(), x.Close()); err != nil {
		t.Fatal(err)
	}
}

// An index that takes no change, although it can be read, is made anew.
func TestIndexDamagedForChanges(t *testing.T) {
	for name, spoil := range map[string]func(*testing.T, string){
		"pages in the way": func(t *testing.T, path string) {
			execute(t, path, "INSERT INTO pages SELECT id + (1 << 24), data FROM pages")
		},
		"to be written by nobody": neverWrite,
	} {
		t.Run(name, func(t *testing.T) { damagedForChanges(t, spoil) })
	}
}

// neverWrite damages the header, so that SQLite reads the file and writes nothing.
func neverWrite(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0x21}, 18); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// A file that was damaged before it had tables does not keep the one before it from
// being opened.
func TestIndexDamagedWhenMadeAnew(t *testing.T) {
	dir := t.TempDir()
	appendTo(t, dir, 300)
	next := filepath.Join(dir, "audit-2.db")
	write(t, next, nil)
	execute(t, next, "PRAGMA user_version = 1")
	neverWrite(t, next)
	x := openIndex(t, dir)
	p, err := x.Open(t.Context(), "audit")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Position(t.Context()); err != nil || got.Seq != 300 {
		t.Errorf("got position %d and error %v, want 300", got.Seq, err)
	}
	if err := errors.Join(p.Close(), x.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(next); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the damaged file: got error %v, want %v", err, os.ErrNotExist)
	}
}

func damagedForChanges(t *testing.T, spoil func(*testing.T, string)) {
	dir := t.TempDir()
	appendTo(t, dir, 300)
	spoil(t, filepath.Join(dir, "audit-1.db"))
	x := openIndex(t, dir)
	p, err := x.Open(t.Context(), "audit")
	if err != nil {
		t.Fatal(err)
	}
	head := index.NewHead()
	head.Add(&index.Event{Seq: 301, Type: "t", ID: []byte("x"), Payload: []byte("{}")})
	if err := p.Append(t.Context(), head.Seal(), index.Position{Seq: 301}); !errors.Is(err, index.ErrDamaged) {
		t.Errorf("Append: got %v, want %v", err, index.ErrDamaged)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if p, err := x.Open(t.Context(), "audit"); !errors.Is(err, index.ErrDamaged) {
		t.Fatalf("Open: got %v and error %v, want %v", p, err, index.ErrDamaged)
	}
	anew, err := x.Renew(t.Context(), "audit")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(x.Adopt(t.Context(), anew), anew.Close()); err != nil {
		t.Fatal(err)
	}
	if p, err = x.Open(t.Context(), "audit"); err != nil {
		t.Fatalf("Open of the one that was made anew: %v", err)
	}
	if err := errors.Join(p.Close(), x.Close()); err != nil {
		t.Fatal(err)
	}
}

// A file that is no index any more is named as damaged, and can be made anew.
func TestIndexDamagedFile(t *testing.T) {
	for name, spoil := range map[string]func(*testing.T, string){
		"overwritten": func(t *testing.T, path string) { write(t, path, bytes.Repeat([]byte("x"), 100_000)) },
		"cut short": func(t *testing.T, path string) {
			if err := os.Truncate(path, 5000); err != nil {
				t.Fatal(err)
			}
		},
		"of another schema":     func(t *testing.T, path string) { execute(t, path, "UPDATE state SET schema = 99") },
		"without a state":       func(t *testing.T, path string) { execute(t, path, "DELETE FROM state") },
		"never finished":        func(t *testing.T, path string) { execute(t, path, "UPDATE state SET ready = 0") },
		"with another position": func(t *testing.T, path string) { execute(t, path, "UPDATE state SET seq = 299") },
		"without a chunk":       func(t *testing.T, path string) { execute(t, path, "DELETE FROM chunks") },
		"of another time":       func(t *testing.T, path string) { execute(t, path, "UPDATE chunks SET max_time = 7") },
		"without pages":         func(t *testing.T, path string) { execute(t, path, "ALTER TABLE pages RENAME TO sheets") },
		"something else":        func(t *testing.T, path string) { execute(t, path, "DROP TABLE chunks") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			appendTo(t, dir, 300)
			spoil(t, filepath.Join(dir, "audit-1.db"))
			x := openIndex(t, dir)
			if p, err := x.Open(t.Context(), "audit"); !errors.Is(err, index.ErrDamaged) {
				t.Fatalf("Open: got %v and error %v, want %v", p, err, index.ErrDamaged)
			}
			anew, err := x.Renew(t.Context(), "audit")
			if err != nil {
				t.Fatalf("Renew: %v", err)
			}
			if err := errors.Join(x.Adopt(t.Context(), anew), anew.Close(), x.Close()); err != nil {
				t.Fatal(err)
			}
			appendTo(t, dir, 200)
			if names, err := filepath.Glob(filepath.Join(dir, "*.db")); err != nil || len(names) != 1 {
				t.Errorf("files: got %q, error %v; want one", names, err)
			}
		})
	}
}

// What a crash leaves while an index is being made does not count.
func TestIndexUnfinishedFile(t *testing.T) {
	dir := t.TempDir()
	appendTo(t, dir, 300)
	write(t, filepath.Join(dir, "audit-2.db"), nil)
	write(t, filepath.Join(dir, "audit-3.db"), []byte("no database"))
	write(t, filepath.Join(dir, "audit-x.db"), nil)
	x := openIndex(t, dir)
	p, err := x.Open(t.Context(), "audit")
	if err != nil {
		t.Fatal(err)
	}
	if at, err := p.Position(t.Context()); err != nil || at.Seq != 300 {
		t.Errorf("Position: got %d, error %v; want 300", at.Seq, err)
	}
	if err := errors.Join(p.Close(), x.Close()); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if want := []string{filepath.Join(dir, "audit-1.db"), filepath.Join(dir, "audit-x.db")}; err != nil || !slices.Equal(names, want) {
		t.Errorf("files: got %q, error %v; want %q", names, err, want)
	}
}

func TestIndexFullDisk(t *testing.T) {
	dir := t.TempDir()
	appendTo(t, dir, 10)
	x := openIndex(t, dir)
	p, err := x.Open(t.Context(), "audit")
	if err != nil {
		t.Fatal(err)
	}
	file := p.(*indexFile)
	limit := func(pages int) {
		if _, err := file.writers.ExecContext(t.Context(), "PRAGMA max_page_count = "+strconv.Itoa(pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(20)
	large := &index.Sealed{Info: index.Info{First: 11, Last: 12, Events: 2, Pages: 1}, Pages: [][]byte{make([]byte, 1<<20)}}
	if err := p.Append(t.Context(), large, index.Position{Seq: 12}); !errors.Is(err, index.ErrFull) {
		t.Errorf("Append on a full disk: got error %v, want %v", err, index.ErrFull)
	}
	if at, err := p.Position(t.Context()); err != nil || at.Seq != 10 {
		t.Errorf("Position on a full disk: got %d, error %v; want 10", at.Seq, err)
	}
	limit(10_000)
	if err := p.Append(t.Context(), large, index.Position{Seq: 12}); err != nil {
		t.Errorf("Append when there is space again: %v", err)
	}
	if err := errors.Join(p.Close(), x.Close()); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, contents []byte) {
	t.Helper()
	if err := os.WriteFile(path, contents, 0o600); err != nil {
		t.Fatal(err)
	}
}

func execute(t *testing.T, path, statement string) {
	t.Helper()
	db, err := connect(path, Options{}.withDefaults(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
