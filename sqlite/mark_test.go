package sqlite

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicelog/sluice/store"
)

// marked plays changes of a store and, at moments of them, what a kill leaves of its
// files there.
type marked struct {
	*testing.T
	*Store
	dir      string
	answered map[string]string // what was answered as done
	writing  map[string]string // what is being written
	versions map[string]uint64
	first    string // a copy of a log of earlier times
	refused  int    // copies that were refused for a lost log
	moments  int
	foreign  int // copies with a log of earlier times
}

// moment looks at copies of the files: with the log, without it, and with one that
// is not what it was.
func (m *marked) moment(name string) {
	m.Helper()
	m.moments++
	db, log := readFile(m.T, m.path), readFile(m.T, m.path+"-wal")
	whole := m.files(db, log)
	m.wantWhole(name+", all files", whole)

	foreign := m.files(db, log)
	other, err := connect(foreign, Options{}.withDefaults(), 1)
	if err == nil {
		_, err = other.Exec("SELECT count(*) FROM records")
		err = errors.Join(err, other.Close())
	}
	if _, left := os.Stat(foreign + "-wal"); err != nil || !errors.Is(left, os.ErrNotExist) {
		m.Fatalf("%s: opened by another program: got error %v, and looking for the log %v", name, err, left)
	}
	m.wantWhole(name+", another program has emptied the log", foreign)

	for cut, log := range map[string][]byte{"no log": nil, "an empty log": {}, "half a head": log[:min(20, len(log))], "a head alone": log[:min(32, len(log))]} {
		m.wantNoLoss(name+", "+cut, m.files(db, log))
	}
	if m.first == "" {
		m.first = string(log)
	} else if _, ok := decodeMark(db[len(db)-len(db)%pageSize:]); ok && m.first[:walHeaderSize] != string(log[:walHeaderSize]) {
		m.foreign++
		m.wantNoLoss(name+", a log of earlier times", m.files(db, []byte(m.first)))
	}
}

// files writes a database, and a log unless that is nil.
func (m *marked) files(db, log []byte) (path string) {
	m.Helper()
	path = filepath.Join(m.TempDir(), "control.db")
	err := os.WriteFile(path, db, 0o600)
	if log != nil {
		err = errors.Join(err, os.WriteFile(path+"-wal", log, 0o600))
	}
	if err != nil {
		m.Fatal(err)
	}
	return path
}

// wantWhole wants the store at path to open with everything that was answered.
func (m *marked) wantWhole(name, path string) {
	m.Helper()
	s, err := OpenStore(path, Options{})
	if err != nil {
		m.Errorf("%s: OpenStore: %v", name, err)
		return
	}
	if !m.holdsAll(s) {
		m.Errorf("%s: changes that were answered are not there", name)
	}
	if err := s.Close(); err != nil {
		m.Errorf("%s: Close: %v", name, err)
	}
	if _, left, err := readMark(path); left || err != nil {
		m.Errorf("%s: a closed store has a mark, or cannot be read: %v", name, err)
	}
}

// wantNoLoss wants the store at path to be refused, unless it has everything that
// was answered. Who refuses changes nothing.
func (m *marked) wantNoLoss(name, path string) {
	m.Helper()
	before := string(readFile(m.T, path))
	s, err := OpenStore(path, Options{})
	if _, ok := errors.AsType[*LostLog](err); ok && errors.Is(err, store.ErrDamaged) {
		m.refused++
		if got := string(readFile(m.T, path)); got != before {
			m.Errorf("%s: refused, and the file is another", name)
		}
		if _, err := Peek(m.Context(), path, ""); !errors.Is(err, store.ErrDamaged) {
			m.Errorf("%s: Peek: got error %v, want %v", name, err, store.ErrDamaged)
		}
		if err := Copy(m.Context(), path, path+".copy"); !errors.Is(err, store.ErrDamaged) {
			m.Errorf("%s: Copy: got error %v, want %v", name, err, store.ErrDamaged)
		}
		return
	}
	if errors.Is(err, store.ErrDamaged) {
		return // a checkpoint that was cut off
	}
	if err != nil {
		m.Errorf("%s: OpenStore: %v", name, err)
		return
	}
	if !m.holdsAll(s) {
		m.Errorf("%s: it opens, and changes that were answered are not there", name)
	}
	if err := s.Close(); err != nil {
		m.Errorf("%s: Close: %v", name, err)
	}
}

// holdsAll reports whether s has what was answered, and what is being written or
// nothing of it.
func (m *marked) holdsAll(s *Store) bool {
	got := map[string]string{}
	for r, err := range s.List(m.Context(), "") {
		if err != nil {
			m.Errorf("List: %v", err)
			return false
		}
		got[r.Key] = string(r.Value)
	}
	return maps.Equal(got, m.answered) || m.writing != nil && maps.Equal(got, m.writing)
}

// change carries out one transaction.
func (m *marked) change(changes ...store.Change) {
	m.Helper()
	m.writing = maps.Clone(m.answered)
	given := make([]uint64, len(changes))
	for i := range changes {
		c := &changes[i]
		c.Version, c.NewVersion = m.versions[c.Key], &given[i]
		if c.Value == nil {
			delete(m.writing, c.Key)
		} else {
			m.writing[c.Key] = string(c.Value)
		}
	}
	apply(m.T, m.Store, changes...)
	for i, c := range changes {
		m.versions[c.Key] = given[i]
	}
	m.answered, m.writing = m.writing, nil
}

// stepped looks at each step of the writing of a mark.
type stepped struct {
	*os.File
	m *marked
}

func (s stepped) Write(b []byte) (int, error) {
	s.m.moment("before the mark")
	n, err := s.File.Write(b[:10])
	s.m.moment("in the mark")
	if err == nil {
		n, err = s.File.Write(b[10:])
		n += 10
	}
	return n, err
}

func (s stepped) Sync() error {
	s.m.moment("behind the mark")
	return s.File.Sync()
}

// fullPages are what the log of a [marked] store holds before it is copied.
const fullPages = 40

func newMarked(t *testing.T) *marked {
	m := &marked{T: t, dir: t.TempDir(), answered: map[string]string{}, versions: map[string]uint64{}}
	m.Store = openIn(t, m.dir)
	m.mark.file = stepped{m.mark.file.(*os.File), m}
	if _, err := m.conn.ExecContext(t.Context(), fmt.Sprint("PRAGMA wal_autocheckpoint=", fullPages)); err != nil {
		t.Fatal(err)
	}
	return m
}

// Whatever was answered is there, or its absence is told, at every moment of a
// store's life and whatever became of its log; and nothing is refused of which
// nothing is missing.
func TestALostLogIsTold(t *testing.T) {
	m := newMarked(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	value := func(size int) []byte { return []byte(strings.Repeat(string(rune('a'+rnd.IntN(26))), size)) }
	for i := range 24 {
		key := fmt.Sprint("key ", rnd.IntN(6))
		switch {
		case i == 5: // the log is full at once
			m.change(store.Change{Key: "large", Value: value(fullPages * pageSize)})
		case i == 12: // by and by
			for range 4 {
				m.change(store.Change{Key: "large", Value: value(fullPages / 3 * pageSize)})
			}
		case i == 17: // while somebody reads, so that it cannot begin anew
			tx, err := m.readers.Begin()
			if err == nil {
				_, err = tx.Exec("SELECT count(*) FROM records")
			}
			if err != nil {
				t.Fatal(err)
			}
			m.change(store.Change{Key: "large", Value: value(fullPages * pageSize)})
			m.moment("beside a reader")
			m.change(store.Change{Key: key, Value: value(10)})
			m.moment("beside a reader")
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
		case i == 20:
			m.change(store.Change{Key: "large"})
		default:
			m.change(store.Change{Key: key, Value: value(rnd.IntN(5000))})
		}
		m.moment(fmt.Sprint("change ", i))
	}
	want := 3 * 20 // of most moments all four ways to lose the log
	if m.refused < want || m.foreign < 10 {
		t.Errorf("refused %d times at %d moments, %d with a log of earlier times; want at least %d, and 10 such", m.refused, m.moments, m.foreign, want)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m.wantWhole("stopped", m.path)
}

// A store whose log was found, and marked by nobody, is marked by who opens it.
func TestAnOlderLogIsMarked(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	apply(t, s, store.Change{Key: "a", Value: []byte("v")})
	path := filepath.Join(t.TempDir(), "control.db")
	db := readFile(t, s.path)
	if err := errors.Join(os.WriteFile(path, db[:len(db)-markSize], 0o600), copyFile(s.path+"-wal", path+"-wal")); err != nil {
		t.Fatal(err)
	}
	made := time.Unix(1_700_000_000, 0)
	if err := os.Chtimes(path, made, made); err != nil {
		t.Fatal(err)
	}
	openIn(t, filepath.Dir(path))
	bare := filepath.Join(t.TempDir(), "control.db")
	if err := copyFile(path, bare); err != nil {
		t.Fatal(err)
	}
	_, err := OpenStore(bare, Options{})
	if lost, ok := errors.AsType[*LostLog](err); !ok || !lost.Since.Equal(made) {
		t.Errorf("OpenStore without the log: got %v, want one lost since %v", err, made)
	}
}

// Snapshots and copies of an open store are stores by themselves.
func TestCopiesHaveNoMark(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	apply(t, s, store.Change{Key: "a", Value: []byte("v")})
	if _, marked, err := readMark(s.path); !marked || err != nil {
		t.Fatalf("the store: got no mark, error %v", err)
	}
	for name, write := range map[string]func(path string) error{
		"snapshot": func(path string) error { return s.Snapshot(t.Context(), path) },
		"copy":     func(path string) error { return Copy(t.Context(), s.path, path) },
	} {
		path := filepath.Join(t.TempDir(), "control.db")
		if err := write(path); err != nil {
			t.Fatal(err)
		}
		if b := readFile(t, path); len(b)%pageSize != 0 {
			t.Errorf("%s: got %d bytes, want whole pages", name, len(b))
		}
		if _, err := openIn(t, filepath.Dir(path)).Get(t.Context(), "a"); err != nil {
			t.Errorf("%s: Get: %v", name, err)
		}
	}
}

// What is left when the log is lost takes the store's place when it is asked for.
func TestReplaceByAStoreWithoutItsLog(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		s := openIn(t, t.TempDir())
		apply(t, s, store.Change{Key: "before", Value: make([]byte, checkpointPages*pageSize)}) // fills the log
		apply(t, s, store.Change{Key: "lost", Value: []byte("v")})
		path := filepath.Join(t.TempDir(), "control.db")
		if err := copyFile(s.path, path); err != nil {
			t.Fatal(err)
		}
		if foreign {
			other := openIn(t, t.TempDir())
			apply(t, other, store.Change{Key: "another's", Value: []byte("v")})
			if err := copyFile(other.path+"-wal", path+"-wal"); err != nil {
				t.Fatal(err)
			}
		}
		if err := Replace(t.Context(), Replacement{Path: path, From: path, Aside: path + ".damaged"}); err != nil {
			t.Fatalf("Replace: %v", err)
		}
		got := openIn(t, filepath.Dir(path))
		if _, err := got.Get(t.Context(), "before"); err != nil {
			t.Errorf("foreign log %v: Get of what was there: %v", foreign, err)
		}
		for _, key := range []string{"lost", "another's"} {
			if _, err := got.Get(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("foreign log %v: Get of %q: got %v, want %v", foreign, key, err, store.ErrNotFound)
			}
		}
	}
}

// sick fails to write or to sync a mark.
type sick struct {
	*os.File
	write, sync error
}

func (s *sick) Write(b []byte) (int, error) {
	if s.write != nil {
		return 0, s.write
	}
	return s.File.Write(b)
}

func (s *sick) Sync() error { return errors.Join(s.sync, s.File.Sync()) }

// A full disk keeps no change back for a mark; the next that finds space is marked.
// After another error nothing is written, as after one of a commit.
func TestMarksThatCannotBeWritten(t *testing.T) {
	open := func() (*Store, *sick) {
		s := openIn(t, t.TempDir())
		if _, err := s.conn.ExecContext(t.Context(), "PRAGMA wal_checkpoint(RESTART)"); err != nil {
			t.Fatal(err)
		}
		f := &sick{File: s.mark.file.(*os.File)}
		s.mark.file = f
		return s, f
	}
	s, f := open()
	f.write = &os.PathError{Op: "write", Path: s.path, Err: syscall.ENOSPC}
	apply(t, s, store.Change{Key: "a", Value: []byte("v")})
	if _, marked, err := readMark(s.path); marked || err != nil {
		t.Errorf("on a full disk: got mark %v, error %v", marked, err)
	}
	f.write = nil
	apply(t, s, store.Change{Key: "b", Value: []byte("v")})
	if _, marked, err := readMark(s.path); !marked || err != nil {
		t.Errorf("when there is space again: got mark %v, error %v", marked, err)
	}
	for _, c := range []sick{{write: syscall.EIO}, {sync: syscall.EIO}} {
		s, f := open()
		f.write, f.sync = c.write, c.sync
		for range 2 {
			if errs := s.Apply(t.Context(), store.Change{Key: "a", Value: []byte("v")}); !errors.Is(errors.Join(errs...), store.ErrFailed) {
				t.Errorf("Apply: got %v, want %v", errs, store.ErrFailed)
			}
		}
	}
}

func TestDecodeMark(t *testing.T) {
	l := inLog{salts: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, frames: 9, since: time.Unix(10, 0)}
	b := l.encode()
	if got, ok := decodeMark(b); !ok || got != l || len(b) != markSize {
		t.Errorf("got %+v, %v of %d bytes, want %+v of %d", got, ok, len(b), l, markSize)
	}
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			if _, ok := decodeMark(b); ok {
				t.Errorf("a mark with bit %d of byte %d flipped verifies", bit, i)
			}
			b[i] ^= 1 << bit
		}
	}
}
