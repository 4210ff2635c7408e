package web

import (
	"context"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// maxPeople bounds what a page lists of members, users or tokens: more is found
// by searching.
const maxPeople = 100

// peopleRoutes is the table of the pages about who may do what.
func (s *Site) peopleRoutes() map[string]placeRoute {
	return map[string]placeRoute{
		"members":               {get: s.membersPage, post: s.setMember},
		"members/{user}/remove": {get: s.removeMemberPage, post: s.removeMember},
		"tokens":                {get: s.producersPage, post: s.createProducer},
		"tokens/{token}/revoke": {get: s.revokeProducerPage, post: s.revokeProducer},
		"users":                 {get: atInstance(s.usersPage), post: atInstance(s.createUser)},
		"users/{user}":          {get: atInstance(s.userPage), post: atInstance(s.changeUser)},
		"users/{user}/password": {post: atInstance(s.setPassword)},
	}
}

// atInstance has a page be there for the instance only.
func atInstance(do placed) placed {
	return func(ctx context.Context, v *visit, p *place) (answer, error) {
		if p.Namespace != sluice.Instance {
			return answer{}, errNotFound()
		}
		return do(ctx, v, p)
	}
}

// finder is the part of a list that a page shows, with the search for the rest.
type finder struct {
	Action, Query, Label string
	Total, Found, Shown  int
}

// Many reports whether there is something to search for.
func (f *finder) Many() bool { return f.Query != "" || f.Total > 20 }

// More counts those that were found and not shown.
func (f *finder) More() int { return f.Found - f.Shown }

// find returns the first entries of a list that have the query in their text,
// without case.
func find[T any](f *finder, list []T, text func(T) string) []T {
	var out []T
	query := strings.ToLower(strings.TrimSpace(f.Query))
	for _, entry := range list {
		if !strings.Contains(strings.ToLower(text(entry)), query) {
			continue
		}
		if f.Found++; len(out) < maxPeople {
			out = append(out, entry)
		}
	}
	f.Total, f.Shown = len(list), len(out)
	return out
}

// confirmation is the data of a page that asks once.
type confirmation struct {
	Heading    string
	Lines      []string       // what will happen
	Action     string         // where the form goes
	Button     string         // does it
	Back, Keep string         // address and text of the link that leaves it
	Fields     []hidden       // that the form sends along
	Token      *control.Token // that is revoked; nil without one
	Problem    *formProblem
}

// hidden is a field that is not shown.
type hidden struct{ Name, Value string }
