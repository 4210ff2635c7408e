package segment

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sluicelog/sluice/eventlog"
)

// FS is what the engine asks of a file system. The one of the operating system
// is the default; tests put one between that loses power, space or bits.
//
// Errors for want of space satisfy errors.Is(err, eventlog.ErrFull); so do those of
// Create and SyncDir for want of descriptors, before which nothing was done.
type FS interface {
	// MkdirAll makes a directory and its parents. They are durable when it returns.
	MkdirAll(dir string) error
	// ReadDir returns the entries of a directory, sorted by name.
	ReadDir(dir string) ([]fs.DirEntry, error)
	// Create makes a file that must not exist and opens it for reading and writing.
	// Its name is durable after SyncDir.
	Create(name string) (File, error)
	// Open opens a file for reading and, if write is set, for writing.
	Open(name string, write bool) (File, error)
	// Remove unlinks a file; open files stay readable. Durable after SyncDir.
	Remove(name string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	// Lock takes the lock file of that name, which it creates, until the result is
	// closed or the process ends. It returns [ErrLocked] when somebody else has it.
	Lock(name string) (io.Closer, error)
}

// File is an open file. All methods may be called at once.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes what was written, and the size, durable.
	Sync() error
	// Uncache makes later reads come from the disk itself as far as the system can,
	// so that what a failed sync left in memory alone is not taken for stored.
	Uncache()
	// Allocate makes sure that there is space for the first size bytes. The file
	// is at least that long afterwards; what was never written reads as zeros.
	Allocate(size int64) error
	// Truncate sets the size.
	Truncate(size int64) error
	// Size returns the length of the file and the space that it occupies.
	Size() (length, occupied int64, err error)
}

// ErrLocked says that another process writes to the log.
var ErrLocked = errors.New("log is in use by another process")

// OS returns the file system of the operating system.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) MkdirAll(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		// It may be new and not synced, by a process that died. If the parent cannot
		// be opened, it is none that the log made.
		_ = osFS{}.SyncDir(filepath.Dir(dir))
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := (osFS{}).MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return space(err)
	}
	return osFS{}.SyncDir(parent)
}

func (osFS) ReadDir(dir string) ([]fs.DirEntry, error) { return os.ReadDir(dir) }

func (osFS) Create(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, space(err)
	}
	return osFile{f}, nil
}

func (osFS) Open(name string, write bool) (File, error) {
	flag := os.O_RDONLY
	if write {
		flag = os.O_RDWR
	}
	f, err := os.OpenFile(name, flag, 0)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Remove(name string) error { return os.Remove(name) }

func (osFS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return space(err)
	}
	return errors.Join(syncDir(d), d.Close())
}

func (osFS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, space(err)
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// osFile needs no explicit end: the runtime closes an *os.File that nobody
// refers to. So blocks stay readable after their file was unlinked.
type osFile struct{ *os.File }

func (f osFile) WriteAt(b []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(b, off)
	return n, space(err)
}

func (f osFile) Sync() error { return dataSync(f.File) }

func (f osFile) Uncache() { uncache(f.File) }

func (f osFile) Allocate(size int64) error {
	err := allocate(f.File, size)
	if errors.Is(err, errors.ErrUnsupported) {
		err = f.fill(size)
	}
	return space(err)
}

// fill takes space where the file system cannot promise it: by writing zeros
// behind the end.
func (f osFile) fill(size int64) error {
	length, _, err := f.Size()
	if err != nil {
		return err
	}
	zeros := make([]byte, min(zeroStep, max(0, size-length)))
	for length < size {
		n, err := f.File.WriteAt(zeros[:min(int64(len(zeros)), size-length)], length)
		if err != nil {
			return err
		}
		length += int64(n)
	}
	return dataSync(f.File)
}

func (f osFile) Size() (length, occupied int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	return info.Size(), occupiedBytes(info), nil
}

// space marks errors that stand for want of space, or of descriptors: whoever has
// them gives them back some time.
func space(err error) error {
	for _, want := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, want) {
			return fmt.Errorf("%w: %w", eventlog.ErrFull, err)
		}
	}
	return err
}
