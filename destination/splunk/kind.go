// Package splunk delivers events to Splunk's HTTP Event Collector (HEC) and to
// receivers that speak its protocol.
//
// A request holds JSON objects one after another, each a frame around one stored
// event. The answer's code decides, then its HTTP status; a status of 200 alone
// is no acceptance. A collector that refuses one object has indexed those before
// it, so a result names the fate of each event. With indexer acknowledgement an
// event counts as delivered once the collector says that it is indexed: every
// partition has a channel of its own, several requests are posted on it in order
// and asked about together (see [Collector.Send]). docs/destinations/splunk.md is
// the page for owners.
package splunk

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sluicelog/sluice/destination"
)

// Kind is the destination kind "splunk". The zero Kind works; collectors of one
// that [New] made share their buffers.
type Kind struct{ packers *destination.Packers }

var (
	_ destination.Kind    = Kind{}
	_ destination.Bearing = Kind{}
)

// New returns a Kind whose collectors share their [destination.Packers].
func New() Kind { return Kind{packers: new(destination.Packers)} }

// Name returns "splunk".
func (Kind) Name() string { return "splunk" }

// SecretNames lists the one secret.
func (Kind) SecretNames() []string { return []string{Token} }

// Check implements [destination.Kind]. The canonical form is a [Config].
func (Kind) Check(config json.RawMessage, secrets destination.Secrets, _ destination.Rules) (json.RawMessage, error) {
	c, err := parseConfig(config)
	if err != nil {
		return nil, err
	}
	if err := checkSecrets(secrets); err != nil {
		return nil, err
	}
	return destination.Canonical("splunk", c)
}

// Hosts returns the domain.
func (Kind) Hosts(config json.RawMessage) []string {
	c, err := parseConfig(config)
	if err != nil {
		return nil
	}
	return []string{c.Domain}
}

// BearerSecrets returns the token, which goes along with each request.
func (Kind) BearerSecrets() []string { return []string{Token} }

// NewReceiver compares domain, port and whether the certificate is checked.
func (Kind) NewReceiver(before, after json.RawMessage) bool {
	old, err := parseConfig(before)
	next, other := parseConfig(after)
	if err != nil || other != nil {
		return true
	}
	return !sameHost(old.Domain, next.Domain) || old.Port != next.Port || old.SSLVerify && !next.SSLVerify
}

func sameHost(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// Open implements [destination.Kind].
func (k Kind) Open(config json.RawMessage, secrets destination.Secrets, env destination.Env) (destination.Destination, error) {
	c, err := parseConfig(config)
	if err != nil {
		return nil, fmt.Errorf("open splunk destination: %w", err)
	}
	transport, release := destination.SharedTransport(env, !c.SSLVerify)
	w := wire{scheme: "https", tls: destination.TLSOptions{SkipVerify: !c.SSLVerify}, transport: transport, release: release}
	return newCollector(c, secrets[Token], env, w, k.packers), nil
}
