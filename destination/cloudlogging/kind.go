// Package cloudlogging delivers events to a log of a Google Cloud project:
// entries.write of the Cloud Logging API v2 over REST, with access tokens that
// are fetched with the key of a service account.
//
// An event becomes an entry whose insertId is the event's id and whose timestamp
// is the event's time, so that Cloud Logging drops repeated entries from the
// results of a query. docs/destinations/cloudlogging.md is the page for owners.
package cloudlogging

import (
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// PrivateKey is the name of the only secret: a private key in PEM, or a whole
// JSON key file of a service account.
const PrivateKey = "private_key"

// Kind is the destination kind "cloudlogging". The zero Kind works; destinations
// of one that [New] made share their buffers.
type Kind struct{ packers *destination.Packers }

var (
	_ destination.Kind   = Kind{}
	_ destination.Hosted = Kind{}
)

// New returns a Kind whose destinations share their [destination.Packers].
func New() Kind { return Kind{packers: new(destination.Packers)} }

// Name returns "cloudlogging".
func (Kind) Name() string { return "cloudlogging" }

// SecretNames returns the private key's name.
func (Kind) SecretNames() []string { return []string{PrivateKey} }

// Check implements [destination.Kind]. The canonical form is a [Config]; its
// client_email comes from the key file when the configuration has none.
func (Kind) Check(config json.RawMessage, secrets destination.Secrets, rules destination.Rules) (json.RawMessage, error) {
	c, err := parseConfig(config)
	if err != nil {
		return nil, err
	}
	if err := c.checkRules(rules); err != nil {
		return nil, err
	}
	a, err := readAccount(secrets[PrivateKey])
	if err != nil {
		return nil, err
	}
	if c.ClientEmail, err = a.emailFor(c.ClientEmail); err != nil {
		return nil, err
	}
	return destination.Canonical("cloudlogging", c)
}

// Hosts returns the hosts of the API and of the token endpoint.
func (Kind) Hosts(config json.RawMessage) []string {
	c, err := parseConfig(config)
	if err != nil {
		return nil
	}
	var hosts []string
	for _, raw := range []string{c.endpoint(), c.tokenURL()} {
		if u, err := url.Parse(raw); err == nil {
			hosts = append(hosts, u.Hostname())
		}
	}
	return hosts
}

// Open implements [destination.Kind].
func (k Kind) Open(config json.RawMessage, secrets destination.Secrets, env destination.Env) (destination.Destination, error) {
	c, err := parseConfig(config)
	if err != nil {
		return nil, fmt.Errorf("open cloudlogging destination: %w", err)
	}
	a, err := readAccount(secrets[PrivateKey])
	if err != nil {
		return nil, fmt.Errorf("open cloudlogging destination: %w", err)
	}
	if a.email, err = a.emailFor(c.ClientEmail); err != nil {
		return nil, fmt.Errorf("open cloudlogging destination: %w", err)
	}
	return newWriter(c, a, env, k.packers)
}

// emailFor returns the account's e-mail address: the configured one, else the
// key file's. They must not differ.
func (a account) emailFor(configured string) (string, error) {
	switch {
	case configured == "" && a.email == "":
		return "", sluice.Errorf(sluice.Invalid, "config.client_email is required").
			WithHint("it is the field client_email of the JSON key file; or send the whole file as secrets.%s", PrivateKey)
	case configured == "":
		return a.email, checkEmail("the key file's client_email", a.email)
	case a.email != "" && a.email != configured:
		return "", sluice.Errorf(sluice.Invalid, "config.client_email and the key file name different service accounts").
			WithHint("send the client_email of the key file, or leave it out when a stream is created")
	}
	return configured, nil
}
