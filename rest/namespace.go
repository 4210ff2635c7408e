package rest

import (
	"context"
	"net/http"
)

func (a *API) listNamespaces(ctx context.Context, c *call) (answer, error) {
	q, err := c.query("within")
	if err != nil {
		return answer{}, err
	}
	list, err := a.service.Namespaces(ctx, c.by, q.Get("within"))
	if err != nil {
		return answer{}, err
	}
	return ok(map[string]any{"namespaces": list})
}

func (a *API) declareNamespace(ctx context.Context, c *call) (answer, error) {
	var in struct {
		Path string `json:"path"`
		Kind string `json:"kind"`
	}
	if err := decode(c.Request, &in); err != nil {
		return answer{}, err
	}
	n, err := a.service.DeclareNamespace(ctx, c.by, in.Path, in.Kind)
	return answer{http.StatusCreated, n}, err
}
