package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluicelog/sluice/store"
)

const walStates = 40 // commits in the log that the tests damage

// crashed makes a store, commits walStates changes of one record and copies its
// files while it is open, as a killed process leaves them.
func crashed(t *testing.T) (folder string, wal []byte) {
	t.Helper()
	dir, folder := t.TempDir(), t.TempDir()
	s := openIn(t, dir)
	var v uint64
	for i := range walStates {
		value := make([]byte, i*i*20)
		for j := range value {
			value[j] = byte(i)
		}
		apply(t, s, store.Change{Key: "state", Value: append(value, byte(i)), Version: v, NewVersion: &v})
	}
	for _, name := range []string{"control.db", "control.db-wal"} {
		if err := copyFile(filepath.Join(dir, name), filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	return folder, readFile(t, filepath.Join(folder, "control.db-wal"))
}

// commitsOf returns where the frames of a log end that end transactions.
func commitsOf(wal []byte) (ends []int) {
	for at := walHeaderSize; at+walFrameSize+pageSize <= len(wal); at += walFrameSize + pageSize {
		if binary.BigEndian.Uint32(wal[at+4:]) != 0 {
			ends = append(ends, at+walFrameSize+pageSize)
		}
	}
	return ends
}

// A flipped bit in the write-ahead log of a killed process is found when it is
// opened, unless it lies in what a power cut may have kept from being written: the
// last transaction, or the last two when the first of them is one frame.
func TestFlipsOfTheWAL(t *testing.T) {
	folder, wal := crashed(t)
	path := filepath.Join(folder, "control.db")
	main := readFile(t, path)
	ends := commitsOf(wal)
	if len(ends) < walStates {
		t.Fatalf("commits in the log: got %d, want at least %d", len(ends), walStates)
	}
	rnd := rand.New(rand.NewPCG(*flipSeed, 1))
	found := 0
	for n := range *flips {
		at := rnd.IntN(len(wal))
		switch n % 4 {
		case 0:
			at = rnd.IntN(walHeaderSize)
		case 1:
			frame := walFrameSize + pageSize
			at = walHeaderSize + rnd.IntN(len(wal)/frame)*frame + rnd.IntN(walFrameSize)
		}
		b := append([]byte(nil), wal...)
		b[at] ^= 1 << rnd.IntN(8)
		if err := errors.Join(os.WriteFile(path, main, 0o600), os.WriteFile(path+"-wal", b, 0o600)); err != nil {
			t.Fatal(err)
		}
		s, err := OpenStore(path, Options{})
		if err == nil {
			wantLateState(t, s, at, at >= ends[len(ends)-3])
			continue
		}
		found++
		if !errors.Is(err, store.ErrDamaged) {
			t.Errorf("byte %d flipped: got error %v, want %v", at, err, store.ErrDamaged)
		}
		if got := readFile(t, path+"-wal"); string(got) != string(b) {
			t.Errorf("byte %d flipped: the log was changed by who refused it", at)
		}
	}
	t.Logf("%d flips of seed %d in %d bytes: %d found", *flips, *flipSeed, len(wal), found)
}

// wantLateState closes s. Without late nothing may be missing in it.
func wantLateState(t *testing.T, s *Store, at int, late bool) {
	t.Helper()
	r, err := s.Get(t.Context(), "state")
	if err != nil {
		t.Errorf("byte %d flipped: Get: %v", at, err)
	} else if state := int(r.Value[len(r.Value)-1]); state != walStates-1 && (!late || state < walStates-3) {
		t.Errorf("byte %d flipped: got state %d of %d, and nothing was found", at, state, walStates-1)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// What a power cut or a kill leaves is no damage.
func TestCutWALIsNoDamage(t *testing.T) {
	folder, wal := crashed(t)
	path := filepath.Join(folder, "control.db")
	main := readFile(t, path)
	ends := commitsOf(wal)
	last, frame := ends[len(ends)-2], walFrameSize+pageSize
	hole := func(from, to int) []byte {
		b := append([]byte(nil), wal...)
		copy(b[from:to], bytes.Repeat([]byte{0x5a}, to-from)) // what was there before
		return b
	}
	for _, c := range []struct {
		name string
		wal  []byte
		want int
	}{
		{"whole", wal, walStates - 1},
		{"empty", nil, -1},
		{"half a head", wal[:walHeaderSize/2], -1},
		{"head alone", wal[:walHeaderSize], -1},
		{"cut behind a commit", wal[:last], walStates - 2},
		{"cut in a frame", wal[:last+100], walStates - 2},
		{"first frame of the last transaction not written", hole(last, last+frame), walStates - 2},
		{"last frame not written", hole(len(wal)-frame, len(wal)), walStates - 2},
		{"part of a page not written", hole(last+1000, last+2000), walStates - 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			main := main
			if c.want < 0 { // nobody was told of a commit yet, so there is no mark
				main = main[:len(main)-markSize]
			}
			if err := errors.Join(os.WriteFile(path, main, 0o600), os.WriteFile(path+"-wal", c.wal, 0o600)); err != nil {
				t.Fatal(err)
			}
			s, err := OpenStore(path, Options{})
			if err != nil {
				t.Fatalf("OpenStore: %v", err)
			}
			r, err := s.Get(t.Context(), "state")
			got := -1
			if err == nil {
				got = int(r.Value[len(r.Value)-1])
			}
			if got != c.want {
				t.Errorf("state: got %d, error %v; want %d", got, err, c.want)
			}
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// A log that was begun anew over an older one holds frames of both.
func TestReusedWALIsNoDamage(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	versions := make([]uint64, 50)
	for i := range 60 { // 5,000 pages: several checkpoints
		var changes []store.Change
		for k := range versions {
			changes = append(changes, store.Change{Key: fmt.Sprint(k), Value: make([]byte, 6000+i), Version: versions[k], NewVersion: &versions[k]})
		}
		apply(t, s, changes...)
		if err := checkWAL(filepath.Join(dir, "control.db-wal")); err != nil {
			t.Fatalf("after commit %d: %v", i, err)
		}
	}
}
