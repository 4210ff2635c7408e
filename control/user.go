package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/store"
)

const (
	userRecords = "user/"
	maxUserName = 64 // bytes
	targetUser  = "User"
)

// userRecord is the durable state of a user. Users stay: their ids and names
// mean the same person for ever.
type userRecord struct {
	ID            string    `json:"id"`
	Number        int64     `json:"number"`
	Name          string    `json:"name"`
	Administrator bool      `json:"administrator,omitempty"`
	Password      string    `json:"password"` // its digest
	Created       time.Time `json:"created_at"`
	Disabled      time.Time `json:"disabled_at,omitzero"`
	// Epoch grows when the password is set or the user is disabled. A session of
	// an earlier one has ended: one record decides, at once, for all of them.
	Epoch int64 `json:"epoch"`
	outbox
}

func (r *userRecord) gone() bool { return false }

func userKey(id string) string { return userRecords + id }

// foldName returns what names are compared by.
func foldName(name string) string { return strings.ToLower(name) }

// user is a user in memory. It never changes.
type user struct {
	record  userRecord // without its outbox
	account *account
}

// people holds users and members.
type people struct {
	// changing is held while a record of a user or member is changed and what is
	// known of it follows.
	changing sync.Mutex

	mu      sync.RWMutex
	byID    map[string]*user
	byName  map[string]*user                  // folded
	members map[string]map[string]*membership // by user and folded namespace
}

func (m *people) init() {
	m.byID, m.byName, m.members = map[string]*user{}, map[string]*user{}, map[string]map[string]*membership{}
}

func (m *people) get(id string) *user {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.byID[id]
}

// find returns the user with that id or name.
func (m *people) find(idOrName string) *user {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if u := m.byID[idOrName]; u != nil {
		return u
	}
	return m.byName[foldName(idOrName)]
}

// named returns the user with that folded name.
func (m *people) named(folded string) *user {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.byName[folded]
}

// put makes a stored user known.
func (m *people) put(r userRecord) {
	r.outbox = outbox{}
	m.mu.Lock()
	defer m.mu.Unlock()
	u := &user{record: r, account: m.accountOf(&r)}
	m.byID[r.ID], m.byName[foldName(r.Name)] = u, u
}

// accountOf sums up what a user may do; mu is held.
func (m *people) accountOf(r *userRecord) *account {
	a := &account{administrator: r.Administrator, roles: map[string]Role{}}
	for namespace, member := range m.members[r.ID] {
		a.roles[namespace] = member.record.Role
	}
	return a
}

func (m *people) list() []*user {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]*user, 0, len(m.byID))
	for _, u := range m.byID {
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b *user) int { return int(a.record.Number - b.record.Number) })
	return out
}

// enabled reports whether the user may do anything at all.
func (u *user) enabled() bool { return u != nil && u.record.Disabled.IsZero() }

// principal returns the user as one who asks.
func (u *user) principal() Principal {
	p := Principal{ID: u.record.ID, Kind: KindUser, Name: u.record.Name, number: u.record.Number, account: u.account}
	if len(u.account.roles) == 1 && !u.account.administrator {
		for namespace := range u.account.roles {
			p.Namespace = namespace
		}
	}
	return p
}

func (s *Service) loadUsers(ctx context.Context) error {
	if err := s.loadMembers(ctx); err != nil {
		return err
	}
	for r, err := range s.store.List(ctx, userRecords) {
		if err != nil {
			return err
		}
		var rec userRecord
		if err := json.Unmarshal(r.Value, &rec); err != nil {
			return fmt.Errorf("read record %q: %w", r.Key, err)
		}
		if rec.pending() {
			s.outboxes.wake(r.Key)
		}
		s.people.put(rec)
	}
	return nil
}

// User is a user as administrators see it.
type User struct {
	ID            string          `json:"id"`
	Name          string          `json:"name"`
	Administrator bool            `json:"administrator"`
	Disabled      bool            `json:"disabled"`
	Roles         map[string]Role `json:"roles"` // by top-level namespace
	CreatedAt     time.Time       `json:"created_at"`
	// Password was made for the user; only the answer to its making has it.
	Password string `json:"password,omitempty"`
}

func (s *Service) viewUser(u *user) User {
	out := User{
		ID: u.record.ID, Name: u.record.Name, Administrator: u.record.Administrator, Disabled: !u.enabled(),
		Roles: map[string]Role{}, CreatedAt: u.record.Created,
	}
	for namespace, role := range u.account.roles {
		if k, ok := s.namespaces.get(namespace); ok {
			namespace = k.path
		}
		out.Roles[namespace] = role
	}
	return out
}

// UserSpec describes a user to be made.
type UserSpec struct {
	Name string `json:"name"` // up to 64 letters, digits and . _ - + @; unique without case
	// Password has 12 to 256 characters; "" has one made, which the answer holds.
	Password      secret.Text `json:"password"`
	Administrator bool        `json:"administrator"`
}

func (spec *UserSpec) check() error {
	if spec.Name == "" || len(spec.Name) > maxUserName || !isAlphanumeric(rune(spec.Name[0])) ||
		strings.ContainsFunc(spec.Name, func(c rune) bool { return !isAlphanumeric(c) && !strings.ContainsRune("._-+@", c) }) {
		return sluice.Errorf(sluice.Invalid, "name must have 1 to %d letters, digits or . _ - + @, and begin with a letter or digit", maxUserName)
	}
	if _, err := strconv.ParseUint(strings.TrimPrefix(foldName(spec.Name), "u"), 10, 64); err == nil {
		return sluice.Errorf(sluice.Invalid, "name must not look like a number or an id").WithHint("%q could be taken for another user", spec.Name)
	}
	if spec.Password == "" {
		return nil
	}
	return checkPassword(spec.Name, spec.Password)
}

func isAlphanumeric(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// CreateUser makes a user, who has no role yet.
func (s *Service) CreateUser(ctx context.Context, p Principal, spec UserSpec) (User, error) {
	if err := authorize(p, actionManageUsers, sluice.Instance); err != nil {
		return User{}, err
	}
	if err := spec.check(); err != nil {
		return User{}, err
	}
	made := ""
	if spec.Password == "" {
		spec.Password = newPassword()
		made = spec.Password.Reveal()
	}
	hash, err := s.hasher.digest(ctx, spec.Password)
	if err != nil {
		return User{}, err
	}
	number, err := store.NextID(ctx, s.store, "user")
	if err != nil {
		return User{}, storeError("number a user", err)
	}
	rec := userRecord{
		ID: "u" + strconv.FormatInt(number, 10), Number: number, Name: spec.Name, Administrator: spec.Administrator, Password: hash,
		Created: s.now().UTC(), Epoch: 1,
	}
	if err := s.storeUser(ctx, p, &rec); err != nil {
		return User{}, err
	}
	out := s.viewUser(s.people.get(rec.ID))
	out.Password = made
	return out, nil
}

// storeUser claims the name of a new user and stores its record. A process that
// ends in between leaves a claim that is void a minute later.
func (s *Service) storeUser(ctx context.Context, p Principal, rec *userRecord) error {
	s.people.changing.Lock()
	defer s.people.changing.Unlock()
	name := foldName(rec.Name)
	if err := s.claim(ctx, ruleUser, name, userKey(rec.ID)); err != nil {
		if errors.Is(err, store.ErrTaken) {
			return sluice.Errorf(sluice.Conflict, "a user with this name exists").WithHint("choose another name")
		}
		return storeError("claim a user's name", err)
	}
	failpoint.Here(failpoint.UserClaimed)
	rec.add(s.compose(p, userAct(rec, "user.create", "Created a user", map[string]any{"administrator": rec.Administrator})))
	if err := s.create(ctx, userKey(rec.ID), rec); err != nil {
		if errors.Is(err, errNotCreated) {
			s.release(ctx, ruleUser, name, userKey(rec.ID))
		} else {
			s.rereadUser(ctx, rec.ID)
		}
		return storeError("store a user", err)
	}
	failpoint.Here(failpoint.UserCreated)
	s.people.put(*rec)
	s.outboxes.wake(userKey(rec.ID))
	return nil
}

func userAct(r *userRecord, eventType, message string, fields map[string]any) act {
	return act{
		Type: eventType, Namespace: sluice.Instance, TargetType: targetUser, TargetID: r.Number, Target: r.Name,
		Message: message, Fields: fields,
	}
}

// Users lists all users, by the time they were made.
func (s *Service) Users(ctx context.Context, p Principal) ([]User, error) {
	if err := authorize(p, actionReadUsers, sluice.Instance); err != nil {
		return nil, err
	}
	out := []User{}
	for _, u := range s.people.list() {
		out = append(out, s.viewUser(u))
	}
	return out, nil
}

// User returns one user, by id or name.
func (s *Service) User(ctx context.Context, p Principal, id string) (User, error) {
	if err := authorize(p, actionReadUsers, sluice.Instance); err != nil {
		return User{}, err
	}
	u := s.people.find(id)
	if u == nil {
		return User{}, errNotFound()
	}
	return s.viewUser(u), nil
}
