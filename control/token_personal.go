package control

import (
	"context"
	"time"

	"github.com/sluicelog/sluice"
)

// KindPersonal is the kind of personal access tokens: each acts for a user, with
// the rights of that moment, as far as its scopes leave them.
const KindPersonal = "personal"

// maxPersonal bounds the personal tokens of a user.
const maxPersonal = 100

// fields are what events tell of a token.
func (t *tokenRecord) fields() map[string]any {
	out := map[string]any{"kind": t.Kind, "namespace": t.Namespace}
	if t.Kind != KindPersonal {
		out["rate_limit"] = t.Rate
		return out
	}
	out["user"], out["scopes"] = t.Owner, t.Scopes
	if !t.Expires.IsZero() {
		out["expires_at"] = t.Expires
	}
	return out
}

func (t *token) expired(now time.Time) bool {
	return !t.record.Expires.IsZero() && !now.Before(t.record.Expires)
}

// personal returns whom a personal token acts for. Why one is refused is told to
// nobody: it may have been found by a stranger.
func (s *Service) personal(t *token) (Principal, error) {
	now := s.now()
	u := s.people.get(t.record.Owner)
	if !u.enabled() || t.expired(now) {
		return Principal{}, errInvalidToken()
	}
	p := u.principal()
	p.Credential, p.scopes, p.expires = t.record.ID, t.scopes, t.record.Expires
	s.noteUse(t, now)
	return p, nil
}

// createPersonal makes a personal access token: everybody for oneself,
// administrators for others, too.
func (s *Service) createPersonal(ctx context.Context, p Principal, spec TokenSpec) (Token, error) {
	u, err := s.personalOwner(p, spec.User)
	if err != nil {
		return Token{}, err
	}
	if err := spec.checkPersonal(s.now()); err != nil {
		return Token{}, err
	}
	if err := spec.checkHeir(p); err != nil {
		return Token{}, err
	}
	if s.tokens.count(func(t *token) bool { return t.record.Owner == u.record.ID }) >= maxPersonal {
		return Token{}, sluice.Errorf(sluice.Conflict, "the user has %d tokens already", maxPersonal).WithHint("revoke those that are not used any more")
	}
	spec.User = u.record.ID
	return s.makeToken(ctx, p, spec, false)
}

// personalOwner returns the user that p may make a token for. Only who may make
// them for everybody learns whether there is such a user.
func (s *Service) personalOwner(p Principal, idOrName string) (*user, error) {
	self := s.people.get(p.userID())
	if idOrName == "" && self == nil && may(p, actionManageUsers, sluice.Instance) {
		return nil, sluice.Errorf(sluice.Invalid, "user must say whose token it is").WithHint("send the user's id or name")
	}
	if u := s.people.find(idOrName); idOrName == "" || self != nil && u == self {
		if err := authorize(p, actionManageSelf, sluice.Instance); err != nil {
			return nil, err
		}
		if self == nil {
			return nil, errNotFound()
		}
		return self, nil
	}
	if err := authorize(p, actionManageUsers, sluice.Instance); err != nil {
		return nil, err
	}
	u := s.people.find(idOrName)
	if u == nil {
		return nil, sluice.Errorf(sluice.Invalid, "there is no user with this id or name")
	}
	return u, nil
}

// checkHeir has a token that is made with another one end with it at the latest:
// an end that could be put off would be none.
func (spec *TokenSpec) checkHeir(p Principal) error {
	switch {
	case p.expires.IsZero():
	case spec.ExpiresAt == nil:
		spec.ExpiresAt = &p.expires
	case spec.ExpiresAt.After(p.expires):
		return sluice.Errorf(sluice.Invalid, "expires_at is later than the end of the token that asks").
			WithHint("%s at the latest; sign in to make one that lives longer", p.expires.Format(time.RFC3339))
	}
	return nil
}

func (spec *TokenSpec) checkPersonal(now time.Time) error {
	switch {
	case spec.Namespace != "" || spec.RateLimit != 0 || spec.Token != "":
		return sluice.Errorf(sluice.Invalid, "namespace, rate_limit and token are not for kind %q", KindPersonal).
			WithHint("a personal token has the roles of its user")
	case spec.ExpiresAt != nil && !spec.ExpiresAt.After(now):
		return sluice.Errorf(sluice.Invalid, "expires_at has passed").WithHint("leave it out for a token without an end")
	}
	set, err := scopesOf(spec.Scopes)
	if err != nil {
		return err
	}
	spec.Scopes = set.list()
	return checkName("name", spec.Name, maxNameLength)
}
