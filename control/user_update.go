package control

import (
	"context"
	"errors"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/store"
)

// UserPatch says what is to change of a user; nil leaves it.
type UserPatch struct {
	Administrator *bool        `json:"administrator"`
	Disabled      *bool        `json:"disabled"` // ends the sessions, and makes the tokens useless
	Password      *secret.Text `json:"password"` // "" has one made; ends the sessions
}

// UpdateUser changes a user, by id or name. It takes effect with the next
// request of the user.
func (s *Service) UpdateUser(ctx context.Context, p Principal, id string, patch UserPatch) (User, error) {
	if err := authorize(p, actionManageUsers, sluice.Instance); err != nil {
		return User{}, err
	}
	u := s.people.find(id)
	if u == nil {
		return User{}, errNotFound()
	}
	made, hash := "", ""
	if patch.Password != nil {
		password := *patch.Password
		if password == "" {
			password = newPassword()
			made = password.Reveal()
		}
		if err := checkPassword(u.record.Name, password); err != nil {
			return User{}, err
		}
		var err error
		if hash, err = s.hasher.digest(ctx, password); err != nil {
			return User{}, err
		}
	}
	if _, err := s.changeUser(ctx, u.record.ID, func(r *userRecord) bool { return s.patchUser(p, r, patch, hash) }); err != nil {
		return User{}, err
	}
	out := s.viewUser(s.people.get(u.record.ID))
	out.Password = made
	return out, nil
}

// patchUser changes the record, adds what is to be told, and reports whether
// there is anything to store.
func (s *Service) patchUser(p Principal, r *userRecord, patch UserPatch, hash string) bool {
	changes := map[string]change{}
	var secrets []string
	if v := patch.Administrator; v != nil && *v != r.Administrator {
		changes["administrator"] = change{r.Administrator, *v}
		r.Administrator = *v
	}
	if v := patch.Disabled; v != nil && *v == r.Disabled.IsZero() {
		changes["disabled"] = change{!*v, *v}
		r.Disabled = time.Time{}
		if *v {
			r.Disabled = s.now().UTC()
		}
		r.Epoch++
	}
	if hash != "" {
		r.Password = hash
		r.Epoch++
		secrets = []string{"password"}
	}
	if len(changes) == 0 && hash == "" {
		return false
	}
	a := userAct(r, "user.update", "Changed a user", nil)
	a.Changes, a.Secrets = changes, secrets
	r.add(s.compose(p, a))
	return true
}

// changeUser changes the record of a user and has what is known of it follow.
// edit may run several times; it returns whether there is anything to store.
func (s *Service) changeUser(ctx context.Context, id string, edit func(*userRecord) bool) (userRecord, error) {
	s.people.changing.Lock()
	defer s.people.changing.Unlock()
	rec, err := store.Update(ctx, s.store, userKey(id), func(r *userRecord, found bool) error {
		if !found {
			return errNotFound()
		}
		if !edit(r) {
			return nil
		}
		return r.room()
	})
	if err != nil {
		s.rereadUser(ctx, id)
		return userRecord{}, storeError("change a user", err)
	}
	s.people.put(rec)
	s.outboxes.wake(userKey(id))
	return rec, nil
}

// rereadUser follows a change of which the store did not say whether it was
// done: what it may have taken away must not stay known. people.changing is held.
func (s *Service) rereadUser(ctx context.Context, id string) {
	s.reread(ctx, userKey(id), &s.people.changing, func(ctx context.Context) error {
		rec, _, err := store.Load[userRecord](ctx, s.store, userKey(id))
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		s.people.put(rec)
		s.outboxes.wake(userKey(id))
		return nil
	})
}
