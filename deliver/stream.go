package deliver

import (
	"sync"
	"sync/atomic"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// stream is a configured stream with its lanes. Its configuration is replaced as
// a whole; lanes take it up at their next batch border.
type stream struct {
	id    sluice.StreamID
	scope string
	lanes []*lane // by partition; never changes
	// halted: its lanes are stopped for ever, or are about to be.
	halted atomic.Bool

	mu      sync.Mutex
	conf    Stream
	matcher *sluice.Matcher
	dest    destination.Destination
	opened  uint64 // version of conf that dest was made of
	retired []destination.Destination
	users   int // sends and checks under way
	closed  bool
}

// config returns the configuration in force.
func (s *stream) config() (Stream, *sluice.Matcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conf, s.matcher
}

func (s *stream) set(conf Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conf, s.matcher = conf, conf.Filter.Matcher()
	s.conf.Start = nil // its lanes have it
}

// acquire returns the destination for one send; release gives it back. A
// destination that was replaced is closed when nobody uses it any more.
func (s *stream) acquire() (destination.Destination, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, sluice.Errorf(sluice.NotFound, "stream %d does not exist", s.id)
	}
	if s.dest == nil || s.opened != s.conf.Version {
		dest, err := s.conf.Open()
		if err != nil {
			return nil, err
		}
		if s.dest != nil {
			s.retired = append(s.retired, s.dest)
		}
		s.dest, s.opened = dest, s.conf.Version
	}
	s.users++
	return s.dest, nil
}

func (s *stream) release() {
	s.mu.Lock()
	s.users--
	unused := s.unused()
	s.mu.Unlock()
	closeAll(unused)
}

// unused returns what nobody uses any more, to be closed once the stream is not
// locked: that may take a while, and the tail asks each stream about each block.
// The stream is locked.
func (s *stream) unused() []destination.Destination {
	if s.users > 0 {
		return nil
	}
	list := s.retired
	s.retired = nil
	return list
}

func closeAll(list []destination.Destination) {
	for _, dest := range list {
		_ = dest.Close() // nothing depends on how an unused connection ends
	}
}

// close closes the destination, once the checks under way have ended. No send is
// under way, and none follows.
func (s *stream) close() {
	s.mu.Lock()
	s.closed = true
	if s.dest != nil {
		s.retired, s.dest = append(s.retired, s.dest), nil
	}
	unused := s.unused()
	s.mu.Unlock()
	closeAll(unused)
}
