package web

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/sluicelog/sluice/control"
)

// homeData is the data of the first page.
type homeData struct {
	Administrator bool
	Roles         []role
}

// role is what somebody is in a top-level namespace.
type role struct {
	Namespace string
	Role      control.Role
}

func (s *Site) home(_ context.Context, v *visit) (answer, error) {
	data := homeData{Administrator: v.me.Administrator}
	for _, namespace := range slices.SortedFunc(maps.Keys(v.me.Roles), cmp.Compare[string]) {
		data.Roles = append(data.Roles, role{namespace, v.me.Roles[namespace]})
	}
	return show("home", "Enterprises and groups", data), nil
}
