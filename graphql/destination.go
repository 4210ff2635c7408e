package graphql

import (
	"context"
	"hash/fnv"
	"strconv"

	gql "github.com/graph-gophers/graphql-go"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// destination is a stream seen as one of GitLab's destinations. The class says
// as which; each of the GraphQL types takes the fields that it has.
type destination struct {
	api    *API
	class  class
	stream control.Stream
	config config
}

func (a *API) view(c class, s control.Stream) *destination { return a.viewSeen(c, seen(s)) }

func (a *API) viewSeen(c class, s seenStream) *destination {
	return &destination{api: a, class: c, stream: s.Stream, config: s.config}
}

// destinations lists the streams of a namespace in one view. A caller without a
// token sees none of a group's, and an empty list of the instance's.
func (a *API) destinations(ctx context.Context, c class, path string) ([]*destination, error) {
	who := callerOf(ctx)
	if !who.known {
		return nil, sluice.Errorf(sluice.Unauthorized, "a token is required")
	}
	list, err := who.list(ctx, a.service, path)
	if err != nil {
		return nil, err
	}
	if err := who.spend(1 + len(list)); err != nil {
		return nil, err
	}
	out := []*destination{}
	for _, s := range list {
		if c.shows(s.Namespace, s.Kind) {
			out = append(out, a.viewSeen(c, s))
		}
	}
	return out, nil
}

// find returns the destination with a global id of the class.
func (a *API) find(ctx context.Context, c class, id string) (*destination, error) {
	n, err := c.number(id)
	if err != nil {
		return nil, err
	}
	return a.findStream(ctx, c, sluice.StreamID(n))
}

func (a *API) findStream(ctx context.Context, c class, id sluice.StreamID) (*destination, error) {
	s, err := a.service.Stream(ctx, callerOf(ctx).by, id)
	if err != nil {
		return nil, err
	}
	if !c.shows(s.Namespace, s.Kind) {
		return nil, sluice.Errorf(sluice.NotFound, "there is no such destination")
	}
	return a.view(c, s), nil
}

func (d *destination) key() string { return descending(int64(d.stream.ID)) }

// ID resolves the global id.
func (d *destination) ID() gql.ID { return gid(d.class, int64(d.stream.ID)) }

// Name resolves the stream's name, or words for one without.
func (d *destination) Name() string {
	if d.stream.Name != "" {
		return d.stream.Name
	}
	return "stream " + strconv.FormatInt(int64(d.stream.ID), 10)
}

// Active is false for a stream that is paused.
func (d *destination) Active() bool { return d.stream.Active }

// EventTypeFilters resolves the types that are wanted.
func (d *destination) EventTypeFilters(ctx context.Context) ([]string, error) {
	return showAll(ctx, d.stream.Filter.EventTypes)
}

// Group resolves the top-level namespace.
func (d *destination) Group(ctx context.Context) (*namespace, error) {
	n, err := d.api.lookup(ctx, d.stream.Namespace, "")
	if err != nil || n == nil {
		return d.api.unknown(d.stream.Namespace), nil
	}
	return n, nil
}

// unknown stands for a namespace that is not stored, or that the caller may not
// list.
func (a *API) unknown(path string) *namespace {
	return &namespace{a, control.Namespace{ID: unseen(path), Path: path, Kind: control.Group}}
}

// unseen numbers a namespace that has no number here.
func unseen(path string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(path)) // never fails, see its documentation
	return int64(h.Sum64() >> 32)
}

// Category resolves the kind by GitLab's name for it.
func (d *destination) Category() string { return category(d.stream.Kind) }

// SecretToken resolves the verification token; other secrets are not shown.
func (d *destination) SecretToken() string { return d.stream.VerificationToken }

// VerificationToken resolves the verification token.
func (d *destination) VerificationToken() string { return d.stream.VerificationToken }

// Config resolves the configuration with GitLab's names.
func (d *destination) Config(ctx context.Context) (document, error) {
	if err := callerOf(ctx).spend(1 + len(d.stream.Config)/textUnit); err != nil {
		return document{}, err
	}
	return document{true, d.config.show(d.stream)}, nil
}

// DestinationURL resolves the address.
func (d *destination) DestinationURL(ctx context.Context) (string, error) {
	return show(ctx, d.config.URL)
}

// ClientEmail resolves the service account.
func (d *destination) ClientEmail() string { return d.config.ClientEmail }

// GoogleProjectIDName resolves the project.
func (d *destination) GoogleProjectIDName() string { return d.config.ProjectID }

// LogIDName resolves the log.
func (d *destination) LogIDName() string { return d.config.LogID }

// AccessKeyXid resolves the id of the access key.
func (d *destination) AccessKeyXid() string { return d.config.AccessKeyID }

// AwsRegion resolves the region, "" when it is found out.
func (d *destination) AwsRegion() string { return d.config.Region }

// BucketName resolves the bucket.
func (d *destination) BucketName() string { return d.config.Bucket }

// Headers resolves the custom headers.
func (d *destination) Headers(ctx context.Context, p paging) (*connection[*header], error) {
	list := d.headers()
	if err := callerOf(ctx).spend(1 + len(list)); err != nil {
		return nil, err
	}
	page, err := connect(list, func(h *header) string { return descending(h.number) }, p)
	if err != nil {
		return nil, asError(err)
	}
	return page, nil
}

// NamespaceFilters resolves the namespaces that are wanted.
func (d *destination) NamespaceFilters(ctx context.Context) (*[]*filter, error) {
	list := d.filters()
	return &list, callerOf(ctx).spend(1 + len(list))
}

// NamespaceFilter resolves the first namespace that is wanted.
func (d *destination) NamespaceFilter(ctx context.Context) (*filter, error) {
	list := d.filters()
	if len(list) == 0 {
		return nil, nil
	}
	return list[0], callerOf(ctx).spend(1)
}
