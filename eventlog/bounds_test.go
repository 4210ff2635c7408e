package eventlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// An id that ends before it begins is out of bounds, too: whoever cut it out of its
// event would panic.
func TestIDThatIsOutOfBounds(t *testing.T) {
	block := small(t, Raw)
	h, err := ParseHeader(block)
	if err != nil {
		t.Fatal(err)
	}
	dir, frames := block[HeaderSize:HeaderSize+h.DirLen], block[HeaderSize+h.DirLen:]
	hash := dir[len(dir)-8:]
	d, err := parseDirectory(&h, dir)
	if err != nil {
		t.Fatal(err)
	}
	last := d.Entries[len(d.Entries)-1]
	entry := binary.AppendUvarint(nil, uint64(last.Len))
	length := binary.AppendUvarint(nil, uint64(last.IDLen))
	at := bytes.LastIndex(dir, append(bytes.Clone(entry), binary.AppendUvarint(nil, uint64(last.IDOffset))...))
	if at < 0 {
		t.Fatal("the last entry is not where it was looked for")
	}
	rest := dir[at+len(entry)+len(binary.AppendUvarint(nil, uint64(last.IDOffset)))+len(length) : len(dir)-8]
	for _, offset := range []uint64{uint64(last.Len), 1 << 32, -uint64(last.IDLen), -uint64(last.IDLen) + 1} {
		bad := append(bytes.Clone(dir[:at]), entry...)
		bad = append(append(append(binary.AppendUvarint(bad, offset), length...), rest...), hash...)
		h := h
		h.DirLen, h.DirCRC = uint32(len(bad)), Checksum(bad)
		if _, err := ParseBlock(SealHeader(&h, Chain{}, append(bad, frames...))); !errors.Is(err, ErrDamaged) {
			t.Errorf("id at %d of an event of %d bytes: got %v, want ErrDamaged", offset, last.Len, err)
		}
	}
}
