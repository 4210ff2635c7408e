package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/store"
)

// A mark behind the last page of the database says that it is not all there is: a
// write-ahead log holds commits that are not in it. Whoever finds the mark without
// that log knows that they are lost. SQLite alone takes a log that is not there for
// one that was emptied.
//
// The mark is written once for each filling of the log, after its first commit is
// on disk and before anybody is told. It names the log by the salts of its header,
// which are others after each checkpoint.
//
// It is SQLite that removes it, whoever runs it: an earlier version of this
// program, or a person with sqlite3. A checkpoint that has copied everything cuts
// the database to its pages, syncs it, and only then the log may be emptied, begun
// anew or removed (walCheckpoint in https://sqlite.org/src/file/src/wal.c). Until
// then nothing makes a log shorter, and its salts stay. So there is no moment, for
// a kill or for a power cut, at which there is a mark without the log that it
// names, unless one of the two was taken away or put there from outside:
//
//   - The mark is written when the log is on disk: SQLite syncs its header, each
//     commit, and with the first of them the folder that names it.
//   - It is not written when the log was copied already, since no checkpoint would
//     remove it then. That another program copies the log in just that moment is
//     looked for behind the writing.
//   - A part of a mark does not verify, and says nothing.
//   - A snapshot, a backup, a restored store and the file of an earlier version
//     have none: SQLite copies pages.
//
// SQLite takes the size of the database from the log, or from the first page where
// there is none, and does not look at what lies behind
// (https://sqlite.org/fileformat2.html#in_header_database_size).
type mark struct {
	// file is the database, opened to be appended to. It is opened before SQLite
	// opens it and closed after: closing it gives up the locks that SQLite has on
	// it (https://sqlite.org/howtocorrupt.html#posix_advisory_locks_canceled_by_a_separate_thread_doing_close).
	file interface {
		io.WriteSeeker
		Truncate(size int64) error
		Sync() error
		Close() error
	}
}

const (
	markMagic = "sluice+w"
	// markSize is that of the magic, the salts, the number of frames that the log has
	// had at least, four zeros, the second since 1970, and a checksum of all that.
	markSize = 40
)

// inLog are the commits that a write-ahead log holds.
type inLog struct {
	salts  [8]byte
	frames uint32 // at least
	since  time.Time
}

func (l inLog) encode() []byte {
	b := append([]byte(markMagic), l.salts[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(l.frames)<<32)
	b = binary.BigEndian.AppendUint64(b, uint64(l.since.Unix()))
	return binary.BigEndian.AppendUint64(b, xxhash.Sum64(b))
}

func decodeMark(b []byte) (l inLog, ok bool) {
	if len(b) != markSize || string(b[:8]) != markMagic || xxhash.Sum64(b[:32]) != binary.BigEndian.Uint64(b[32:]) {
		return l, false
	}
	return inLog{[8]byte(b[8:16]), binary.BigEndian.Uint32(b[16:]), time.Unix(int64(binary.BigEndian.Uint64(b[24:])), 0)}, true
}

// open opens the database at path, before SQLite does.
func (m *mark) open(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err == nil {
		m.file = f
	}
	return err
}

func (m *mark) close() error {
	if m.file == nil {
		return nil
	}
	return m.file.Close()
}

// settle returns when the log that the last commit went to is marked as holding the
// changes since a time, or an error after which it is not known what is on disk.
// Without space for a mark there is none, until a commit behind that finds some.
// The caller has the turn to write.
func (m *mark) settle(ctx context.Context, c *sql.Conn, log io.ReaderAt, since time.Time) error {
	size, err := m.file.Seek(0, io.SeekEnd)
	if err != nil || size%pageSize != 0 {
		return err // it is there
	}
	frames, err := uncopied(ctx, c)
	if err != nil || frames == 0 {
		return err
	}
	l := inLog{frames: frames, since: since}
	if _, err := log.ReadAt(l.salts[:], walSaltsAt); err != nil {
		return err
	}
	failpoint.Here(failpoint.MarkWriting)
	if _, err := m.file.Write(l.encode()); err != nil {
		return unlessFull(err)
	}
	failpoint.Here(failpoint.MarkWritten)
	if frames, err = uncopied(ctx, c); err == nil && frames == 0 {
		err = m.file.Truncate(size) // nobody has anything to write there
	}
	return errors.Join(err, m.file.Sync())
}

// unlessFull returns err when it tells of something else than a lack of space.
func unlessFull(err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, full) {
			return nil
		}
	}
	return err
}

// uncopied returns how many frames the log has, 0 when all of them are in the
// database, too. It takes no lock and copies nothing.
func uncopied(ctx context.Context, c *sql.Conn) (frames uint32, err error) {
	var busy, inLog, copied int64
	err = c.QueryRowContext(ctx, "PRAGMA wal_checkpoint(NOOP)").Scan(&busy, &inLog, &copied)
	if err != nil || copied >= inLog {
		return 0, err
	}
	return uint32(inLog), nil
}

// LostLog is the error of a store whose write-ahead log is not there, not all of
// it, or not the one that belongs to it: changes were in it alone. Nothing was
// changed. It is [store.ErrDamaged].
type LostLog struct {
	// Since is the time of the first of these changes: what came before it is in the
	// store.
	Since time.Time
	// Found says what there is in its place.
	Found string
	// Foreign says that it is the log of another store.
	Foreign bool
}

func (e *LostLog) Error() string {
	return fmt.Sprintf("%v: the changes since %s are in its write-ahead log alone, and %s",
		store.ErrDamaged, e.Since.UTC().Format("2006-01-02 15:04:05 UTC"), e.Found)
}

func (e *LostLog) Unwrap() error { return store.ErrDamaged }

// checkMark reports as [LostLog] that the database at path, which nobody has open,
// is without the write-ahead log that its mark names.
func checkMark(path string) error {
	want, marked, err := readMark(path)
	if err != nil || !marked {
		return err
	}
	found := func(format string, args ...any) *LostLog {
		return &LostLog{Since: want.since, Found: fmt.Sprintf(format, args...)}
	}
	f, err := os.Open(path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return found("%s-wal is not there", path)
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // was read only
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if least := walHeaderSize + int64(want.frames)*(walFrameSize+pageSize); size < least {
		return found("%s-wal has %d bytes of at least %d", path, size, least)
	}
	var salts [8]byte
	if _, err := f.ReadAt(salts[:], walSaltsAt); err != nil {
		return err
	}
	if salts != want.salts {
		lost := found("%s-wal is of another store, or of another time", path)
		lost.Foreign = true
		return lost
	}
	return nil
}

// readMark returns the mark of the database at path, if it has one.
func readMark(path string) (l inLog, ok bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, false, nil
	}
	if err != nil {
		return l, false, err
	}
	defer func() { _ = f.Close() }() // was read only
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size%pageSize != markSize {
		return l, false, err
	}
	b := make([]byte, markSize)
	if _, err := f.ReadAt(b, size-markSize); err != nil {
		return l, false, err
	}
	l, ok = decodeMark(b)
	return l, ok, nil
}

// removeMark takes the mark off a copy at path, which is a store by itself.
func removeMark(path string) error {
	_, marked, err := readMark(path)
	if err != nil || !marked {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, info.Size()-markSize)
}
