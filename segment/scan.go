package segment

import (
	"bytes"
	"errors"
	"io"

	"github.com/sluicelog/sluice/eventlog"
)

const (
	headerRead  = 4 << 10   // read at once where large blocks are expected
	windowRead  = 32 << 10  // read at once where small blocks are expected
	smallBlock  = 4 << 10   // blocks up to this size are read together
	searchRead  = 256 << 10 // read at once in search of the next block
	sectorBytes = 512
)

type kind uint8

const (
	isEnd    kind = iota // nothing more, or only zeros
	isBlock              // a whole block whose header is good
	isDamage             // bytes that are no readable block
	isFooter             // a footer
	isFailed             // it cannot be read at the moment
)

// found is what lies at a place of a file.
type found struct {
	kind   kind
	offset int64
	size   int64
	header eventlog.Header // of a block; of a damaged one as far as it could be read
	known  bool            // the header of the damaged block could be read
	cause  string
	used   int64  // bytes of damage in sectors that are not all zero
	bytes  []byte // a block that was read together with others; else nil
	err    error  // of what cannot be read at the moment
}

// cursor walks over the pieces of a file. It holds the bytes read ahead, which
// are never changed: copies of a cursor share them.
type cursor struct {
	offset int64
	last   uint64 // last sequence number passed, 0 when that is not known
	small  bool   // small blocks are expected
	winAt  int64
	win    []byte
}

// next returns what lies at c in the first limit bytes of r and moves c behind
// it, unless it could not be read. Blocks that admit refuses are damage.
func (c *cursor) next(r io.ReaderAt, limit int64, admit func(*eventlog.Header) bool) found {
	if c.offset >= limit {
		return found{kind: isEnd, offset: c.offset}
	}
	b, err := c.peek(r, limit)
	if err != nil {
		return found{kind: isFailed, offset: c.offset, err: err}
	}
	h, err := eventlog.ParseHeader(b)
	if err == nil && h.First > c.last && admit(&h) {
		return c.take(h, b, limit)
	}
	return c.skip(r, limit, admit, cause(b, err))
}

// take passes the block with header h, of which b is the start.
func (c *cursor) take(h eventlog.Header, b []byte, limit int64) found {
	size := int64(h.Size())
	f := found{kind: isBlock, offset: c.offset, size: size, header: h}
	if c.offset+size > limit {
		f.kind, f.size, f.known, f.cause = isDamage, limit-c.offset, true, "block is cut"
		f.used = f.size
	} else if size <= int64(len(b)) {
		f.bytes = b[:size:size]
	}
	c.small = size <= smallBlock
	c.offset += f.size
	c.last = h.Last()
	return f
}

// peek returns the bytes at c, at least a header unless the limit is nearer.
func (c *cursor) peek(r io.ReaderAt, limit int64) ([]byte, error) {
	in := c.offset - c.winAt
	if in >= 0 && in+eventlog.HeaderSize <= int64(len(c.win)) {
		b := c.win[in:]
		h, err := eventlog.ParseHeader(b)
		if !c.small || err == nil && h.Size() <= len(b) {
			return b, nil
		}
	}
	n := int64(headerRead)
	if c.small {
		n = windowRead
	}
	win := make([]byte, min(n, limit-c.offset))
	if err := readAll(r, win, c.offset); err != nil {
		return nil, err
	}
	c.win, c.winAt = win, c.offset
	return win, nil
}

// skip passes what is no block: up to the next block or the limit.
func (c *cursor) skip(r io.ReaderAt, limit int64, admit func(*eventlog.Header) bool, why string) found {
	f := found{kind: isDamage, offset: c.offset, cause: why}
	buf := make([]byte, min(searchRead, limit-c.offset))
	filled := f.offset // end of what is not zero
	start := f.offset
	for start < limit {
		b := buf[:min(int64(len(buf)), limit-start)]
		if err := readAll(r, b, start); err != nil {
			return found{kind: isFailed, offset: c.offset, err: err}
		}
		if start == f.offset && bytes.HasPrefix(b, []byte(footerMagic)) {
			f.kind = isFooter
		}
		at := search(b, f.offset-start+1, func(h *eventlog.Header) bool { return h.First > c.last && admit(h) })
		stop := at
		if at < 0 {
			stop = int64(len(b))
		}
		used, last := occupied(b[:stop])
		f.used += used
		if used > 0 {
			filled = start + last
		}
		if at >= 0 {
			c.offset, c.small = start+at, false
			f.size = c.offset - f.offset
			return f
		}
		if start+int64(len(b)) >= limit {
			break
		}
		start += int64(len(b)) - (eventlog.HeaderSize - 1)
	}
	c.offset = limit
	f.size = filled - f.offset
	if f.size == 0 {
		f.kind = isEnd
	}
	return f
}

// search returns the offset in b, from on, of the first header that admit takes;
// -1 when there is none.
func search(b []byte, from int64, admit func(*eventlog.Header) bool) int64 {
	for at := max(0, from); at < int64(len(b)); at++ {
		i := bytes.Index(b[at:], []byte(eventlog.Magic))
		if i < 0 {
			return -1
		}
		at += int64(i)
		if h, err := eventlog.ParseHeader(b[at:]); err == nil && admit(&h) {
			return at
		}
	}
	return -1
}

// occupied returns how many bytes of b lie in sectors that are not all zero, and
// where the last of these ends.
func occupied(b []byte) (used, last int64) {
	for at := 0; at < len(b); at += sectorBytes {
		sector := b[at:min(at+sectorBytes, len(b))]
		if n := len(bytes.TrimRight(sector, "\x00")); n > 0 {
			used += int64(len(sector))
			last = int64(at + n)
		}
	}
	return used, last
}

func cause(b []byte, err error) string {
	switch {
	case err == nil:
		return "block of another log or place"
	case !errors.Is(err, eventlog.ErrNoBlock):
		return "bad block header"
	case len(b) < eventlog.HeaderSize:
		return "block is cut"
	default:
		return "not a block"
	}
}

// readAll fills b from offset. What is lost is filled with bytes that occur in no
// block: zeros behind the end, 0xff in an unreadable page. An error is one of the
// disk, which says nothing about what lies there.
func readAll(r io.ReaderAt, b []byte, offset int64) error {
	n, err := r.ReadAt(b, offset)
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		clear(b[n:])
		return nil
	}
	if !errors.Is(err, errUnreadable) {
		return err
	}
	if f, ok := r.(provenFile); ok {
		r = f.File // it is proved; now which pages
	}
	const page = 4 << 10
	for at := 0; at < len(b); at += page {
		p := b[at:min(at+page, len(b))]
		n, err := r.ReadAt(p, offset+int64(at))
		if errors.Is(err, io.EOF) {
			clear(p[n:])
		} else if err != nil {
			for i := range p {
				p[i] = 0xff
			}
		}
	}
	return nil
}
