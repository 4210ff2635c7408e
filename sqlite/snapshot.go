package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/store"
)

// partial ends the names of files that are being written.
const partial = ".partial"

// Snapshot writes what the store holds at one moment into a new file at path, with
// mode 0600, which is durable when Snapshot returns; until then its name ends in
// ".partial". Changes go on meanwhile. The whole file is verified first: damage
// gives [store.ErrDamaged] and no snapshot, and the store has failed.
func (s *Store) Snapshot(ctx context.Context, path string) error {
	if err := s.Check(ctx); err != nil {
		return err
	}
	err := s.copyInto(ctx, path+partial)
	if err == nil {
		failpoint.Here(failpoint.SnapshotCopied)
		err = os.Rename(path+partial, path)
	}
	if err == nil {
		failpoint.Here(failpoint.SnapshotNamed)
		return syncDir(filepath.Dir(path))
	}
	err = fmt.Errorf("write snapshot %s: %w", path, err)
	return errors.Join(err, removeFile(path+partial), removeFile(path+partial+"-journal"))
}

func (s *Store) copyInto(ctx context.Context, path string) error {
	if err := errors.Join(removeFile(path), createFile(path)); err != nil {
		return err
	}
	return vacuum(ctx, s.path, s.opts, path)
}

// vacuum writes what the store at from holds at one moment into the file at path,
// which is there and empty.
func vacuum(ctx context.Context, from string, o Options, path string) error {
	db, err := connect(from, o, 1)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", path)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	failpoint.Here(failpoint.CopyWritten)
	return syncFile(path)
}

// Copy writes what the store at from holds at one moment into a new file at path,
// and verifies the copy. Another process may have the store open and change it. A
// store whose write-ahead log is damaged or lost is refused, as by [OpenStore].
func Copy(ctx context.Context, from, path string) error {
	if _, err := os.Stat(from); err != nil {
		return err
	}
	if err := checkIdleLog(from); err != nil {
		return fmt.Errorf("copy control state %s: %w", from, err)
	}
	if err := createFile(path); err != nil {
		return err
	}
	err := vacuum(ctx, from, Options{}.withDefaults(), path)
	if err != nil && ctx.Err() == nil && copyIdle(from, path) == nil {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("copy control state %s: %w", from, err)
	}
	s, err := OpenStore(path, Options{})
	if err != nil {
		return fmt.Errorf("copy control state %s: %w", from, err)
	}
	return errors.Join(s.Close(), removeFile(path+".lock"))
}

// copyIdle copies the files of a store that nobody has open: on a disk that is mounted
// for reading only SQLite cannot open it.
func copyIdle(from, to string) error {
	if inUse(from) {
		return errors.New("it is in use")
	}
	err := errors.Join(removeStore(to), copyFiles(from, to))
	if err == nil && inUse(from) {
		err = errors.New("it was opened meanwhile")
	}
	if err != nil {
		return errors.Join(err, removeStore(to))
	}
	return nil
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// removeFile removes a file that may be absent.
func removeFile(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// SweepSnapshots removes what snapshots that were cut off have left in a folder.
func SweepSnapshots(folder string) error {
	left, err := filepath.Glob(filepath.Join(folder, "*"+partial+"*"))
	for _, path := range left {
		err = errors.Join(err, removeFile(path))
	}
	return err
}

// Replacement says how a store is replaced.
type Replacement struct {
	Path string // the store, which nobody may have open
	// From is what takes its place: a snapshot, or Path itself, of which all is kept
	// that can be read.
	From string
	// Aside begins the names that the files of the replaced store get.
	Aside string
	// Adjust changes the new store before it takes the place of the old one.
	Adjust func(context.Context, store.Store) error
}

// versionsLost is how many versions of records are left out after a replacement:
// more than can have been given since any snapshot.
const versionsLost = 1 << 40

// Replace puts another store in the place of one that is damaged, or gone. It
// verifies all of it first: when it answers [store.ErrDamaged] nothing was changed.
// The files of the old store are renamed, never removed. No version of a record is
// given again.
//
// When Replace is cut off there is either still the old store, or none, or the new
// one; called again it does what is left.
func Replace(ctx context.Context, r Replacement) (err error) {
	lock, err := lockFile(r.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	made := r.Path + ".new"
	if err := removeStore(made); err != nil {
		return err
	}
	err = makeCopy(ctx, r, made)
	if err == nil {
		failpoint.Here(failpoint.ReplacementMade)
		err = exchange(r, made)
	}
	return errors.Join(err, removeStore(made))
}

// removeStore removes the files of a store that is not used.
func removeStore(path string) error {
	var errs []error
	for _, end := range []string{"", "-wal", "-shm", "-journal", ".lock"} {
		errs = append(errs, removeFile(path+end))
	}
	return errors.Join(errs...)
}

// makeCopy makes a store of one file at path, verified, adjusted and durable.
func makeCopy(ctx context.Context, r Replacement, path string) error {
	if err := copyFiles(r.From, path); err != nil {
		return err
	}
	lock, err := lockFile(path)
	if err != nil {
		return err
	}
	s, err := openLocked(path, Options{}, lock)
	if err != nil {
		return fmt.Errorf("read %s: %w", r.From, err)
	}
	err = s.leaveOutVersions()
	if err == nil && r.Adjust != nil {
		err = r.Adjust(ctx, s)
	}
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	return syncFile(path) // closing has emptied the WAL into it
}

// copyFiles copies a store and its write-ahead log, unless that is another's. The
// copy has no mark: it goes on with what there is.
func copyFiles(from, to string) error {
	if err := errors.Join(copyFile(from, to), removeMark(to)); err != nil {
		return err
	}
	if lost, ok := errors.AsType[*LostLog](checkMark(from)); ok && lost.Foreign {
		return nil
	}
	if err := copyFile(from+"-wal", to+"-wal"); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// leaveOutVersions raises the reserved number. Nobody else uses the store yet.
func (s *Store) leaveOutVersions() error {
	reserved := s.reserved + versionsLost
	if _, err := s.reserve.Exec(int64(reserved), metaSum(metaReserved, int64(reserved))); err != nil {
		return err
	}
	s.reserved, s.version = reserved, reserved
	return nil
}

// exchange renames the old files and the new one. There is no store at Path while
// the write-ahead log of the old one might be taken for that of the new.
func exchange(r Replacement, made string) error {
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(r.Path+end, r.Aside+end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		failpoint.Here(failpoint.ReplacedAside)
	}
	folder := filepath.Dir(r.Path)
	if err := syncDir(folder); err != nil {
		return err
	}
	failpoint.Here(failpoint.ReplacedGone)
	if err := os.Rename(made, r.Path); err != nil {
		return err
	}
	failpoint.Here(failpoint.ReplacementNamed)
	return syncDir(folder)
}

// copyFile copies a file; the new one has mode 0600.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // was read only
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
