package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// scratch is a folder in a backup's folder for files that are made to be copied. While
// there is no list of files yet, it says that what lies beside it is of a backup that
// was cut off.
const scratch = ".sluice-backup"

// Folder is the folder of a backup that is being written. While it is open, no other
// process can open it: each removes at its end what it did not copy.
type Folder struct {
	dir  string
	lock *os.File
}

// Open makes the folder dir, unless it is there, for a backup to be written to it. One
// that holds something else is refused. The caller closes it.
func Open(dir string) (*Folder, error) {
	if err := makeFolder(filepath.Clean(dir)); err != nil {
		return nil, err
	}
	f := &Folder{dir: dir}
	var err error
	if f.lock, err = lock(dir); err != nil {
		return nil, err
	}
	if err = f.vacant(); err == nil {
		err = errors.Join(os.RemoveAll(f.Scratch()), makeFolder(f.Scratch()))
	}
	if err != nil {
		return nil, errors.Join(err, f.lock.Close())
	}
	return f, nil
}

// Scratch returns a folder that is empty after Open and goes with Close, on the same
// disk as the backup.
func (f *Folder) Scratch() string { return filepath.Join(f.dir, scratch) }

// Close lets others open the folder.
func (f *Folder) Close() error {
	err := os.RemoveAll(f.Scratch())
	if err == nil && f.vacant() != nil {
		err = makeFolder(f.Scratch()) // there are parts, and no list: the next one goes on
	}
	return errors.Join(err, f.lock.Close())
}

// lock takes the lock of a folder, which the kernel gives back when the process ends;
// it leaves no file. A file system without locks has to do without.
func lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("another backup is being written to %s: wait for its end", dir), f.Close())
	}
	return f, nil
}

// vacant returns nil when the folder is empty, or holds a backup, or one that was cut
// off before it had a list.
func (f *Folder) vacant() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	for _, name := range []string{ManifestName, scratch} {
		if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name }) {
			return nil
		}
	}
	for _, e := range entries {
		if e.Name() != "lost+found" {
			return fmt.Errorf("%s holds something else (%s): choose an empty or absent folder", f.dir, e.Name())
		}
	}
	return nil
}
