package graphql

import "context"

// ExternalAuditEventDestinationCreate creates a destination (HTTP, legacy, group).
func (r *root) ExternalAuditEventDestinationCreate(ctx context.Context, a args) (*payload, error) {
	return r.create(ctx, groupHTTP, a.Input)
}

// ExternalAuditEventDestinationUpdate changes a destination (HTTP, legacy, group).
func (r *root) ExternalAuditEventDestinationUpdate(ctx context.Context, a args) (*payload, error) {
	return r.update(ctx, groupHTTP, a.Input)
}

// ExternalAuditEventDestinationDestroy deletes a destination (HTTP, legacy, group).
func (r *root) ExternalAuditEventDestinationDestroy(ctx context.Context, a args) (*payload, error) {
	return r.destroy(ctx, groupHTTP, a.Input)
}

// AuditEventsStreamingHeadersCreate adds a header (HTTP, legacy, group).
func (r *root) AuditEventsStreamingHeadersCreate(ctx context.Context, a args) (*payload, error) {
	return r.createHeader(ctx, groupHTTP, a.Input)
}

// AuditEventsStreamingHeadersUpdate changes a header (HTTP, legacy, group).
func (r *root) AuditEventsStreamingHeadersUpdate(ctx context.Context, a args) (*payload, error) {
	return r.updateHeader(ctx, groupHTTP, a.Input)
}

// AuditEventsStreamingHeadersDestroy removes a header (HTTP, legacy, group).
func (r *root) AuditEventsStreamingHeadersDestroy(ctx context.Context, a args) (*payload, error) {
	return r.destroyHeader(ctx, groupHTTP, a.Input)
}

// AuditEventsStreamingDestinationEventsAdd adds event types (HTTP, legacy, group).
func (r *root) AuditEventsStreamingDestinationEventsAdd(ctx context.Context, a args) (*payload, error) {
	return r.addTypes(ctx, groupHTTP, a.Input, wanted)
}

// AuditEventsStreamingDestinationEventsRemove removes event types (HTTP, legacy, group).
func (r *root) AuditEventsStreamingDestinationEventsRemove(ctx context.Context, a args) (*payload, error) {
	return r.removeTypes(ctx, groupHTTP, a.Input, wanted)
}

// AuditEventsStreamingHttpNamespaceFiltersAdd adds the namespace filter (HTTP, legacy, group).
func (r *root) AuditEventsStreamingHttpNamespaceFiltersAdd(ctx context.Context, a args) (*payload, error) {
	return r.addHTTPFilter(ctx, groupHTTP, a.Input)
}

// AuditEventsStreamingHttpNamespaceFiltersDelete removes a namespace filter (HTTP, legacy, group).
func (r *root) AuditEventsStreamingHttpNamespaceFiltersDelete(ctx context.Context, a args) (*payload, error) {
	return r.deleteFilter(ctx, groupHTTP, a.Input)
}

// GoogleCloudLoggingConfigurationCreate creates a destination (Google Cloud Logging, legacy, group).
func (r *root) GoogleCloudLoggingConfigurationCreate(ctx context.Context, a args) (*payload, error) {
	return r.create(ctx, groupGCP, a.Input)
}

// GoogleCloudLoggingConfigurationUpdate changes a destination (Google Cloud Logging, legacy, group).
func (r *root) GoogleCloudLoggingConfigurationUpdate(ctx context.Context, a args) (*payload, error) {
	return r.update(ctx, groupGCP, a.Input)
}

// GoogleCloudLoggingConfigurationDestroy deletes a destination (Google Cloud Logging, legacy, group).
func (r *root) GoogleCloudLoggingConfigurationDestroy(ctx context.Context, a args) (*payload, error) {
	return r.destroy(ctx, groupGCP, a.Input)
}

// AuditEventsAmazonS3ConfigurationCreate creates a destination (Amazon S3, legacy, group).
func (r *root) AuditEventsAmazonS3ConfigurationCreate(ctx context.Context, a args) (*payload, error) {
	return r.create(ctx, groupS3, a.Input)
}

// AuditEventsAmazonS3ConfigurationUpdate changes a destination (Amazon S3, legacy, group).
func (r *root) AuditEventsAmazonS3ConfigurationUpdate(ctx context.Context, a args) (*payload, error) {
	return r.update(ctx, groupS3, a.Input)
}

// AuditEventsAmazonS3ConfigurationDelete deletes a destination (Amazon S3, legacy, group).
func (r *root) AuditEventsAmazonS3ConfigurationDelete(ctx context.Context, a args) (*payload, error) {
	return r.destroy(ctx, groupS3, a.Input)
}
