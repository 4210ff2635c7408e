package destination

import (
	"bytes"
	"sync"

	"github.com/klauspost/compress/gzip"
)

const (
	// packAt is how much is gathered before it is compressed.
	packAt = 64 << 10
	// maxKeptBuffer bounds a buffer that is kept: one large event must not stay.
	maxKeptBuffer = 4 << 20
)

// Packers make gzipped bodies of requests. Kinds share one among their
// destinations, so that thousands of streams need the buffers of those alone that
// pack at this moment. The zero Packers works. They may be used by several
// goroutines at once.
type Packers struct{ pool sync.Pool } // of *Packer

// Pack returns what fill gathers in a Packer, gzipped. The same pieces give the
// same bytes. The slice is the caller's; it is all that a request holds while it
// waits for its answer.
func (p *Packers) Pack(fill func(*Packer)) []byte {
	packer, ok := p.pool.Get().(*Packer)
	if !ok {
		packer = newPacker()
	}
	packer.reset()
	fill(packer)
	body := bytes.Clone(packer.finish())
	if cap(packer.Raw) <= maxKeptBuffer && packer.out.Cap() <= maxKeptBuffer {
		p.pool.Put(packer)
	}
	return body
}

// Packer gathers one body. It is used by one goroutine.
type Packer struct {
	// Raw is what was gathered and is not compressed yet. Callers append to it, and
	// may take back what they appended since the last Flush.
	Raw []byte

	packed int // compressed so far, as it was
	out    bytes.Buffer
	zip    *gzip.Writer
}

// newPacker takes the level that keeps nothing between its blocks: on blocks of
// packAt it is quicker than the others, and it needs no memory of its own.
func newPacker() *Packer {
	zip, err := gzip.NewWriterLevel(nil, gzip.StatelessCompression)
	if err != nil {
		panic(err) // the level is a valid one
	}
	return &Packer{zip: zip}
}

func (p *Packer) reset() {
	p.Raw, p.packed = p.Raw[:0], 0
	p.out.Reset()
	p.zip.Reset(&p.out)
}

// Len returns how many bytes were gathered so far.
func (p *Packer) Len() int { return p.packed + len(p.Raw) }

// Flush compresses what was gathered when it is enough to be worth it. It is
// called after each piece.
func (p *Packer) Flush() {
	if len(p.Raw) >= packAt {
		p.compress()
	}
}

func (p *Packer) compress() {
	n, err := p.zip.Write(p.Raw)
	if err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	p.packed += n
	p.Raw = p.Raw[:0]
}

func (p *Packer) finish() []byte {
	p.compress()
	if err := p.zip.Close(); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	return p.out.Bytes()
}
