package sqlite

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluicelog/sluice/store"
)

var (
	flips    = flag.Int("flips", 120, "how many bits TestFlips flips, one after another")
	flipSeed = flag.Uint64("flipseed", 1, "the seed of TestFlips")
)

// A flipped bit in the file of a stopped store is found when it is opened, or
// changes nothing that is answered.
func TestFlips(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "control.db")
	want := makeVaried(t, dir)
	sound := readFile(t, path)
	rnd := rand.New(rand.NewPCG(*flipSeed, 0))
	found, harmless := 0, 0
	for n := range *flips {
		// Every other one hits the head of a page, where its structure is.
		at := rnd.IntN(len(sound))
		if n%2 == 0 {
			at = rnd.IntN(len(sound)/pageSize)*pageSize + rnd.IntN(120)
		}
		if flipped(t, path, sound, at, rnd.IntN(8), want) {
			found++
		} else {
			harmless++
		}
	}
	t.Logf("%d flips of seed %d in %d bytes: %d found, %d harmless", *flips, *flipSeed, len(sound), found, harmless)
	if found < *flips/3 {
		t.Errorf("flips that were found: got %d of %d; is anything compared?", found, *flips)
	}
}

// Bits of the head of the file and of the tables' statements.
func TestFlipsOfTheHead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "control.db")
	want := makeVaried(t, dir)
	sound := readFile(t, path)
	for bit := 0; bit < 112*8; bit += 9 {
		flipped(t, path, sound, bit/8, bit%8, want)
	}
	for bit := 0; bit < 4000; bit += 53 {
		flipped(t, path, sound, pageSize-500+bit/8, bit%8, want) // the first page is filled from its end
	}
}

// makeVaried makes a store that has several levels of pages, overflow pages, free
// pages and free space, closes it and returns what it holds.
func makeVaried(t *testing.T, dir string) []store.Record {
	t.Helper()
	s := openIn(t, dir)
	var want []store.Record
	for i := range 600 {
		size := i * 7 % 400
		if i%60 == 0 {
			size = 9000
		}
		r := store.Record{Key: fmt.Sprintf("kind%d/%04d", i%7, i), Value: make([]byte, size)}
		for j := range r.Value {
			r.Value[j] = byte(i + j)
		}
		apply(t, s, store.Change{Key: r.Key, Value: r.Value, NewVersion: &r.Version})
		want = append(want, r)
	}
	for i := 0; i < len(want); i += 11 {
		apply(t, s, store.Change{Key: want[i].Key, Version: want[i].Version})
	}
	want = nil
	for r, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		want = append(want, r)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return want
}

// flipped opens the store with one bit changed and reports whether that was
// refused. It is a mistake when it was not, and any answer is another than before.
func flipped(t *testing.T, path string, sound []byte, at, bit int, want []store.Record) bool {
	t.Helper()
	b := append([]byte(nil), sound...)
	b[at] ^= 1 << bit
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := OpenStore(path, Options{})
	if err != nil {
		if !errors.Is(err, store.ErrDamaged) {
			t.Errorf("bit %d of byte %d flipped: got error %v, want %v", bit, at, err, store.ErrDamaged)
		}
		return true
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Errorf("bit %d of byte %d flipped: Close: %v", bit, at, err)
		}
	}()
	wantRecords(t, s, want)
	for _, r := range want[:5] {
		if got, err := s.Get(t.Context(), r.Key); err != nil || string(got.Value) != string(r.Value) {
			t.Errorf("bit %d of byte %d flipped: Get %q: got %q, error %v", bit, at, r.Key, got.Value, err)
		}
	}
	return false
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every bit of the versions that the header of a snapshot names, which has no
// write-ahead log: most let SQLite take the file for one that it may only read.
func TestFlipsOfTheVersions(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "control.db")
	want := makeVaried(t, dir)
	sound := readFile(t, path)
	sound[18], sound[19] = 1, 1
	found := 0
	for bit := 18 * 8; bit < 20*8; bit++ {
		if flipped(t, path, sound, bit/8, bit%8, want) {
			found++
		}
	}
	if found < 12 {
		t.Errorf("flips that were found: got %d of 16", found)
	}
}
