package rest

import (
	"context"
	"net/http"

	"github.com/sluicelog/sluice/control"
)

func (a *API) listTokens(ctx context.Context, c *call) (answer, error) {
	list, err := a.service.Tokens(ctx, c.by)
	if err != nil {
		return answer{}, err
	}
	return ok(map[string]any{"tokens": list})
}

func (a *API) createToken(ctx context.Context, c *call) (answer, error) {
	var spec control.TokenSpec
	if err := decode(c.Request, &spec); err != nil {
		return answer{}, err
	}
	t, err := a.service.CreateToken(ctx, c.by, spec)
	return answer{http.StatusCreated, t}, err
}

func (a *API) revokeToken(ctx context.Context, c *call) (answer, error) {
	id := c.PathValue("id")
	err := a.service.RevokeToken(ctx, c.by, id)
	return answer{http.StatusOK, map[string]string{"id": id}}, err
}
