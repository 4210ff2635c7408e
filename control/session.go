package control

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/store"
)

const (
	sessionRecords = "session/"
	// SessionIdle and SessionLife end a session.
	SessionIdle = 12 * time.Hour
	SessionLife = 7 * 24 * time.Hour
	// maxSessions bounds the sessions of a user: a further one ends the one that
	// was not used for longest.
	maxSessions  = 20
	sessionSweep = time.Hour
)

// sessionRecord is the durable state of a session. Its key is the digest of the
// cookie's text: the text itself is stored nowhere.
type sessionRecord struct {
	User    string    `json:"user"`  // id
	Epoch   int64     `json:"epoch"` // of the user, when the session began
	Created time.Time `json:"created_at"`
	Used    time.Time `json:"last_used_at"` // up to ten minutes too early
	Ended   bool      `json:"ended,omitempty"`
	outbox
}

func (r *sessionRecord) gone() bool { return r.Ended }

func sessionKey(d digest) string { return sessionRecords + d.String() }

// session is a session in memory.
type session struct {
	record sessionRecord // never changes
	used   lastTime
}

// live reports whether the session of u goes on.
func (s *session) live(u *user, now time.Time) bool {
	return u.enabled() && u.record.Epoch == s.record.Epoch && now.Sub(s.record.Created) < SessionLife && now.Sub(s.used.get()) < SessionIdle
}

// sessions holds the sessions by the digest of the cookie's text.
type sessions struct {
	mu       sync.RWMutex
	byDigest map[digest]*session
}

func (m *sessions) init() { m.byDigest = map[digest]*session{} }

func (m *sessions) get(d digest) *session {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.byDigest[d]
}

func (m *sessions) put(d digest, r sessionRecord) {
	r.outbox = outbox{}
	s := &session{record: r}
	s.used.set(r.Used)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.byDigest[d] = s
}

func (m *sessions) remove(d digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.byDigest, d)
}

func (s *Service) loadSessions(ctx context.Context) error {
	for r, err := range s.store.List(ctx, sessionRecords) {
		if err != nil {
			return err
		}
		var rec sessionRecord
		if err := json.Unmarshal(r.Value, &rec); err != nil {
			return fmt.Errorf("read record of a session: %w", err)
		}
		d, err := parseDigest(r.Key[len(sessionRecords):])
		if err != nil {
			return fmt.Errorf("read record of a session: %w", err)
		}
		if rec.pending() || rec.gone() {
			s.outboxes.wake(r.Key)
		}
		if !rec.gone() {
			s.sessions.put(d, rec)
		}
	}
	return nil
}

// SignedIn is a session that has begun.
type SignedIn struct {
	Cookie  secret.Text // its text, for Session
	Expires time.Time   // at the latest
	User    User
}

// SignIn begins a session for a user with this name and password. addr is where
// the request comes from. Errors: Unauthorized, the same for a name that does not
// exist, a wrong password and a disabled user; RateLimited after failures.
func (s *Service) SignIn(ctx context.Context, name string, password secret.Text, addr netip.Addr) (SignedIn, error) {
	in, err := s.beginSession(ctx, name, password, addr)
	s.signIns.count(err)
	return in, err
}

func (s *Service) beginSession(ctx context.Context, name string, password secret.Text, addr netip.Addr) (SignedIn, error) {
	u, err := s.verify(ctx, name, password, addr)
	if err != nil {
		return SignedIn{}, err
	}
	b := make([]byte, 32)
	rand.Read(b) // never fails, see its documentation
	text := base64.RawURLEncoding.EncodeToString(b)
	d, now := digestOf(text), s.now().UTC()
	rec := sessionRecord{User: u.record.ID, Epoch: u.record.Epoch, Created: now, Used: now}
	rec.add(s.compose(u.principal(), userAct(&u.record, "user.sign_in", "Signed in", addressOf(addr))))
	if err := s.create(ctx, sessionKey(d), &rec); err != nil {
		return SignedIn{}, storeError("store a session", err)
	}
	failpoint.Here(failpoint.SessionCreated)
	s.sessions.put(d, rec)
	s.outboxes.wake(sessionKey(d))
	s.boundSessions(ctx, u.record.ID, d)
	return SignedIn{Cookie: secret.Text(text), Expires: now.Add(SessionLife), User: s.viewUser(u)}, nil
}

func addressOf(addr netip.Addr) map[string]any {
	if !addr.IsValid() {
		return nil
	}
	return map[string]any{"ip_address": addr.Unmap().String()}
}

// verify returns the user with this name and password. It takes as long for a
// name that does not exist.
func (s *Service) verify(ctx context.Context, name string, password secret.Text, addr netip.Addr) (*user, error) {
	folded := foldName(name)
	if len(folded) > maxUserName {
		folded = folded[:maxUserName] + "..." // nobody's
	}
	wait, failures := s.throttle.begin(s.now(), folded, addr)
	if wait > 0 {
		return nil, errDelayed(wait)
	}
	u := s.people.named(folded)
	stored := ""
	if u != nil {
		stored = u.record.Password
	}
	ok, err := s.hasher.matches(ctx, stored, password)
	if err != nil {
		s.throttle.undone(s.now(), folded, addr)
		return nil, err
	}
	if !ok || !u.enabled() {
		if u != nil && failures == freeFailures {
			s.uses.note(userKey(u.record.ID), use{s.now(), addr})
		}
		return nil, sluice.Errorf(sluice.Unauthorized, "the name or the password is wrong").WithHint("an administrator can set another password")
	}
	s.throttle.succeeded(s.now(), folded, addr)
	return u, nil
}

func errDelayed(wait time.Duration) *sluice.Error {
	e, seconds := sluice.Errorf(sluice.RateLimited, "signing in failed too often"), int(math.Ceil(wait.Seconds()))
	e.Wait = wait
	if seconds == 1 {
		return e.WithHint("try again in a second")
	}
	return e.WithHint("try again in %d seconds", seconds)
}

// Session returns whose session the text of a cookie names, or an error with
// code Unauthorized.
func (s *Service) Session(ctx context.Context, text string) (Principal, error) {
	d, now := digestOf(text), s.now()
	m := s.sessions.get(d)
	if m == nil {
		return Principal{}, errSignedOut()
	}
	u := s.people.get(m.record.User)
	if !m.live(u, now) {
		return Principal{}, errSignedOut()
	}
	if m.used.touch(now, sessionUseEvery) {
		s.uses.note(sessionKey(d), use{at: now})
	}
	p := u.principal()
	p.session = d
	return p, nil
}

func errSignedOut() *sluice.Error {
	return sluice.Errorf(sluice.Unauthorized, "you are not signed in").WithHint("sign in again")
}

// SignOut ends the session that the text of a cookie names. One that is not
// there has ended already.
func (s *Service) SignOut(ctx context.Context, text string) error {
	d := digestOf(text)
	p, err := s.Session(ctx, text)
	if err != nil {
		return nil // nothing is left to end
	}
	return s.endSession(ctx, d, func(r *sessionRecord) {
		if u := s.people.get(p.ID); u != nil {
			r.add(s.compose(p, userAct(&u.record, "user.sign_out", "Signed out", nil)))
		}
	})
}

// endSession ends a session at once. tell, unless nil, adds what is to be told.
func (s *Service) endSession(ctx context.Context, d digest, tell func(*sessionRecord)) error {
	_, err := store.Update(ctx, s.store, sessionKey(d), func(r *sessionRecord, found bool) error {
		if !found || r.Ended {
			return errNotFound()
		}
		r.Ended = true
		if tell != nil {
			tell(r)
		}
		return nil
	})
	if _, ended := errors.AsType[*sluice.Error](err); err != nil && !ended {
		return storeError("end a session", err)
	}
	failpoint.Here(failpoint.SessionEnded)
	s.sessions.remove(d)
	s.outboxes.wake(sessionKey(d))
	return nil
}
