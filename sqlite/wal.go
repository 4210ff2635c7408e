package sqlite

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/sluicelog/sluice/store"
)

// Sizes of a write-ahead log (https://www.sqlite.org/fileformat2.html#the_write_ahead_log).
const (
	walHeaderSize = 32
	walFrameSize  = 24 // of the header of a frame; a page follows
	walSaltsAt    = 16 // in the header; eight bytes
)

// checkWAL reports damage in the write-ahead log at path, which nobody has open.
// SQLite takes the first frame that does not verify for the end, as a power cut
// would leave it, and forgets what follows. But each commit is synced before the
// next one writes: when a commit lies behind that frame, and a frame that belongs
// behind the commit, then something was lost that had been on disk.
//
// Damage in the last transaction cannot be told from one that a power cut kept
// from being written.
func checkWAL(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(scanWAL(bufio.NewReaderSize(f, 1<<16)), f.Close())
}

func scanWAL(r io.Reader) error {
	head := make([]byte, walHeaderSize)
	if _, err := io.ReadFull(r, head); err != nil {
		return endOfWAL(err)
	}
	w := walScan{order: walOrder(head), salt: [8]byte(head[walSaltsAt:])}
	sound := w.order != nil && w.sum(walSum{}, head[:24]) == w.stored(head[24:])
	w.last = w.stored(head[24:])
	frame := make([]byte, walFrameSize+pageSize)
	for n := 1; ; n++ {
		if _, err := io.ReadFull(r, frame); err != nil {
			return endOfWAL(err)
		}
		if !sound {
			return fmt.Errorf("%w: the head of its write-ahead log does not verify", store.ErrDamaged)
		}
		if w.lost(frame) {
			return fmt.Errorf("%w: frame %d of its write-ahead log does not verify, and changes behind it are lost", store.ErrDamaged, w.broken)
		}
		w.next(n, frame)
	}
}

// endOfWAL is nil when the file ended, perhaps within a frame.
func endOfWAL(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// walOrder returns the order of bytes of the checksums, nil when the head is not
// one of a file with our pages.
func walOrder(head []byte) binary.ByteOrder {
	if binary.BigEndian.Uint32(head[8:]) != pageSize {
		return nil
	}
	switch binary.BigEndian.Uint32(head) {
	case 0x377f0682:
		return binary.LittleEndian
	case 0x377f0683:
		return binary.BigEndian
	}
	return nil
}

// walSum is a checksum of a write-ahead log; each frame goes on with that of the
// one before.
type walSum [2]uint32

// walScan goes through the frames.
type walScan struct {
	order  binary.ByteOrder
	salt   [8]byte // of the frames that belong to the head
	last   walSum  // what the frame before says that its checksum is
	broken int     // the first frame that does not verify, 0 for none yet
	commit bool    // the frame before is a commit, at or behind broken
}

// sum continues s with b, of which the length is a multiple of 8.
func (w *walScan) sum(s walSum, b []byte) walSum {
	for ; len(b) > 0; b = b[8:] {
		s[0] += w.order.Uint32(b) + s[1]
		s[1] += w.order.Uint32(b[4:]) + s[0]
	}
	return s
}

func (w *walScan) stored(b []byte) walSum {
	return walSum{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

// follows reports whether frame belongs behind the one before.
func (w *walScan) follows(frame []byte) bool {
	return [8]byte(frame[8:16]) == w.salt && binary.BigEndian.Uint32(frame) != 0 &&
		w.sum(w.sum(w.last, frame[:8]), frame[walFrameSize:]) == w.stored(frame[16:])
}

// lost reports whether frame proves that a commit before it was on disk, at or
// behind the first frame that does not verify.
func (w *walScan) lost(frame []byte) bool { return w.commit && w.follows(frame) }

// next takes frame, the n-th, for the one before.
func (w *walScan) next(n int, frame []byte) {
	if w.broken == 0 && !w.follows(frame) {
		w.broken = n
	}
	w.commit = w.broken != 0 && [8]byte(frame[8:16]) == w.salt && binary.BigEndian.Uint32(frame[4:]) != 0
	w.last = w.stored(frame[16:])
}

// checkLog reports damage in the write-ahead log of the store at path, which nobody
// has open, and that the log is lost.
func checkLog(path string) error {
	if err := checkWAL(path + "-wal"); err != nil {
		return err
	}
	return checkMark(path)
}

// checkIdleLog is checkLog for who does not hold the lock of the store at path: it
// passes while another process has the store open and so has read its log.
func checkIdleLog(path string) error {
	if inUse(path) {
		return nil
	}
	err := checkLog(path)
	if err != nil && inUse(path) {
		return nil // it was just opened, and writes
	}
	return err
}

// inUse reports whether another process has the lock of the store at path.
func inUse(path string) bool {
	f, err := os.Open(path + ".lock")
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // gives the lock back, too
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}
