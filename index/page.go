package index

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"
)

// A stored page is a CRC-32C, a byte that says how the rest is packed, the
// unpacked length, and the contents. The checksum also covers the chunk's first
// number and the page's own, so that no page stands for another.
const (
	packedRaw  = 0
	packedZstd = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum returns the CRC of what follows it in a stored page.
func checksum(first uint64, page int, rest []byte) uint32 {
	var at [12]byte
	binary.LittleEndian.PutUint64(at[:], first)
	binary.LittleEndian.PutUint32(at[8:], uint32(page))
	return crc32.Update(crc32.Checksum(at[:], castagnoli), castagnoli, rest)
}

// pack returns a page as it is stored.
func pack(first uint64, page int, raw []byte, compress bool) []byte {
	out := make([]byte, 5, len(raw)+16)
	out = binary.AppendUvarint(out, uint64(len(raw)))
	start := len(out)
	if compress {
		out[4] = packedZstd
		out = encoder.EncodeAll(raw, out)
	}
	if !compress || len(out)-start >= len(raw) {
		out[4] = packedRaw
		out = append(out[:start], raw...)
	}
	binary.LittleEndian.PutUint32(out, checksum(first, page, out[4:]))
	return out
}

// unpack verifies a stored page and returns its contents.
func unpack(first uint64, page int, stored []byte) ([]byte, error) {
	if len(stored) < 6 || binary.LittleEndian.Uint32(stored) != checksum(first, page, stored[4:]) {
		return nil, fmt.Errorf("%w: page %d of chunk %d does not verify", ErrDamaged, page, first)
	}
	size, n := binary.Uvarint(stored[5:])
	if n <= 0 || size > MaxPage {
		return nil, fmt.Errorf("%w: page %d of chunk %d has no length", ErrDamaged, page, first)
	}
	rest := stored[5+n:]
	switch stored[4] {
	case packedRaw:
		if uint64(len(rest)) == size {
			return rest, nil
		}
	case packedZstd:
		if raw, err := decoder.DecodeAll(rest, make([]byte, 0, size)); err == nil && uint64(len(raw)) == size {
			return raw, nil
		}
	}
	return nil, fmt.Errorf("%w: page %d of chunk %d cannot be unpacked", ErrDamaged, page, first)
}

// encoder and decoder work for all goroutines; they have no state between calls.
var (
	encoder = newEncoder()
	decoder = newDecoder()
)

// newEncoder returns an encoder whose options are constants that are valid.
func newEncoder() *zstd.Encoder {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithWindowSize(64<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err)
	}
	return w
}

// newDecoder returns a decoder that fills the capacity it is given and no more.
func newDecoder() *zstd.Decoder {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(MaxPage), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err)
	}
	return r
}

// scan reads the numbers and strings of a page. After the first that is not there
// it gives zeros, and bad stays true.
type scan struct {
	b   []byte
	bad bool
}

func (s *scan) uint() uint64 {
	v, n := binary.Uvarint(s.b)
	if n <= 0 {
		s.b, s.bad = nil, true
		return 0
	}
	s.b = s.b[n:]
	return v
}

func (s *scan) int() int64 {
	v := s.uint()
	return int64(v>>1) ^ -int64(v&1)
}

// count reads a number of things of which each takes at least size bytes of what
// is left.
func (s *scan) count(size int) int {
	v := s.uint()
	if v > uint64(len(s.b)/size) {
		s.b, s.bad = nil, true
		return 0
	}
	return int(v)
}

// small reads a number of at most limit.
func (s *scan) small(limit int) int {
	v := s.uint()
	if v > uint64(limit) {
		s.b, s.bad = nil, true
		return 0
	}
	return int(v)
}

func (s *scan) bytes(n int) []byte {
	if n < 0 || n > len(s.b) {
		s.b, s.bad = nil, true
		return nil
	}
	b := s.b[:n]
	s.b = s.b[n:]
	return b
}

func appendInt(dst []byte, v int64) []byte {
	return binary.AppendUvarint(dst, uint64(v)<<1^uint64(v>>63))
}
