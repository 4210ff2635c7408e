package segment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/sluicelog/sluice/eventlog"
)

// Piece is a part of a partition as it lies on disk: a block, or damage.
type Piece struct {
	File   string // name of the file in the partition's folder; "" for what no file holds
	Offset int64
	Size   int64
	// Header is that of the block; of damage it is zero, unless it is a block
	// whose header could be read.
	Header eventlog.Header
	// Damage is nil for a block with a good header. Its body has not been read.
	Damage *eventlog.Damage
	// ReaderAt reads the piece's bytes while fn runs; nil for what no file holds.
	io.ReaderAt
}

// Walk calls fn for every piece of the partition, in the order in which they lie,
// until fn returns an error, which Walk returns. It does not need the partition
// to be open and changes nothing, so that it also serves an engine that was
// opened for reading only beside a process that writes. What that process has
// not finished writing looks like damage at the end.
func (e *Engine) Walk(ctx context.Context, name string, fn func(Piece) error) error {
	if err := eventlog.CheckPartition(name); err != nil {
		return err
	}
	p := &partition{engine: e, name: name, dir: filepath.Join(e.dir, name), sum: eventlog.Checksum([]byte(name))}
	files, err := p.list()
	if err != nil {
		return fmt.Errorf("walk partition %q: %w", name, err)
	}
	w := walker{partition: p, fn: fn}
	for i, f := range files {
		var next uint64
		if i+1 < len(files) {
			next = files[i+1].first
		}
		err := w.file(ctx, f, next)
		if errors.Is(err, fs.ErrNotExist) {
			continue // trimmed meanwhile
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type walker struct {
	*partition
	fn      func(Piece) error
	before  uint64 // last number passed
	covered bool   // damage at the end of the last file explains what is missing behind it
	seen    bool   // a file was passed
	pending []note // damage whose end is not known yet
}

// file walks over one file.
func (w *walker) file(ctx context.Context, f *file, next uint64) error {
	r, err := w.engine.opts.FS.Open(f.path, false)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // it was only read
	length, _, err := r.Size()
	if err != nil {
		return fmt.Errorf("walk %s: %w", f.path, err)
	}
	limit, err := w.limit(f, r, length)
	if err != nil {
		return fmt.Errorf("walk %s: %w", f.path, err)
	}
	if w.seen && !w.covered && w.before+1 < f.first {
		d := missing(w.before, f)
		if err := w.fn(Piece{Damage: &d}); err != nil {
			return err
		}
	}
	w.seen, w.before = true, max(w.before, f.first-1)
	return w.pieces(ctx, f, r, limit, next)
}

// limit returns where the pieces of a file end: behind it, unless it ends with a
// good footer, which is no piece.
func (w *walker) limit(f *file, r File, length int64) (int64, error) {
	sum, err := readTrailer(r, length, &w.engine.opts, w.sum)
	if err != nil || sum.first < f.first {
		return length, nil
	}
	switch _, err := readIndex(r, sum.end, length); {
	case err == nil:
		return sum.end, nil
	case errors.Is(err, errNoFooter), errors.Is(err, errUnreadable):
		return length, nil
	default:
		return 0, err
	}
}

func (w *walker) pieces(ctx context.Context, f *file, r File, limit int64, next uint64) error {
	var c cursor
	admit := w.admit(f, next)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := c.next(r, limit, admit)
		if b.kind == isFooter {
			if _, _, ok := w.footerAt(r, &b); ok && next != 0 {
				continue // the next start gives back what is behind it
			}
			b.cause = "bad footer"
		}
		known := b.kind == isBlock || b.known
		if known || b.kind == isEnd {
			if err := w.flush(f, r, b.header.First, next); err != nil {
				return err
			}
		}
		switch {
		case b.kind == isEnd:
			return nil
		case b.kind == isFailed:
			return fmt.Errorf("walk %s: %w", f.path, b.err)
		case b.kind == isBlock:
			if err := w.fn(Piece{File: filepath.Base(f.path), Offset: b.offset, Size: b.size, Header: b.header,
				ReaderAt: io.NewSectionReader(r, b.offset, b.size)}); err != nil {
				return err
			}
		default:
			w.pending = append(w.pending, note{found: b, prev: w.before})
		}
		if known {
			w.before = b.header.Last()
		}
	}
}

// flush passes on the damage before the header that starts at first, 0 at the
// end of the file.
func (w *walker) flush(f *file, r File, first, next uint64) error {
	w.covered = false
	for i := range w.pending {
		n := &w.pending[i]
		n.next = first
		w.covered = w.covered || !n.known && n.kind != isFooter
		d := n.name(f, n.prev, next)
		if err := w.fn(Piece{File: filepath.Base(f.path), Offset: n.offset, Size: n.size, Header: n.header, Damage: &d,
			ReaderAt: io.NewSectionReader(r, n.offset, n.size)}); err != nil {
			return err
		}
	}
	w.pending = w.pending[:0]
	return nil
}
