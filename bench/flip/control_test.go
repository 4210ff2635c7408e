package flip

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/sqlite"
	"github.com/sluicelog/sluice/store"
)

// errFound says that the damage was found and refused, as it has to be unless the
// bit means nothing.
var errFound = errors.New("the damage is refused")

// judgeControl opens damaged control state: it is refused, or every record is what
// it was. Of a damaged write-ahead log the last transactions may be missing.
func judgeControl(ctx context.Context, f *flip, dir string) error {
	db, err := sqlite.OpenStore(filepath.Join(dir, controlFile), sqlite.Options{})
	if errors.Is(err, store.ErrDamaged) {
		return errFound
	}
	if err != nil {
		return err
	}
	got, err := list(ctx, db)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	allowed := [][]store.Record{f.state.records}
	if f.kind == walKind {
		allowed = append(allowed, f.state.older...)
	}
	if !slices.ContainsFunc(allowed, func(want []store.Record) bool { return sameRecords(got, want) }) {
		return fmt.Errorf("the records are others: %s", differs(got, f.state.records))
	}
	return nil
}

func sameRecords(a, b []store.Record) bool {
	return slices.EqualFunc(a, b, func(a, b store.Record) bool {
		return a.Key == b.Key && a.Version == b.Version && bytes.Equal(a.Value, b.Value)
	})
}

// differs names the first record that is another one.
func differs(got, want []store.Record) string {
	for i := range min(len(got), len(want)) {
		if !sameRecords(got[i:i+1], want[i:i+1]) {
			return fmt.Sprintf("got %s (%d) %.100q, want %s (%d) %.100q", got[i].Key, got[i].Version, got[i].Value, want[i].Key, want[i].Version, want[i].Value)
		}
	}
	return fmt.Sprintf("got %d records, want %d", len(got), len(want))
}

// lastTransactions is how many transactions at the end of a write-ahead log cannot
// be told from writes that a power cut interrupted.
const lastTransactions = 2

// readOlder reads what the records were before the last transactions.
func (st *state) readOlder(ctx context.Context) error {
	wal, err := os.ReadFile(filepath.Join(st.dir, controlFile+"-wal"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	commits := commits(wal)
	if len(commits) <= lastTransactions {
		return fmt.Errorf("the write-ahead log has %d transactions, want more", len(commits))
	}
	for _, end := range commits[len(commits)-lastTransactions-1 : len(commits)-1] {
		dir := st.soundDir + "-older"
		if err := st.copyOf(dir, "", controlFile); err != nil {
			return err
		}
		db, err := openCut(filepath.Join(dir, controlFile), wal[:end])
		if err != nil {
			return err
		}
		records, err := list(ctx, db)
		if err := errors.Join(err, db.Close()); err != nil {
			return err
		}
		st.older = append(st.older, records)
	}
	return nil
}

func openCut(path string, wal []byte) (*sqlite.Store, error) {
	if err := os.WriteFile(path+"-wal", wal, 0o600); err != nil {
		return nil, err
	}
	return sqlite.OpenStore(path, sqlite.Options{})
}

// commits returns where the transactions of a write-ahead log end
// (https://www.sqlite.org/fileformat2.html#the_write_ahead_log).
func commits(wal []byte) (ends []int) {
	const head, frame = 32, 24 + 4096
	for at := head; at+frame <= len(wal); at += frame {
		if !bytes.Equal(wal[at+8:at+16], wal[16:24]) { // of an earlier use of the file
			break
		}
		if binary.BigEndian.Uint32(wal[at+4:]) != 0 {
			ends = append(ends, at+frame)
		}
	}
	return ends
}

// judgeSnapshot restores a damaged snapshot: it is refused, and nothing is changed;
// or the store is what the snapshot was.
func judgeSnapshot(ctx context.Context, f *flip, dir string) error {
	path := filepath.Join(dir, controlFile)
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	err = sqlite.Replace(ctx, sqlite.Replacement{Path: path, From: filepath.Join(dir, f.file), Aside: path + ".aside",
		Adjust: func(context.Context, store.Store) error { return nil }})
	if errors.Is(err, store.ErrDamaged) {
		after, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(before, after) {
			return fmt.Errorf("a snapshot was refused, and %s is changed (%v)", controlFile, err)
		}
		return errFound
	}
	if err != nil {
		return err
	}
	got, err := contents(ctx, path)
	if err != nil {
		return err
	}
	sound := filepath.Join(dir, "sound.db")
	if err := copyFile(filepath.Join(f.state.dir, f.file), sound); err != nil {
		return err
	}
	want, err := contents(ctx, sound)
	if err != nil || !sameValues(got, want) {
		return fmt.Errorf("the records are others than those of the snapshot (%v)", err)
	}
	return nil
}

// contents returns the records of the store at path.
func contents(ctx context.Context, path string) ([]store.Record, error) {
	db, err := sqlite.OpenStore(path, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	records, err := list(ctx, db)
	return records, errors.Join(err, db.Close())
}

// sameValues is sameRecords but for versions, of which a restore leaves out many.
func sameValues(a, b []store.Record) bool {
	return slices.EqualFunc(a, b, func(a, b store.Record) bool { return a.Key == b.Key && bytes.Equal(a.Value, b.Value) })
}

// judgeKeys opens a damaged key file: it is refused with an error that names it and
// holds none of it, or has the same keys.
func judgeKeys(f *flip, dir string) error {
	path := filepath.Join(dir, keyFile)
	ring, err := secret.OpenKeyFile(path)
	text, reading := os.ReadFile(path)
	if reading != nil {
		return reading
	}
	if err != nil {
		for _, line := range strings.Split(string(text), "\n") {
			if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "key" && strings.Contains(err.Error(), fields[2]) {
				return errors.New("the error shows a key")
			}
		}
		if !strings.Contains(err.Error(), path) {
			return fmt.Errorf("the error does not name the file: %w", err)
		}
		return errFound
	}
	sound, err := secret.OpenKeyFile(filepath.Join(f.state.soundDir, keyFile))
	if err != nil {
		return err
	}
	if ring.Current() != sound.Current() || !slices.Equal(ring.Keys(), sound.Keys()) {
		return fmt.Errorf("the keys are others: %q with %s, want %q with %s", ring.Keys(), ring.Current(), sound.Keys(), sound.Current())
	}
	if plain, err := ring.Open(f.state.sealed, keyFile); err != nil || string(plain) != poison {
		return fmt.Errorf("what was sealed opens as %q (%w)", plain, err)
	}
	return nil
}
