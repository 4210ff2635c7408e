package rest

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// number reads a query parameter that is a whole number of 1 or more; 0 when it
// is absent, -1, which every use case refuses, when it is something else.
func number(q url.Values, name string) int {
	if !q.Has(name) {
		return 0
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 1 {
		return -1
	}
	return n
}

func (a *API) listAttempts(ctx context.Context, c *call) (answer, error) {
	return numbered(ctx, c, "limit", "attempts", a.service.Attempts)
}

func (a *API) listActivity(ctx context.Context, c *call) (answer, error) {
	return numbered(ctx, c, "minutes", "minutes", a.service.Activity)
}

func (a *API) listLag(ctx context.Context, c *call) (answer, error) {
	return numbered(ctx, c, "hours", "samples", a.service.Lag)
}

// numbered answers with a list of the stream in the path, bounded by a parameter.
func numbered[T any](ctx context.Context, c *call, parameter, member string, list func(context.Context, control.Principal, sluice.StreamID, int) ([]T, error)) (answer, error) {
	id, err := c.streamID()
	if err != nil {
		return answer{}, err
	}
	q, err := c.query(parameter)
	if err != nil {
		return answer{}, err
	}
	out, err := list(ctx, c.by, id, number(q, parameter))
	return answer{http.StatusOK, map[string]any{member: out}}, err
}

// namespace reads the query parameter of that name, which must be there: "" is
// the instance. The others are those that are also known.
func (c *call) namespace(others ...string) (string, url.Values, error) {
	q, err := c.query(append(others, "namespace")...)
	if err != nil {
		return "", nil, err
	}
	if !q.Has("namespace") {
		return "", nil, sluice.Errorf(sluice.Invalid, "the query parameter \"namespace\" is missing").WithHint("?namespace=acme, or ?namespace= for the instance")
	}
	return q.Get("namespace"), q, nil
}

func (a *API) listCounts(ctx context.Context, c *call) (answer, error) {
	namespace, q, err := c.namespace("hours", "by")
	if err != nil {
		return answer{}, err
	}
	out, err := a.service.Counts(ctx, c.by, control.CountQuery{Namespace: namespace, Hours: number(q, "hours"), By: q.Get("by")})
	return answer{http.StatusOK, map[string]any{"hours": out}}, err
}

func (a *API) getNotices(ctx context.Context, c *call) (answer, error) {
	namespace, _, err := c.namespace()
	if err != nil {
		return answer{}, err
	}
	out, err := a.service.Notices(ctx, c.by, namespace)
	return answer{http.StatusOK, out}, err
}

func (a *API) setNotices(ctx context.Context, c *call) (answer, error) {
	namespace, _, err := c.namespace()
	if err != nil {
		return answer{}, err
	}
	var in struct {
		Addresses []control.Address `json:"addresses"`
	}
	if err := decode(c.Request, &in); err != nil {
		return answer{}, err
	}
	out, err := a.service.SetNotices(ctx, c.by, namespace, in.Addresses)
	return answer{http.StatusOK, out}, err
}

func (a *API) testNotices(ctx context.Context, c *call) (answer, error) {
	namespace, _, err := c.namespace()
	if err != nil {
		return answer{}, err
	}
	out, err := a.service.TestNotices(ctx, c.by, namespace)
	return answer{http.StatusOK, map[string]any{"results": out}}, err
}

func (a *API) info(ctx context.Context, c *call) (answer, error) {
	out, err := a.service.Info(ctx, c.by)
	return answer{http.StatusOK, struct {
		Version string `json:"version"`
		control.Info
	}{a.version, out}}, err
}
