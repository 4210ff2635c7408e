package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/sluicelog/sluice/eventlog"
)

// summaryOf describes blocks that lie one after another.
func summaryOf(blocks int) summary {
	var s summary
	offset := int64(0)
	for i := range blocks {
		h := eventlog.Header{First: uint64(10 * (i + 1)), Count: 3, FramesLen: 40_000}
		s.add(&h, offset)
		offset = s.end
	}
	return s
}

// FuzzFooter reads footers whose checksums are right and whose fields are anything
// at all: what is believed lies within the file, and is written as it was read.
func FuzzFooter(f *testing.F) {
	opts := &Options{Log: eventlog.LogID{7}}
	for _, blocks := range []int{1, 5} {
		s := summaryOf(blocks)
		b := s.footer(opts.Log, 9)
		f.Add(uint16(s.end), b[:len(b)-trailerSize], b[len(b)-trailerSize:])
	}
	f.Fuzz(func(t *testing.T, blocks uint16, index, trailer []byte) {
		if len(trailer) != trailerSize {
			return
		}
		trailer = bytes.Clone(trailer)
		binary.LittleEndian.PutUint32(trailer[92:], eventlog.Checksum(index))
		binary.LittleEndian.PutUint32(trailer[trailerSize-4:], eventlog.Checksum(trailer[:trailerSize-4]))
		file := append(append(make([]byte, blocks), index...), trailer...)
		length := int64(len(file))
		s, err := readTrailer(bytes.NewReader(file), length, opts, 9)
		if err != nil {
			if !errors.Is(err, errNoFooter) {
				t.Fatalf("trailer: got %v, want %v", err, errNoFooter)
			}
			return
		}
		if s.end <= 0 || s.end > length-trailerSize || s.lastOffset < 0 || s.lastOffset >= s.end || s.first == 0 || s.last < s.first {
			t.Fatalf("trailer of a file of %d bytes: got %+v", length, s)
		}
		if s.index, err = readIndex(bytes.NewReader(file), s.end, length); err != nil {
			return
		}
		if len(s.index)*entrySize > len(index) {
			t.Fatalf("index of %d bytes: got %d entries", len(index), len(s.index))
		}
		for _, e := range s.index {
			if e.offset < 0 || e.offset >= s.end {
				t.Fatalf("index of a file whose blocks end at %d: got an entry at %d", s.end, e.offset)
			}
		}
		again := s.footer(opts.Log, 9)
		if back, err := readTrailer(bytes.NewReader(append(make([]byte, s.end), again...)), s.end+int64(len(again)), opts, 9); err != nil ||
			back.first != s.first || back.last != s.last || back.end != s.end || back.blocks != s.blocks || back.lastOffset != s.lastOffset {
			t.Fatalf("footer: written and read again it is %+v (%v), want %+v", back, err, s)
		}
	})
}

// FuzzFileName: only names that this program writes are read.
func FuzzFileName(f *testing.F) {
	for _, name := range []string{fileName(1), fileName(1<<64 - 1), "00000000000000000000.seg", "+0000000000000000001.seg", "x.seg", ""} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if n, ok := parseName(name); ok && (n == 0 || fileName(n) != name) {
			t.Errorf("%q: got %d", name, n)
		}
	})
}
