package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/store"
)

// schema1 are the statements that made a file of schema 1.
const schema1 = `
CREATE TABLE meta(name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE records(key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta(name, value) VALUES ('schema', 1), ('reserved', 0);`

const oldReserved = 1 << 20

// makeSchema1 writes a file of schema 1 with n records, and one without a value.
func makeSchema1(t *testing.T, dir string, n int) (path string, want []store.Record) {
	t.Helper()
	path = filepath.Join(dir, "control.db")
	if err := createFile(path); err != nil {
		t.Fatal(err)
	}
	db, err := connect(path, Options{}, 1, "journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	exec := func(statement string, args ...any) {
		t.Helper()
		if _, err := db.Exec(statement, args...); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	exec(schema1)
	exec("BEGIN")
	exec("UPDATE meta SET value = ? WHERE name = 'reserved'", oldReserved)
	for i := range n + 1 {
		r := store.Record{Key: fmt.Sprintf("lane/%06d", i), Value: []byte(strings.Repeat("v", i%700)), Version: uint64(i + 1)}
		exec("INSERT INTO records(key, value, version) VALUES (?, ?, ?)", r.Key, r.Value, int64(r.Version))
		want = append(want, r)
	}
	exec("COMMIT")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path, want
}

func wantRecords(t *testing.T, s *Store, want []store.Record) {
	t.Helper()
	var got []store.Record
	for r, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		got = append(got, r)
	}
	if len(got) != len(want) {
		t.Fatalf("records: got %d, want %d", len(got), len(want))
	}
	for i, r := range got {
		if w := want[i]; r.Key != w.Key || string(r.Value) != string(w.Value) || r.Version != w.Version {
			t.Fatalf("record %d: got %q with %d bytes of version %d, want %q with %d bytes of version %d",
				i, r.Key, len(r.Value), r.Version, w.Key, len(w.Value), w.Version)
		}
	}
}

func TestMigrateFromSchema1(t *testing.T) {
	for _, n := range []int{0, 1, pageRecords - 1, pageRecords, 3000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			dir := t.TempDir()
			_, want := makeSchema1(t, dir, n)
			for range 2 { // the second finds what the first has made
				s := openIn(t, dir)
				wantRecords(t, s, want)
				if s.reserved < oldReserved {
					t.Errorf("reserved: got %d, want at least %d", s.reserved, oldReserved)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			s := openIn(t, dir)
			var v uint64
			apply(t, s, store.Change{Key: want[0].Key, Value: []byte("new"), Version: want[0].Version, NewVersion: &v})
			if v <= oldReserved {
				t.Errorf("version of a change after the migration: got %d, want one above %d", v, oldReserved)
			}
		})
	}
}

// A process that dies while it migrates leaves the file as it was.
func TestMigrateCutOff(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	path, want := makeSchema1(t, dir, 12_000) // more than fits into a cache: the WAL has a part of it
	db, err := connect(path, Options{}.withDefaults(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = inTransaction(t.Context(), c, func(tx *sql.Tx) error {
		if err := migrateIn(t.Context(), tx); err != nil {
			t.Fatalf("migrate: %v", err)
		}
		return errors.Join(context.Canceled, copyFile(path, filepath.Join(copied, "control.db")),
			copyFile(path+"-wal", filepath.Join(copied, "control.db-wal")))
	})
	if err == nil || err.Error() != context.Canceled.Error() {
		t.Fatalf("migration: got error %v, want %v", err, context.Canceled)
	}
	if info, err := os.Stat(filepath.Join(copied, "control.db-wal")); err != nil || info.Size() < 1<<20 {
		t.Fatalf("write-ahead log of the cut off migration: got %v, error %v; want some of it written", info, err)
	}
	wantRecords(t, openIn(t, copied), want)
}
