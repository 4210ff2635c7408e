package manifest

import (
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
)

// Version is the version of the form of documents that this package reads.
const Version = 1

// document reads one document.
func (r *reader) document(v value) *Namespace {
	before := len(r.problems)
	m := v.members("version", "namespace", "users", "members", "notices", "tokens", "streams")
	if len(r.problems) > before && len(m) == 0 {
		return nil
	}
	n := &Namespace{At: v.at()}
	r.head(v, m, n)
	section(m, "users", &n.Users, r.user)
	section(m, "members", &n.Members, r.member)
	section(m, "notices", &n.Notices, r.address)
	section(m, "tokens", &n.Tokens, r.token)
	section(m, "streams", &n.Streams, r.stream)
	return n
}

// head reads what every document has.
func (r *reader) head(v value, m map[string]value, n *Namespace) {
	switch version, ok := m["version"]; {
	case !ok:
		r.problems.add(v.at(), "version is missing: this program knows version: %d", Version)
	case version.node.ShortTag() != "!!int" || version.node.Value != "1":
		r.problems.add(version.at(), "version must be %d: a newer program may know others", Version)
	}
	namespace, ok := m["namespace"]
	if !ok {
		r.problems.add(v.at(), `namespace is missing: a top-level namespace, or "" for the instance`)
		return
	}
	n.At, n.Path = namespace.at(), namespace.text()
	if n.Path == sluice.Instance {
		if members, ok := m["members"]; ok {
			r.problems.add(members.at(), "the instance has no members: roles are in top-level namespaces, administrators are users")
		}
		return
	}
	if err := sluice.CheckNamespace(n.Path); err != nil || strings.Contains(n.Path, "/") {
		r.problems.add(n.At, `namespace must be a top-level one, such as acme, or "" for the instance`)
	}
	if users, ok := m["users"]; ok {
		r.problems.add(users.at(), `users belong to the instance: put them into a document with namespace: ""`)
	}
}

// section reads a list of a document.
func section[T any](m map[string]value, name string, into *Section[T], read func(value) T) {
	v, ok := m[name]
	if !ok {
		return
	}
	into.Managed = true
	for _, item := range v.items() {
		into.Items = append(into.Items, read(item))
	}
}

// required returns a member that must be there.
func (v value) required(m map[string]value, name string, read func(value) string) string {
	if f, ok := m[name]; ok {
		return read(f)
	}
	if v.node.Content != nil || len(m) > 0 {
		v.r.problems.add(v.at(), "%s.%s is missing", v.path, name)
	}
	return ""
}

func (r *reader) user(v value) *User {
	m := v.members("name", "administrator", "disabled", "password")
	u := &User{At: v.at(), Name: v.required(m, "name", value.word)}
	if f, ok := m["administrator"]; ok {
		u.Administrator = f.boolean()
	}
	if f, ok := m["disabled"]; ok {
		u.Disabled = f.boolean()
	}
	if f, ok := m["password"]; ok {
		u.Password = f.reference()
	}
	return u
}

func (r *reader) member(v value) *Member {
	m := v.members("user", "role")
	return &Member{At: v.at(), User: v.required(m, "user", value.word), Role: v.required(m, "role", func(v value) string {
		return v.choice(client.Owner, client.Auditor)
	})}
}

func (r *reader) address(v value) *Address {
	m := v.members("kind", "address")
	a := &Address{At: v.at(), Kind: v.required(m, "kind", value.word)}
	if f, ok := m["address"]; ok {
		a.Address = f.secretly()
	} else {
		r.problems.add(v.at(), "%s.address is missing", v.path)
		a.Address = &Text{At: v.at()}
	}
	return a
}

func (r *reader) token(v value) *Token {
	m := v.members("name", "rate_limit", "token")
	t := &Token{At: v.at(), Name: v.required(m, "name", value.word)}
	if f, ok := m["rate_limit"]; ok {
		t.RateLimit = f.count()
	}
	if f, ok := m["token"]; ok {
		t.Text = f.reference()
	}
	return t
}

func (r *reader) stream(v value) *Stream {
	m := v.members("name", "kind", "config", "secrets", "filter", "start", "until", "strict", "active")
	s := &Stream{At: v.at(), places: map[string]Place{}, Config: map[string]any{}, Secrets: map[string]*Text{}}
	for name, f := range m {
		s.places[name] = f.at()
	}
	s.Name, s.Kind = v.required(m, "name", value.word), v.required(m, "kind", value.word)
	if f, ok := m["config"]; ok {
		for name, member := range f.members() {
			s.Config[name] = member.free(s.places, v.path)
		}
	}
	if f, ok := m["secrets"]; ok {
		for name, member := range f.members() {
			s.places["secrets."+name] = member.at()
			if s.Secrets[name] = nil; !member.null() {
				s.Secrets[name] = member.reference()
			}
		}
	}
	if f, ok := m["filter"]; ok {
		r.filter(f, s)
	}
	r.times(m, s)
	if f, ok := m["strict"]; ok {
		s.Strict = f.boolean()
	}
	if f, ok := m["active"]; ok {
		s.Active = new(f.boolean())
	}
	return s
}

func (r *reader) filter(v value, s *Stream) {
	m := v.members("event_types", "excluded_event_types", "namespaces")
	for name, into := range map[string]*[]string{
		"event_types": &s.Filter.EventTypes, "excluded_event_types": &s.Filter.ExcludedEventTypes, "namespaces": &s.Filter.Namespaces,
	} {
		if f, ok := m[name]; ok {
			*into = f.texts()
		}
	}
}

// times reads start and until. That they lie in order is for the server to say.
func (r *reader) times(m map[string]value, s *Stream) {
	if f, ok := m["start"]; ok {
		s.Start = f.when()
		if t, err := time.Parse(time.RFC3339, s.Start); err == nil {
			s.Start = t.UTC().Format(time.RFC3339Nano)
		} else if s.Start != "now" && s.Start != "earliest" {
			r.problems.add(f.at(), "%s must be now, earliest or a time such as 2026-01-31T12:00:00Z", f.path)
		}
	}
	f, ok := m["until"]
	if !ok || f.null() {
		return
	}
	t, err := time.Parse(time.RFC3339, f.when())
	if err != nil {
		r.problems.add(f.at(), "%s must be a time such as 2026-01-31T12:00:00Z, or null for never", f.path)
	}
	s.Until = t.UTC()
}

// take adds what a document says.
func (m *Manifest) take(n *Namespace) {
	if n == nil {
		return
	}
	for _, have := range m.Namespaces {
		if sluice.FoldNamespace(have.Path) == sluice.FoldNamespace(n.Path) {
			extend(&have.Users, n.Users)
			extend(&have.Members, n.Members)
			extend(&have.Notices, n.Notices)
			extend(&have.Tokens, n.Tokens)
			extend(&have.Streams, n.Streams)
			return
		}
	}
	m.Namespaces = append(m.Namespaces, n)
}

func extend[T any](s *Section[T], more Section[T]) {
	s.Managed = s.Managed || more.Managed
	s.Items = append(s.Items, more.Items...)
}

// check finds what is wrong only when all documents are seen together.
func (m *Manifest) check() (problems Problems) {
	for _, n := range m.Namespaces {
		unique(&problems, "user", n.Users, func(u *User) (Place, string) { return u.At, strings.ToLower(u.Name) })
		unique(&problems, "member", n.Members, func(m *Member) (Place, string) { return m.At, strings.ToLower(m.User) })
		unique(&problems, "token", n.Tokens, func(t *Token) (Place, string) { return t.At, t.Name })
		unique(&problems, "stream", n.Streams, func(s *Stream) (Place, string) { return s.At, s.Name })
		for _, s := range n.Streams.Items {
			if err := s.Filter.Check(n.Path); err != nil {
				problems.add(s.at("filter"), "filter: %v", err)
			}
		}
	}
	return problems
}

// unique tells what has the name of something before it.
func unique[T any](problems *Problems, what string, s Section[T], key func(T) (Place, string)) {
	seen := map[string]Place{}
	for _, item := range s.Items {
		at, name := key(item)
		if first, twice := seen[name]; twice {
			problems.add(at, "there is another %s %q at %s", what, name, first)
			continue
		}
		seen[name] = at
	}
}
