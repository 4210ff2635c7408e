package graphql

import (
	"context"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// fullPath is the argument of a look-up.
type fullPath struct{ FullPath text }

// Group resolves a group that the caller may see.
func (r *root) Group(ctx context.Context, in fullPath) (*namespace, error) {
	n, err := r.lookup(ctx, in.FullPath.value, control.Group)
	return n, r.hide(ctx, err)
}

// Project resolves a project that the caller may see.
func (r *root) Project(ctx context.Context, in fullPath) (*project, error) {
	n, err := r.lookup(ctx, in.FullPath.value, control.Project)
	if err != nil || n == nil {
		return nil, r.hide(ctx, err)
	}
	return &project{n}, nil
}

// search is the argument of a list of namespaces.
type search struct{ Search text }

// Groups resolves the groups that the caller may see.
func (r *root) Groups(ctx context.Context, in search) (*connection[*namespace], error) {
	return r.groups(ctx, sluice.Instance, in.Search.value)
}

// Projects resolves the projects that the caller may see.
func (r *root) Projects(ctx context.Context, in search) (*connection[*project], error) {
	list, err := r.namespaces(ctx, sluice.Instance, control.Project, in.Search.value)
	if err != nil {
		return nil, r.hide(ctx, err)
	}
	out := make([]*project, len(list))
	for i, n := range list {
		out[i] = &project{n}
	}
	page, err := connect(out, func(p *project) string { return p.key() }, paging{})
	return page, r.hide(ctx, err)
}

// InstanceExternalAuditEventDestinations resolves those of the legacy generation.
func (r *root) InstanceExternalAuditEventDestinations(ctx context.Context, p paging) (*connection[*destination], error) {
	return r.instance(ctx, instanceHTTP, p)
}

// InstanceGoogleCloudLoggingConfigurations resolves those of the legacy generation.
func (r *root) InstanceGoogleCloudLoggingConfigurations(ctx context.Context, p paging) (*connection[*destination], error) {
	return r.instance(ctx, instanceGCP, p)
}

// AuditEventsInstanceAmazonS3Configurations resolves those of the legacy generation.
func (r *root) AuditEventsInstanceAmazonS3Configurations(ctx context.Context, p paging) (*connection[*destination], error) {
	return r.instance(ctx, instanceS3, p)
}

// AuditEventsInstanceStreamingDestinations resolves the streams of the instance.
func (r *root) AuditEventsInstanceStreamingDestinations(ctx context.Context, p paging) (*connection[*destination], error) {
	return r.instance(ctx, instanceStream, p)
}

// instance lists destinations of the instance: none for those who may not see them.
func (r *root) instance(ctx context.Context, c class, p paging) (*connection[*destination], error) {
	list, err := r.destinations(ctx, c, sluice.Instance)
	if err = r.hide(ctx, err); err != nil {
		return nil, err
	}
	page, err := connect(list, (*destination).key, p)
	return page, r.hide(ctx, err)
}

// AuditEventDefinitions resolves the types of events that filters can name.
func (r *root) AuditEventDefinitions(ctx context.Context, p paging) (*connection[*definition], error) {
	list, err := r.definitions(ctx)
	if err != nil {
		if err = r.hide(ctx, err); err != nil {
			return nil, err
		}
	}
	page, err := connect(list, func(d *definition) string { return d.name }, p)
	if err != nil {
		return nil, asError(err)
	}
	return page, nil
}
