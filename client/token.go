package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// Kinds of tokens.
const (
	Producer = "producer" // may post events
	Admin    = "admin"    // may do everything
	Personal = "personal" // acts for a user
)

// TokenSpec describes a token to be made.
type TokenSpec struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"` // top-level namespace a producer is bound to; "" is the instance
	Name      string `json:"name,omitempty"`
	// RateLimit is the most events a second, 0 for what the server sets for all.
	RateLimit int `json:"rate_limit,omitempty"`
	// Token is the secret itself, "" to have one made.
	Token string `json:"token,omitempty"`
	// Of a personal one: whose it is, by id or name, the caller's by default; what
	// it leaves of the user's rights; when it ends, in RFC 3339, "" for never.
	User      string   `json:"user,omitempty"`
	Scopes    []string `json:"scopes,omitempty"`
	ExpiresAt string   `json:"expires_at,omitempty"`
}

// Token is a token as the server shows it.
type Token struct {
	ID         TokenID `json:"id"`
	Kind       string  `json:"kind"`
	Namespace  string  `json:"namespace"`
	Name       string  `json:"name"`
	RateLimit  int     `json:"rate_limit"`
	CreatedAt  string  `json:"created_at,omitempty"`
	LastUsedAt string  `json:"last_used_at,omitempty"` // "" for never
	// Of a personal one:
	User      string   `json:"user,omitempty"` // id
	Scopes    []string `json:"scopes,omitempty"`
	ExpiresAt string   `json:"expires_at,omitempty"`
	Expired   bool     `json:"expired,omitempty"`
	// Token is the secret; only the answer to its creation has it.
	Token string `json:"token,omitempty"`
}

// TokenID names a token. On the wire it may be a string or a number.
type TokenID string

// UnmarshalJSON reads either form.
func (id *TokenID) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] != '"' {
		*id = TokenID(b)
		return nil
	}
	return json.Unmarshal(b, (*string)(id))
}

// CreateToken makes a token.
func (c *Client) CreateToken(ctx context.Context, spec TokenSpec) (Token, error) {
	var t Token
	err := c.do(ctx, request{method: http.MethodPost, path: "/api/v1/tokens", in: spec}, &t)
	return t, err
}

// Tokens lists all tokens, without their secrets.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	l := list[Token]{name: "tokens"}
	err := c.do(ctx, request{method: http.MethodGet, path: "/api/v1/tokens"}, &l)
	return l.items, err
}

// RevokeToken ends a token at once.
func (c *Client) RevokeToken(ctx context.Context, id TokenID) error {
	return c.do(ctx, request{method: http.MethodDelete, path: "/api/v1/tokens/" + url.PathEscape(string(id))}, nil)
}
