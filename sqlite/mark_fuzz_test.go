package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/sluicelog/sluice/store"
)

// FuzzMark reads marks that are anything at all, with right checksums and without,
// beside write-ahead logs that are anything at all. What is refused is damage; a
// mark that does not verify says nothing; and one that is read is what was written.
func FuzzMark(f *testing.F) {
	log := fuzzWAL(f)
	l := inLog{frames: 1, since: time.Unix(1_700_000_000, 0)}
	copy(l.salts[:], log[walSaltsAt:])
	f.Add(l.encode()[:markSize-8], true, log)
	f.Add(l.encode()[:markSize-8], true, []byte{})
	f.Add(l.encode()[:markSize-8], true, log[:walHeaderSize])
	f.Add(l.encode()[:markSize-8], false, log)
	f.Add([]byte(markMagic), true, []byte(nil))
	f.Fuzz(func(t *testing.T, tail []byte, summed bool, log []byte) {
		if summed {
			tail = binary.BigEndian.AppendUint64(bytes.Clone(tail), xxhash.Sum64(tail))
		}
		l, ok := decodeMark(tail)
		if back, again := decodeMark(l.encode()); ok && (!again || back != l) {
			t.Fatalf("mark %x: written and read again it is %+v, want %+v", tail, back, l)
		}
		path := filepath.Join(t.TempDir(), "control.db")
		if err := errors.Join(os.WriteFile(path, append(make([]byte, pageSize), tail...), 0o600), os.WriteFile(path+"-wal", log, 0o600)); err != nil {
			t.Fatal(err)
		}
		err := checkMark(path)
		lost, told := errors.AsType[*LostLog](err)
		switch {
		case err == nil:
			if ok && (len(log) < walHeaderSize || !bytes.Equal(log[walSaltsAt:walSaltsAt+8], l.salts[:])) {
				t.Errorf("mark %+v: a log of %d bytes without its salts is taken", l, len(log))
			}
		case !told || !errors.Is(err, store.ErrDamaged):
			t.Fatalf("check: got %v, want a log that is lost", err)
		case !ok || !lost.Since.Equal(l.since):
			t.Errorf("mark %x: got %v", tail, err)
		}
	})
}
