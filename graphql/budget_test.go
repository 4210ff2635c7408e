package graphql_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// aliases asks for a field many times.
func aliases(field string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d:%s ", i, field)
	}
	return b.String()
}

// TestFieldsUnderManyNames: what is long, and what is small and in many nodes, ends
// at the budget, by whatever names it is asked for.
func TestFieldsUnderManyNames(t *testing.T) {
	simulate(t, func(t *testing.T, c *client) {
		types := make([]string, sluice.MaxFilterTypes)
		for i := range types {
			types[i] = fmt.Sprintf("%0*d", sluice.MaxTypeLength, i)
		}
		headers := make([]map[string]any, 20)
		for i := range headers {
			headers[i] = map[string]any{"name": fmt.Sprintf("H%d", i), "value": strings.Repeat("v", 2000)}
		}
		config, err := json.Marshal(map[string]any{"url": "https://siem.example/" + strings.Repeat("x", 2000), "headers": headers})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			spec := control.StreamSpec{Namespace: "my-group", Kind: "http", Config: config}
			if i == 0 {
				spec.Filter.EventTypes = types
			}
			if _, err := c.Service.CreateStream(t.Context(), c.Admin, spec); err != nil {
				t.Fatal(err)
			}
		}
		within := func(fields string) string {
			return `{ group(fullPath: "my-group") { externalAuditEventDestinations { nodes { ` + fields + ` } } } }`
		}
		for name, query := range map[string]string{
			"types":     within(aliases("eventTypeFilters", 50)),
			"addresses": within(aliases("destinationUrl", 400)),
			"values":    within("headers { nodes { " + aliases("value", 400) + " } }"),
			"ids":       within("headers { nodes { " + aliases("id", 800) + " } }"),
			"added":     `mutation { auditEventsStreamingDestinationEventsAdd(input: { destinationId: "gid://gitlab/AuditEvents::ExternalAuditEventDestination/2", eventTypeFilters: ["project_created"] }) { errors ` + aliases("eventTypeFilters", 1) + ` } }`,
		} {
			got := c.run(query, nil)
			if refused := strings.Contains(got, "asks for too much"); refused != (name != "added") || len(got) > 20<<20 {
				t.Errorf("%s: got %d bytes, %.200s", name, len(got), got)
			}
		}
		if got := c.run(within("destinationUrl eventTypeFilters headers { nodes { id key value } }"), nil); strings.Contains(got, `"errors"`) || strings.Count(got, `"value"`) != 800 {
			t.Errorf("all of it once: got %.200s, want it", got)
		}
	})
}

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
