package manifest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
)

// sameName compares names of users.
func sameName(a, b string) bool { return strings.EqualFold(a, b) }

func (b *builder) users(n *Namespace) {
	for _, want := range n.Users.Items {
		i := slices.IndexFunc(b.have.users, func(u client.User) bool { return sameName(u.Name, want.Name) })
		if i < 0 {
			b.newUser(want)
			continue
		}
		b.user(want, &b.have.users[i])
	}
	for i := range b.have.users {
		u := &b.have.users[i]
		if !slices.ContainsFunc(n.Users.Items, func(want *User) bool { return sameName(u.Name, want.Name) }) {
			b.unmanaged = append(b.unmanaged, Thing{Type: TypeUser, Name: u.Name, ID: u.ID}) // users stay: see "disabled"
		}
	}
}

func (b *builder) newUser(want *User) {
	c := Change{Action: Create, Thing: Thing{Type: TypeUser, Name: want.Name}, Secrets: []Secret{{"password", secretSet}}}
	if want.Administrator {
		c.Fields = append(c.Fields, Field{"administrator", nil, true})
	}
	if want.Disabled {
		c.Fields = append(c.Fields, Field{"disabled", nil, true})
	}
	c.refer("secrets.password", want.Password)
	text := b.made(want.Password, want.At, passwordFile(want.Name), newPassword)
	c.run = func(ctx context.Context, c *carrier) (string, error) {
		remark, err := c.withText(text, func(password string) error {
			_, err := c.client.CreateUser(ctx, client.UserSpec{Name: want.Name, Password: password, Administrator: want.Administrator})
			return err
		})
		if err != nil || !want.Disabled {
			return remark, err
		}
		err = patiently(ctx, func() error {
			_, err := c.client.UpdateUser(ctx, want.Name, client.UserPatch{Disabled: new(true)})
			return err
		})
		if err != nil {
			return "", fmt.Errorf("it was created, and not disabled: %v", err) // not to be repeated as a whole
		}
		return remark, nil
	}
	b.add(stageUsers, c)
}

func (b *builder) user(want *User, have *client.User) {
	b.finish(want.Password, passwordFile(want.Name))
	c := Change{Action: Update, Thing: Thing{Type: TypeUser, Name: have.Name, ID: have.ID}}
	var patch client.UserPatch
	if want.Administrator != have.Administrator {
		c.Fields = append(c.Fields, Field{"administrator", have.Administrator, want.Administrator})
		patch.Administrator = new(want.Administrator)
	}
	if want.Disabled != have.Disabled {
		c.Fields = append(c.Fields, Field{"disabled", have.Disabled, want.Disabled})
		patch.Disabled = new(want.Disabled)
	}
	if len(c.Fields) == 0 {
		return
	}
	if b.self(have.ID) && (want.Disabled || !want.Administrator) {
		b.problems.add(want.At, "%s would take its own rights away: have another administrator apply it", have.Name)
		return
	}
	c.run = func(ctx context.Context, c *carrier) (string, error) {
		_, err := c.client.UpdateUser(ctx, have.ID, patch)
		return "", err
	}
	b.add(stageUsers, c)
}

// self reports whether a user is the one who asks.
func (b *builder) self(id string) bool { return b.have.me.Kind == "user" && b.have.me.ID == id }

func (b *builder) members(n *Namespace) {
	have := b.have.scopes[n].members
	is := func(m *client.Member, want *Member) bool { return sameName(m.Name, want.User) || m.User == want.User }
	for _, want := range n.Members.Items {
		i := slices.IndexFunc(have, func(m client.Member) bool { return is(&m, want) })
		c := Change{Action: Create, Thing: Thing{Type: TypeMember, Namespace: n.Path, Name: want.User}, Fields: []Field{{"role", nil, want.Role}}}
		if i >= 0 {
			c.Action, c.ID, c.Fields = Update, have[i].User, []Field{{"role", have[i].Role, want.Role}}
			if have[i].Role == want.Role {
				continue
			}
		}
		if i >= 0 && b.locksOut(have[i].User) {
			b.problems.add(want.At, "%s would take its own rights away: have another owner apply it", have[i].Name)
			continue
		}
		if !b.knowsUser(want.User) {
			b.problems.add(want.At, "there is no user %q: create the user first, or list it under users in a document of the instance", want.User)
			continue
		}
		c.run = func(ctx context.Context, c *carrier) (string, error) {
			_, err := c.client.SetMember(ctx, client.MemberSpec{Namespace: n.Path, User: want.User, Role: want.Role})
			return "", err
		}
		if want.Role == client.Owner {
			b.add(stageOwners, c) // before the last one before them is made something else
			continue
		}
		b.add(stageMembers, c)
	}
	for i := range have {
		if !slices.ContainsFunc(n.Members.Items, func(want *Member) bool { return is(&have[i], want) }) {
			b.extraMember(n, have[i])
		}
	}
}

func (b *builder) extraMember(n *Namespace, m client.Member) {
	if b.Prune && b.locksOut(m.User) {
		b.problems.add(n.At, "%s would take its own rights away: name it under members, or have another owner apply it", m.Name)
		return
	}
	b.extra(stageMembersGone, Change{
		Action: Delete, Thing: Thing{Type: TypeMember, Namespace: n.Path, Name: m.Name, ID: m.User}, Fields: []Field{{"role", m.Role, nil}},
		run: func(ctx context.Context, c *carrier) (string, error) {
			return "", c.client.RemoveMember(ctx, n.Path, m.User)
		},
	})
}

// locksOut reports whether a change of that user's role is one of the caller's
// own, which nothing else makes up for.
func (b *builder) locksOut(id string) bool { return b.self(id) && !b.have.me.Administrator }

// knowsUser reports whether there is such a user, or will be, as far as the caller
// can tell.
func (b *builder) knowsUser(name string) bool {
	if !b.have.usersKnown {
		return true // the server will tell
	}
	if slices.ContainsFunc(b.have.users, func(u client.User) bool { return u.ID == name || sameName(u.Name, name) }) {
		return true
	}
	for other := range b.have.scopes {
		if slices.ContainsFunc(other.Users.Items, func(u *User) bool { return sameName(u.Name, name) }) {
			return true
		}
	}
	return false
}

// notices compares addresses without regard to their order.
func (b *builder) notices(n *Namespace) {
	have := b.have.scopes[n].notices
	var want []client.Address
	c := Change{Action: Update, Thing: Thing{Type: TypeNotices, Namespace: n.Path}}
	if slices.ContainsFunc(n.Notices.Items, func(a *Address) bool { return !a.Address.known }) {
		b.partial = true
		b.note(c.Thing, "not compared, as not all of it can be read: addresses")
		return
	}
	for _, a := range n.Notices.Items {
		address := client.Address{Kind: a.Kind, Address: a.Address.value}
		if slices.Contains(want, address) {
			b.problems.add(a.At, "this address is there twice")
		}
		want = append(want, address)
		if !slices.Contains(have, address) {
			c.Fields = append(c.Fields, Field{"addresses", nil, shownAddress(address, a.Address)})
		}
	}
	for _, a := range have {
		if !slices.Contains(want, a) {
			c.Fields = append(c.Fields, Field{"addresses", shownAddress(a, nil), nil})
		}
	}
	if len(c.Fields) == 0 {
		return
	}
	c.run = func(ctx context.Context, c *carrier) (string, error) {
		now, err := c.client.Notices(ctx, n.Path)
		if err != nil {
			return "", err
		}
		if !sameAddresses(now, have) && !sameAddresses(now, want) {
			return "", errors.New("the addresses were changed meanwhile: apply again")
		}
		_, err = c.client.SetNotices(ctx, n.Path, want)
		return "", err
	}
	b.add(stageNotices, c)
}

// sameAddresses compares lists without regard to their order. None has an address
// twice.
func sameAddresses(a, b []client.Address) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(one client.Address) bool { return !slices.Contains(b, one) })
}

// shownAddress names an address: of a URL only the host, since whoever knows the
// rest can send there.
func shownAddress(a client.Address, t *Text) string {
	switch {
	case a.Kind == "email" && (t == nil || t.plain()):
		return a.Kind + " " + a.Address
	case t != nil && !t.plain():
		r, _ := t.reference("")
		return fmt.Sprintf("%s (not shown, %s)", a.Kind, r)
	}
	return a.Kind + " " + hostOf(a.Address)
}

// tokens compares the producers' tokens of a namespace by their names.
func (b *builder) tokens(n *Namespace) {
	have := slices.DeleteFunc(slices.Clone(b.have.tokens), func(t client.Token) bool { return !ofNamespace(t, n.Path) })
	for _, want := range n.Tokens.Items {
		same := slices.DeleteFunc(slices.Clone(have), func(t client.Token) bool { return t.Name != want.Name })
		switch {
		case len(same) == 0:
			b.newToken(n, want)
		case len(same) > 1:
			b.problems.add(want.At, "there are %d producers' tokens %q of the namespace, %s and %s for example: revoke one", len(same), want.Name, same[0].ID, same[1].ID)
		case same[0].RateLimit != want.RateLimit:
			b.problems.add(want.At, "rate_limit of a token cannot be changed from %d to %d: add a token with another name, give it to the producer, then take this one out",
				same[0].RateLimit, want.RateLimit)
		default:
			b.finish(want.Text, tokenFile(n.Path, want.Name))
		}
	}
	for _, t := range have {
		if slices.ContainsFunc(n.Tokens.Items, func(want *Token) bool { return want.Name == t.Name }) {
			continue
		}
		b.extra(stageTokensGone, Change{
			Action: Delete, Thing: Thing{Type: TypeToken, Namespace: n.Path, Name: t.Name, ID: string(t.ID)}, Warning: "whoever posts with it is refused at once",
			run: func(ctx context.Context, c *carrier) (string, error) { return "", c.client.RevokeToken(ctx, t.ID) },
		})
	}
}

// ofNamespace reports whether a token is one of a namespace's producers.
func ofNamespace(t client.Token, namespace string) bool {
	return t.Kind == client.Producer && sluice.FoldNamespace(t.Namespace) == sluice.FoldNamespace(namespace)
}

func (b *builder) newToken(n *Namespace, want *Token) {
	c := Change{Action: Create, Thing: Thing{Type: TypeToken, Namespace: n.Path, Name: want.Name}, Secrets: []Secret{{"token", secretSet}}}
	if want.RateLimit != 0 {
		c.Fields = append(c.Fields, Field{"rate_limit", nil, want.RateLimit})
	}
	c.refer("secrets.token", want.Text)
	text := b.made(want.Text, want.At, tokenFile(n.Path, want.Name), newToken)
	c.run = func(ctx context.Context, c *carrier) (string, error) {
		return c.withText(text, func(token string) error {
			_, err := c.client.CreateToken(ctx, client.TokenSpec{Kind: client.Producer, Namespace: n.Path, Name: want.Name, RateLimit: want.RateLimit, Token: token})
			return err
		})
	}
	b.add(stageTokens, c)
}
