package client

import (
	"context"
	"net/http"
)

// SealingKeys says which keys seal secrets at the server, and how much.
type SealingKeys struct {
	Current string       `json:"current"`
	Keys    []SealingKey `json:"keys"` // the current one first
	Values  int          `json:"values"`
	// Pending counts the values that the server has yet to seal with the current
	// key.
	Pending int `json:"pending"`
}

// SealingKey is one key.
type SealingKey struct {
	ID      string `json:"id"`
	Current bool   `json:"current"`
	InFile  bool   `json:"in_file"` // false: the key is lost, and what it sealed too
	Values  int    `json:"values"`
}

// SealingKeys counts what each key seals.
func (c *Client) SealingKeys(ctx context.Context) (SealingKeys, error) {
	return c.keys(ctx, http.MethodGet, "/api/v1/secrets")
}

// RotateKeys makes a new current key. The server then seals everything anew by
// itself.
func (c *Client) RotateKeys(ctx context.Context) (SealingKeys, error) {
	return c.keys(ctx, http.MethodPost, "/api/v1/secrets/rotate")
}

// PruneKeys removes the keys that nothing uses from the key file.
func (c *Client) PruneKeys(ctx context.Context) (SealingKeys, error) {
	return c.keys(ctx, http.MethodPost, "/api/v1/secrets/prune")
}

func (c *Client) keys(ctx context.Context, method, path string) (SealingKeys, error) {
	var out SealingKeys
	err := c.do(ctx, request{method: method, path: path}, &out)
	return out, err
}
