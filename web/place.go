package web

import (
	"context"
	"maps"
	"net/url"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/web/label"
)

const (
	groupRoot    = home + "groups/"
	instanceRoot = home + "instance"
	// instanceName is what the pages call the instance.
	instanceName = "This installation"
)

// place is the enterprise or group that a page is about, or the instance.
type place struct {
	Namespace string // as it was declared, "" for the instance
	Name      string // for people
	Root      string // of its pages' addresses, without a slash at the end
	Owner     bool   // the visitor may change things here
	Tab       string // the page that is shown, as its address ends; "" for others
	Tabs      []tab
}

// tab leads to a page of a place.
type tab struct{ Path, Label string }

// Title names a page of the place.
func (p *place) Title(page string) string { return page + " · " + p.Name }

// At reports whether the page that is shown is one of the pages of a tab.
func (p *place) At(path string) bool {
	first, _, _ := strings.Cut(p.Tab, "/")
	if path == "audit-log" && (first == "log-streaming" || first == "streams") {
		return true
	}
	return first == path || path == "log-streaming" && first == "streams"
}

// placed is a handler of a page of a place.
type placed func(ctx context.Context, v *visit, p *place) (answer, error)

// placeRoute is what can be done at a page of places: nil is not there.
type placeRoute struct{ get, post placed }

// placeRoutes is the table of the pages of places, by the end of their address.
func (s *Site) placeRoutes() map[string]placeRoute {
	routes := map[string]placeRoute{
		"": {get: func(_ context.Context, _ *visit, p *place) (answer, error) {
			return redirect(p.Root + "/audit-log"), nil
		}},
		"audit-log":                     {get: s.logPage},
		"audit-log/{event}":             {get: s.eventPage},
		"audit-log/{event}/download":    {get: s.downloadEvent},
		streamsTab:                      {get: s.streamsPage},
		streamsTab + "/new":             {get: s.newStreamPage, post: s.createStream},
		streamsTab + "/{stream}":        {get: s.streamPage, post: s.changeStream},
		streamsTab + "/{stream}/pause":  {get: s.pauseStreamPage, post: s.pauseStream},
		streamsTab + "/{stream}/resume": {post: s.resumeStream},
		streamsTab + "/{stream}/delete": {get: s.deleteStreamPage, post: s.deleteStream},
	}
	maps.Copy(routes, s.peopleRoutes())
	maps.Copy(routes, s.systemRoutes())
	maps.Copy(routes, s.historyRoutes())
	return routes
}

// addPlaces adds the pages of places to the table of routes, once for enterprises
// and groups and once for the instance.
func (s *Site) addPlaces(routes map[string]route) {
	for end, r := range s.placeRoutes() {
		if end != "" {
			end = "/" + end
		}
		routes[groupRoot+"{namespace}"+end] = route{get: s.within(r.get), post: s.within(r.post)}
		routes[instanceRoot+end] = route{get: s.within(r.get), post: s.within(r.post)}
	}
}

// within finds the place that the address names. One that the visitor may not see
// is not there.
func (s *Site) within(do placed) handler {
	if do == nil {
		return nil
	}
	return func(ctx context.Context, v *visit) (answer, error) {
		p, err := s.placeOf(ctx, v)
		if err != nil {
			return answer{}, err
		}
		v.place = p
		return do(ctx, v, p)
	}
}

func (s *Site) placeOf(ctx context.Context, v *visit) (*place, error) {
	name := v.PathValue("namespace")
	p := &place{Name: instanceName, Root: instanceRoot}
	switch {
	case name != "":
		n, err := s.service.FindNamespace(ctx, v.by, name)
		if code := codeOf(err); code == sluice.NotFound || code == sluice.Forbidden { // who has no role anywhere
			err = errNotFound()
		}
		if err != nil {
			return nil, err
		}
		if strings.Contains(n.Path, "/") {
			return nil, errNotFound()
		}
		p.Namespace, p.Name, p.Root = n.Path, plain(n.Path, rowText), groupAddress(n.Path)
	case !v.me.Administrator:
		return nil, errNotFound()
	}
	p.Owner = control.ChangesStreams(v.by, p.Namespace) == nil
	_, p.Tab, _ = strings.Cut(strings.TrimPrefix(v.URL.EscapedPath(), p.Root), "/")
	p.Tabs = tabsOf(p)
	return p, nil
}

// groupAddress returns where the pages of an enterprise or group lie.
func groupAddress(namespace string) string { return groupRoot + url.PathEscape(namespace) }

// tabsOf lists the pages that the visitor finds at a place.
func tabsOf(p *place) []tab {
	list := []tab{{"audit-log", label.English().AuditLog}}
	if p.Owner {
		list = append(list, tab{"members", "Members"}, tab{"tokens", "Tokens of producers"})
	}
	if p.Namespace == sluice.Instance {
		list[1] = tab{"users", "Users"}
		list = append(list, tab{"system", "System"})
	}
	return list
}
