package segment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/failpoint"
)

// partition is one open partition.
type partition struct {
	engine *Engine
	name   string
	dir    string
	sum    uint32 // checksum of the name, in every block

	// write is held while something is changed on disk.
	write  sync.Mutex
	out    *file // being written, nil before the first Append; may not be in files yet
	size   int64 // allocated to out
	zeroed int64 // bytes of out that were written with zeros or blocks
	spare  []*file
	failed error // what ended writing

	// mu guards what follows and the fields of every file. It is not held while
	// the disk is read or written.
	mu       sync.Mutex
	files    []*file // that hold blocks or damage, oldest first
	handles  []*file // with an open handle, least recently used first
	last     eventlog.Header
	reserved uint64
	bytes    int64
	damage   []named
	closed   bool
	hints    map[uint64]hint
	recent   [maxHints]uint64 // keys of hints, a ring
	turn     int
}

var _ eventlog.Partition = (*partition)(nil)

var errReadOnly = errors.New("log was opened for reading only")

// Append stores a block: see [eventlog.Partition]. It does not end early with
// its context, for a block that is being written cannot be called back.
func (p *partition) Append(_ context.Context, block []byte) error {
	p.write.Lock()
	defer p.write.Unlock()
	if p.isClosed() {
		return eventlog.ErrClosed
	}
	if p.failed != nil {
		return fmt.Errorf("%w: %w", eventlog.ErrFailed, p.failed)
	}
	err := p.append(block)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("append to partition %q: %w", p.name, err)
	if errors.Is(err, eventlog.ErrFull) {
		return err
	}
	p.failed = err
	return fmt.Errorf("%w: %w", eventlog.ErrFailed, err)
}

func (p *partition) append(block []byte) error {
	h, err := p.check(block)
	if err != nil {
		return err
	}
	if err := p.room(h.First, int64(len(block))); err != nil {
		return err
	}
	if err := p.put(block, p.out.end); err != nil {
		return err
	}
	if before := p.commit(&h); before != nil {
		p.seal(before)
	}
	return nil
}

// check returns the header of a block that may follow the ones stored.
func (p *partition) check(block []byte) (eventlog.Header, error) {
	h, err := eventlog.ParseHeader(block)
	if err != nil {
		return h, err
	}
	switch used := max(p.last.First+uint64(p.last.Count), p.reserved+1); {
	case p.engine.opts.ReadOnly:
		return h, errReadOnly
	case h.Size() != len(block):
		return h, fmt.Errorf("block has %d bytes instead of %d", len(block), h.Size())
	case h.Log != p.engine.opts.Log || h.Partition != p.sum:
		return h, errors.New("block belongs to another log or partition")
	case h.First < used:
		return h, fmt.Errorf("block starts at %d, below %d", h.First, used)
	}
	return h, nil
}

// room makes p.out a file with space for n bytes behind its last block.
func (p *partition) room(first uint64, n int64) error {
	if p.out == nil {
		if err := p.resume(); err != nil {
			return err
		}
	}
	if p.out != nil && p.out.end+n <= p.size && (p.out.end > 0 || p.out.first == first) {
		return nil
	}
	if p.out != nil && p.out.end == 0 {
		p.spare = append(p.spare, p.out)
		p.out = nil
	}
	if err := p.discard(); err != nil {
		return err
	}
	return p.create(first, max(n, p.engine.opts.SegmentSize))
}

// resume goes on in the newest file, if that may be.
func (p *partition) resume() error {
	if len(p.files) == 0 {
		return nil
	}
	f := p.files[len(p.files)-1]
	if f.full || f.blocks == 0 {
		p.giveBack(f)
		return nil
	}
	// A copy of a file may have lost its allocation.
	if err := f.handle.Allocate(f.length); err != nil {
		return err
	}
	p.out, p.size, p.zeroed = f, f.length, f.end
	return nil
}

// giveBack frees what was allocated behind the last byte of a torn file that is
// not zero.
func (p *partition) giveBack(f *file) {
	p.mu.Lock()
	footed, h := f.footed, f.handle
	p.mu.Unlock()
	if footed || h == nil {
		return
	}
	used := f.end
	for i := range f.tail {
		used = max(used, f.tail[i].offset+f.tail[i].size)
	}
	if err := h.Truncate(used); err != nil {
		p.engine.opts.Logger.Warn("unused space not freed", "path", f.path, "err", err)
	}
	p.measure(f, h)
}

// discard removes files that were made and never held a block.
func (p *partition) discard() error {
	for len(p.spare) > 0 {
		f := p.spare[0]
		if err := errors.Join(f.handle.Close(), p.engine.opts.FS.Remove(f.path)); err != nil {
			return fmt.Errorf("remove empty file: %w", err)
		}
		failpoint.Here(failpoint.SegmentDiscarded)
		p.spare = p.spare[1:]
		p.mu.Lock()
		p.bytes -= f.space
		p.mu.Unlock()
	}
	return nil
}

// create makes p.out a new file. Readers do not know it before its first block
// is stored.
func (p *partition) create(first uint64, size int64) error {
	fsys := p.engine.opts.FS
	path := filepath.Join(p.dir, fileName(first))
	h, err := fsys.Create(path)
	if err != nil {
		return fmt.Errorf("create file: %w", err)
	}
	failpoint.Here(failpoint.SegmentCreated)
	if err := h.Allocate(size); err != nil {
		return fmt.Errorf("allocate %d bytes: %w", size, errors.Join(err, h.Close(), fsys.Remove(path)))
	}
	failpoint.Here(failpoint.SegmentAllocated)
	if err := fsys.SyncDir(p.dir); err != nil {
		err = fmt.Errorf("sync folder: %w", err)
		if errors.Is(err, eventlog.ErrFull) {
			err = errors.Join(err, h.Close(), fsys.Remove(path)) // it is made anew
		}
		return err
	}
	failpoint.Here(failpoint.SegmentNamed)
	f := &file{first: first, path: path, handle: h, checked: true}
	p.measure(f, h)
	p.out, p.size, p.zeroed = f, size, 0
	return nil
}

// put writes block at offset of p.out and syncs it. Zeros go ahead of it now and
// then, so that the next blocks replace bytes that the file system knows.
func (p *partition) put(block []byte, offset int64) error {
	h := p.out.handle
	failpoint.Here(failpoint.BlockWriting)
	if err := writeAll(h, block, offset); err != nil {
		// A file system that copies on write can be full here: what it has taken of
		// the block must not be left behind the next one.
		p.zeroed = min(p.zeroed, offset)
		return fmt.Errorf("write block: %w", err)
	}
	failpoint.Here(failpoint.BlockWritten)
	end := offset + int64(len(block))
	fresh := end > p.zeroed
	if fresh {
		p.zeroed = min(end+int64(len(p.engine.zeros)), p.size)
		err := writeAll(h, p.engine.zeros[:p.zeroed-end], end)
		if err != nil {
			p.zeroed = end // they are written with the next block
		}
		if err != nil && !errors.Is(err, eventlog.ErrFull) {
			return fmt.Errorf("write zeros: %w", err)
		}
		failpoint.Here(failpoint.BlockZeroed)
	}
	err := h.Sync()
	if errors.Is(err, eventlog.ErrFull) {
		// Even for want of space, a failed sync is no reason to try again: what it
		// left unwritten is not known.
		err = errors.New(err.Error())
	}
	if err == nil && fresh {
		// Space that was only allocated has become a part of the file. When the file
		// system is shut down in the middle of that, ext4 forgets it and reports the
		// first sync as done; the second one fails.
		err = h.Sync()
	}
	if err != nil {
		return fmt.Errorf("sync block: %w", err)
	}
	failpoint.Here(failpoint.BlockSynced)
	return nil
}

func writeAll(w File, b []byte, offset int64) error {
	n, err := w.WriteAt(b, offset)
	if err == nil && n < len(b) {
		err = fmt.Errorf("%d of %d bytes written", n, len(b))
	}
	return err
}

// ended is a file that gets no more blocks, with the handle and the index that it had
// as the newest: from then on readers may let go of both.
type ended struct {
	file    *file
	handle  File
	summary summary
}

// commit shows the block just stored to readers. It returns the file that came
// before when p.out is new.
func (p *partition) commit(h *eventlog.Header) *ended {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.out
	var before *ended
	if f.end == 0 {
		if n := len(p.files); n > 0 {
			last := p.files[n-1]
			before = &ended{last, last.handle, last.summary}
		}
		// Readers hold the old list without a lock.
		p.files = append(slices.Clone(p.files), f)
	}
	f.add(h, f.end)
	f.readTo = f.end
	p.last = *h
	return before
}

// seal closes a file with a footer and gives back its unused space. A failure costs
// time at the next start and nothing else. The sync is there only so that a power
// cut leaves no half of a footer, which would be named as damage.
func (p *partition) seal(e *ended) {
	if e.file.full || e.handle == nil {
		return
	}
	footer := e.summary.footer(p.engine.opts.Log, p.sum)
	failpoint.Here(failpoint.FooterWriting)
	err := writeAll(e.handle, footer, e.summary.end)
	if err == nil {
		failpoint.Here(failpoint.FooterWritten)
		err = e.handle.Truncate(e.summary.end + int64(len(footer)))
		failpoint.Here(failpoint.FooterCut)
		err = errors.Join(err, e.handle.Sync())
	}
	failpoint.Here(failpoint.FooterSynced)
	if err != nil {
		p.engine.opts.Logger.Warn("footer not written", "path", e.file.path, "err", err)
	}
	p.measure(e.file, e.handle)
	p.mu.Lock()
	defer p.mu.Unlock()
	e.file.full, e.file.footed = true, err == nil
	if e.file.handle != nil {
		p.touch(e.file)
	}
}

// measure brings the space that f, which h is open for, occupies up to date.
func (p *partition) measure(f *file, h File) {
	length, space, err := h.Size()
	if err != nil {
		p.engine.opts.Logger.Warn("file not measured", "path", f.path, "err", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes += space - f.space
	f.length, f.space = length, space
}

// Trim removes files all of whose numbers are below seq, oldest first, but not
// the one that holds the newest block: see [eventlog.Partition].
func (p *partition) Trim(ctx context.Context, seq uint64) error {
	p.write.Lock()
	defer p.write.Unlock()
	if p.engine.opts.ReadOnly {
		return errReadOnly
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return eventlog.ErrClosed
		}
		f := p.oldest(seq)
		p.mu.Unlock()
		if f == nil {
			return nil
		}
		// Each removal is made durable by itself: a power cut must not leave a
		// hole in the middle. What somebody else removed is as good as trimmed.
		failpoint.Here(failpoint.SegmentTrimming)
		if err := p.engine.opts.FS.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove file: %w", err)
		}
		failpoint.Here(failpoint.SegmentUnlinked)
		p.forget(f)
		if err := p.engine.opts.FS.SyncDir(p.dir); err != nil {
			return fmt.Errorf("sync folder: %w", err)
		}
		failpoint.Here(failpoint.SegmentForgotten)
	}
}

// oldest returns the first file if it may be trimmed. The caller holds p.mu.
func (p *partition) oldest(seq uint64) *file {
	if len(p.files) < 2 {
		return nil
	}
	f, next := p.files[0], p.files[1]
	if next.first > seq && (f.blocks == 0 || f.highest() >= seq) {
		return nil
	}
	if p.last.First != 0 && f.last >= p.last.First {
		return nil
	}
	return f
}

// forget drops a removed file.
func (p *partition) forget(f *file) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.gone, f.handle = true, nil
	p.handles = slices.DeleteFunc(p.handles, func(g *file) bool { return g == f })
	p.files = p.files[1:]
	p.bytes -= f.space
	p.damage = slices.DeleteFunc(p.damage, func(d named) bool { return d.file == f })
}

// State describes what is stored: see [eventlog.Partition].
func (p *partition) State() eventlog.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := eventlog.State{Last: p.last, Bytes: p.bytes, Reserved: p.reserved}
	for _, f := range p.files {
		if f.blocks > 0 {
			s.First = f.summary.first
			break
		}
	}
	for i := range p.damage {
		s.Damage = append(s.Damage, p.damage[i].Damage)
	}
	return s
}

func (p *partition) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// Close ends the partition: see [eventlog.Partition]. Blocks that were returned
// before can no longer be read.
func (p *partition) Close() error {
	p.write.Lock()
	defer p.write.Unlock()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	files := append(slices.Clone(p.files), p.spare...)
	if p.out != nil && p.out.end == 0 {
		files = append(files, p.out)
	}
	var open []File
	for _, f := range files {
		if f.handle != nil {
			open = append(open, f.handle)
		}
	}
	p.hints, p.handles = nil, nil
	p.mu.Unlock()
	var errs []error
	for _, h := range open {
		errs = append(errs, h.Close())
	}
	p.engine.release(p.name)
	return errors.Join(errs...)
}
