package destination

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicelog/sluice"
)

// Hosted is implemented by kinds whose checked configuration names the hosts
// that a stream would connect to; they are judged when it is saved, as well as
// at every dial.
type Hosted interface {
	Hosts(config json.RawMessage) []string
}

// Bearing is implemented by kinds that send secrets as they are: whoever answers to
// the configuration knows them then. Owners cannot read secrets, and so none that is
// stored goes to a receiver that it was not entered for.
type Bearing interface {
	Hosted
	// BearerSecrets names those secrets, without any that owners can read.
	BearerSecrets() []string
	// NewReceiver reports whether with the second of two checked configurations
	// somebody may answer who could not with the first: at another host or port, or
	// because nobody has to prove any more who they are.
	NewReceiver(before, after json.RawMessage) bool
}

// CheckHosts applies the dialer's rules to the hosts of a checked configuration.
// It returns a *[sluice.Error] with code Invalid when an address is refused. A
// name that cannot be looked up passes.
func CheckHosts(ctx context.Context, d *Dialer, kind Kind, config json.RawMessage) error {
	hosted, ok := kind.(Hosted)
	if !ok {
		return nil
	}
	return checkHosts(ctx, d, hosted.Hosts(config))
}

// HostedBySecret is [Hosted] for kinds whose hosts are named in a secret, a
// connection string for example.
type HostedBySecret interface {
	SecretHosts(secrets Secrets) []string
}

// CheckSecretHosts is [CheckHosts] for the hosts that checked secrets name.
func CheckSecretHosts(ctx context.Context, d *Dialer, kind Kind, secrets Secrets) error {
	hosted, ok := kind.(HostedBySecret)
	if !ok {
		return nil
	}
	return checkHosts(ctx, d, hosted.SecretHosts(secrets))
}

func checkHosts(ctx context.Context, d *Dialer, hosts []string) error {
	for _, host := range hosts {
		if e, ok := d.CheckHost(ctx, host).(*sluice.Error); ok {
			return e
		}
	}
	return nil
}

// Canonical returns a checked configuration, a struct with JSON names, as [Kind.Check]
// returns it.
func Canonical(kind string, config any) (json.RawMessage, error) {
	out, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("write %s configuration: %w", kind, err)
	}
	return out, nil
}

// Fields are the members of a JSON object of a configuration.
type Fields struct {
	path   string
	values map[string]json.RawMessage
}

// ReadFields reads a JSON object that has no other members than those known.
// Errors are *[sluice.Error] with code Invalid and begin with path. An absent
// object (nil) has no members.
func ReadFields(path string, raw json.RawMessage, known ...string) (Fields, error) {
	f := Fields{path: path, values: map[string]json.RawMessage{}}
	if len(bytes.TrimSpace(raw)) == 0 {
		return f, nil
	}
	if !json.Valid(raw) {
		return f, sluice.Errorf(sluice.Invalid, "%s is not valid JSON", path)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return f, sluice.Errorf(sluice.Invalid, "%s must be a JSON object", path)
	}
	for dec.More() {
		name, value, err := member(dec)
		if err != nil {
			return f, sluice.Errorf(sluice.Invalid, "%s is not valid JSON", path)
		}
		if !slices.Contains(known, name) {
			return f, sluice.Errorf(sluice.Invalid, "%s has no field %q", path, shorten(name)).
				WithHint("the fields are %s", strings.Join(known, ", "))
		}
		if _, twice := f.values[name]; twice {
			return f, sluice.Errorf(sluice.Invalid, "%s has the field %q twice", path, name)
		}
		f.values[name] = value
	}
	return f, nil
}

func member(dec *json.Decoder) (name string, value json.RawMessage, err error) {
	t, err := dec.Token()
	if err != nil {
		return "", nil, err
	}
	name, _ = t.(string)
	return name, value, dec.Decode(&value)
}

func shorten(s string) string { return cut(s, 64) }

// Has reports whether the member is there and not null.
func (f Fields) Has(name string) bool {
	v, ok := f.values[name]
	return ok && string(v) != "null"
}

// Path returns how errors name the member.
func (f Fields) Path(name string) string { return f.path + "." + name }

// Read stores a member in dst, which points to a string, an int, a bool or a
// slice of json.RawMessage; an absent or null one leaves dst as it is.
func (f Fields) Read(name string, dst any) error {
	if !f.Has(name) || json.Unmarshal(f.values[name], dst) == nil {
		return nil
	}
	want := "of another type"
	switch dst.(type) {
	case *string:
		want = "a string"
	case *int:
		want = "a whole number"
	case *bool:
		want = "true or false"
	case *[]json.RawMessage:
		want = "a list"
	}
	return sluice.Errorf(sluice.Invalid, "%s must be %s", f.Path(name), want)
}

// Member names a member of [Fields] and where its value goes.
type Member struct {
	Name string
	Into any // see [Fields.Read]
}

// ReadAll reads the members in order, up to the first that is wrong.
func (f Fields) ReadAll(members ...Member) error {
	for _, m := range members {
		if err := f.Read(m.Name, m.Into); err != nil {
			return err
		}
	}
	return nil
}
