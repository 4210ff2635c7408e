package control

import (
	"context"

	"github.com/sluicelog/sluice"
)

// Tokens lists the tokens that p may manage, and those of its own, without their
// texts.
func (s *Service) Tokens(ctx context.Context, p Principal) ([]Token, error) {
	if !may(p, actionReadSelf, sluice.Instance) {
		if err := authorizeSomewhere(p, actionReadTokens); err != nil {
			return nil, err
		}
	}
	out := []Token{}
	for _, t := range s.tokens.list(func(t *token) bool { return t.isOf(p, actionReadTokens, actionReadSelf) }) {
		out = append(out, s.viewToken(t))
	}
	return out, nil
}

func (s *Service) viewToken(t *token) Token {
	out := t.record.view()
	out.Expired, out.LastUsedAt = t.expired(s.now()), timeOrNil(t.used.get())
	return out
}

// isOf reports whether p may do a with the token, or it is a personal one of p,
// who may do own with it.
func (t *token) isOf(p Principal, a, own action) bool {
	mine := t.record.Owner != "" && t.record.Owner == p.userID()
	return may(p, a, sluice.FoldNamespace(t.record.Namespace)) || mine && may(p, own, sluice.Instance)
}

// RevokeToken ends a token at once. The last administrator's token stays.
func (s *Service) RevokeToken(ctx context.Context, p Principal, id string) error {
	s.tokens.revoking.Lock()
	defer s.tokens.revoking.Unlock()
	if !may(p, actionManageSelf, sluice.Instance) {
		if err := authorizeSomewhere(p, actionManageTokens); err != nil {
			return err
		}
	}
	t := s.tokens.get(id)
	if t == nil || !t.isOf(p, actionManageTokens, actionManageSelf) {
		return errNotFound()
	}
	if t.record.Kind == KindAdmin && s.admins() == 1 {
		return sluice.Errorf(sluice.Conflict, "this is the only administrator's token").WithHint("create another one first")
	}
	return s.revoke(ctx, p, id)
}
