package graphql

import (
	"context"
	"errors"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/secret"
)

// args are the arguments of every mutation.
type args struct{ Input input }

// input has the fields of the inputs of all mutations; each mutation reads those
// that it has.
type input struct {
	ClientMutationID text

	ID, DestinationID, HeaderID, NamespaceFilterID text
	GroupPath, ProjectPath, NamespacePath          text

	Name, Category, SecretToken, DestinationURL, VerificationToken text
	ClientEmail, GoogleProjectIDName, LogIDName, PrivateKey        text
	AccessKeyXid, SecretAccessKey, BucketName, AwsRegion           text
	Key, Value                                                     text

	Active           flag
	Config           document
	EventTypeFilters []string
}

// payload is the answer to every mutation. A nil object is null.
type payload struct {
	errors      []string
	client      *string
	destination *destination
	header      *header
	filter      *filter
	types       *[]string
}

// Errors resolves why nothing was done, empty when it was.
func (p *payload) Errors() []string {
	if p.errors == nil {
		return []string{}
	}
	return p.errors
}

// ClientMutationID resolves what the client sent.
func (p *payload) ClientMutationID() *string { return p.client }

// ExternalAuditEventDestination resolves the destination.
func (p *payload) ExternalAuditEventDestination() *destination { return p.destination }

// InstanceExternalAuditEventDestination resolves the destination.
func (p *payload) InstanceExternalAuditEventDestination() *destination { return p.destination }

// GoogleCloudLoggingConfiguration resolves the destination. One of GitLab's
// documented operations asks for this name where the schema has the next one.
func (p *payload) GoogleCloudLoggingConfiguration() *destination { return p.destination }

// InstanceGoogleCloudLoggingConfiguration resolves the destination.
func (p *payload) InstanceGoogleCloudLoggingConfiguration() *destination { return p.destination }

// AmazonS3Configuration resolves the destination.
func (p *payload) AmazonS3Configuration() *destination { return p.destination }

// InstanceAmazonS3Configuration resolves the destination.
func (p *payload) InstanceAmazonS3Configuration() *destination { return p.destination }

// Header resolves the header.
func (p *payload) Header() *header { return p.header }

// NamespaceFilter resolves the filter.
func (p *payload) NamespaceFilter() *filter { return p.filter }

// EventTypeFilters resolves the whole list.
func (p *payload) EventTypeFilters(ctx context.Context) (*[]string, error) {
	if p.types == nil {
		return nil, nil
	}
	list, err := showAll(ctx, *p.types)
	return &list, err
}

// mutate runs a mutation of destinations of the class. What do returns beside an
// error is shown with it.
func (r *root) mutate(ctx context.Context, c class, in input, do func() (payload, error)) (*payload, error) {
	who := callerOf(ctx)
	if who.get {
		who.refused.Store(true)
		return nil, &topLevel{textGet}
	}
	if err := who.spend(1); err != nil {
		return nil, err
	}
	defer who.forget()
	if c == instanceHTTP && (!who.known || control.ChangesStreams(who.by, sluice.Instance) != nil) {
		return nil, &topLevel{textDenied}
	}
	if !who.known {
		return nil, errNotFound()
	}
	p, err := do()
	if top, ok := errors.AsType[*topLevel](err); ok {
		return nil, top
	}
	list, whole := r.judge(ctx, err)
	if whole != nil {
		return nil, whole
	}
	for i := range list {
		list[i] = c.words(list[i])
	}
	p.errors, p.client = list, in.ClientMutationID.pointer()
	return &p, nil
}

// words puts an error of control into the names of the generation.
func (c class) words(text string) string {
	if c.legacy() {
		return legacyNames(text)
	}
	return consolidatedNames(text)
}

// maxEdits bounds how often a change is made anew because somebody else was
// faster.
const maxEdits = 100

// edit changes a stream by what it is now. change may run several times.
func (r *root) edit(ctx context.Context, c class, id sluice.StreamID, change func(*destination) (control.StreamPatch, error)) (*destination, error) {
	for tries := 1; ; tries++ {
		d, err := r.findStream(ctx, c, id)
		if err == nil {
			err = control.ChangesStreams(callerOf(ctx).by, d.stream.Namespace)
		}
		if err != nil {
			return nil, err
		}
		patch, err := change(d)
		if err != nil {
			return nil, err
		}
		patch.Version = &d.stream.Version
		s, err := r.service.UpdateStream(ctx, callerOf(ctx).by, id, patch)
		if err == nil {
			return r.view(c, s), nil
		}
		if tries == maxEdits || !r.overtaken(ctx, d) {
			return nil, err
		}
	}
}

// overtaken reports whether a stream has changed since d was read.
func (r *root) overtaken(ctx context.Context, d *destination) bool {
	s, err := r.service.Stream(ctx, callerOf(ctx).by, d.stream.ID)
	return err == nil && s.Version != d.stream.Version
}

// secrets are those that were sent, nil when none was.
func secrets(list map[string]text) (out map[string]secret.Text) {
	for name, t := range list {
		if !t.set {
			continue
		}
		if out == nil {
			out = map[string]secret.Text{}
		}
		out[name] = secret.Text(t.value)
	}
	return out
}
