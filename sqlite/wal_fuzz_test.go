package sqlite

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/sluicelog/sluice/store"
)

// FuzzWAL reads write-ahead logs that are anything at all. What is found wrong is
// damage; and a log that is sound is so wherever a power cut ends it.
func FuzzWAL(f *testing.F) {
	f.Add(fuzzWAL(f), uint16(walHeaderSize+100))
	f.Add([]byte("\x37\x7f\x06\x82\x00\x2d\xe2\x18\x00\x00\x10\x00"), uint16(3))
	f.Fuzz(func(t *testing.T, log []byte, cut uint16) {
		err := scanWAL(bytes.NewReader(log))
		if err != nil {
			if !errors.Is(err, store.ErrDamaged) {
				t.Fatalf("scan: got %v, want %v", err, store.ErrDamaged)
			}
			return
		}
		if err := scanWAL(bytes.NewReader(log[:min(len(log), int(cut))])); err != nil {
			t.Fatalf("scan of the first %d bytes of a sound log: %v", cut, err)
		}
	})
}

// fuzzWAL is the write-ahead log of a store that was changed twice.
func fuzzWAL(f *testing.F) []byte {
	f.Helper()
	path := f.TempDir() + "/control.db"
	s, err := OpenStore(path, Options{})
	if err != nil {
		f.Fatal(err)
	}
	for _, key := range []string{"a", "b"} {
		if err := errors.Join(s.Apply(f.Context(), store.Change{Key: key, Value: []byte("value")})...); err != nil {
			f.Fatal(err)
		}
	}
	log, err := os.ReadFile(path + "-wal")
	if err := errors.Join(err, s.Close()); err != nil || len(log) <= walHeaderSize {
		f.Fatalf("write-ahead log of %d bytes: %v", len(log), err)
	}
	return log
}
