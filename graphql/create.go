package graphql

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/secret"
)

// create makes a stream of a legacy or consolidated destination.
func (r *root) create(ctx context.Context, c class, in input) (*payload, error) {
	return r.mutate(ctx, c, in, func() (payload, error) {
		spec, err := in.spec(c)
		if refused := control.ChangesStreams(callerOf(ctx).by, spec.Namespace); refused != nil {
			err = refused
		}
		if err != nil {
			return payload{}, err
		}
		free, err := r.choosing(ctx, spec.Namespace)
		if err != nil {
			return payload{}, err
		}
		defer free()
		var s control.Stream
		if err = r.checkPlace(ctx, spec.Namespace, spec.Kind, spec.Config, nil); err == nil {
			s, err = r.service.CreateStream(ctx, callerOf(ctx).by, spec)
		}
		if err != nil && c.kind() == kindHTTP {
			err = r.failed(ctx, c, err)
		}
		if err != nil {
			return payload{}, err
		}
		return payload{destination: r.view(c, s)}, nil
	})
}

// failed makes errors of the legacy creation of HTTP destinations, which its
// payload would list, errors of the whole field.
func (r *root) failed(ctx context.Context, c class, err error) error {
	list, whole := r.judge(ctx, err)
	if whole != nil {
		return &topLevel{whole.Error()}
	}
	return &topLevel{"Validation failed: " + c.words(strings.Join(list, ", "))}
}

// spec is the stream that an input asks for.
func (in *input) spec(c class) (control.StreamSpec, error) {
	spec := control.StreamSpec{Namespace: in.GroupPath.value, Name: in.Name.value, Kind: c.kind()}
	if !c.instance() && spec.Namespace == sluice.Instance {
		return spec, sluice.Errorf(sluice.NotFound, "a group has a path")
	}
	if spec.Name == "" {
		spec.Name = newName()
	}
	var err error
	if c.legacy() {
		spec.Config, spec.Secrets, err = in.legacyConfig(c)
		return spec, err
	}
	if spec.Kind, err = kindOf(in.Category.value); err != nil {
		return spec, err
	}
	token := secretName(spec.Kind)
	if in.SecretToken.value != "" {
		spec.Secrets = secrets(map[string]text{token: in.SecretToken})
	} else if spec.Kind != kindHTTP {
		return spec, sluice.Errorf(sluice.Invalid, "secretToken is required for the category %s", category(spec.Kind))
	}
	if spec.Config, err = readConfig(spec.Kind, in.Config, nil); err != nil {
		return spec, err
	}
	spec.Config, err = withoutNull(spec.Config)
	return spec, err
}

// newName is the name of a destination that got none.
func newName() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails, see its documentation
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("Destination_%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// legacyConfig returns the configuration and the secrets that a legacy input has,
// nil when it has none: a change of the name, or a pause, must not have the
// destination stored anew, which would give up what a lost key has sealed and judge
// by the rules of today what was allowed once.
func (in *input) legacyConfig(c class) (config json.RawMessage, sent map[string]secret.Text, err error) {
	fields, hidden := map[string]text{}, map[string]text{}
	switch c.kind() {
	case kindHTTP:
		fields["url"], hidden["verification_token"] = in.DestinationURL, in.VerificationToken
	case kindGCP:
		fields["project_id"], fields["client_email"], fields["log_id"] = in.GoogleProjectIDName, in.ClientEmail, in.LogIDName
		hidden["private_key"] = in.PrivateKey
	case kindS3:
		fields["bucket"], fields["region"], fields["access_key_id"] = in.BucketName, in.AwsRegion, in.AccessKeyXid
		hidden["secret_access_key"] = in.SecretAccessKey
	}
	sent = secrets(hidden)
	out := object{}
	for name, t := range fields {
		if t.set {
			out[name] = t.value
		}
	}
	if len(out) == 0 {
		return nil, sent, nil
	}
	config, err = json.Marshal(out)
	return config, sent, err
}
