package graphql_test

import (
	"fmt"
	"testing"
)

// TestManyTypes: a list of types that no filter can have is refused as it is,
// without comparing each with all others.
func TestManyTypes(t *testing.T) {
	simulate(t, func(t *testing.T, c *client) {
		c.run(`mutation { externalAuditEventDestinationCreate(input: { destinationUrl: "https://siem.example/in", groupPath: "my-group" }) { errors } }`, nil)
		types := make([]string, 80_000)
		for i := range types {
			types[i] = fmt.Sprintf("t%d", i)
		}
		got := c.run(`mutation M($types: [String!]!) { auditEventsStreamingDestinationEventsAdd(input: { destinationId: "gid://gitlab/AuditEvents::ExternalAuditEventDestination/1", eventTypeFilters: $types }) { errors } }`,
			map[string]any{"types": types})
		if want := `{"data":{"auditEventsStreamingDestinationEventsAdd":{"errors":["a filter has at most 1000 event types"]}}}`; got != want {
			t.Errorf("got %.200s, want %s", got, want)
		}
	})
}
