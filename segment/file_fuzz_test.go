package segment_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/eventlog/eventlogtest"
	"github.com/sluicelog/sluice/segment/segmenttest"
)

const (
	fuzzedFile = "log/audit/00000000000000000001.seg"
	nextFile   = "log/audit/00000000000100000000.seg"
	nextFirst  = 100_000_000
)

// FuzzFile has the log lie in a file that holds anything at all, the newest one or
// one before. It opens, what is read are whole blocks with rising numbers, the
// file behind it is read whatever lies in this one, and the log goes on: behind
// every number that was read, and with the same blocks after another start.
//
// With mend the checksums of headers are made right, so that headers say what no
// header ever said.
func FuzzFile(f *testing.F) {
	m := eventlogtest.Maker{Log: logID(), Partition: "audit"}
	one, two := m.Block(2, 40), m.Block(3, 90)
	for _, data := range [][]byte{nil, one, slices.Concat(one, two), slices.Concat(one, make([]byte, 600), two), slices.Concat(one, two[:100]), slices.Concat(two, one), []byte(eventlog.Magic)} {
		f.Add(data, false, true)
		f.Add(data, true, false)
	}
	f.Fuzz(func(t *testing.T, data []byte, mend, newest bool) {
		if mend {
			data = mended(data)
		}
		disk := segmenttest.NewDisk(1)
		if err := disk.MkdirAll("log/audit"); err != nil {
			t.Fatal(err)
		}
		disk.Put(fuzzedFile, data)
		if !newest {
			other := eventlogtest.Maker{Log: logID(), Partition: "audit", Next: nextFirst}
			disk.Put(nextFile, other.Block(2, 40))
		}
		seen := readFuzzed(t, disk, len(data), nil)
		if !newest && !slices.Contains(seen, nextFirst) {
			t.Fatalf("the file behind a damaged one was not read: got blocks %d", seen)
		}
		readFuzzed(t, disk, len(data), seen)
	})
}

// mended returns data with the right checksum in whatever begins like a header.
func mended(data []byte) []byte {
	data = bytes.Clone(data)
	for at := 0; ; at += len(eventlog.Magic) {
		i := bytes.Index(data[at:], []byte(eventlog.Magic))
		if i < 0 {
			return data
		}
		if at += i; at+eventlog.HeaderSize <= len(data) {
			h := data[at : at+eventlog.HeaderSize]
			binary.LittleEndian.PutUint32(h[eventlog.HeaderSize-4:], eventlog.Checksum(h[:eventlog.HeaderSize-4]))
		}
	}
}

// readFuzzed opens the log, reads it and appends a block. It returns the first
// numbers of all blocks; want are those that must be there, unless it is nil.
func readFuzzed(t *testing.T, disk *segmenttest.Disk, size int, want []uint64) (seen []uint64) {
	t.Helper()
	e, p, err := openLog(disk)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	for seq := uint64(1); ; {
		b, err := p.Next(t.Context(), seq)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read from %d: %v", seq, err)
		}
		if b.Header.Last() < seq || len(seen) > size/eventlog.HeaderSize+4 {
			t.Fatalf("read from %d: got block %d to %d after %d others in %d bytes", seq, b.Header.First, b.Header.Last(), len(seen), size)
		}
		if err := whole(b); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, b.Header.First)
		seq = b.Header.Last() + 1
	}
	if want != nil && !slices.Equal(seen, want) {
		t.Fatalf("another start: got blocks %d, want %d", seen, want)
	}
	st := p.State()
	next := st.Reserved + 1
	if st.Last.Count > 0 {
		next = max(next, st.Last.Last()+1)
	}
	if next < 1<<62 {
		m := eventlogtest.Maker{Log: logID(), Partition: "audit", Next: next, Accepted: st.Last.Accepted}
		block := m.Block(2, 40)
		if err := p.Append(t.Context(), block); err != nil {
			t.Fatalf("append at %d: %v", next, err)
		}
		if b, err := p.Next(t.Context(), next); err != nil || b.Header.First != next {
			t.Fatalf("read back %d: got %d, %v", next, b.Header.First, err)
		}
		seen = append(seen, next)
	}
	if err := e.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return seen
}

// whole reports what is wrong with a block that was found: damage to its body is
// told, never passed on.
func whole(b eventlog.Stored) error {
	got, err := eventlogtest.Read(b)
	switch {
	case errors.Is(err, eventlog.ErrDamaged):
		return nil
	case err != nil:
		return fmt.Errorf("block %d: %w", b.Header.First, err)
	}
	return eventlog.VerifyBlock(got)
}
