package segmenttest

import (
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync/atomic"

	"github.com/sluicelog/sluice/segment"
)

// file is an open file of a [Disk].
type file struct {
	disk   *Disk
	inode  *inode
	name   string
	write  bool
	closed atomic.Bool
}

var _ segment.File = (*file)(nil)

func (f *file) ReadAt(b []byte, offset int64) (int, error) {
	if f.closed.Load() {
		return 0, fs.ErrClosed
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if offset >= int64(len(f.inode.data.b)) {
		return 0, io.EOF
	}
	n := copy(b, f.inode.data.b[offset:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// change begins an operation on the file; the caller holds the disk's mu.
func (f *file) change(op Op) (bool, error) {
	if f.closed.Load() || !f.write {
		return false, fmt.Errorf("%s %s: %w", op, f.name, fs.ErrClosed)
	}
	return f.disk.begin(op, f.name)
}

func (f *file) WriteAt(b []byte, offset int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	do, err := f.change(Write)
	if !do {
		return 0, err
	}
	if full := f.disk.room(offset + int64(len(b)) - int64(len(f.inode.data.b))); full != nil {
		return 0, full
	}
	if err != nil { // the last thing that the disk does: a part, or all of it
		b = b[:f.disk.rnd.IntN(len(b)+1)]
	}
	f.inode.data.write(b, offset)
	f.inode.pending = append(f.inode.pending, change{offset, slices.Clone(b)})
	return len(b), err
}

func (f *file) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	do, err := f.change(Sync)
	if err != nil || !do {
		return err
	}
	for _, c := range f.inode.pending {
		if c.data == nil {
			f.inode.stable.resize(c.offset)
		} else {
			f.inode.stable.write(c.data, c.offset)
		}
	}
	f.inode.pending = nil
	return nil
}

// Uncache does nothing: reads see what was written.
func (f *file) Uncache() {}

func (f *file) Allocate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if size <= int64(len(f.inode.data.b)) {
		return nil
	}
	if full := f.disk.room(size - int64(len(f.inode.data.b))); full != nil {
		return full
	}
	return f.resize(Allocate, size)
}

func (f *file) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.resize(Truncate, size)
}

func (f *file) resize(op Op, size int64) error {
	do, err := f.change(op)
	if do {
		f.inode.data.resize(size)
		f.inode.pending = append(f.inode.pending, change{offset: size})
	}
	return err
}

func (f *file) Size() (length, occupied int64, err error) {
	if f.closed.Load() {
		return 0, 0, fs.ErrClosed
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	n := int64(len(f.inode.data.b))
	return n, n, nil
}

func (f *file) Close() error {
	f.closed.Store(true)
	return nil
}
