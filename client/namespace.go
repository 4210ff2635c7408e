package client

import (
	"context"
	"net/http"
)

// Kinds of namespaces below the instance.
const (
	Group   = "group"
	Project = "project"
)

// Namespace is a group or project that the server knows.
type Namespace struct {
	ID   int64  `json:"id"`
	Path string `json:"path"`
	Kind string `json:"kind"`
}

// CreateNamespace declares a group or project.
func (c *Client) CreateNamespace(ctx context.Context, path, kind string) (Namespace, error) {
	var n Namespace
	in := struct {
		Path string `json:"path"`
		Kind string `json:"kind"`
	}{path, kind}
	err := c.do(ctx, request{method: http.MethodPost, path: "/api/v1/namespaces", in: in}, &n)
	return n, err
}

// Namespaces lists the namespaces that the token may see.
func (c *Client) Namespaces(ctx context.Context) ([]Namespace, error) {
	l := list[Namespace]{name: "namespaces"}
	err := c.do(ctx, request{method: http.MethodGet, path: "/api/v1/namespaces"}, &l)
	return l.items, err
}
