package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Outline is a stored block of which header and directory have been read. Its
// events are read one at a time, each with the frame that holds it and nothing
// else: what is damaged elsewhere in the block does not matter. An Outline may be
// used by several goroutines at once.
type Outline struct {
	Header
	*Directory

	partition string
	block     *Block      // when it was in memory as a whole; then what follows is unused
	stored    io.ReaderAt // the block's bytes
	frames    []frameAt   // one for each of Frames

	mu  sync.Mutex
	at  int    // the frame in raw
	raw []byte // the frame that was read last, nil before
}

// frameAt is where a frame begins.
type frameAt struct {
	event  int    // index of its first event
	raw    uint32 // offset in the raw bytes
	stored int64  // offset in the stored block
}

// Outline returns the block that holds sequence number seq, or the first one
// after it when seq is not stored, as [Log.Block] does; but only its directory has
// been read. io.EOF says that there is none yet. It is for those who want few
// events of a block; what was asked for lately is kept in bounded memory.
func (l *Log) Outline(ctx context.Context, partition string, seq uint64) (*Outline, error) {
	p, from := l.partition(partition), seq
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		p.mu.Lock()
		end, b := p.stored, p.tail.find(seq)
		p.mu.Unlock()
		switch {
		case b != nil:
			return outlineOf(partition, b), nil
		case seq > end:
			return nil, p.nothing(from, end)
		}
		if o := l.outlines.find(partition, seq); o != nil {
			return o, nil
		}
		stored, err := p.store.Next(ctx, seq)
		if errors.Is(err, io.EOF) {
			return nil, p.nothing(from, end)
		}
		if err != nil {
			return nil, err
		}
		o, err := p.outline(stored)
		if err == nil {
			l.outlines.put(o)
			return o, nil
		}
		if !errors.Is(err, ErrDamaged) {
			return nil, err
		}
		p.damaged(stored.Header, err)
		seq = stored.Header.Last() + 1
	}
}

func outlineOf(partition string, b *Block) *Outline {
	return &Outline{Header: b.Header, Directory: b.Directory, partition: partition, block: b}
}

// outline reads the directory of a block.
func (p *partition) outline(stored Stored) (*Outline, error) {
	h := stored.Header
	buf := make([]byte, h.DirLen)
	if _, err := stored.ReadAt(buf, HeaderSize); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read directory of block %d of partition %s: %w", h.First, p.name, err)
	}
	d, err := parseDirectory(&h, buf)
	if err != nil {
		return nil, err
	}
	if err := p.mine(&h); err != nil {
		return nil, err
	}
	o := &Outline{Header: h, Directory: d, partition: p.name, stored: stored.ReaderAt, frames: make([]frameAt, len(d.Frames))}
	at := frameAt{stored: HeaderSize + int64(h.DirLen)}
	for i, f := range d.Frames {
		o.frames[i] = at
		at = frameAt{event: at.event + int(f.Events), raw: at.raw + f.Raw, stored: at.stored + int64(f.Stored)}
	}
	return o, nil
}

// Event returns event i, a JSON object; one '\n' follows it in the same block of
// memory. The slice must not be changed. An error that is [ErrDamaged] says which
// events cannot be read; the others still can.
func (o *Outline) Event(i int) ([]byte, error) {
	if o.block != nil {
		return o.block.Payload(i)
	}
	f := o.frameOf(i)
	raw, err := o.frame(f)
	if err != nil {
		return nil, err
	}
	e, start := &o.Entries[i], o.frames[f].raw
	return raw[e.Offset-start : e.Offset-start+e.Len], nil
}

// frameOf returns the index of the frame that holds event i. Directories whose
// frames do not hold all events are refused.
func (o *Outline) frameOf(i int) int {
	f := len(o.frames) - 1
	for f > 0 && o.frames[f].event > i {
		f--
	}
	return f
}

// frame returns a decoded frame and keeps it until another one is asked for.
func (o *Outline) frame(i int) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.raw != nil && o.at == i {
		return o.raw, nil
	}
	f := &o.Frames[i]
	first := o.First + uint64(o.frames[i].event)
	fail := func(err error) error {
		return fmt.Errorf("read events %d to %d of partition %s: %w", first, first+uint64(f.Events)-1, o.partition, err)
	}
	stored := make([]byte, f.Stored)
	if _, err := o.stored.ReadAt(stored, o.frames[i].stored); err != nil {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: cut short", ErrDamaged)
		}
		return nil, fail(err)
	}
	raw, err := o.decode(o.Codec, i, stored, nil)
	if err != nil {
		return nil, fail(err)
	}
	o.at, o.raw = i, raw
	return raw, nil
}

// size returns the bytes that o occupies in memory at most, roughly.
func (o *Outline) size() int {
	const overhead = 512
	largest := uint32(0)
	for i := range o.Frames {
		largest = max(largest, o.Frames[i].Raw)
	}
	return overhead + o.memSize() + cap(o.frames)*24 + int(largest)
}

// outlines keeps the outlines that were used last, newest first.
type outlines struct {
	limit int // bytes; one outline is kept whatever its size

	mu    sync.Mutex
	bytes int
	list  []*Outline // at most maxOutlines
}

const maxOutlines = 256

// find returns the outline of the block that holds seq, nil when it is not there.
func (c *outlines) find(partition string, seq uint64) *Outline {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, o := range c.list {
		if o.First <= seq && seq <= o.Last() && o.partition == partition {
			copy(c.list[1:i+1], c.list[:i])
			c.list[0] = o
			return o
		}
	}
	return nil
}

func (c *outlines) put(o *Outline) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range c.list {
		if x.First == o.First && x.partition == o.partition {
			return
		}
	}
	c.list = append(c.list, nil)
	copy(c.list[1:], c.list)
	c.list[0], c.bytes = o, c.bytes+o.size()
	for n := len(c.list) - 1; n > 0 && (c.bytes > c.limit || n >= maxOutlines); n-- {
		c.bytes -= c.list[n].size()
		c.list[n] = nil
		c.list = c.list[:n]
	}
}

// forget drops the outlines of blocks before a number, and with them what the
// engine keeps open for their bytes.
func (c *outlines) forget(partition string, before uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.list[:0]
	for _, o := range c.list {
		if o.partition == partition && o.Last() < before {
			c.bytes -= o.size()
			continue
		}
		kept = append(kept, o)
	}
	clear(c.list[len(kept):])
	c.list = kept
}
