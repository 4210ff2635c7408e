// Package eventlogtest holds every engine of the log to its contract: see [Test].
package eventlogtest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sluicelog/sluice/eventlog"
)

// Maker makes valid blocks for one partition, one after the other. Their events
// are random bytes. It is not safe for use by several goroutines.
type Maker struct {
	Log       eventlog.LogID
	Partition string
	// Next is the sequence number of the next block's first event; 0 means 1.
	Next uint64
	// Accepted is the acceptance time of the last block; each is a second later
	// than the one before.
	Accepted time.Time

	chain eventlog.Chain
	total uint64
	rnd   *rand.ChaCha8
}

// Start is the acceptance time that a Maker counts from.
func Start() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// Block returns a block of count events with size bytes in all, at least two an
// event. Its stored size is a little more.
func (m *Maker) Block(count, size int) []byte {
	if m.Next == 0 {
		m.Next = 1
	}
	if m.Accepted.IsZero() {
		m.Accepted = Start()
	}
	if m.rnd == nil {
		m.rnd = rand.NewChaCha8([32]byte{1})
	}
	m.Accepted = m.Accepted.Add(time.Second)
	m.total += uint64(count)
	frame := make([]byte, size)
	_, _ = m.rnd.Read(frame) // it never fails
	dir := m.directory(frame, count)
	h := eventlog.Header{
		Count: uint32(count), First: m.Next, Accepted: m.Accepted, Total: m.total,
		RawLen: uint32(size), DirLen: uint32(len(dir)), FramesLen: uint32(size), DirCRC: eventlog.Checksum(dir),
		Partition: eventlog.Checksum([]byte(m.Partition)), Log: m.Log, LastSnapshot: 1,
	}
	block := eventlog.SealHeader(&h, m.chain, append(dir, frame...))
	m.chain = h.Chain
	m.Next += uint64(count)
	return block
}

// directory encodes the directory of a block with one uncompressed frame.
func (m *Maker) directory(frame []byte, count int) []byte {
	text := func(b []byte, s string) []byte { return append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	b := []byte{0, 1} // nothing missing, one top-level namespace
	b = binary.AppendUvarint(text(b, "acme"), m.total)
	b = append(b, 0, 1, 0) // no others; one namespace, of the first top-level namespace
	b = text(b, "acme/web")
	b = append(b, 1, 0) // one type, of class audit
	b = text(b, "user.login")
	b = text(append(b, 1), "test") // one source
	b = append(b, 1)               // one frame
	b = binary.AppendUvarint(b, uint64(count))
	b = binary.AppendUvarint(b, uint64(len(frame)))
	b = binary.AppendUvarint(b, uint64(len(frame)))
	b = binary.LittleEndian.AppendUint32(b, eventlog.Checksum(frame))
	each := len(frame) / count
	for i := range count {
		n := each - 1
		if i == count-1 {
			n = len(frame) - each*(count-1) - 1
		}
		b = binary.AppendUvarint(b, uint64(n))
		b = append(b, 0, 0, 0) // no id, accepted when the block was
		b = binary.LittleEndian.AppendUint64(b, m.rnd.Uint64())
	}
	return b
}

// Read returns the bytes of a stored block and an error unless it is whole.
func Read(s eventlog.Stored) ([]byte, error) {
	b := make([]byte, s.Header.Size())
	if _, err := s.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("read block %d: %w", s.Header.First, err)
	}
	return b, eventlog.VerifyBlock(b)
}
