package deliver

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/failpoint"
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
	busy    int     // places that are taken
	kept    []*lane // that keep theirs between turns; none while any wait
	waiting []*lane
	queued  map[*lane]bool
	looking bool      // somebody looks for free places as long as lanes wait
	scarce  time.Time // when a lane last found no free place
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

// scarceFor is how long after places were scarce nobody keeps one between turns.
const scarceFor = time.Minute

// spoolLook is how often it is looked for free places while lanes wait for one.
const spoolLook = time.Second

// take takes a place to build an object: the one that the lane has kept, or a free
// one, or that of another lane, whose open object is then to be dropped. Without
// one the lane is woken when there is, unless the spool is full.
func (s *spool) take(d *Deliverer, l *lane) (ok, full bool, other *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.kept, l); i >= 0 {
		s.kept = slices.Delete(s.kept, i, i+1)
		return true, false, nil
	}
	switch {
	case s.used.Load() >= spoolBytes:
		return false, true, nil
	case s.busy < buildPlaces:
		s.busy++
		s.unqueue(l)
		return true, false, nil
	}
	s.scarce = time.Now()
	if len(s.kept) > 0 {
		other = s.kept[0]
		s.kept = slices.Delete(s.kept, 0, 1)
		return true, false, other
	}
	if !s.queued[l] {
		s.queued[l] = true
		s.waiting = append(s.waiting, l)
	}
	if !s.looking {
		s.looking = true
		time.AfterFunc(spoolLook, func() { s.look(d) })
	}
	return false, false, nil
}

// unqueue has a lane wait no longer, if it did. The spool is locked.
func (s *spool) unqueue(l *lane) {
	if s.queued[l] {
		delete(s.queued, l)
		s.waiting = slices.DeleteFunc(s.waiting, func(o *lane) bool { return o == l })
	}
}

// look wakes lanes that wait although places are free: those that were woken for
// these may have had no use for them any more.
func (s *spool) look(d *Deliverer) {
	s.mu.Lock()
	next := s.next()
	if s.looking = len(s.waiting) > 0; s.looking {
		time.AfterFunc(spoolLook, func() { s.look(d) })
	}
	s.mu.Unlock()
	d.wakeAll(next)
}

// takeSpare takes the place that the lane has kept, or one that nobody else wants.
func (s *spool) takeSpare(l *lane) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.kept, l); i >= 0 {
		s.kept = slices.Delete(s.kept, i, i+1)
		return true
	}
	if s.busy >= buildPlaces || !s.quiet() || s.used.Load() >= spoolBytes/2 {
		return false
	}
	s.busy++
	return true
}

// keep lets the lane keep its place between turns. It reports false when others
// need it.
func (s *spool) keep(l *lane) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) > 0 || s.used.Load() >= spoolBytes/2 {
		return false
	}
	s.kept = append(s.kept, l)
	return true
}

// forget takes back the place that the lane kept, if it did. No lane waits for it
// then. Nor does this one wait for a place.
func (s *spool) forget(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unqueue(l)
	if i := slices.Index(s.kept, l); i >= 0 {
		s.kept = slices.Delete(s.kept, i, i+1)
		s.busy--
	}
}

// calm reports whether lanes may keep places between turns.
func (s *spool) calm() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quiet()
}

func (s *spool) quiet() bool {
	return len(s.waiting) == 0 && (s.scarce.IsZero() || time.Since(s.scarce) >= scarceFor)
}

// give gives a place back. No lane is locked.
func (s *spool) give(d *Deliverer) {
	s.mu.Lock()
	s.busy--
	next := s.next()
	s.mu.Unlock()
	d.wakeAll(next)
}

// next takes those out that wait longest, one for each free place. The spool is
// locked.
func (s *spool) next() []*lane {
	var next []*lane
	for len(s.waiting) > 0 && s.busy+len(next) < buildPlaces {
		l := s.waiting[0]
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
		delete(s.queued, l)
		next = append(next, l)
	}
	return next
}

// wakeAll wakes lanes, none of which is locked.
func (d *Deliverer) wakeAll(lanes []*lane) {
	for _, l := range lanes {
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
	failpoint.Here(failpoint.ObjectBuilding)
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
	failpoint.Here(failpoint.ObjectErased)
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
