// Package eventhubs delivers events to Azure Event Hubs over AMQP 1.0, with the
// vendor's library and its retries off.
//
// Every event is one event of the hub: the stored bytes are its body, its
// message id is the event's id. Events that share a partition key (the top-level
// namespace unless configured otherwise) stay in order: each key's events go out
// in batches as large as the hub takes, one after another, while other keys'
// batches are under way beside them.
//
// Three things of the library are not left to it. Its sockets come from the
// guarded dialer, with TLS on top by this package (session.go). Its tokens are
// made here, so that nothing renews them behind our back without a pause between
// tries (token.go). And a batch that the service settles without accepting it is
// seen on the wire, because the library takes that for success (wire.go).
//
// docs/destinations/eventhubs.md is the page for owners.
package eventhubs

import (
	"encoding/json"
	"fmt"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// ConnectionString is the name of the kind's only secret.
const ConnectionString = "connection_string"

// Kind is the destination kind "eventhubs".
type Kind struct{}

var (
	_ destination.Kind           = Kind{}
	_ destination.HostedBySecret = Kind{}
)

// Name returns "eventhubs".
func (Kind) Name() string { return "eventhubs" }

// SecretNames lists the secrets.
func (Kind) SecretNames() []string { return []string{ConnectionString} }

// Check implements [destination.Kind]. The canonical form is a [Config]. The
// connection string is required; one for the emulator, which speaks without
// encryption, needs rules that allow it.
func (Kind) Check(config json.RawMessage, secrets destination.Secrets, rules destination.Rules) (json.RawMessage, error) {
	c, target, err := parse(config, secrets)
	if err != nil {
		return nil, err
	}
	if target.emulator && !rules.AllowInsecure {
		return nil, sluice.Errorf(sluice.Invalid, "secrets.connection_string is for the emulator, which speaks without encryption").
			WithHint("take the connection string of an Event Hubs namespace; the operator can allow emulators with --allow-private-destinations")
	}
	return destination.Canonical("eventhubs", c)
}

// SecretHosts returns the host of the connection string.
func (Kind) SecretHosts(secrets destination.Secrets) []string {
	p, err := splitConnection(secrets[ConnectionString])
	if err != nil {
		return nil
	}
	host, _, err := p.endpoint(false)
	if err != nil {
		return nil
	}
	return []string{host}
}

// Open implements [destination.Kind].
func (Kind) Open(config json.RawMessage, secrets destination.Secrets, env destination.Env) (destination.Destination, error) {
	c, target, err := parse(config, secrets)
	if err != nil {
		return nil, fmt.Errorf("open eventhubs destination: %w", err)
	}
	return &Hub{config: c, target: target, env: env}, nil
}

func parse(config json.RawMessage, secrets destination.Secrets) (Config, connection, error) {
	c, err := parseConfig(config)
	if err != nil {
		return c, connection{}, err
	}
	for name := range secrets {
		if name != ConnectionString {
			return c, connection{}, sluice.Errorf(sluice.Invalid, "secrets has no field %q", name).
				WithHint("the secret is %s", ConnectionString)
		}
	}
	target, err := parseConnection(secrets[ConnectionString], c.Name)
	return c, target, err
}
