package rest

import (
	"context"
	"net/http"

	"github.com/sluicelog/sluice/control"
)

func (a *API) listUsers(ctx context.Context, c *call) (answer, error) {
	list, err := a.service.Users(ctx, c.by)
	if err != nil {
		return answer{}, err
	}
	return ok(map[string]any{"users": list})
}

func (a *API) createUser(ctx context.Context, c *call) (answer, error) {
	var spec control.UserSpec
	if err := decode(c.Request, &spec); err != nil {
		return answer{}, err
	}
	u, err := a.service.CreateUser(ctx, c.by, spec)
	return answer{http.StatusCreated, u}, err
}

func (a *API) getUser(ctx context.Context, c *call) (answer, error) {
	u, err := a.service.User(ctx, c.by, c.PathValue("id"))
	return answer{http.StatusOK, u}, err
}

func (a *API) updateUser(ctx context.Context, c *call) (answer, error) {
	var patch control.UserPatch
	if err := decode(c.Request, &patch); err != nil {
		return answer{}, err
	}
	u, err := a.service.UpdateUser(ctx, c.by, c.PathValue("id"), patch)
	return answer{http.StatusOK, u}, err
}
