package eventlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// The layout of a block, in order: header (HeaderSize bytes), directory, frames.
// docs/formats/block.md describes every field.
const (
	// Magic starts every block. Its first and fifth byte never occur in UTF-8.
	Magic      = "\xF5SLB\xFF\r\n\x1a"
	HeaderSize = 128
	// MaxRaw is the size of the events of a block beyond which it is closed; one
	// larger event makes a block of its own.
	MaxRaw = 512 << 10
	// MaxEvent is the size of the largest event that can be stored, in bytes: one of
	// 32 MiB, with what is put in front of an event that has no id.
	MaxEvent = 32<<20 + 1<<10
	// MaxBlock bounds the stored size of a block whatever its header says, MaxCount
	// its events.
	MaxBlock = 64 << 20
	MaxCount = 1 << 16
	version  = 1
)

// Codec is how the frames of a block are compressed.
type Codec uint8

const (
	Raw  Codec = 0
	S2   Codec = 1
	Zstd Codec = 2
)

const flagSnapshot = 1

// Chain is the running SHA-256 over all blocks of a partition.
type Chain [sha256.Size]byte

// LogID is the identity of a log, made at random at its creation.
type LogID [16]byte

func (id LogID) String() string { return fmt.Sprintf("%x", id[:]) }

// Header is the fixed part at the start of a block.
type Header struct {
	Codec     Codec
	Snapshot  bool      // the directory carries the totals of all top-level namespaces
	Count     uint32    // number of events, at least 1
	First     uint64    // sequence number of the first event
	Accepted  time.Time // when the events were accepted; never goes back within a partition
	Total     uint64    // events stored in the partition up to the end of this block
	RawLen    uint32    // bytes of all events, each with its newline
	DirLen    uint32    // stored bytes of the directory
	FramesLen uint32    // stored bytes of the frames
	DirCRC    uint32    // CRC32C of the directory
	Partition uint32    // CRC32C of the partition's name
	Log       LogID
	// LastSnapshot is the first sequence number of the newest block, this one
	// included, whose directory carries all totals.
	LastSnapshot uint64
	Chain        Chain // see [Header.chain]
}

// Last returns the sequence number of the block's last event.
func (h *Header) Last() uint64 { return h.First + uint64(h.Count) - 1 }

// Size returns the stored size of the whole block.
func (h *Header) Size() int { return HeaderSize + int(h.DirLen) + int(h.FramesLen) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum returns the CRC32C of b, the checksum of every part of a block.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

const chainedHeader = 88 // bytes of the header that the chain covers

// put writes the header with its checksum to b, which has HeaderSize bytes.
func (h *Header) put(b []byte) {
	le := binary.LittleEndian
	clear(b[:HeaderSize])
	copy(b, Magic)
	b[8] = version
	b[9] = byte(h.Codec)
	var flags uint16
	if h.Snapshot {
		flags |= flagSnapshot
	}
	le.PutUint16(b[10:], flags)
	le.PutUint32(b[12:], h.Count)
	le.PutUint64(b[16:], h.First)
	le.PutUint64(b[24:], uint64(h.Accepted.UnixMicro()))
	le.PutUint64(b[32:], h.Total)
	le.PutUint32(b[40:], h.RawLen)
	le.PutUint32(b[44:], h.DirLen)
	le.PutUint32(b[48:], h.FramesLen)
	le.PutUint32(b[52:], h.DirCRC)
	le.PutUint32(b[56:], h.Partition)
	copy(b[64:80], h.Log[:])
	le.PutUint64(b[80:], h.LastSnapshot)
	copy(b[88:120], h.Chain[:])
	le.PutUint32(b[124:], Checksum(b[:124]))
}

// ErrTooLarge says that an event has more than MaxEvent bytes.
var ErrTooLarge = errors.New("event is too large for the log")

// Errors of decoding, to be tested with errors.Is. All mean damage.
var (
	ErrNoBlock  = errors.New("no block starts here")
	ErrDamaged  = errors.New("block is damaged")
	errChecksum = fmt.Errorf("%w: bad checksum", ErrDamaged)
)

// ParseHeader reads a block's header from the first HeaderSize bytes of b. It
// returns [ErrNoBlock] when b does not start with the magic and [ErrDamaged]
// when the header's checksum or a field is wrong.
func ParseHeader(b []byte) (Header, error) {
	var h Header
	if len(b) < HeaderSize || !bytes.Equal(b[:8], []byte(Magic)) {
		return h, ErrNoBlock
	}
	le := binary.LittleEndian
	if le.Uint32(b[124:]) != Checksum(b[:124]) {
		return h, errChecksum
	}
	if b[8] != version {
		return h, fmt.Errorf("%w: version %d is not known", ErrDamaged, b[8])
	}
	h = Header{
		Codec:     Codec(b[9]),
		Snapshot:  le.Uint16(b[10:])&flagSnapshot != 0,
		Count:     le.Uint32(b[12:]),
		First:     le.Uint64(b[16:]),
		Accepted:  time.UnixMicro(int64(le.Uint64(b[24:]))).UTC(),
		Total:     le.Uint64(b[32:]),
		RawLen:    le.Uint32(b[40:]),
		DirLen:    le.Uint32(b[44:]),
		FramesLen: le.Uint32(b[48:]),
		DirCRC:    le.Uint32(b[52:]),
		Partition: le.Uint32(b[56:]),
	}
	copy(h.Log[:], b[64:80])
	h.LastSnapshot = le.Uint64(b[80:])
	copy(h.Chain[:], b[88:120])
	return h, h.check()
}

func (h *Header) check() error {
	switch {
	case h.Count == 0 || h.First == 0 || h.First+uint64(h.Count) < h.First:
		return fmt.Errorf("%w: empty or impossible range", ErrDamaged)
	case h.Count > MaxCount:
		return fmt.Errorf("%w: more than %d events", ErrDamaged, MaxCount)
	case int64(h.DirLen)+int64(h.FramesLen)+HeaderSize > MaxBlock || h.RawLen > MaxBlock:
		return fmt.Errorf("%w: larger than %d bytes", ErrDamaged, MaxBlock)
	case h.Codec > Zstd:
		return fmt.Errorf("%w: codec %d is not known", ErrDamaged, h.Codec)
	}
	return nil
}

// chain returns the chain value of a block: SHA-256 over the chain of the block
// before it, the first chainedHeader bytes of its header, and the SHA-256 of its
// directory and frames as stored.
func chain(prev Chain, header, body []byte) Chain {
	digest := sha256.Sum256(body)
	var in [sha256.Size + chainedHeader + sha256.Size]byte
	copy(in[:], prev[:])
	copy(in[sha256.Size:], header[:chainedHeader])
	copy(in[sha256.Size+chainedHeader:], digest[:])
	return sha256.Sum256(in[:])
}

// VerifyChain reports whether block follows a block whose chain is prev.
func VerifyChain(prev Chain, block []byte) bool {
	h, err := ParseHeader(block)
	return err == nil && len(block) == h.Size() && chain(prev, block, block[HeaderSize:]) == h.Chain
}

// SealHeader returns the block made of h and body (directory and frames, whose
// lengths and directory checksum h gives). It sets h.Chain to the chain value of
// the block that follows a block whose chain is prev.
func SealHeader(h *Header, prev Chain, body []byte) []byte {
	block := make([]byte, HeaderSize+len(body))
	copy(block[HeaderSize:], body)
	h.seal(prev, block)
	return block
}

// seal writes h in front of the body that block already holds.
func (h *Header) seal(prev Chain, block []byte) {
	h.put(block)
	h.Chain = chain(prev, block, block[HeaderSize:])
	h.put(block)
}

// VerifyBlock reports whether block is one whole, undamaged block: header,
// directory and every frame carry the right checksum.
func VerifyBlock(block []byte) error {
	h, err := ParseHeader(block)
	if err != nil {
		return err
	}
	if len(block) != h.Size() {
		return fmt.Errorf("%w: %d bytes instead of %d", ErrDamaged, len(block), h.Size())
	}
	d, err := parseDirectory(&h, block[HeaderSize:HeaderSize+int(h.DirLen)])
	if err != nil {
		return err
	}
	rest := block[HeaderSize+int(h.DirLen):]
	for _, f := range d.Frames {
		if Checksum(rest[:f.Stored]) != f.CRC {
			return errChecksum
		}
		rest = rest[f.Stored:]
	}
	return nil
}
