package control

import (
	"context"
	"errors"
	"net/netip"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/store"
)

// ChangePassword replaces the password of the user who asks, who knows the
// current one, and ends all other sessions of that user. When the server ends in
// between, or cannot store that this one goes on, it ends, too: the password is
// changed all the same.
func (s *Service) ChangePassword(ctx context.Context, p Principal, current, next secret.Text, addr netip.Addr) error {
	if err := authorize(p, actionManageSelf, sluice.Instance); err != nil {
		return err
	}
	if err := checkPassword(p.Name, next); err != nil {
		return err
	}
	u, err := s.verify(ctx, p.Name, current, addr)
	if e, ok := errors.AsType[*sluice.Error](err); ok && e.Code == sluice.Unauthorized {
		return errWrongPassword()
	}
	if err != nil {
		return err
	}
	if next.Reveal() == current.Reveal() {
		return sluice.Errorf(sluice.Invalid, "the new password is the current one").WithHint("choose another one")
	}
	hash, err := s.hasher.digest(ctx, next)
	if err != nil {
		return err
	}
	meanwhile := false // another password was set, or the user disabled, since it was compared
	rec, err := s.changeUser(ctx, p.ID, func(r *userRecord) bool {
		meanwhile = r.Epoch != u.record.Epoch
		return !meanwhile && s.patchUser(p, r, UserPatch{}, hash)
	})
	if err == nil && meanwhile {
		return errWrongPassword()
	}
	if err != nil || p.session == (digest{}) {
		return err
	}
	if err := s.keepSession(ctx, p, rec.Epoch); err != nil {
		s.logger.WarnContext(ctx, "password changed, and the session that changed it not kept", "user", p.ID, "err", err)
	}
	return nil
}

func errWrongPassword() *sluice.Error {
	return sluice.Errorf(sluice.Forbidden, "the current password is wrong").WithHint("an administrator can set another password")
}

// keepSession has the session of p go on in the epoch that its own change began.
func (s *Service) keepSession(ctx context.Context, p Principal, epoch int64) error {
	rec, err := store.Update(ctx, s.store, sessionKey(p.session), func(r *sessionRecord, found bool) error {
		if !found || r.Ended {
			return errSignedOut()
		}
		r.Epoch, r.Used = epoch, s.now().UTC()
		return nil
	})
	if err != nil {
		return err
	}
	s.sessions.put(p.session, rec)
	return nil
}

// boundSessions ends the sessions of a user that are too many, those first that
// were not used for longest, but for the newest one. One that cannot be ended now
// is ended by a later call.
func (s *Service) boundSessions(ctx context.Context, user string, newest digest) {
	for {
		n, oldest := 0, digest{}
		var last *session
		s.sessions.mu.RLock()
		for d, m := range s.sessions.byDigest {
			if m.record.User != user {
				continue
			}
			if n++; d == newest {
				continue
			}
			if last == nil || m.used.get().Before(last.used.get()) {
				oldest, last = d, m
			}
		}
		s.sessions.mu.RUnlock()
		if n <= maxSessions {
			return
		}
		if err := s.endSession(ctx, oldest, nil); err != nil {
			s.logger.WarnContext(ctx, "session not ended yet", "user", user, "err", err)
			return
		}
	}
}

// runSessions removes sessions that have ended until ctx ends.
func (s *Service) runSessions(ctx context.Context) {
	every(ctx, sessionSweep, func(ctx context.Context) {
		var ended []digest
		s.sessions.mu.RLock()
		for d, m := range s.sessions.byDigest {
			if !m.live(s.people.get(m.record.User), s.now()) {
				ended = append(ended, d)
			}
		}
		s.sessions.mu.RUnlock()
		for _, d := range ended {
			if err := s.endSession(ctx, d, nil); err != nil && ctx.Err() == nil {
				s.logger.WarnContext(ctx, "session not removed yet", "err", err)
			}
		}
	})
}
