package rest

import (
	"context"
	"net/http"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

func (a *API) listMembers(ctx context.Context, c *call) (answer, error) {
	q, err := c.query("namespace")
	if err != nil {
		return answer{}, err
	}
	var namespace *string
	if q.Has("namespace") {
		ns := q.Get("namespace")
		namespace = &ns
	}
	list, err := a.service.Members(ctx, c.by, namespace)
	if err != nil {
		return answer{}, err
	}
	return ok(map[string]any{"members": list})
}

func (a *API) setMember(ctx context.Context, c *call) (answer, error) {
	var spec control.MemberSpec
	if err := decode(c.Request, &spec); err != nil {
		return answer{}, err
	}
	m, err := a.service.SetMember(ctx, c.by, spec)
	return answer{http.StatusOK, m}, err
}

func (a *API) removeMember(ctx context.Context, c *call) (answer, error) {
	q, err := c.query("namespace", "user")
	if err != nil {
		return answer{}, err
	}
	if !q.Has("namespace") || !q.Has("user") {
		return answer{}, sluice.Errorf(sluice.Invalid, "namespace and user must be in the query").WithHint("for example ?namespace=acme&user=jane")
	}
	err = a.service.RemoveMember(ctx, c.by, q.Get("namespace"), q.Get("user"))
	return answer{http.StatusOK, map[string]string{"namespace": q.Get("namespace"), "user": q.Get("user")}}, err
}
