package control

import (
	"errors"
	"sync/atomic"

	"github.com/sluicelog/sluice"
)

// SignIns counts the tries to sign in since the start by how they ended.
type SignIns struct {
	Succeeded uint64
	Refused   uint64 // wrong name or password, or a disabled user
	Delayed   uint64 // not tried, because there were too many failures
	Failed    uint64 // by the server
}

// signIns holds what SignIns returns.
type signIns struct{ succeeded, refused, delayed, failed atomic.Uint64 }

// count counts a try that ended with err.
func (c *signIns) count(err error) {
	var code sluice.Code
	if e, ok := errors.AsType[*sluice.Error](err); ok {
		code = e.Code
	}
	switch {
	case err == nil:
		c.succeeded.Add(1)
	case code == sluice.Unauthorized:
		c.refused.Add(1)
	case code == sluice.RateLimited:
		c.delayed.Add(1)
	default:
		c.failed.Add(1)
	}
}

// SignIns returns what became of the tries to sign in.
func (s *Service) SignIns() SignIns {
	c := &s.signIns
	return SignIns{Succeeded: c.succeeded.Load(), Refused: c.refused.Load(), Delayed: c.delayed.Load(), Failed: c.failed.Load()}
}

// LiveSessions counts the sessions that go on.
func (s *Service) LiveSessions() int {
	n, now := 0, s.now()
	s.sessions.mu.RLock()
	defer s.sessions.mu.RUnlock()
	for _, m := range s.sessions.byDigest {
		if m.live(s.people.get(m.record.User), now) {
			n++
		}
	}
	return n
}

// AnyUsers reports whether there is a user, also a disabled one. Without one
// nobody can sign in, whatever the password: this says nothing of anybody.
func (s *Service) AnyUsers() bool {
	s.people.mu.RLock()
	defer s.people.mu.RUnlock()
	return len(s.people.byID) > 0
}

// ScopeNames lists the scopes that a personal access token can have, in
// alphabetical order.
func ScopeNames() []string { return scopes(0xff).list() }
