package graphql

import (
	"context"
	"strings"

	gql "github.com/graph-gophers/graphql-go"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// namespace is a group or project seen as Namespace or Group.
type namespace struct {
	api *API
	control.Namespace
}

// project is a namespace seen as Project.
type project struct{ *namespace }

// ID resolves the id of a group, or of a project's namespace.
func (n *namespace) ID() gql.ID {
	if n.Kind == control.Project {
		return gid(classProjectNamespace, n.Namespace.ID)
	}
	return gid(classGroup, n.Namespace.ID)
}

// ID resolves the id of the project itself.
func (p *project) ID() gql.ID { return gid(classProject, p.Namespace.ID) }

// Path resolves the last segment.
func (n *namespace) Path() string {
	return n.Namespace.Path[strings.LastIndexByte(n.Namespace.Path, '/')+1:]
}

// Name resolves the last segment, for namespaces have no other name.
func (n *namespace) Name() string { return n.Path() }

// FullName resolves the names of all segments.
func (n *namespace) FullName(ctx context.Context) (string, error) {
	return show(ctx, strings.ReplaceAll(n.Namespace.Path, "/", " / "))
}

// FullPath resolves the path.
func (n *namespace) FullPath(ctx context.Context) (gql.ID, error) {
	path, err := show(ctx, n.Namespace.Path)
	return gql.ID(path), err
}

// ExternalAuditEventDestinations resolves HTTP destinations of the legacy generation.
func (n *namespace) ExternalAuditEventDestinations(ctx context.Context, p paging) (*connection[*destination], error) {
	return n.destinations(ctx, groupHTTP, p)
}

// GoogleCloudLoggingConfigurations resolves those of the legacy generation.
func (n *namespace) GoogleCloudLoggingConfigurations(ctx context.Context, p paging) (*connection[*destination], error) {
	return n.destinations(ctx, groupGCP, p)
}

// AmazonS3Configurations resolves those of the legacy generation.
func (n *namespace) AmazonS3Configurations(ctx context.Context, p paging) (*connection[*destination], error) {
	return n.destinations(ctx, groupS3, p)
}

// ExternalAuditEventStreamingDestinations resolves the streams of the group.
func (n *namespace) ExternalAuditEventStreamingDestinations(ctx context.Context, p paging) (*connection[*destination], error) {
	return n.destinations(ctx, groupStream, p)
}

func (n *namespace) destinations(ctx context.Context, c class, p paging) (*connection[*destination], error) {
	list, err := n.api.destinations(ctx, c, n.Namespace.Path)
	if err != nil {
		return nil, n.api.hide(ctx, err)
	}
	page, err := connect(list, (*destination).key, p)
	return page, n.api.hide(ctx, err)
}

// below are the arguments of lists of namespaces.
type below struct {
	IncludeSubgroups flag
	Search           text
}

// Projects resolves the projects of the group.
func (n *namespace) Projects(ctx context.Context, b below) (*connection[*project], error) {
	list, err := n.api.namespaces(ctx, n.Namespace.Path, control.Project, b.Search.value)
	if err != nil {
		return nil, n.api.hide(ctx, err)
	}
	var out []*project
	for _, x := range list {
		rest := x.Namespace.Path[len(n.Namespace.Path):]
		if b.IncludeSubgroups.value || strings.LastIndexByte(rest, '/') == 0 {
			out = append(out, &project{x})
		}
	}
	page, err := connect(out, func(p *project) string { return descending(p.Namespace.ID) }, paging{})
	return page, n.api.hide(ctx, err)
}

// DescendantGroups resolves the groups below the group.
func (n *namespace) DescendantGroups(ctx context.Context, b struct{ Search text }) (*connection[*namespace], error) {
	return n.api.groups(ctx, n.Namespace.Path, b.Search.value)
}

func (n *namespace) key() string { return descending(n.Namespace.ID) }

// lookup finds a namespace of a kind, "" for either; nil when the caller sees none.
func (a *API) lookup(ctx context.Context, path, kind string) (*namespace, error) {
	c := callerOf(ctx)
	if err := c.spend(1); err != nil || !c.known {
		return nil, err
	}
	ns, err := a.service.FindNamespace(ctx, c.by, path)
	if err != nil || kind != "" && ns.Kind != kind {
		return nil, err
	}
	return &namespace{a, ns}, nil
}

// namespaces lists those of a kind below a path that the caller may see and whose
// path contains the text.
func (a *API) namespaces(ctx context.Context, within, kind, search string) ([]*namespace, error) {
	c := callerOf(ctx)
	if !c.known {
		return nil, nil
	}
	all, err := a.service.Namespaces(ctx, c.by, within)
	if err != nil {
		return nil, err
	}
	if err := c.spend(50 + len(all)/10); err != nil {
		return nil, err
	}
	search = sluice.FoldNamespace(search)
	var out []*namespace
	for _, ns := range all {
		if ns.Kind == kind && len(ns.Path) > len(within) && strings.Contains(sluice.FoldNamespace(ns.Path), search) {
			out = append(out, &namespace{a, ns})
		}
	}
	return out, c.spend(min(len(out), maxPage))
}

func (a *API) groups(ctx context.Context, within, search string) (*connection[*namespace], error) {
	list, err := a.namespaces(ctx, within, control.Group, search)
	if err != nil {
		return nil, a.hide(ctx, err)
	}
	page, err := connect(list, (*namespace).key, paging{})
	return page, a.hide(ctx, err)
}
