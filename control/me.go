package control

import (
	"context"
	"time"

	"github.com/sluicelog/sluice"
)

// Me is what a caller is.
type Me struct {
	Kind string `json:"kind"` // KindAdmin, KindProducer or KindUser
	ID   string `json:"id"`   // of the token, or the user
	Name string `json:"name"`
	// Namespace is what a token is bound to.
	Namespace     string          `json:"namespace,omitempty"`
	Administrator bool            `json:"administrator"`
	Roles         map[string]Role `json:"roles"`            // of a user, by top-level namespace
	Token         string          `json:"token,omitempty"`  // id of a user's token
	Scopes        []string        `json:"scopes,omitempty"` // of it
	ExpiresAt     *time.Time      `json:"expires_at,omitempty"`
}

// Me describes the caller.
func (s *Service) Me(_ context.Context, p Principal) (Me, error) {
	out := Me{Kind: p.Kind, ID: p.ID, Name: p.Name, Administrator: p.Administrator(), Roles: map[string]Role{}}
	if p.Kind != KindUser {
		out.Namespace = p.Namespace
		return out, nil
	}
	if err := authorize(p, actionReadSelf, sluice.Instance); err != nil {
		return Me{}, err
	}
	u := s.people.get(p.ID)
	if u == nil {
		return Me{}, errNotFound()
	}
	out.Roles = s.viewUser(u).Roles
	if t := s.tokens.get(p.Credential); t != nil {
		out.Token, out.Scopes, out.ExpiresAt = p.Credential, t.record.Scopes, timeOrNil(t.record.Expires)
	}
	return out, nil
}
