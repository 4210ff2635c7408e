package graphql_test

import (
	"strings"
	"testing"

	"github.com/sluicelog/sluice/secret"
)

// TestUpdateOfTheNameAlone: what is not sent is not touched, secrets whose key is
// not there at the moment included.
func TestUpdateOfTheNameAlone(t *testing.T) {
	simulate(t, func(t *testing.T, c *client) {
		const destination = `"gid://gitlab/AuditEvents::ExternalAuditEventDestination/1"`
		c.run(`mutation { externalAuditEventDestinationCreate(input: { groupPath: "my-group", destinationUrl: "https://siem.example/in", verificationToken: "a-token-of-our-own" }) { errors } }`, nil)
		c.run(`mutation { auditEventsStreamingHeadersCreate(input: { destinationId: `+destination+`, key: "X-Key", value: "header-value" }) { errors } }`, nil)
		ring := c.Ring
		restart := func(with *secret.Ring) {
			c.Ring = with
			c.Restart()
			c.api = newClient(t, c.World).api
		}
		restart(secret.NewRing())
		for _, change := range []string{`active: false`, `name: "siem"`} {
			got := c.run(`mutation { externalAuditEventDestinationUpdate(input: { id: `+destination+`, `+change+` }) { errors } }`, nil)
			if !strings.Contains(got, `"errors":[]`) {
				t.Errorf("%s: got %s, want it done", change, got)
			}
		}
		restart(ring)
		c.want(`{ group(fullPath: "my-group") { externalAuditEventDestinations { nodes { name verificationToken headers { nodes { key value } } } } } }`,
			`{"data":{"group":{"externalAuditEventDestinations":{"nodes":[{"name":"siem","verificationToken":"a-token-of-our-own","headers":{"nodes":[{"key":"X-Key","value":"header-value"}]}}]}}}}`)
		c.want(`{ group(fullPath: "my-group") { externalAuditEventStreamingDestinations { nodes { active } } } }`,
			`{"data":{"group":{"externalAuditEventStreamingDestinations":{"nodes":[{"active":false}]}}}}`)
	})
}

// TestHeaderWithoutValue: a new header never gets the value of another one.
func TestHeaderWithoutValue(t *testing.T) {
	simulate(t, func(t *testing.T, c *client) {
		c.run(`mutation { groupAuditEventStreamingDestinationsCreate(input: { groupPath: "my-group", category: "http", config: { url: "https://siem.example/in", headers: { Authorization: { value: "credential" } } } }) { errors } }`, nil)
		update := func(headers string) string {
			return c.run(`mutation { groupAuditEventStreamingDestinationsUpdate(input: { id: "gid://gitlab/AuditEvents::Group::ExternalStreamingDestination/1", config: { url: "https://siem.example/in", headers: `+headers+` } }) { errors externalAuditEventDestination { config } } }`, nil)
		}
		if got := update(`{ Trace: { active: true } }`); !strings.Contains(got, "value is required") || strings.Contains(got, "credential") {
			t.Errorf("a new one: got %s, want that it needs a value", got)
		}
		if got := update(`{ authorization: { active: false }, Trace: { value: "t" } }`); !strings.Contains(got, `"authorization":{"active":false,"value":"credential"}`) {
			t.Errorf("the one that is there: got %s, want it to keep its value", got)
		}
	})
}
