package client

import (
	"context"
	"net/http"
	"net/url"
)

// Roles of members.
const (
	Owner   = "owner"
	Auditor = "auditor"
)

// UserSpec describes a user to be made.
type UserSpec struct {
	Name string `json:"name"`
	// Password is "" to have one made.
	Password      string `json:"password,omitempty"`
	Administrator bool   `json:"administrator,omitempty"`
}

// UserPatch says what is to change of a user; nil leaves it.
type UserPatch struct {
	Administrator *bool   `json:"administrator,omitempty"`
	Disabled      *bool   `json:"disabled,omitempty"`
	Password      *string `json:"password,omitempty"` // "" has one made
}

// User is a user as the server shows it.
type User struct {
	ID            string            `json:"id"`
	Name          string            `json:"name"`
	Administrator bool              `json:"administrator"`
	Disabled      bool              `json:"disabled"`
	Roles         map[string]string `json:"roles"` // by top-level namespace
	CreatedAt     string            `json:"created_at"`
	// Password was made by the server; only the answer to its making has it.
	Password string `json:"password,omitempty"`
}

// CreateUser makes a user.
func (c *Client) CreateUser(ctx context.Context, spec UserSpec) (User, error) {
	var u User
	err := c.do(ctx, request{method: http.MethodPost, path: "/api/v1/users", in: spec}, &u)
	return u, err
}

// Users lists all users.
func (c *Client) Users(ctx context.Context) ([]User, error) {
	l := list[User]{name: "users"}
	err := c.do(ctx, request{method: http.MethodGet, path: "/api/v1/users"}, &l)
	return l.items, err
}

// UpdateUser changes a user, by id or name.
func (c *Client) UpdateUser(ctx context.Context, user string, patch UserPatch) (User, error) {
	var u User
	err := c.do(ctx, request{method: http.MethodPatch, path: "/api/v1/users/" + url.PathEscape(user), in: patch}, &u)
	return u, err
}

// MemberSpec says which role a user is to have in a top-level namespace.
type MemberSpec struct {
	Namespace string `json:"namespace"`
	User      string `json:"user"` // name, or the id of a member; any id for administrators
	Role      string `json:"role"`
}

// Member is a user with a role in a top-level namespace.
type Member struct {
	Namespace string `json:"namespace"`
	User      string `json:"user"` // id
	Name      string `json:"name"`
	Role      string `json:"role"`
	Disabled  bool   `json:"disabled"`
	Since     string `json:"since"`
}

// Members lists the members of a namespace, with "" of all.
func (c *Client) Members(ctx context.Context, namespace string) ([]Member, error) {
	q := url.Values{}
	if namespace != "" {
		q.Set("namespace", namespace)
	}
	l := list[Member]{name: "members"}
	err := c.do(ctx, request{method: http.MethodGet, path: "/api/v1/members", query: q}, &l)
	return l.items, err
}

// SetMember gives a user a role, or another one than before.
func (c *Client) SetMember(ctx context.Context, spec MemberSpec) (Member, error) {
	var m Member
	err := c.do(ctx, request{method: http.MethodPost, path: "/api/v1/members", in: spec}, &m)
	return m, err
}

// RemoveMember takes a user's role away.
func (c *Client) RemoveMember(ctx context.Context, namespace, user string) error {
	q := url.Values{"namespace": {namespace}, "user": {user}}
	return c.do(ctx, request{method: http.MethodDelete, path: "/api/v1/members", query: q}, nil)
}

// Me is what the caller is.
type Me struct {
	Kind          string            `json:"kind"`
	ID            string            `json:"id"`
	Name          string            `json:"name"`
	Namespace     string            `json:"namespace,omitempty"`
	Administrator bool              `json:"administrator"`
	Roles         map[string]string `json:"roles"`
	Token         string            `json:"token,omitempty"`
	Scopes        []string          `json:"scopes,omitempty"`
	ExpiresAt     string            `json:"expires_at,omitempty"`
}

// Me describes whose token the client sends.
func (c *Client) Me(ctx context.Context) (Me, error) {
	var me Me
	err := c.do(ctx, request{method: http.MethodGet, path: "/api/v1/me"}, &me)
	return me, err
}
