package ingest

import (
	"context"
	"math/bits"
	"sync"
)

// Body buffers come in powers of two. Those up to maxPooled bytes are used
// again; each size has a pool of its own, so that what a request holds is what
// it was counted for.
const (
	minBuffer   = 2 << 10
	maxPooled   = 1 << 20
	bufferSizes = 10 // 2 KiB to 1 MiB
)

// A buffer is a body, or a part of it. Its zero value holds nothing.
type buffer struct{ *block }

type block struct {
	b     []byte
	share *share // that the buffer counts for beside the budget of all; nil while it is in no use
}

func (b buffer) bytes() []byte {
	if b.block == nil {
		return nil
	}
	return b.b
}

type buffers struct{ sizes [bufferSizes]pool[block] }

// sizeOf returns the size of the buffer for n bytes; limit is the largest one
// that may be needed, which need not be a power of two. Beyond half of it there
// is no size between, so that growing never holds more than one and a half.
func sizeOf(n, limit int) int {
	switch {
	case n > limit/2:
		return limit
	case n <= minBuffer:
		return minBuffer
	}
	return 1 << bits.Len(uint(n-1))
}

// pooled returns the pool of buffers of this size, nil when there is none.
func (p *buffers) pooled(size int) *pool[block] {
	if size < minBuffer || size > maxPooled || size&(size-1) != 0 {
		return nil
	}
	return &p.sizes[bits.TrailingZeros(uint(size))-bits.TrailingZeros(minBuffer)]
}

// acquire takes a buffer of size bytes, which count for the share of a tenant and
// for the budget.
func (h *Handler) acquire(ctx context.Context, of *share, size int) (buffer, error) {
	if err := h.bodies.takeOf(ctx, of.bodies, size); err != nil {
		return buffer{}, err
	}
	p := h.buffers.pooled(size)
	if p == nil {
		return buffer{&block{make([]byte, 0, size), of}}, nil
	}
	blk := p.get()
	if blk.share = of; blk.b == nil {
		blk.b = make([]byte, 0, size)
	}
	return buffer{blk}, nil
}

// release gives the buffer back; b is empty afterwards.
func (h *Handler) release(b *buffer) {
	if b.block == nil {
		return
	}
	size, of := cap(b.b), b.share
	if p := h.buffers.pooled(size); p != nil {
		b.b, b.share = b.b[:0], nil
		p.put(b.block)
	}
	b.block = nil
	h.bodies.giveOf(of.bodies, size)
}

// grow replaces b by a buffer of size bytes with the same content.
func (h *Handler) grow(ctx context.Context, b *buffer, size int) error {
	larger, err := h.acquire(ctx, b.share, size)
	if err != nil {
		return err
	}
	larger.b = append(larger.b, b.bytes()...)
	h.release(b)
	*b = larger
	return nil
}

// pool is a sync.Pool of one type.
type pool[T any] struct{ p sync.Pool }

func (p *pool[T]) get() *T {
	if v, ok := p.p.Get().(*T); ok {
		return v
	}
	return new(T)
}

func (p *pool[T]) put(v *T) { p.p.Put(v) }
