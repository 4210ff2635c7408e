// Package webhook delivers events to any HTTP endpoint: as requests of one
// event each, compatible with GitLab's audit event streaming, or as JSON arrays
// or lines of many.
//
// Every request carries an id that is made of the ids of its events, so that it
// is the same in every attempt, and with a signing secret a signature as in
// Standard Webhooks. The answer's status alone decides; docs/destinations/http.md
// is the page for owners.
package webhook

import (
	"encoding/json"
	"fmt"

	"github.com/sluicelog/sluice/destination"
)

// Kind is the destination kind "http".
type Kind struct{}

var (
	_ destination.Kind   = Kind{}
	_ destination.Hosted = Kind{}
)

// Name returns "http".
func (Kind) Name() string { return "http" }

// SecretNames lists the secrets, those that [Rotate] keeps included.
func (Kind) SecretNames() []string {
	return []string{VerificationToken, SigningSecret, PreviousSigningSecret, PreviousSigningSecretUntil}
}

// Check implements [destination.Kind]. The canonical form is a [Config]. The
// verification token may be absent: callers generate one
// ([NewVerificationToken]) and keep it.
func (Kind) Check(config json.RawMessage, secrets destination.Secrets, _ destination.Rules) (json.RawMessage, error) {
	c, err := parseConfig(config)
	if err != nil {
		return nil, err
	}
	if err := checkSecrets(secrets); err != nil {
		return nil, err
	}
	return destination.Canonical("http", c)
}

// Hosts returns the host of the URL.
func (Kind) Hosts(config json.RawMessage) []string {
	c, err := parseConfig(config)
	if err != nil {
		return nil
	}
	u, err := parseURL(c.URL)
	if err != nil {
		return nil
	}
	return []string{u.Hostname()}
}

// Open implements [destination.Kind].
func (Kind) Open(config json.RawMessage, secrets destination.Secrets, env destination.Env) (destination.Destination, error) {
	c, err := parseConfig(config)
	if err != nil {
		return nil, fmt.Errorf("open http destination: %w", err)
	}
	u, err := parseURL(c.URL)
	if err != nil {
		return nil, fmt.Errorf("open http destination: %w", err)
	}
	signers, err := signersOf(secrets)
	if err != nil {
		return nil, fmt.Errorf("open http destination: %w", err)
	}
	transport, release := destination.SharedTransport(env, !c.SSLVerify)
	return &Endpoint{
		config:    c,
		url:       *u,
		fields:    fieldsOf(c, secrets, env),
		signers:   signers,
		redact:    redactor(c, u, secrets),
		env:       env,
		transport: transport,
		release:   release,
	}, nil
}
