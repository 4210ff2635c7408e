package segment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"

	"github.com/sluicelog/sluice/eventlog"
)

const (
	// DefaultSegmentSize is the size of a file unless Options say otherwise.
	DefaultSegmentSize = 64 << 20
	// MinSegmentSize is the smallest size of a file that Options may ask for.
	MinSegmentSize = 64 << 10
	// lockName is the file that the writing process has locked.
	lockName = "lock"
	// zeroStep is how many bytes are written with zeros ahead of the blocks at a
	// time: a 64th of a file, but no more than this.
	zeroStep = 1 << 20
)

// Options say how a log is stored. The zero value suits a log whose identity is
// zero.
type Options struct {
	// SegmentSize is the size of a file in bytes; DefaultSegmentSize when 0, at
	// least MinSegmentSize. A larger block gets a file of its own size.
	SegmentSize int64
	// Log is the identity of the log, Earlier are those that it had before it was
	// restored from backups. Blocks of another log are damage.
	Log     eventlog.LogID
	Earlier []eventlog.LogID
	// ReadOnly leaves everything as it is and takes no lock, so that a log can be
	// read while another process writes it. Append and Trim fail; a partition shows
	// what was there when it was opened.
	ReadOnly bool
	// Logger hears of files that do not belong to the log and of footers that could
	// not be written. Nil: nobody does.
	Logger *slog.Logger
	// FS is the file system; that of the operating system when nil.
	FS FS
}

// wrote reports whether the log has or had the identity id.
func (o *Options) wrote(id eventlog.LogID) bool {
	return id == o.Log || slices.Contains(o.Earlier, id)
}

// Engine is a log in a folder. All methods may be called at once.
type Engine struct {
	dir   string
	opts  Options
	lock  io.Closer // nil when read only
	zeros []byte    // never changed

	mu     sync.Mutex
	open   map[string]*partition
	closed bool
}

var _ eventlog.Engine = (*Engine)(nil)

// Open opens the log in dir and makes the folder when it is absent. It returns
// an error that is [ErrLocked] while another process has the log open for
// writing. Partitions are read when they are opened.
func Open(dir string, opts Options) (*Engine, error) {
	if opts.SegmentSize == 0 {
		opts.SegmentSize = DefaultSegmentSize
	}
	if opts.SegmentSize < MinSegmentSize {
		return nil, fmt.Errorf("segment size %d is below %d", opts.SegmentSize, MinSegmentSize)
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.FS == nil {
		opts.FS = OS()
	}
	proof := &provenFS{FS: opts.FS}
	if !opts.ReadOnly {
		proof.dir = dir
	}
	opts.FS = proof
	e := &Engine{dir: dir, opts: opts, open: map[string]*partition{}}
	if opts.ReadOnly {
		return e, nil
	}
	e.zeros = make([]byte, min(zeroStep, opts.SegmentSize/64))
	if err := opts.FS.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("make log folder: %w", err)
	}
	lock, err := opts.FS.Lock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("lock log in %s: %w", dir, err)
	}
	e.lock = lock
	return e, nil
}

// Open opens a partition: see [eventlog.Engine]. It reads and verifies the newest
// file and reads the end of every other one. The name is lower-case letters,
// digits, '-', '_' and '.', starts with a letter or digit and has at most 64
// bytes.
func (e *Engine) Open(ctx context.Context, name string) (eventlog.Partition, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := eventlog.CheckPartition(name); err != nil {
		return nil, err
	}
	if err := e.claim(name); err != nil {
		return nil, err
	}
	p, err := e.load(name)
	e.mu.Lock()
	if err == nil && e.closed {
		err = eventlog.ErrClosed
	}
	if err == nil {
		e.open[name] = p
		e.mu.Unlock()
		return p, nil
	}
	e.mu.Unlock()
	return nil, fmt.Errorf("open partition %q: %w", name, errors.Join(err, p.Close()))
}

// claim reserves name until its partition is open.
func (e *Engine) claim(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return eventlog.ErrClosed
	}
	if _, taken := e.open[name]; taken {
		return fmt.Errorf("partition %q is open already", name)
	}
	e.open[name] = nil
	return nil
}

// load returns the partition, to be closed, also when it fails.
func (e *Engine) load(name string) (*partition, error) {
	p := &partition{engine: e, name: name, dir: filepath.Join(e.dir, name),
		sum: eventlog.Checksum([]byte(name)), hints: map[uint64]hint{}}
	if !e.opts.ReadOnly {
		// An earlier process may have made the folder and not lived to sync it.
		if err := errors.Join(e.opts.FS.MkdirAll(p.dir), e.opts.FS.SyncDir(e.dir)); err != nil {
			return p, err
		}
	}
	return p, p.load()
}

// Partitions returns the names of the partitions that exist, sorted.
func (e *Engine) Partitions(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	closed := e.closed
	e.mu.Unlock()
	if closed {
		return nil, eventlog.ErrClosed
	}
	entries, err := e.opts.FS.ReadDir(e.dir)
	if err != nil && (!errors.Is(err, fs.ErrNotExist) || !e.opts.ReadOnly) {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	names := []string{}
	for _, d := range entries {
		if d.IsDir() && eventlog.CheckPartition(d.Name()) == nil {
			names = append(names, d.Name())
		} else if d.Name() != lockName {
			e.opts.Logger.WarnContext(ctx, "not part of the log", "path", filepath.Join(e.dir, d.Name()))
		}
	}
	return names, nil
}

// Close closes the engine and the partitions that are still open.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	var open []*partition
	for _, p := range e.open {
		if p != nil {
			open = append(open, p)
		}
	}
	e.mu.Unlock()
	var errs []error
	for _, p := range open {
		errs = append(errs, p.Close())
	}
	if e.lock != nil {
		errs = append(errs, e.lock.Close())
	}
	return errors.Join(errs...)
}

// release forgets a closed partition, which may then be opened again.
func (e *Engine) release(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.open, name)
}
