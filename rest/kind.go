package rest

import "context"

func (a *API) listKinds(ctx context.Context, c *call) (answer, error) {
	list, err := a.service.KindForms(ctx, c.by)
	if err != nil {
		return answer{}, err
	}
	return ok(map[string]any{"kinds": list})
}
