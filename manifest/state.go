package manifest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
)

// state is what a server has of what a manifest manages.
type state struct {
	me         client.Me
	kinds      map[string]client.Kind
	users      []client.User
	usersKnown bool // the caller may see them
	tokens     []client.Token
	scopes     map[*Namespace]*scope
}

// scope is what a server has in a namespace.
type scope struct {
	hidden  []string // lists that the caller may not read
	streams []client.Stream
	members []client.Member
	notices []client.Address
}

// read asks for what the manifest manages, and for no more.
func (p *Planner) read(ctx context.Context, m *Manifest) (*state, error) {
	have := &state{kinds: map[string]client.Kind{}, scopes: map[*Namespace]*scope{}}
	var err error
	if have.me, err = p.Client.Me(ctx); err != nil {
		return nil, err
	}
	var users, tokens, streams bool
	for _, n := range m.Namespaces {
		users = users || n.Users.Managed || n.Members.Managed && have.me.Administrator
		tokens, streams = tokens || n.Tokens.Managed, streams || n.Streams.Managed
		if have.scopes[n], err = p.readScope(ctx, n, have); err != nil {
			return nil, about(n, err)
		}
	}
	if users {
		have.users, err = p.Client.Users(ctx)
		have.usersKnown = err == nil
		if err := p.allowed(have, m, "users", err, func(n *Namespace) bool { return n.Users.Managed }); err != nil {
			return nil, err
		}
	}
	if tokens {
		have.tokens, err = p.Client.Tokens(ctx)
		if err := p.allowed(have, m, "tokens", err, func(n *Namespace) bool { return n.Tokens.Managed }); err != nil {
			return nil, err
		}
	}
	if streams {
		kinds, err := p.Client.Kinds(ctx)
		if err != nil {
			return nil, err
		}
		for _, k := range kinds {
			have.kinds[k.Name] = k
		}
	}
	return have, nil
}

// about says which namespace of which file an error of the server is about.
func about(n *Namespace, err error) error {
	if e, ok := errors.AsType[*client.Error](err); ok && e.Status == 404 {
		e.Hint = fmt.Sprintf("Is there a namespace %q, and may this token manage it?", n.Path)
	}
	return fmt.Errorf("%s: read what there is: %w", n.At, err)
}

// role returns what the caller is in a namespace, "" for nothing: lists of what it
// may not see would only be empty.
func (s *state) role(namespace string) string {
	if s.me.Administrator {
		return client.Owner
	}
	for path, role := range s.me.Roles {
		if sluice.FoldNamespace(path) == sluice.FoldNamespace(namespace) {
			return role
		}
	}
	return ""
}

// readsTokens reports whether the caller's scopes leave it the right to read
// producers' tokens. Without it the server's list is not refused, but has the
// caller's own personal tokens alone, and would look as if there were no others.
func (s *state) readsTokens() bool {
	return len(s.me.Scopes) == 0 || slices.Contains(s.me.Scopes, "api") || slices.Contains(s.me.Scopes, "read_api")
}

func (p *Planner) readScope(ctx context.Context, n *Namespace, have *state) (*scope, error) {
	s := &scope{}
	role := have.role(n.Path)
	if err := p.refuse(s, n, role, have.readsTokens()); err != nil || role == "" {
		return s, err
	}
	var err error
	if n.Streams.Managed {
		if s.streams, err = p.Client.Streams(ctx, &n.Path); p.may(s, "streams", &err) != nil {
			return nil, err
		}
	}
	if n.Members.Managed {
		if s.members, err = p.Client.Members(ctx, n.Path); p.may(s, "members", &err) != nil {
			return nil, err
		}
	}
	if n.Notices.Managed {
		if s.notices, err = p.Client.Notices(ctx, n.Path); p.may(s, "notices", &err) != nil {
			return nil, err
		}
	}
	return s, nil
}

// refuse hides the lists that the role does not let the caller read, or tells that
// it may not.
func (p *Planner) refuse(s *scope, n *Namespace, role string, tokens bool) error {
	hint := "Use the token of an owner or administrator, or leave these lists out of the files."
	if n.Tokens.Managed && (role != client.Owner || !tokens) {
		s.hidden = append(s.hidden, "tokens")
	}
	if role == client.Owner && !tokens {
		hint = "Use a token with the scope api, or leave this list out of the files: the scopes of this one do not let it read producers' tokens."
	}
	if role == "" {
		for list, managed := range map[string]bool{"streams": n.Streams.Managed, "members": n.Members.Managed, "notices": n.Notices.Managed, "users": n.Users.Managed} {
			if managed {
				s.hidden = append(s.hidden, list)
			}
		}
	}
	slices.Sort(s.hidden)
	if len(s.hidden) == 0 || p.Partly {
		return nil
	}
	return &client.Error{
		Status: http.StatusForbidden, Code: "forbidden", Message: "this token may not read its " + strings.Join(s.hidden, ", "),
		Hint: hint,
	}
}

// may turns the server's word that the caller may not read a list into a list that
// is hidden, when a part of a plan is wanted.
func (p *Planner) may(s *scope, list string, err *error) error {
	if e, ok := errors.AsType[*client.Error](*err); ok && e.Status == http.StatusForbidden && p.Partly {
		if !slices.Contains(s.hidden, list) {
			s.hidden = append(s.hidden, list)
		}
		*err = nil
	}
	return *err
}

// allowed is may for what is asked for once for all namespaces.
func (p *Planner) allowed(have *state, m *Manifest, list string, err error, managed func(*Namespace) bool) error {
	for _, n := range m.Namespaces {
		one := err
		if managed(n) && p.may(have.scopes[n], list, &one) != nil {
			return err
		}
	}
	return nil
}
