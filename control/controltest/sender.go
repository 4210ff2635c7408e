package controltest

import (
	"context"
	"strings"
	"sync"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/notice"
)

// Sender is a sender of notices that keeps what it gets.
type Sender struct {
	mu   sync.Mutex
	got  []Sent
	err  error
	hang chan struct{}
	// tries counts all calls of Send.
	tries int
}

// Sent is a notice that was taken.
type Sent struct {
	Address string
	notice.Notice
}

var _ notice.Sender = (*Sender)(nil)

// Check takes every address that is not empty and not "bad".
func (s *Sender) Check(_ context.Context, address string) error {
	if address == "" || strings.HasPrefix(address, "bad") {
		return sluice.Errorf(sluice.Invalid, "the address of a notice is bad").WithHint("use a good one")
	}
	return nil
}

// Send implements [notice.Sender].
func (s *Sender) Send(ctx context.Context, address string, n notice.Notice) error {
	s.mu.Lock()
	hang := s.hang
	s.tries++
	s.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.got = append(s.got, Sent{address, n})
	return nil
}

// Fail has every send fail with err, none with nil.
func (s *Sender) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Hang has sends wait until release is called.
func (s *Sender) Hang() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hang := make(chan struct{})
	s.hang = hang
	return func() {
		s.mu.Lock()
		s.hang = nil
		s.mu.Unlock()
		close(hang)
	}
}

// Got returns the notices that were taken.
func (s *Sender) Got() []Sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Sent(nil), s.got...)
}

// Tries returns how often something was sent, with or without success.
func (s *Sender) Tries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}
