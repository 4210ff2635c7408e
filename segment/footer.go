package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
	"time"

	"github.com/sluicelog/sluice/eventlog"
)

// A footer lies behind the last block of a closed file: footerMagic, the sparse
// index, and a trailer of trailerSize bytes that ends the file. It is a cache:
// everything in it can be found from the blocks.
const (
	footerMagic   = "\xF5END\xFF\r\n\x1a" // many bits away from a block's magic
	trailerMagic  = "\xF5FIN\xFF\r\n\x1a"
	footerVersion = 1
	entrySize     = 24
	trailerSize   = 112
)

// indexStep is the distance in stored bytes between entries of the sparse index.
const indexStep = 64 << 10

// entry is one block of the sparse index.
type entry struct {
	seq      uint64 // first sequence number
	accepted int64  // in microseconds
	offset   int64
}

// summary says what the blocks of a file hold. The zero value has none.
type summary struct {
	blocks      int64
	first, last uint64 // sequence numbers
	from, to    int64  // times of acceptance in microseconds
	lastOffset  int64  // where the last block starts
	end         int64  // where the last block ends
	index       []entry
}

// add takes account of the block with header h at offset.
func (s *summary) add(h *eventlog.Header, offset int64) {
	at := h.Accepted.UnixMicro()
	if s.blocks == 0 {
		s.first, s.from = h.First, at
	}
	if n := len(s.index); n == 0 || offset-s.index[n-1].offset >= indexStep {
		s.index = append(s.index, entry{h.First, at, offset})
	}
	s.blocks++
	s.last, s.to = h.Last(), at
	s.lastOffset, s.end = offset, offset+int64(h.Size())
}

// before returns the offset of a block from which the search for the first block
// with after(entry) can start.
func before(index []entry, after func(entry) bool) int64 {
	i := sort.Search(len(index), func(i int) bool { return after(index[i]) })
	if i == 0 {
		return 0
	}
	return index[i-1].offset
}

// footer encodes s for the partition whose name has the checksum given.
func (s *summary) footer(log eventlog.LogID, partition uint32) []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, len(footerMagic)+len(s.index)*entrySize+trailerSize)
	b = append(b, footerMagic...)
	for _, e := range s.index {
		b = le.AppendUint64(b, e.seq)
		b = le.AppendUint64(b, uint64(e.accepted))
		b = le.AppendUint64(b, uint64(e.offset))
	}
	index := eventlog.Checksum(b)
	start := len(b)
	b = append(b, trailerMagic...)
	b = le.AppendUint32(b, footerVersion)
	b = le.AppendUint32(b, partition)
	b = append(b, log[:]...)
	for _, v := range []uint64{uint64(s.blocks), s.first, s.last, uint64(s.from), uint64(s.to),
		uint64(s.lastOffset), uint64(s.end)} {
		b = le.AppendUint64(b, v)
	}
	b = le.AppendUint32(b, uint32(len(s.index)))
	b = le.AppendUint32(b, index)
	b = append(b, make([]byte, start+trailerSize-4-len(b))...)
	return le.AppendUint32(b, eventlog.Checksum(b[start:]))
}

// readTrailer returns the summary, without index, in the trailer of a file of
// the given length.
func readTrailer(r io.ReaderAt, length int64, opts *Options, partition uint32) (summary, error) {
	var s summary
	b := make([]byte, trailerSize)
	if length < trailerSize {
		return s, errNoFooter
	}
	if _, err := r.ReadAt(b, length-trailerSize); err != nil && err != io.EOF {
		return s, fmt.Errorf("read trailer: %w", err)
	}
	le := binary.LittleEndian
	if !bytes.HasPrefix(b, []byte(trailerMagic)) || eventlog.Checksum(b[:trailerSize-4]) != le.Uint32(b[trailerSize-4:]) ||
		le.Uint32(b[8:]) != footerVersion || le.Uint32(b[12:]) != partition || !opts.wrote(eventlog.LogID(b[16:32])) {
		return s, errNoFooter
	}
	n := func(i int) uint64 { return le.Uint64(b[32+8*i:]) }
	s = summary{blocks: int64(n(0)), first: n(1), last: n(2), from: int64(n(3)), to: int64(n(4)),
		lastOffset: int64(n(5)), end: int64(n(6))}
	entries := int64(le.Uint32(b[88:]))
	if s.blocks <= 0 || s.end != length-int64(len(footerMagic))-entries*entrySize-trailerSize || !s.plausible() {
		return summary{}, errNoFooter
	}
	return s, nil
}

// plausible reports whether s can be what blocks add up to.
func (s *summary) plausible() bool {
	return s.first > 0 && s.last >= s.first && s.lastOffset >= 0 && s.lastOffset < s.end
}

// readIndex returns the sparse index of a file whose trailer gave end.
func readIndex(r io.ReaderAt, end, length int64) ([]entry, error) {
	b := make([]byte, length-end)
	if _, err := r.ReadAt(b, end); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read index: %w", err)
	}
	le := binary.LittleEndian
	body, trailer := b[:len(b)-trailerSize], b[len(b)-trailerSize:]
	if eventlog.Checksum(body) != le.Uint32(trailer[92:]) {
		return nil, errNoFooter
	}
	var index []entry
	for e := body[len(footerMagic):]; len(e) >= entrySize; e = e[entrySize:] {
		at := entry{le.Uint64(e), int64(le.Uint64(e[8:])), int64(le.Uint64(e[16:]))}
		if at.offset < 0 || at.offset >= end {
			return nil, errNoFooter
		}
		index = append(index, at)
	}
	return index, nil
}

// footerAt returns the summary, without index, of a good footer that was found at
// a place of a file that does not end with it, and where the footer ends. ok is
// false when there is more behind it than unused space.
func (p *partition) footerAt(r io.ReaderAt, at *found) (s summary, end int64, ok bool) {
	b := make([]byte, at.size)
	if at.kind != isFooter || readAll(r, b, at.offset) != nil {
		return s, 0, false
	}
	n := len(footerMagic)
	for n < len(b) && !bytes.HasPrefix(b[n:], []byte(trailerMagic)) {
		n += entrySize
	}
	end = at.offset + int64(n) + trailerSize
	if n >= len(b) || end < at.offset+at.size {
		return s, 0, false
	}
	s, err := readTrailer(r, end, &p.engine.opts, p.sum)
	if err != nil || s.end != at.offset {
		return s, 0, false
	}
	_, err = readIndex(r, s.end, end)
	return s, end, err == nil
}

// acceptedBefore reports whether a time in microseconds lies before t.
func acceptedBefore(micro int64, t time.Time) bool { return time.UnixMicro(micro).Before(t) }

var errNoFooter = errors.New("footer is missing or damaged")
