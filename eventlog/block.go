package eventlog

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// Block is a stored block whose directory has been read. Its events are decoded
// when they are asked for, a frame at a time. A Block is never changed and may
// be used by several goroutines at once.
type Block struct {
	Header
	*Directory

	mu     sync.Mutex
	stored []byte   // the frames as stored, nil once everything is in raw
	raw    []byte   // all events, nil until Load
	frames [][]byte // decoded frames while raw is nil
	byTop  [][]uint16
	tops   map[string]int // index of Tops by name, nil until it is asked for
}

// ParseBlock reads a whole stored block. It keeps b.
func ParseBlock(b []byte) (*Block, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return nil, err
	}
	if len(b) != h.Size() {
		return nil, fmt.Errorf("%w: %d bytes instead of %d", ErrDamaged, len(b), h.Size())
	}
	d, err := parseDirectory(&h, b[HeaderSize:HeaderSize+int(h.DirLen)])
	if err != nil {
		return nil, err
	}
	return &Block{Header: h, Directory: d, stored: b[HeaderSize+int(h.DirLen):]}, nil
}

// MemSize returns the bytes that the block occupies in memory, roughly.
func (b *Block) MemSize() int {
	const overhead = 1024
	b.mu.Lock()
	defer b.mu.Unlock()
	n := overhead + cap(b.raw) + len(b.stored) + b.memSize()
	for _, f := range b.frames {
		n += cap(f)
	}
	return n
}

// Load decodes all events at once. Callers that want most events of a block call
// it first; the events then lie one behind the other in memory.
func (b *Block) Load() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.raw != nil {
		return nil
	}
	return b.load(make([]byte, 0, b.RawLen))
}

// load decodes all events into raw, which is empty and has room for them.
func (b *Block) load(raw []byte) error {
	rest := b.stored
	for i := range b.Frames {
		out, err := b.decode(b.Codec, i, rest, raw[len(raw):len(raw):cap(raw)])
		if err != nil {
			return err
		}
		raw = raw[:len(raw)+len(out)]
		rest = rest[b.Frames[i].Stored:]
	}
	b.raw, b.stored, b.frames = raw, nil, nil
	return nil
}

// Payload returns event i, a JSON object; one '\n' follows it in the same block
// of memory. The slice must not be changed.
func (b *Block) Payload(i int) ([]byte, error) {
	e := &b.Entries[i]
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.raw != nil {
		return b.raw[e.Offset : e.Offset+e.Len], nil
	}
	if b.frames == nil {
		b.frames = make([][]byte, len(b.Frames))
	}
	n, start, rest := 0, uint32(0), b.stored
	for f := range b.Frames {
		frame := &b.Frames[f]
		if n += int(frame.Events); i < n {
			if b.frames[f] == nil {
				out, err := b.decode(b.Codec, f, rest, nil)
				if err != nil {
					return nil, err
				}
				b.frames[f] = out
			}
			return b.frames[f][e.Offset-start : e.Offset-start+e.Len], nil
		}
		start += frame.Raw
		rest = rest[frame.Stored:]
	}
	return nil, fmt.Errorf("%w: event %d is in no frame", ErrDamaged, i)
}

// ID returns the id of event i as it stands in the payload, without quotes.
func (b *Block) ID(i int) ([]byte, error) {
	p, err := b.Payload(i)
	if err != nil {
		return nil, err
	}
	e := &b.Entries[i]
	return p[e.IDOffset : e.IDOffset+uint32(e.IDLen)], nil
}

// decode verifies and decodes frame i, which starts at stored, into out's
// capacity, which is at least the frame's raw size, or into new memory if out is
// nil.
func (d *Directory) decode(codec Codec, i int, stored, out []byte) ([]byte, error) {
	f := &d.Frames[i]
	stored = stored[:f.Stored]
	if Checksum(stored) != f.CRC {
		return nil, errChecksum
	}
	if n, err := decodedLen(codec, stored, f.Raw); err != nil || n != uint64(f.Raw) {
		return nil, fmt.Errorf("%w: frame %d has another length", ErrDamaged, i)
	}
	if out == nil {
		out = make([]byte, 0, f.Raw)
	}
	var err error
	switch codec {
	case Raw:
		out = append(out, stored...)
	case S2:
		out, err = s2.Decode(out[:f.Raw], stored)
	case Zstd:
		out, err = zstdDecoder.DecodeAll(stored, out[:0:f.Raw])
	}
	if err != nil {
		return nil, fmt.Errorf("%w: frame %d: %w", ErrDamaged, i, err)
	}
	if len(out) != int(f.Raw) {
		return nil, fmt.Errorf("%w: frame %d has another length", ErrDamaged, i)
	}
	return out, nil
}

// decodedLen returns how long a frame is by its own account, before there is
// memory for it: raw where it does not say.
func decodedLen(codec Codec, stored []byte, raw uint32) (uint64, error) {
	switch codec {
	case S2:
		n, err := s2.DecodedLen(stored)
		return uint64(n), err
	case Zstd:
		var h zstd.Header
		err := h.Decode(stored)
		if !h.HasFCS { // less than 256 bytes, unless somebody else wrote it
			return uint64(raw), err
		}
		return h.FrameContentSize, err
	}
	return uint64(len(stored)), nil
}

// zstdDecoder decodes frames for all goroutines; it has no state between them.
var zstdDecoder = newZstdDecoder()

// newZstdDecoder returns a decoder that fills the capacity it is given and no
// more. Its options are constants that are known to be valid.
func newZstdDecoder() *zstd.Decoder {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(MaxBlock), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err)
	}
	return r
}

// ByTop returns, for each entry of Tops, the indexes of its events in order.
func (b *Block) ByTop() [][]uint16 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byTop != nil {
		return b.byTop
	}
	counts := make([]int, len(b.Tops))
	for i := range b.Entries {
		counts[b.Namespaces[b.Entries[i].Namespace].Top]++
	}
	all := make([]uint16, len(b.Entries))
	lists := make([][]uint16, len(b.Tops))
	for t, n := range counts {
		lists[t], all = all[:0:n], all[n:]
	}
	for i := range b.Entries {
		t := b.Namespaces[b.Entries[i].Namespace].Top
		lists[t] = append(lists[t], uint16(i))
	}
	b.byTop = lists
	return lists
}

// Top returns the index in Tops of the folded top-level namespace, -1 when it has
// no event in the block.
func (b *Block) Top(folded string) int {
	const few = 8
	if len(b.Tops) > few {
		return b.indexedTop(folded)
	}
	for i := range b.Tops {
		if b.Tops[i].Name == folded {
			return i
		}
	}
	return -1
}

// indexedTop is Top by a map, for blocks that many lanes ask.
func (b *Block) indexedTop(folded string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tops == nil {
		b.tops = make(map[string]int, len(b.Tops))
		for i := range b.Tops {
			b.tops[b.Tops[i].Name] = i
		}
	}
	if i, ok := b.tops[folded]; ok {
		return i
	}
	return -1
}
