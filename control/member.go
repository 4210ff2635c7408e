package control

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/store"
)

const (
	memberRecords = "member/"
	targetMember  = "Member"
)

// memberRecord is the durable state of a member: one user's role in one
// top-level namespace.
type memberRecord struct {
	Namespace string    `json:"namespace"` // as declared
	User      string    `json:"user"`      // id
	Role      Role      `json:"role"`
	Since     time.Time `json:"since"`
	// Removed: only the last event is left. The same user may come back before
	// that is told.
	Removed bool `json:"removed,omitempty"`
	outbox
}

func (r *memberRecord) gone() bool { return r.Removed }

// memberKey is the key of a member's record. A namespace too long for a key is
// named by its digest.
func memberKey(folded, user string) string {
	key := memberRecords + "=" + folded + "/" + user
	if len(key) <= store.MaxKey {
		return key
	}
	return memberRecords + "#" + digestOf(folded).String() + "/" + user
}

// membership is a member in memory. It never changes.
type membership struct{ record memberRecord }

// putMember makes a stored member known, or forgets one that was removed.
func (m *people) putMember(r memberRecord) {
	r.outbox = outbox{}
	folded := sluice.FoldNamespace(r.Namespace)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.members[r.User] == nil {
		m.members[r.User] = map[string]*membership{}
	}
	m.members[r.User][folded] = &membership{record: r}
	if r.Removed {
		delete(m.members[r.User], folded)
	}
	if u := m.byID[r.User]; u != nil {
		next := &user{record: u.record, account: m.accountOf(&u.record)}
		m.byID[r.User], m.byName[foldName(u.record.Name)] = next, next
	}
}

func (m *people) isMember(user, folded string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.members[user][folded] != nil
}

func (m *people) listMembers() []memberRecord {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []memberRecord
	for _, list := range m.members {
		for _, member := range list {
			out = append(out, member.record)
		}
	}
	return out
}

func (s *Service) loadMembers(ctx context.Context) error {
	for r, err := range s.store.List(ctx, memberRecords) {
		if err != nil {
			return err
		}
		var rec memberRecord
		if err := json.Unmarshal(r.Value, &rec); err != nil {
			return fmt.Errorf("read record %q: %w", r.Key, err)
		}
		if rec.pending() || rec.gone() {
			s.outboxes.wake(r.Key)
		}
		if !rec.gone() {
			s.people.putMember(rec)
		}
	}
	return nil
}

// Member is a user with a role in a top-level namespace.
type Member struct {
	Namespace string    `json:"namespace"`
	User      string    `json:"user"` // id
	Name      string    `json:"name"` // of the user
	Role      Role      `json:"role"`
	Disabled  bool      `json:"disabled"`
	Since     time.Time `json:"since"`
}

func (s *Service) viewMember(r memberRecord) Member {
	out := Member{Namespace: r.Namespace, User: r.User, Role: r.Role, Since: r.Since}
	if u := s.people.get(r.User); u != nil {
		out.Name, out.Disabled = u.record.Name, !u.enabled()
	}
	return out
}

// MemberSpec says which role a user is to have.
type MemberSpec struct {
	Namespace string `json:"namespace"` // a top-level one; an administrator's brings it into being
	User      string `json:"user"`      // name; also the id of a member, and any id from an administrator
	Role      Role   `json:"role"`
}

// Members lists the members that p may manage, by namespace and user; only those
// of a namespace unless that is nil.
func (s *Service) Members(ctx context.Context, p Principal, namespace *string) ([]Member, error) {
	if namespace != nil {
		if err := authorize(p, actionReadMembers, sluice.FoldNamespace(*namespace)); err != nil {
			return nil, err
		}
	}
	if err := authorizeSomewhere(p, actionReadMembers); err != nil {
		return nil, err
	}
	list := slices.DeleteFunc(s.people.listMembers(), func(r memberRecord) bool {
		folded := sluice.FoldNamespace(r.Namespace)
		return namespace != nil && folded != sluice.FoldNamespace(*namespace) || !may(p, actionReadMembers, folded)
	})
	out := make([]Member, len(list))
	for i := range list {
		out[i] = s.viewMember(list[i])
	}
	slices.SortFunc(out, func(a, b Member) int {
		return cmp.Or(strings.Compare(sluice.FoldNamespace(a.Namespace), sluice.FoldNamespace(b.Namespace)),
			strings.Compare(foldName(a.Name), foldName(b.Name)), strings.Compare(a.User, b.User))
	})
	return out, nil
}

// findMember returns the user that p means in a namespace. Ids are counted up: they
// mean members and p itself, and others for administrators alone, or they would
// tell the names of everybody's users.
func (s *Service) findMember(p Principal, folded, idOrName string) *user {
	u := s.people.get(idOrName)
	if u != nil && (p.Administrator() || idOrName == p.userID() || s.people.isMember(idOrName, folded)) {
		return u
	}
	return s.people.named(foldName(idOrName))
}

// SetMember gives a user a role in a top-level namespace, or another one than
// before.
func (s *Service) SetMember(ctx context.Context, p Principal, spec MemberSpec) (Member, error) {
	folded := sluice.FoldNamespace(spec.Namespace)
	if err := authorize(p, actionManageMembers, folded); err != nil {
		return Member{}, err
	}
	if spec.Role != Owner && spec.Role != Auditor {
		return Member{}, sluice.Errorf(sluice.Invalid, "role must be %q or %q", Owner, Auditor)
	}
	if spec.Namespace == sluice.Instance {
		return Member{}, sluice.Errorf(sluice.Invalid, "namespace must name an enterprise or group").
			WithHint("who looks after the installation is an administrator: see users")
	}
	if err := checkTopLevel(spec.Namespace); err != nil {
		return Member{}, err
	}
	u := s.findMember(p, folded, spec.User)
	if u == nil {
		return Member{}, sluice.Errorf(sluice.Invalid, "there is no user with this name").WithHint("an administrator makes users")
	}
	namespace, err := s.ensureTopLevel(ctx, p, spec.Namespace)
	if err != nil {
		return Member{}, err
	}
	rec, err := s.changeMember(ctx, folded, u, func(r *memberRecord, _ bool) error {
		if !r.Removed && r.Role == spec.Role {
			return nil
		}
		if !r.Removed && r.Role == Owner && s.leavesNone(p, folded, u) {
			return errLastOwner()
		}
		a := memberAct(namespace, u, "member.create", "Gave a user a role")
		a.Fields = map[string]any{"user": u.record.ID, "role": spec.Role}
		if !r.Removed && r.Role != "" {
			a.Type, a.Message, a.Changes = "member.update", "Changed a user's role", map[string]change{"role": {r.Role, spec.Role}}
		} else {
			r.Namespace, r.User, r.Since, r.Removed = namespace, u.record.ID, s.now().UTC(), false
		}
		r.Role = spec.Role
		r.add(s.compose(p, a))
		return r.room()
	})
	if err != nil {
		return Member{}, err
	}
	return s.viewMember(rec), nil
}

func memberAct(namespace string, u *user, eventType, message string) act {
	return act{
		Type: eventType, Namespace: namespace, TargetType: targetMember, TargetID: u.record.Number, Target: u.record.Name,
		Message: message,
	}
}

// RemoveMember takes a user's role in a top-level namespace away, from the next
// request on. Users may leave by themselves: nobody asked them when they were given
// the role.
func (s *Service) RemoveMember(ctx context.Context, p Principal, namespace, idOrName string) error {
	folded := sluice.FoldNamespace(namespace)
	u := s.findMember(p, folded, idOrName)
	leaves := u != nil && u.record.ID == p.userID() && may(p, actionManageSelf, sluice.Instance)
	if !leaves {
		if err := authorize(p, actionManageMembers, folded); err != nil {
			return err
		}
	}
	if u == nil {
		return errNotFound()
	}
	_, err := s.changeMember(ctx, folded, u, func(r *memberRecord, found bool) error {
		if !found || r.Removed {
			return errNotFound()
		}
		if r.Role == Owner && s.leavesNone(p, folded, u) {
			return errLastOwner()
		}
		a := memberAct(r.Namespace, u, "member.delete", "Took a user's role away")
		a.Fields = map[string]any{"user": u.record.ID, "role": r.Role}
		r.Removed = true
		r.add(s.compose(p, a))
		return r.room()
	})
	return err
}

// leavesNone reports whether a namespace would have no owner without u. For an
// administrator it may: that is who gives it another one.
func (s *Service) leavesNone(p Principal, folded string, u *user) bool {
	return !p.Administrator() && !slices.ContainsFunc(s.people.listMembers(), func(r memberRecord) bool {
		return r.Role == Owner && r.User != u.record.ID && sluice.FoldNamespace(r.Namespace) == folded && s.people.get(r.User).enabled()
	})
}

func errLastOwner() *sluice.Error {
	return sluice.Errorf(sluice.Conflict, "the enterprise or group would have no owner").WithHint("make somebody else an owner first")
}

// changeMember changes the record of a member and has what is known of it
// follow. edit may run several times.
func (s *Service) changeMember(ctx context.Context, folded string, u *user, edit func(r *memberRecord, found bool) error) (memberRecord, error) {
	s.people.changing.Lock()
	defer s.people.changing.Unlock()
	key := memberKey(folded, u.record.ID)
	rec, err := store.Update(ctx, s.store, key, edit)
	if err != nil {
		if _, told := errors.AsType[*sluice.Error](err); !told {
			s.rereadMember(ctx, folded, u)
		}
		return memberRecord{}, storeError("change a member", err)
	}
	s.people.putMember(rec)
	s.outboxes.wake(key)
	return rec, nil
}

// rereadMember follows a change of which the store did not say whether it was
// done: a role that it may have taken away must not stay known. people.changing is
// held.
func (s *Service) rereadMember(ctx context.Context, folded string, u *user) {
	key := memberKey(folded, u.record.ID)
	s.reread(ctx, key, &s.people.changing, func(ctx context.Context) error {
		rec, _, err := store.Load[memberRecord](ctx, s.store, key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			rec = memberRecord{Namespace: folded, User: u.record.ID, Removed: true}
		case err != nil:
			return err
		}
		s.people.putMember(rec)
		s.outboxes.wake(key)
		return nil
	})
}
