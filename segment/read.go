package segment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sort"
	"time"

	"github.com/sluicelog/sluice/eventlog"
)

const (
	maxHints   = 128 // positions remembered: about one for each reader
	maxHandles = 64  // closed files kept open, with their index
)

// hint remembers where reading goes on.
type hint struct {
	file *file
	cursor
}

// Next returns the block that holds seq or the first one after it: see
// [eventlog.Partition]. It is fast for those who read one block after the other.
func (p *partition) Next(ctx context.Context, seq uint64) (eventlog.Stored, error) {
	if err := ctx.Err(); err != nil {
		return eventlog.Stored{}, err
	}
	h, err := p.locate(seq)
	if err != nil {
		return eventlog.Stored{}, err
	}
	s, err := p.step(ctx, &h, func(h *eventlog.Header) bool { return h.Last() >= seq })
	if err != nil {
		return eventlog.Stored{}, err
	}
	p.remember(s.Header.Last()+1, h)
	return s, nil
}

// Since returns the first block accepted at t or later: see [eventlog.Partition].
func (p *partition) Since(ctx context.Context, t time.Time) (eventlog.Stored, error) {
	p.mu.Lock()
	files, closed := p.files, p.closed
	i := slices.IndexFunc(files, func(f *file) bool { return f.blocks > 0 && !acceptedBefore(f.to, t) })
	p.mu.Unlock()
	switch {
	case closed:
		return eventlog.Stored{}, eventlog.ErrClosed
	case i < 0:
		return eventlog.Stored{}, io.EOF
	}
	index, err := p.indexOf(files[i])
	if err != nil {
		return eventlog.Stored{}, err
	}
	h := hint{file: files[i]}
	h.offset = before(index, func(e entry) bool { return !acceptedBefore(e.accepted, t) })
	return p.step(ctx, &h, func(h *eventlog.Header) bool { return !h.Accepted.Before(t) })
}

// locate returns a position at or before the block that holds seq.
func (p *partition) locate(seq uint64) (hint, error) {
	p.mu.Lock()
	files := p.files
	if h, ok := p.hints[seq]; ok && !h.file.gone {
		p.mu.Unlock()
		return h, nil
	}
	closed := p.closed
	p.mu.Unlock()
	switch {
	case closed:
		return hint{}, eventlog.ErrClosed
	case len(files) == 0:
		return hint{}, io.EOF
	}
	i := sort.Search(len(files), func(i int) bool { return files[i].first > seq })
	if i == 0 {
		return hint{file: files[0]}, nil
	}
	index, err := p.indexOf(files[i-1])
	h := hint{file: files[i-1]}
	h.offset = before(index, func(e entry) bool { return e.seq > seq })
	return h, err
}

// remember notes where a reader goes on that asks for seq next.
func (p *partition) remember(seq uint64, h hint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if _, known := p.hints[seq]; !known {
		delete(p.hints, p.recent[p.turn])
		p.recent[p.turn] = seq
		p.turn = (p.turn + 1) % maxHints
	}
	p.hints[seq] = h
}

// step returns the first block at or behind h that want takes, and moves h
// behind it.
func (p *partition) step(ctx context.Context, h *hint, want func(*eventlog.Header) bool) (eventlog.Stored, error) {
	for n := 1; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return eventlog.Stored{}, ctx.Err()
		}
		limit, next, err := p.bounds(h.file)
		if err != nil {
			return eventlog.Stored{}, err
		}
		if h.offset >= limit {
			if next == nil {
				return eventlog.Stored{}, io.EOF
			}
			*h = hint{file: next}
			continue
		}
		r, err := p.open(h.file)
		if err != nil {
			return eventlog.Stored{}, err
		}
		if r == nil {
			h.offset = limit
			continue
		}
		var nextFirst uint64
		if next != nil {
			nextFirst = next.first
		}
		f := h.next(r, limit, p.admit(h.file, nextFirst))
		switch {
		case f.kind == isFailed:
			return eventlog.Stored{}, fmt.Errorf("read %s: %w", h.file.path, f.err)
		case f.kind == isDamage || f.kind == isFooter:
			p.examine(h.file, r)
		case f.kind == isBlock && want(&f.header):
			return stored(r, &f), nil
		}
	}
}

func stored(r File, f *found) eventlog.Stored {
	if f.bytes != nil {
		return eventlog.Stored{Header: f.header, ReaderAt: bytes.NewReader(f.bytes)}
	}
	return eventlog.Stored{Header: f.header, ReaderAt: io.NewSectionReader(r, f.offset, f.size)}
}

// bounds returns how far f can be read and the file after it, nil when there is
// none. A trimmed file ends at once, before the oldest that is left.
func (p *partition) bounds(f *file) (limit int64, next *file, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, nil, eventlog.ErrClosed
	}
	i := sort.Search(len(p.files), func(i int) bool { return p.files[i].first > f.first })
	if i < len(p.files) {
		next = p.files[i]
	}
	if f.gone {
		return 0, next, nil
	}
	return f.readTo, next, nil
}

// open returns the handle of f for reading, nil when the file is not there.
func (p *partition) open(f *file) (File, error) {
	p.mu.Lock()
	if h := f.handle; h != nil {
		if len(p.handles) == 0 || p.handles[len(p.handles)-1] != f {
			p.touch(f)
		}
		p.mu.Unlock()
		return h, nil
	}
	p.mu.Unlock()
	h, err := p.engine.opts.FS.Open(f.path, false)
	if errors.Is(err, fs.ErrNotExist) {
		p.examine(f, nil)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errors.Join(eventlog.ErrClosed, h.Close())
	}
	if f.gone || f.handle != nil {
		return h, nil
	}
	f.handle = h
	p.touch(f)
	return h, nil
}

// touch makes f the file that was used last and lets go of the one that was not
// used for longest. Its handle is closed when nobody refers to it any more. The
// newest file keeps its own. The caller holds p.mu.
func (p *partition) touch(f *file) {
	if f == p.files[len(p.files)-1] {
		return
	}
	p.handles = slices.DeleteFunc(p.handles, func(g *file) bool { return g == f })
	p.handles = append(p.handles, f)
	if len(p.handles) > maxHandles {
		p.handles[0].handle, p.handles[0].index = nil, nil
		p.handles = slices.Delete(p.handles, 0, 1)
	}
}

// indexOf returns the sparse index of f.
func (p *partition) indexOf(f *file) ([]entry, error) {
	p.mu.Lock()
	index, footed := f.index, f.footed
	length, limit := f.length, f.readTo
	next, _ := p.around(f)
	p.mu.Unlock()
	if index != nil {
		return index, nil
	}
	r, err := p.open(f)
	if err != nil || r == nil {
		return nil, err
	}
	if footed {
		index, err = readIndex(r, limit, length)
		if errors.Is(err, errNoFooter) {
			p.badFooter(f)
		}
	}
	if !footed || err != nil {
		s := p.scan(f, r, limit, next, false)
		if s.err != nil {
			return nil, fmt.Errorf("read %s: %w", f.path, s.err)
		}
		index = s.index
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.index == nil {
		f.index = index
	}
	return f.index, nil
}
