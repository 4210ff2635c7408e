// Package s3 keeps events as objects in a bucket of Amazon S3, or of a server
// that speaks its protocol: lines of JSON, compressed with gzip.
//
// An object is stored with "If-None-Match: *" under a key that names its events,
// so that the answer 412 means that it is there already, and the SHA-256 of its
// content goes along and is verified by the server. The SDK signs and sends; its
// retries are off, it reads no ambient configuration, and what an answer means is
// judged here, by the error code in its body and its status.
// docs/destinations/s3.md is the page for owners.
package s3

import (
	"encoding/json"
	"fmt"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// SecretAccessKey is the name of the kind's secret.
const SecretAccessKey = "secret_access_key"

// Kind is the destination kind "s3".
type Kind struct{}

var (
	_ destination.Kind   = Kind{}
	_ destination.Hosted = Kind{}
)

// Name returns "s3".
func (Kind) Name() string { return "s3" }

// SecretNames lists the one secret.
func (Kind) SecretNames() []string { return []string{SecretAccessKey} }

// Check implements [destination.Kind]. The canonical form is a [Config].
func (Kind) Check(config json.RawMessage, secrets destination.Secrets, rules destination.Rules) (json.RawMessage, error) {
	c, err := parseConfig(config)
	if err != nil {
		return nil, err
	}
	if err := c.checkScheme(rules); err != nil {
		return nil, err
	}
	if err := checkSecrets(secrets); err != nil {
		return nil, err
	}
	return destination.Canonical("s3", c)
}

// Hosts returns the host that objects are sent to. When the region is still to be
// found out, it is the host that is asked for it.
func (Kind) Hosts(config json.RawMessage) []string {
	c, err := parseConfig(config)
	if err != nil {
		return nil
	}
	u, err := c.address(c.guess())
	if err != nil {
		return nil
	}
	return []string{u.Hostname()}
}

// Open implements [destination.Kind]. The destination is a [Bucket].
func (Kind) Open(config json.RawMessage, secrets destination.Secrets, env destination.Env) (destination.Destination, error) {
	c, err := parseConfig(config)
	if err != nil {
		return nil, fmt.Errorf("open s3 destination: %w", err)
	}
	if err := checkSecrets(secrets); err != nil {
		return nil, fmt.Errorf("open s3 destination: %w", err)
	}
	return &Bucket{
		config: c,
		secret: secrets[SecretAccessKey],
		env:    env,
		redact: destination.NewRedactor(secrets[SecretAccessKey]),
		caller: &caller{transport: newTransport(env), userAgent: env.UserAgent},
		region: c.Region,
	}, nil
}

const maxSecret = 256 // bytes

func checkSecrets(secrets destination.Secrets) error {
	for name := range secrets {
		if name != SecretAccessKey {
			return sluice.Errorf(sluice.Invalid, "secrets has no field %q", name).WithHint("the secret is %s", SecretAccessKey)
		}
	}
	s := secrets[SecretAccessKey]
	if s == "" {
		return sluice.Errorf(sluice.Invalid, "secrets.%s is required", SecretAccessKey).
			WithHint("it was shown when the access key was made; make a new access key when it is lost")
	}
	if len(s) > maxSecret || !visible(s) {
		return sluice.Errorf(sluice.Invalid, "secrets.%s must be at most %d visible ASCII characters", SecretAccessKey, maxSecret).
			WithHint("copy it again, without spaces and line ends")
	}
	return nil
}

// visible reports whether s consists of ASCII characters other than spaces and
// controls.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
