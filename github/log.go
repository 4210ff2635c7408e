package github

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

const (
	defaultPerPage = 30
	maxPerPage     = 100
)

// enterprise returns the top-level namespace that the path names, by its name or
// number.
func (a *API) enterprise(c *call) (string, error) {
	asked := c.PathValue("enterprise")
	n, err := a.service.FindNamespace(c.Context(), c.by, asked)
	if e, ok := errors.AsType[*sluice.Error](err); ok && e.Code == sluice.NotFound {
		return a.numbered(c, asked, 1)
	}
	if err == nil && strings.Contains(n.Path, "/") {
		err = errNotFound
	}
	return n.Path, err
}

func (a *API) enterpriseLog(c *call) error {
	path, err := a.enterprise(c)
	if err != nil {
		return err
	}
	return a.log(c, path)
}

// orgLog answers for an organization, which lies below an enterprise, or is a
// top-level namespace itself. Of several with its name the caller gets the events
// of all that it may read: who can make one more must not hide the others.
func (a *API) orgLog(c *call) error {
	asked := c.PathValue("org")
	list, err := a.service.Organizations(c.Context(), c.by, asked)
	if err != nil {
		return err
	}
	paths := make([]string, 0, len(list))
	for _, n := range list {
		paths = append(paths, n.Path)
	}
	if len(paths) == 0 {
		path, err := a.numbered(c, asked, 2)
		if err != nil {
			return err
		}
		paths = append(paths, path)
	}
	return a.log(c, paths[0], paths[1:]...)
}

// numbered returns the namespace of at most so many segments with a number, of
// those that the caller sees.
func (a *API) numbered(c *call, asked string, segments int) (string, error) {
	if _, err := strconv.ParseInt(asked, 10, 64); err != nil {
		return "", errNotFound
	}
	known, err := a.service.Namespaces(c.Context(), c.by, "")
	if err != nil {
		return "", err
	}
	for _, n := range known {
		if strconv.FormatInt(n.ID, 10) == asked && strings.Count(n.Path, "/") < segments {
			return n.Path, nil
		}
	}
	return "", errNotFound
}

// log answers with a page of the log of a namespace.
func (a *API) log(c *call, path string, also ...string) error {
	q, err := readQuery(c.URL.Query())
	if err != nil {
		return err
	}
	q.Namespace, q.Also = path, also
	find := a.service.Events
	if c.URL.Query().Get("page") != "" && q.Before == "" {
		find = a.service.NumberedEvents
	}
	found, err := find(c.Context(), c.by, q)
	if err != nil {
		return err
	}
	out := make([]entry, len(found.Events))
	for i := range found.Events {
		out[i] = present(&found.Events[i])
	}
	if links := links(c, &q, &found); links != "" {
		c.w.Header().Set("Link", links)
	}
	writeJSON(c.w, http.StatusOK, out)
	return nil
}

func readQuery(values url.Values) (q control.EventQuery, err error) {
	q = control.EventQuery{Phrase: values.Get("phrase"), Limit: defaultPerPage, After: values.Get("after"), Before: values.Get("before")}
	switch values.Get("include") {
	case "", "web":
		q.Class = string(sluice.Audit)
	case "git":
		q.Class = string(sluice.Git)
	case "all":
	default:
		return q, invalid("include must be web, git or all")
	}
	switch values.Get("order") {
	case "", "desc":
	case "asc":
		q.Order = control.OldestFirst
	default:
		return q, invalid("order must be asc or desc")
	}
	page := 1
	for name, to := range map[string]*int{"per_page": &q.Limit, "page": &page} {
		if text := values.Get(name); text != "" {
			if *to, err = strconv.Atoi(text); err != nil || *to < 1 {
				return q, invalid(name + " must be a positive integer")
			}
		}
	}
	q.Limit = min(q.Limit, maxPerPage)
	q.Skip = min(page-1, 1<<20) * q.Limit
	return q, nil
}

// links leads to the neighbours of a page. Clients read one line of it.
func links(c *call, q *control.EventQuery, found *control.FoundEvents) string {
	var list []string
	back := q.Before != ""
	if found.More || back {
		list = append(list, link(c, "next", "after", found.Next))
	}
	list = append(list, link(c, "first", "after", ""))
	if found.More && back || q.After != "" {
		list = append(list, link(c, "prev", "before", found.Previous))
	}
	return strings.Join(list, ", ")
}

func link(c *call, rel, name, cursor string) string {
	q := c.URL.Query()
	q.Del("page")
	for _, other := range []string{"after", "before"} {
		q.Set(other, "")
	}
	q.Set(name, cursor)
	path := c.URL.EscapedPath()
	if asked, err := url.ParseRequestURI(c.RequestURI); err == nil {
		path = asked.EscapedPath() // with or without the prefix
	}
	return "<" + c.origin + path + "?" + q.Encode() + `>; rel="` + rel + `"`
}
