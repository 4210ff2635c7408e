package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sluicelog/sluice/store"
)

func TestSnapshotAndReplace(t *testing.T) {
	dir := t.TempDir()
	want := makeVaried(t, dir)
	path, snapshot := filepath.Join(dir, "control.db"), filepath.Join(dir, "snapshot")
	s := openIn(t, dir)
	if err := s.Snapshot(t.Context(), snapshot); err != nil {
		t.Fatalf("Snapshot: %v", err)
	}
	if info, err := os.Stat(snapshot); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode of the snapshot: got %v, error %v; want 0600", info.Mode(), err)
	}
	var v uint64
	apply(t, s, store.Change{Key: "later", Value: []byte("v"), NewVersion: &v})
	replacement := Replacement{Path: path, From: snapshot, Aside: path + ".damaged"}
	if err := Replace(t.Context(), replacement); err == nil {
		t.Error("Replace of an open store: got no error")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	old := readFile(t, path)
	replacement.Adjust = func(ctx context.Context, s store.Store) error {
		return errors.Join(s.Apply(ctx, store.Change{Key: "zzz", Value: []byte("adjusted")})...)
	}
	if err := Replace(t.Context(), replacement); err != nil {
		t.Fatalf("Replace: %v", err)
	}
	if got := readFile(t, replacement.Aside); string(got) != string(old) {
		t.Error("the replaced file is not where it was to be kept")
	}
	s = openIn(t, dir)
	r, err := s.Get(t.Context(), "zzz")
	if err != nil || string(r.Value) != "adjusted" || r.Version <= v+versionsLost/2 {
		t.Errorf("what Adjust wrote: got %q of version %d, error %v; want adjusted, of a version far above %d", r.Value, r.Version, err, v)
	}
	wantRecords(t, s, append(want, r))
}

// What is left of a cut off replacement is no hindrance, and neither is a store
// that is gone.
func TestReplaceAgain(t *testing.T) {
	dir := t.TempDir()
	want := makeVaried(t, dir)
	path := filepath.Join(dir, "control.db")
	snapshot := filepath.Join(dir, "snapshot")
	if err := os.Rename(path, snapshot); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"control.db-wal", "control.db-shm", "control.db.new", "control.db.new-wal"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("left behind"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Replace(t.Context(), Replacement{Path: path, From: snapshot, Aside: path + ".damaged"}); err != nil {
		t.Fatalf("Replace: %v", err)
	}
	wantRecords(t, openIn(t, dir), want)
	if got := string(readFile(t, path+".damaged-wal")); got != "left behind" {
		t.Errorf("the old write-ahead log: got %q, want it kept", got)
	}
}

func TestReplaceByDamaged(t *testing.T) {
	dir := t.TempDir()
	makeVaried(t, dir)
	path, snapshot := filepath.Join(dir, "control.db"), filepath.Join(dir, "snapshot")
	b := readFile(t, path)
	b[5*pageSize+3] ^= 1
	if err := os.WriteFile(snapshot, b, 0o600); err != nil {
		t.Fatal(err)
	}
	before := readFile(t, path)
	err := Replace(t.Context(), Replacement{Path: path, From: snapshot, Aside: path + ".damaged"})
	if !errors.Is(err, store.ErrDamaged) {
		t.Errorf("Replace by a damaged snapshot: got error %v, want %v", err, store.ErrDamaged)
	}
	if got := readFile(t, path); string(got) != string(before) {
		t.Error("the store was changed")
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Errorf("files left: got %v, error %v; want the store, its lock and the snapshot", files, err)
	}
}

// Of a store whose write-ahead log is damaged all is kept that lies before that.
func TestReplaceByWhatCanBeRead(t *testing.T) {
	folder, wal := crashed(t)
	path := filepath.Join(folder, "control.db")
	ends := commitsOf(wal)
	wal[ends[20]+500] ^= 4
	if err := os.WriteFile(path+"-wal", wal, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(path, Options{}); !errors.Is(err, store.ErrDamaged) {
		t.Fatalf("OpenStore: got error %v, want %v", err, store.ErrDamaged)
	}
	if _, err := Peek(t.Context(), path, ""); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("Peek: got error %v, want %v", err, store.ErrDamaged)
	}
	if err := Replace(t.Context(), Replacement{Path: path, From: path, Aside: path + ".damaged"}); err != nil {
		t.Fatalf("Replace: %v", err)
	}
	if got := readFile(t, path+".damaged-wal"); string(got) != string(wal) {
		t.Error("the damaged write-ahead log was not kept")
	}
	r, err := openIn(t, folder).Get(t.Context(), "state")
	if err != nil || len(r.Value) == 0 || int(r.Value[len(r.Value)-1]) >= 21 {
		t.Errorf("state: got %d bytes, error %v; want an earlier state", len(r.Value), err)
	}
}

// A snapshot that is made while records change is one moment of them: all records
// of a call, which shares a transaction, have the same value.
func TestSnapshotUnderChange(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	versions := make([]uint64, 200)
	write := func(round int) {
		var changes []store.Change
		for i := range versions {
			changes = append(changes, store.Change{Key: string(rune('a' + i)), Value: []byte{byte(round)}, Version: versions[i], NewVersion: &versions[i]})
		}
		apply(t, s, changes...)
	}
	write(0)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for round := 1; ; round++ {
			select {
			case <-stop:
				return
			default:
				write(round)
			}
		}
	})
	for range 5 {
		path := filepath.Join(dir, "snapshot")
		if err := s.Snapshot(t.Context(), path); err != nil {
			t.Errorf("Snapshot: %v", err)
			break
		}
		records, err := Peek(t.Context(), path, "")
		if err != nil || len(records) != len(versions) {
			t.Errorf("snapshot: got %d records, error %v; want %d", len(records), err, len(versions))
			break
		}
		for _, r := range records {
			if r.Value[0] != records[0].Value[0] {
				t.Errorf("snapshot: record %q is of round %d, the first of %d", r.Key, r.Value[0], records[0].Value[0])
			}
		}
	}
	close(stop)
	wg.Wait()
}

// Damage that comes while the store is open ends it, whoever finds it.
func TestDamageWhileOpen(t *testing.T) {
	for _, c := range []struct {
		name string
		find func(ctx context.Context, s *Store, dir string) error
	}{
		{"Get", func(ctx context.Context, s *Store, _ string) error { _, err := s.Get(ctx, "b"); return err }},
		{"List", func(ctx context.Context, s *Store, _ string) error {
			for _, err := range s.List(ctx, "") {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{"Check", func(ctx context.Context, s *Store, _ string) error { return s.Check(ctx) }},
		{"Snapshot", func(ctx context.Context, s *Store, dir string) error {
			return s.Snapshot(ctx, filepath.Join(dir, "snapshot"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := openIn(t, dir)
			apply(t, s, store.Change{Key: "a", Value: []byte("v")}, store.Change{Key: "b", Value: []byte("v")})
			if _, err := s.conn.ExecContext(t.Context(), "UPDATE records SET value = x'77' WHERE key = 'b'"); err != nil {
				t.Fatal(err)
			}
			if s.Cause() != nil {
				t.Fatalf("Cause before: got %v, want nil", s.Cause())
			}
			if err := c.find(t.Context(), s, dir); !errors.Is(err, store.ErrDamaged) {
				t.Fatalf("error: got %v, want %v", err, store.ErrDamaged)
			}
			select {
			case <-s.Failed():
			default:
				t.Error("the store has not failed")
			}
			if _, err := s.Get(t.Context(), "a"); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("Get of a sound record afterwards: got error %v, want %v", err, store.ErrDamaged)
			}
			errs := s.Apply(t.Context(), store.Change{Key: "c", Value: []byte("v")})
			if len(errs) != 1 || !errors.Is(errs[0], store.ErrDamaged) {
				t.Errorf("Apply afterwards: got %v, want %v", errs, store.ErrDamaged)
			}
			if _, err := os.Stat(filepath.Join(dir, "snapshot")); err == nil {
				t.Error("there is a snapshot of a damaged store")
			}
		})
	}
}

func TestSweepSnapshots(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"control-1.db", "control-2.db.partial", "control-2.db.partial-journal"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := SweepSnapshots(dir); err != nil {
		t.Fatalf("SweepSnapshots: %v", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || files[0].Name() != "control-1.db" {
		t.Errorf("files left: got %v, error %v; want the snapshot", files, err)
	}
}

// A store that nobody has open is copied, with what its write-ahead log holds, also
// where SQLite can open nothing: on a disk that is mounted for reading only.
func TestCopyOfWhatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	apply(t, s, store.Change{Key: "a", Value: []byte("in the log alone")})
	from := filepath.Join(t.TempDir(), "control.db")
	if err := errors.Join(copyFile(s.path, from), copyFile(s.path+"-wal", from+"-wal"), os.Symlink("absent/shm", from+"-shm")); err != nil {
		t.Fatal(err)
	}
	before := string(readFile(t, from)) + string(readFile(t, from+"-wal"))
	to := filepath.Join(t.TempDir(), "control.db")
	if err := Copy(t.Context(), from, to); err != nil {
		t.Fatalf("Copy: %v", err)
	}
	if got := string(readFile(t, from)) + string(readFile(t, from+"-wal")); got != before {
		t.Error("the original was changed")
	}
	if r, err := openIn(t, filepath.Dir(to)).Get(t.Context(), "a"); err != nil || string(r.Value) != "in the log alone" {
		t.Errorf("the copy: got %q, error %v", r.Value, err)
	}
	lock, err := lockFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := Copy(t.Context(), from, filepath.Join(t.TempDir(), "control.db")); err == nil {
		t.Error("Copy of a store that is in use, and cannot be opened: got no error")
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
}
