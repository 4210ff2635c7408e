package graphql

import (
	"context"

	gql "github.com/graph-gophers/graphql-go"
)

// header is a custom header of a destination.
type header struct {
	class  class
	number int64
	headerConfig
}

// ID resolves the global id.
func (h *header) ID() gql.ID { return gid(h.class, h.number) }

// Key resolves the name.
func (h *header) Key() string { return h.Name }

// Value resolves the value, masked for those who may not change the stream.
func (h *header) Value(ctx context.Context) (string, error) { return show(ctx, h.headerConfig.Value) }

// Active is false for a header that is kept and not sent.
func (h *header) Active() bool { return h.headerConfig.Active }

// headers returns the headers with their numbers, in the order of the stream.
func (d *destination) headers() []*header {
	out := make([]*header, len(d.config.Headers))
	for i, h := range d.config.Headers {
		out[i] = &header{d.class.headers(), part(d.stream.ID, d.stream.HeaderNumbers[i]), h}
	}
	return out
}

// filter is a namespace that a destination wants.
type filter struct {
	of     *destination
	number int64
	path   string
}

// ID resolves the global id.
func (f *filter) ID() gql.ID { return gid(f.of.class.filters(), f.number) }

// Namespace resolves the namespace.
func (f *filter) Namespace(ctx context.Context) (*namespace, error) {
	n, err := f.of.api.lookup(ctx, f.path, "")
	if err != nil || n == nil {
		return f.of.api.unknown(f.path), nil
	}
	return n, nil
}

// ExternalAuditEventDestination resolves the destination of the legacy generation.
func (f *filter) ExternalAuditEventDestination() *destination { return f.of }

// ExternalStreamingDestination resolves the destination of the consolidated
// generation.
func (f *filter) ExternalStreamingDestination() *destination { return f.of }

// filters returns the namespaces that are wanted with their numbers.
func (d *destination) filters() []*filter {
	out := make([]*filter, len(d.stream.Filter.Namespaces))
	for i, path := range d.stream.Filter.Namespaces {
		out[i] = &filter{d, part(d.stream.ID, d.stream.NamespaceNumbers[i]), path}
	}
	return out
}
