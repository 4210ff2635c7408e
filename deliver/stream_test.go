package deliver

import (
	"sync"
	"testing"

	"github.com/sluicelog/sluice/destination"
)

// leaver is a destination that takes its time to be closed.
type leaver struct {
	receiver
	leaving, left chan struct{}
}

func (l *leaver) Close() error {
	close(l.leaving)
	<-l.left
	return nil
}

// Who closes a destination that was replaced keeps nobody from reading the
// stream's configuration: the tail does so for each block.
func TestClosingADestinationHoldsNobodyUp(t *testing.T) {
	first := &leaver{leaving: make(chan struct{}), left: make(chan struct{})}
	next := destination.Destination(first)
	s := &stream{id: 1}
	s.set(Stream{ID: 1, Version: 1, Open: func() (destination.Destination, error) { return next, nil }})
	use := func() {
		if _, err := s.acquire(); err != nil {
			t.Error(err)
			return
		}
		s.release()
	}
	use()
	next = &receiver{}
	s.set(Stream{ID: 1, Version: 2, Open: s.conf.Open})
	var wg sync.WaitGroup
	wg.Go(use)
	<-first.leaving
	if !s.mu.TryLock() {
		t.Error("the stream is locked while a destination is closed")
	} else {
		s.mu.Unlock()
	}
	close(first.left)
	wg.Wait()
}
