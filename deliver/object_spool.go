package deliver

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// Places for building at once, and the bytes of files from which on no further
// object is begun. Files of lanes that wait between tries go at half of that.
const (
	buildPlaces = 4
	spoolBytes  = 1 << 30
)

// spool is the folder that objects are written into before they are stored. What
// is in it is needed by the running process only.
type spool struct {
	folder string // "": there is none
	used   atomic.Int64
	serial atomic.Uint64

	mu      sync.Mutex
	busy    int
	waiting []*lane
	queued  map[*lane]bool
}

// open makes the folder and empties it.
func (s *spool) open(folder string) error {
	if folder == "" {
		return nil
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make the folder for objects: %w", err)
	}
	if err := os.Chmod(folder, 0o700); err != nil {
		return fmt.Errorf("close the folder for objects to others: %w", err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("empty the folder for objects: %w", err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(folder, e.Name())); err != nil {
			return fmt.Errorf("empty the folder for objects: %w", err)
		}
	}
	s.folder, s.queued = folder, map[*lane]bool{}
	return nil
}

// take takes a place to build an object. Without one the lane is woken when there
// is, unless the spool is full.
func (s *spool) take(l *lane) (ok, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.used.Load() >= spoolBytes:
		return false, true
	case s.busy < buildPlaces:
		s.busy++
		return true, false
	case !s.queued[l]:
		s.queued[l] = true
		s.waiting = append(s.waiting, l)
	}
	return false, false
}

// give gives a place back. No lane is locked.
func (s *spool) give(d *Deliverer) {
	s.mu.Lock()
	s.busy--
	var next []*lane
	for len(s.waiting) > 0 && s.busy+len(next) < buildPlaces {
		l := s.waiting[0]
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
		delete(s.queued, l)
		next = append(next, l)
	}
	s.mu.Unlock()
	for _, l := range next {
		l.mu.Lock()
		d.wake(l)
		l.mu.Unlock()
	}
}

// tight reports whether files that nobody is sending should go.
func (s *spool) tight() bool { return s.used.Load() > spoolBytes/2 }

// objectError says that an object could not be written on this side.
type objectError struct {
	class destination.Class
	cause error
}

// Error returns words for the owner.
func (e *objectError) Error() string {
	switch {
	case e.class == destination.Misconfigured:
		return e.cause.Error()
	case errors.Is(e.cause, syscall.ENOSPC), errors.Is(e.cause, syscall.EDQUOT):
		return "the spool folder has no space left for an object: free space on the disk of this server's data folder"
	}
	return "an object could not be written to the spool folder of this server: see its log"
}

func (e *objectError) Unwrap() error { return e.cause }

func spoolError(err error) error { return &objectError{class: destination.Unavailable, cause: err} }

// object is a file with the content of an object. It is used by one goroutine at
// a time, but for reading.
type object struct {
	spool   *spool
	file    *os.File
	w       *bufio.Writer
	sum     hash.Hash
	size    int64
	count   int   // of events, once it is complete
	bytes   int64 // of them
	first   uint64
	last    uint64
	firstID string
	lastID  []byte
}

// create returns an empty object.
func (s *spool) create() (*object, error) {
	name := filepath.Join(s.folder, fmt.Sprintf("object-%d", s.serial.Add(1)))
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, spoolError(err)
	}
	return &object{spool: s, file: f, w: bufio.NewWriterSize(f, 64<<10), sum: sha256.New()}, nil
}

// Write appends to the content.
func (o *object) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	o.sum.Write(p[:n])
	o.size += int64(n)
	o.spool.used.Add(int64(n))
	if err != nil {
		return n, spoolError(err)
	}
	return n, nil
}

func (o *object) flush() error {
	if err := o.w.Flush(); err != nil {
		return spoolError(err)
	}
	return nil
}

// remove closes and deletes the file.
func (o *object) remove() {
	_ = o.file.Close() // what was written is no longer wanted
	_ = os.Remove(o.file.Name())
	o.spool.used.Add(-o.size)
}

// describe returns the object as destinations take it.
func (o *object) describe(key string) *destination.Object {
	out := &destination.Object{Key: key, Size: o.size, Content: o.file, FirstID: o.firstID, LastID: string(o.lastID), Count: o.count}
	o.sum.Sum(out.SHA256[:0])
	return out
}

// attempt returns what is to be kept of a try to store the object.
func (o *object) attempt(err *destination.Error, start time.Time, took time.Duration) Attempt {
	a := Attempt{Time: start, Took: took, First: o.first, Last: o.last, Events: o.count, Delivered: o.count, Bytes: int(o.bytes)}
	if err != nil {
		a.Class, a.Status, a.Words, a.Delivered = err.Class.String(), err.Status, err.Message, 0
	}
	return a
}
