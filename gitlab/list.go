package gitlab

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

const (
	defaultPerPage = 20
	maxPerPage     = 100
	maxOffset      = 50_000 // events, beyond which GitLab wants a cursor too
)

// knownKind reports whether an entity type can be asked for.
func knownKind(kind string) bool {
	switch kind {
	case sluice.KindProject, sluice.KindGroup, sluice.KindUser, sluice.KindInstance:
		return true
	}
	return false
}

func (a *API) listInstance(c *call) error {
	if err := control.Operator(c.by); err != nil {
		return errForbidden
	}
	q := c.URL.Query()
	in := control.EventQuery{Kind: q.Get("entity_type"), Entity: q.Get("entity_id")}
	switch {
	case in.Kind != "" && !knownKind(in.Kind):
		return bad("entity_type does not have a valid value")
	case in.Entity != "" && in.Kind == "":
		return bad("entity_type is missing")
	}
	if _, err := strconv.ParseUint(in.Entity, 10, 63); err != nil && in.Entity != "" {
		return bad("entity_id is invalid")
	}
	return a.list(c, in)
}

func (a *API) getInstance(c *call) error {
	if err := control.Operator(c.by); err != nil {
		return errForbidden
	}
	e, err := a.event(c, "")
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, present(&e))
	return nil
}

// event returns the event that the path names, which lies in a namespace.
func (a *API) event(c *call, namespace string) (control.FoundEvent, error) {
	seq, err := seqOf(c.PathValue("event"))
	if err != nil {
		return control.FoundEvent{}, err
	}
	return a.service.EventAt(c.Context(), c.by, namespace, string(sluice.Audit), seq)
}

// owner returns what narrows a query to the group or project that the path names:
// by its path, by the id that its events have, or by its id here.
func (a *API) owner(c *call, kind string) (control.EventQuery, error) {
	name := c.PathValue("owner")
	_, err := strconv.ParseUint(name, 10, 63)
	number := err == nil
	if number {
		for _, q := range []control.EventQuery{{Kind: kind, Entity: name}, {Kind: kind, Phrase: phraseOf(kind) + name}} {
			one := q
			one.Class, one.Limit = string(sluice.Audit), 1
			found, err := a.service.Events(c.Context(), c.by, one)
			if err != nil || len(found.Events) > 0 {
				return q, err
			}
		}
	}
	n, err := a.service.FindNamespace(c.Context(), c.by, strings.Trim(name, "/"))
	if e, ok := errors.AsType[*sluice.Error](err); ok && e.Code == sluice.NotFound {
		n, err = a.numbered(c, name, number)
	}
	switch {
	case err != nil:
		return control.EventQuery{}, err
	case n.Path == "":
		return control.EventQuery{}, &problem{http.StatusNotFound, "message", "404 " + kind + " Not Found"}
	}
	return control.EventQuery{Kind: kind, Namespace: n.Path, Exact: true}, nil
}

// numbered returns the namespace with a number, of those that the caller sees.
func (a *API) numbered(c *call, name string, number bool) (control.Namespace, error) {
	if !number {
		return control.Namespace{}, nil
	}
	known, err := a.service.Namespaces(c.Context(), c.by, "")
	for _, n := range known {
		if strconv.FormatInt(n.ID, 10) == name {
			return n, err
		}
	}
	return control.Namespace{}, err
}

// phraseOf returns what finds a group or project by its number in GitHub's events.
func phraseOf(kind string) string {
	if kind == sluice.KindProject {
		return "repo_id:"
	}
	return "org_id:"
}

func (a *API) listOf(kind string) func(*call) error {
	return func(c *call) error {
		in, err := a.owner(c, kind)
		if err != nil {
			return err
		}
		return a.list(c, in)
	}
}

func (a *API) getOf(kind string) func(*call) error {
	return func(c *call) error {
		in, err := a.owner(c, kind)
		if err != nil {
			return err
		}
		e, err := a.event(c, in.Namespace)
		if err != nil {
			return err
		}
		out := present(&e)
		if !concerns(&e, &out, &in) {
			return errNotFound
		}
		writeJSON(c.w, http.StatusOK, out)
		return nil
	}
}

// concerns reports whether an event is of the group or project alone.
func concerns(e *control.FoundEvent, out *entity, q *control.EventQuery) bool {
	if !strings.EqualFold(out.EntityType, q.Kind) {
		return false
	}
	if q.Namespace == "" {
		return strconv.FormatInt(out.EntityID, 10) == q.Entity+strings.TrimPrefix(q.Phrase, phraseOf(q.Kind))
	}
	return sluice.FoldNamespace(e.Namespace) == sluice.FoldNamespace(q.Namespace)
}

// list answers with a page.
func (a *API) list(c *call, in control.EventQuery) error {
	in.Class = string(sluice.Audit)
	p, err := readPaging(c.URL.Query())
	if err != nil {
		return err
	}
	p.narrow(&in)
	find := a.service.NumberedEvents
	if p.keyset {
		find = a.service.Events
	}
	found, err := find(c.Context(), c.by, in)
	if err != nil {
		return err
	}
	out := make([]entity, len(found.Events))
	for i := range found.Events {
		out[i] = present(&found.Events[i])
	}
	p.describe(c, &found)
	writeJSON(c.w, http.StatusOK, out)
	return nil
}

// paging is which page was asked for.
type paging struct {
	keyset        bool
	perPage, page int
	cursor        string
	oldest        bool
	from, to      time.Time
}

func readPaging(q url.Values) (p paging, err error) {
	p = paging{perPage: defaultPerPage, page: 1, keyset: q.Get("pagination") == "keyset", cursor: q.Get("cursor")}
	for name, to := range map[string]*int{"per_page": &p.perPage, "page": &p.page} {
		if text := q.Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				return p, bad(name + " is invalid")
			}
			if n < 1 {
				return p, bad(name + " does not have a valid value")
			}
			*to = n
		}
	}
	p.perPage = min(p.perPage, maxPerPage)
	switch order, sort := q.Get("order_by"), q.Get("sort"); {
	case p.keyset && (order != "" && order != "id" || sort != "" && sort != "desc"):
		return p, &problem{http.StatusMethodNotAllowed, "error", "Keyset pagination is not yet available for this type of request"}
	case sort != "" && sort != "desc" && sort != "created_desc" && sort != "created_asc":
		return p, bad("sort does not have a valid value")
	case sort == "created_asc":
		p.oldest = true
	}
	if !p.keyset && p.page-1 > maxOffset/p.perPage {
		return p, &problem{http.StatusMethodNotAllowed, "error", "Offset pagination has a maximum allowed offset of 50000 for requests that return objects of type AuditEvent. Remaining records can be retrieved using keyset pagination."}
	}
	for name, to := range map[string]*time.Time{"created_after": &p.from, "created_before": &p.to} {
		if text := q.Get(name); text != "" {
			if *to, err = readTime(text); err != nil {
				return p, bad(name + " is invalid")
			}
		}
	}
	return p, nil
}

// readTime reads a time or a day of ISO 8601.
func readTime(text string) (t time.Time, err error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err = time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return t, err
}

// narrow puts the page into a query. GitLab counts the instant of created_before in.
func (p *paging) narrow(q *control.EventQuery) {
	q.Limit, q.From = p.perPage, p.from
	if !p.to.IsZero() {
		q.To = p.to.Add(time.Millisecond)
	}
	if p.oldest {
		q.Order = control.OldestFirst
	}
	switch before, back := p.before(); {
	case back:
		q.Before = before
	case p.keyset:
		q.After = p.cursor
	default:
		q.Skip = (p.page - 1) * p.perPage
	}
}

// backwards begins the cursors of pages that come before another one. The parameter
// is the same for both directions, and no cursor of the search has a dot.
const backwards = "p."

// before returns what leads to the page before another one, if that is asked for.
func (p *paging) before() (cursor string, ok bool) {
	cursor, ok = strings.CutPrefix(p.cursor, backwards)
	return cursor, ok && p.keyset && cursor != ""
}

// describe adds the headers that lead to other pages.
func (p *paging) describe(c *call, found *control.FoundEvents) {
	h := c.w.Header()
	if p.keyset {
		_, back := p.before()
		if found.More || back {
			h.Set("X-Next-Cursor", found.Next)
			h.Set("Link", link(c, "next", map[string]string{"cursor": found.Next}))
		}
		if p.cursor != "" && (found.More || !back) {
			h.Set("X-Prev-Cursor", backwards+found.Previous)
		}
		return
	}
	pageLink := func(rel string, page int) string {
		return link(c, rel, map[string]string{"page": strconv.Itoa(page), "per_page": strconv.Itoa(p.perPage)})
	}
	h.Set("X-Page", strconv.Itoa(p.page))
	h.Set("X-Per-Page", strconv.Itoa(p.perPage))
	h.Set("X-Next-Page", "")
	h.Set("X-Prev-Page", "")
	var links []string
	if p.page > 1 {
		h.Set("X-Prev-Page", strconv.Itoa(p.page-1))
		links = append(links, pageLink("prev", p.page-1))
	}
	if found.More {
		h.Set("X-Next-Page", strconv.Itoa(p.page+1))
		links = append(links, pageLink("next", p.page+1))
	}
	h.Set("Link", strings.Join(append(links, pageLink("first", 1)), ", "))
}

// link returns a link to the same request with other parameters. Tokens in the
// address are left out.
func link(c *call, rel string, set map[string]string) string {
	q := c.URL.Query()
	q.Del("private_token")
	q.Del("access_token")
	for name, value := range set {
		q.Set(name, value)
	}
	return "<" + c.origin + c.URL.EscapedPath() + "?" + q.Encode() + `>; rel="` + rel + `"`
}
