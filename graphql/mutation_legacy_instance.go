package graphql

import "context"

// InstanceExternalAuditEventDestinationCreate creates a destination (HTTP, legacy, instance).
func (r *root) InstanceExternalAuditEventDestinationCreate(ctx context.Context, a args) (*payload, error) {
	return r.create(ctx, instanceHTTP, a.Input)
}

// InstanceExternalAuditEventDestinationUpdate changes a destination (HTTP, legacy, instance).
func (r *root) InstanceExternalAuditEventDestinationUpdate(ctx context.Context, a args) (*payload, error) {
	return r.update(ctx, instanceHTTP, a.Input)
}

// InstanceExternalAuditEventDestinationDestroy deletes a destination (HTTP, legacy, instance).
func (r *root) InstanceExternalAuditEventDestinationDestroy(ctx context.Context, a args) (*payload, error) {
	return r.destroy(ctx, instanceHTTP, a.Input)
}

// AuditEventsStreamingInstanceHeadersCreate adds a header (HTTP, legacy, instance).
func (r *root) AuditEventsStreamingInstanceHeadersCreate(ctx context.Context, a args) (*payload, error) {
	return r.createHeader(ctx, instanceHTTP, a.Input)
}

// AuditEventsStreamingInstanceHeadersUpdate changes a header (HTTP, legacy, instance).
func (r *root) AuditEventsStreamingInstanceHeadersUpdate(ctx context.Context, a args) (*payload, error) {
	return r.updateHeader(ctx, instanceHTTP, a.Input)
}

// AuditEventsStreamingInstanceHeadersDestroy removes a header (HTTP, legacy, instance).
func (r *root) AuditEventsStreamingInstanceHeadersDestroy(ctx context.Context, a args) (*payload, error) {
	return r.destroyHeader(ctx, instanceHTTP, a.Input)
}

// AuditEventsStreamingDestinationInstanceEventsAdd adds event types (HTTP, legacy, instance).
func (r *root) AuditEventsStreamingDestinationInstanceEventsAdd(ctx context.Context, a args) (*payload, error) {
	return r.addTypes(ctx, instanceHTTP, a.Input, wanted)
}

// AuditEventsStreamingDestinationInstanceEventsRemove removes event types (HTTP, legacy, instance).
func (r *root) AuditEventsStreamingDestinationInstanceEventsRemove(ctx context.Context, a args) (*payload, error) {
	return r.removeTypes(ctx, instanceHTTP, a.Input, wanted)
}

// InstanceGoogleCloudLoggingConfigurationCreate creates a destination (Google Cloud Logging, legacy, instance).
func (r *root) InstanceGoogleCloudLoggingConfigurationCreate(ctx context.Context, a args) (*payload, error) {
	return r.create(ctx, instanceGCP, a.Input)
}

// InstanceGoogleCloudLoggingConfigurationUpdate changes a destination (Google Cloud Logging, legacy, instance).
func (r *root) InstanceGoogleCloudLoggingConfigurationUpdate(ctx context.Context, a args) (*payload, error) {
	return r.update(ctx, instanceGCP, a.Input)
}

// InstanceGoogleCloudLoggingConfigurationDestroy deletes a destination (Google Cloud Logging, legacy, instance).
func (r *root) InstanceGoogleCloudLoggingConfigurationDestroy(ctx context.Context, a args) (*payload, error) {
	return r.destroy(ctx, instanceGCP, a.Input)
}

// AuditEventsInstanceAmazonS3ConfigurationCreate creates a destination (Amazon S3, legacy, instance).
func (r *root) AuditEventsInstanceAmazonS3ConfigurationCreate(ctx context.Context, a args) (*payload, error) {
	return r.create(ctx, instanceS3, a.Input)
}

// AuditEventsInstanceAmazonS3ConfigurationUpdate changes a destination (Amazon S3, legacy, instance).
func (r *root) AuditEventsInstanceAmazonS3ConfigurationUpdate(ctx context.Context, a args) (*payload, error) {
	return r.update(ctx, instanceS3, a.Input)
}

// AuditEventsInstanceAmazonS3ConfigurationDelete deletes a destination (Amazon S3, legacy, instance).
func (r *root) AuditEventsInstanceAmazonS3ConfigurationDelete(ctx context.Context, a args) (*payload, error) {
	return r.destroy(ctx, instanceS3, a.Input)
}
