package graphql

import (
	"context"
	"strings"

	gqlerrors "github.com/graph-gophers/graphql-go/errors"
	gqlschema "github.com/graph-gophers/graphql-go/introspection"
)

// maxFields bounds the fields of the answers to one request. A selection counts
// once, however many nodes it is made of, and a field can be asked for under
// hundreds of other names.
const maxFields = 100_000

// counter has the library tell of each field before it is resolved, and ends
// requests that have too many. Introspection is counted as a whole.
type counter struct{}

// TraceQuery implements the library's interface for tracers.
func (counter) TraceQuery(ctx context.Context, _, _ string, _ map[string]any, _ map[string]*gqlschema.Type) (context.Context, func([]*gqlerrors.QueryError)) {
	return ctx, func([]*gqlerrors.QueryError) {}
}

// TraceField implements the library's interface for tracers.
func (counter) TraceField(ctx context.Context, _, typeName, _ string, _ bool, _ map[string]any) (context.Context, func(*gqlerrors.QueryError)) {
	if !strings.HasPrefix(typeName, "__") && callerOf(ctx).fields.Add(1) > maxFields {
		ctx = spent{ctx}
	}
	return ctx, counted
}

func counted(*gqlerrors.QueryError) {}

// spent is a context that has ended because the request asks for too much.
type spent struct{ context.Context }

func (spent) Err() error { return errTooMuch() }
