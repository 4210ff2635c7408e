package eventlog

import (
	"context"
	"slices"
)

// Reader reads the blocks of a partition one after another, each into the memory
// of the one before. It leaves the log's cache of blocks to others. It belongs to
// one goroutine.
type Reader struct {
	p      *partition
	own    *Block // that lies in stored and raw; nobody else has it
	stored []byte
	raw    []byte
}

// Reader returns a reader of a partition.
func (l *Log) Reader(partition string) *Reader { return &Reader{p: l.partition(partition)} }

// Next is like [Log.Block]. The block is valid until the next call.
func (r *Reader) Next(ctx context.Context, seq uint64) (*Block, error) {
	r.own = nil
	return r.p.block(ctx, seq, func(stored Stored) (b *Block, err error) {
		if cap(r.stored) > keptRaw {
			r.stored = nil
		}
		size := stored.Header.Size()
		r.stored = slices.Grow(r.stored[:0], size)[:size]
		r.own, err = r.p.read(stored, r.stored)
		return r.own, err
	})
}

// Load is like [Block.Load] for the block that Next returned last.
func (r *Reader) Load(b *Block) error {
	if b != r.own || b.raw != nil {
		return b.Load()
	}
	if cap(r.raw) > keptRaw {
		r.raw = nil
	}
	r.raw = slices.Grow(r.raw[:0], int(b.RawLen))
	return b.load(r.raw[:0])
}
