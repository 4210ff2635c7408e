package graphql

import "context"

// GroupAuditEventStreamingDestinationsCreate creates a destination (consolidated, group).
func (r *root) GroupAuditEventStreamingDestinationsCreate(ctx context.Context, a args) (*payload, error) {
	return r.create(ctx, groupStream, a.Input)
}

// GroupAuditEventStreamingDestinationsUpdate changes a destination (consolidated, group).
func (r *root) GroupAuditEventStreamingDestinationsUpdate(ctx context.Context, a args) (*payload, error) {
	return r.update(ctx, groupStream, a.Input)
}

// GroupAuditEventStreamingDestinationsDelete deletes a destination (consolidated, group).
func (r *root) GroupAuditEventStreamingDestinationsDelete(ctx context.Context, a args) (*payload, error) {
	return r.destroy(ctx, groupStream, a.Input)
}

// AuditEventsGroupDestinationEventsAdd adds event types (consolidated, group).
func (r *root) AuditEventsGroupDestinationEventsAdd(ctx context.Context, a args) (*payload, error) {
	return r.addTypes(ctx, groupStream, a.Input, wanted)
}

// AuditEventsGroupDestinationEventsDelete removes event types (consolidated, group).
func (r *root) AuditEventsGroupDestinationEventsDelete(ctx context.Context, a args) (*payload, error) {
	return r.removeTypes(ctx, groupStream, a.Input, wanted)
}

// AuditEventsGroupDestinationNamespaceFilterCreate adds a namespace filter (consolidated, group).
func (r *root) AuditEventsGroupDestinationNamespaceFilterCreate(ctx context.Context, a args) (*payload, error) {
	return r.createFilter(ctx, groupStream, a.Input)
}

// AuditEventsGroupDestinationNamespaceFilterDelete removes a namespace filter (consolidated, group).
func (r *root) AuditEventsGroupDestinationNamespaceFilterDelete(ctx context.Context, a args) (*payload, error) {
	return r.deleteFilter(ctx, groupStream, a.Input)
}

// AuditEventsGroupDestinationDenylistEventsAdd adds event types (consolidated, group).
func (r *root) AuditEventsGroupDestinationDenylistEventsAdd(ctx context.Context, a args) (*payload, error) {
	return r.addTypes(ctx, groupStream, a.Input, excluded)
}

// AuditEventsGroupDestinationDenylistEventsDelete removes event types (consolidated, group).
func (r *root) AuditEventsGroupDestinationDenylistEventsDelete(ctx context.Context, a args) (*payload, error) {
	return r.removeTypes(ctx, groupStream, a.Input, excluded)
}

// InstanceAuditEventStreamingDestinationsCreate creates a destination (consolidated, instance).
func (r *root) InstanceAuditEventStreamingDestinationsCreate(ctx context.Context, a args) (*payload, error) {
	return r.create(ctx, instanceStream, a.Input)
}

// InstanceAuditEventStreamingDestinationsUpdate changes a destination (consolidated, instance).
func (r *root) InstanceAuditEventStreamingDestinationsUpdate(ctx context.Context, a args) (*payload, error) {
	return r.update(ctx, instanceStream, a.Input)
}

// InstanceAuditEventStreamingDestinationsDelete deletes a destination (consolidated, instance).
func (r *root) InstanceAuditEventStreamingDestinationsDelete(ctx context.Context, a args) (*payload, error) {
	return r.destroy(ctx, instanceStream, a.Input)
}

// AuditEventsInstanceDestinationEventsAdd adds event types (consolidated, instance).
func (r *root) AuditEventsInstanceDestinationEventsAdd(ctx context.Context, a args) (*payload, error) {
	return r.addTypes(ctx, instanceStream, a.Input, wanted)
}

// AuditEventsInstanceDestinationEventsDelete removes event types (consolidated, instance).
func (r *root) AuditEventsInstanceDestinationEventsDelete(ctx context.Context, a args) (*payload, error) {
	return r.removeTypes(ctx, instanceStream, a.Input, wanted)
}

// AuditEventsInstanceDestinationNamespaceFilterCreate adds a namespace filter (consolidated, instance).
func (r *root) AuditEventsInstanceDestinationNamespaceFilterCreate(ctx context.Context, a args) (*payload, error) {
	return r.createFilter(ctx, instanceStream, a.Input)
}

// AuditEventsInstanceDestinationNamespaceFilterDelete removes a namespace filter (consolidated, instance).
func (r *root) AuditEventsInstanceDestinationNamespaceFilterDelete(ctx context.Context, a args) (*payload, error) {
	return r.deleteFilter(ctx, instanceStream, a.Input)
}
