package eventlog

import (
	"fmt"
	"slices"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// frameSize is the raw size at which a frame is closed. Smaller ones take more
// space, larger ones more time for a single event (decisions/0018). Most frames of
// this size fit one block of Zstandard, 128 KiB, which is encoded without a history.
const frameSize = 120 << 10

// A builder collects the events of a block and encodes it.
type builder struct {
	raw    []byte
	ents   []Entry
	dict   dictionary
	counts []uint64 // events by top-level namespace, as dict.tops
}

func (b *builder) empty() bool { return len(b.ents) == 0 }

// fits reports whether an event of n bytes may be added.
func (b *builder) fits(n int) bool {
	return b.empty() || len(b.raw)+n+1 <= MaxRaw && len(b.ents) < maxDictionary && !b.dict.full()
}

// add appends one event of a batch; payload includes its newline.
func (b *builder) add(payload []byte, e Entry, r *remap, from *dictionary) {
	r.entry(&e, from, &b.dict)
	e.Offset = uint32(len(b.raw))
	b.raw = append(b.raw, payload...)
	b.ents = append(b.ents, e)
	top := b.dict.namespaces[e.Namespace].Top
	for len(b.counts) <= int(top) {
		b.counts = append(b.counts, 0)
	}
	b.counts[top]++
}

// position is what a block continues from.
type position struct {
	log       LogID
	partition uint32
	first     uint64 // sequence number of the block's first event
	total     uint64 // events before the block
	chain     Chain
	snapshot  uint64 // first sequence number of the newest block with all totals, 0 for none
	accepted  time.Time
	missing   *Missing
	others    []Top // when the block is to carry all totals: those it has no events of
	all       bool
}

// encoder holds the buffers of encoding; they belong to the writer.
type encoder struct {
	codec  Codec
	zstd   *zstd.Encoder // nil for other codecs
	frames []byte
	dir    []byte
	out    []byte
}

// zstdWindow is how far back an encoder looks.
const zstdWindow = 256 << 10

func newEncoder(codec Codec) (encoder, error) {
	enc := encoder{codec: codec}
	if codec != Zstd {
		return enc, nil
	}
	var err error
	// The default level makes the log 2 % smaller and takes half as long again
	// (decisions/0018). The window bounds the encoder's memory for large events.
	enc.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return enc, fmt.Errorf("make zstd encoder: %w", err)
	}
	return enc, nil
}

// keptBuffer is how large a buffer of the encoder may be for keeps.
const keptBuffer = 4 << 20

// reset empties the buffers and drops those that one large event made large.
func (enc *encoder) reset() {
	for _, b := range []*[]byte{&enc.frames, &enc.dir, &enc.out} {
		if *b = (*b)[:0]; cap(*b) > keptBuffer {
			*b = nil
		}
	}
}

// encode makes the stored form of b. The result is valid until the next call.
// The block that it returns holds b's events and shares b's memory.
func (enc *encoder) encode(b *builder, pos *position) ([]byte, *Block) {
	enc.reset()
	accepted := timestamp(pos.accepted)
	for i := range b.ents {
		if b.ents[i].Time == noTime {
			b.ents[i].Time = accepted
		}
	}
	d := &Directory{
		Missing: pos.missing, Tops: b.dict.tops, Others: pos.others,
		Namespaces: b.dict.namespaces, Types: b.dict.types, Sources: b.dict.sources,
		Entries: b.ents,
	}
	enc.compress(b, d)
	enc.dir = d.append(enc.dir, accepted)
	h := Header{
		Codec: enc.codec, Snapshot: pos.all,
		Count: uint32(len(b.ents)), First: pos.first, Accepted: time.UnixMicro(accepted).UTC(),
		Total: pos.total + uint64(len(b.ents)), RawLen: uint32(len(b.raw)),
		DirLen: uint32(len(enc.dir)), FramesLen: uint32(len(enc.frames)), DirCRC: Checksum(enc.dir),
		Partition: pos.partition, Log: pos.log, LastSnapshot: pos.snapshot,
	}
	if pos.all {
		h.LastSnapshot = pos.first
	}
	enc.out = slices.Grow(enc.out, h.Size())[:HeaderSize]
	enc.out = append(append(enc.out, enc.dir...), enc.frames...)
	h.seal(pos.chain, enc.out)
	return enc.out, &Block{Header: h, Directory: d, raw: b.raw}
}

// compress appends to enc.frames and d.Frames.
func (enc *encoder) compress(b *builder, d *Directory) {
	start, events := 0, 0
	for i := range b.ents {
		events++
		end := int(b.ents[i].Offset) + int(b.ents[i].Len) + 1
		if end-start < frameSize && i != len(b.ents)-1 {
			continue
		}
		stored := enc.pack(b.raw[start:end])
		d.Frames = append(d.Frames, Frame{
			Events: uint32(events), Raw: uint32(end - start), Stored: uint32(len(stored)), CRC: Checksum(stored),
		})
		start, events = end, 0
	}
}

// pack appends the compressed form of raw to enc.frames and returns it.
func (enc *encoder) pack(raw []byte) []byte {
	n := len(enc.frames)
	switch enc.codec {
	case S2:
		enc.frames = slices.Grow(enc.frames, s2.MaxEncodedLen(len(raw)))
		out := s2.Encode(enc.frames[n:cap(enc.frames)], raw)
		enc.frames = enc.frames[:n+len(out)]
	case Zstd:
		enc.frames = enc.zstd.EncodeAll(raw, enc.frames)
	default:
		enc.frames = append(enc.frames, raw...)
	}
	return enc.frames[n:]
}
