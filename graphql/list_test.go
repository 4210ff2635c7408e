package graphql_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// page is what the tests read of a connection.
type page struct {
	Nodes    []struct{ Name string }
	PageInfo struct {
		StartCursor, EndCursor       *string
		HasNextPage, HasPreviousPage bool
	}
}

func (c *client) definitions(arguments string) page {
	c.t.Helper()
	var out struct {
		Data struct{ AuditEventDefinitions page }
	}
	got := c.run(`{ auditEventDefinitions(`+arguments+`) { nodes { name } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }`, nil)
	if err := json.Unmarshal([]byte(got), &out); err != nil {
		c.t.Fatal(err)
	}
	return out.Data.AuditEventDefinitions
}

// TestPages walks the definitions forwards and backwards.
func TestPages(t *testing.T) {
	simulate(t, func(t *testing.T, c *client) {
		c.prepare()
		var forwards, backwards []string
		for cursor := ""; ; {
			p := c.definitions(fmt.Sprintf("first: 97, after: %q", cursor))
			for _, n := range p.Nodes {
				forwards = append(forwards, n.Name)
			}
			if !p.PageInfo.HasNextPage || len(forwards) > 10_000 {
				break
			}
			cursor = *p.PageInfo.EndCursor
		}
		for cursor := ""; ; {
			p := c.definitions(fmt.Sprintf("last: 100, before: %q", cursor))
			for _, n := range slices.Backward(p.Nodes) {
				backwards = append(backwards, n.Name)
			}
			if !p.PageInfo.HasPreviousPage || len(backwards) > 10_000 {
				break
			}
			cursor = *p.PageInfo.StartCursor
		}
		slices.Reverse(backwards)
		if !slices.Equal(forwards, backwards) || !slices.IsSorted(forwards) {
			t.Errorf("got %d names forwards and %d backwards, want the same in order", len(forwards), len(backwards))
		}
		for _, name := range []string{"member_created", "repository_git_operation", "stream.create", "repo.create", "git.push", "seen.before"} {
			if !slices.Contains(forwards, name) {
				t.Errorf("the definitions lack %s", name)
			}
		}
		if got := c.definitions("first: 500"); len(got.Nodes) != 100 {
			t.Errorf("first 500: got %d nodes, want 100", len(got.Nodes))
		}
		if got := c.run(`{ auditEventDefinitions(first: -1) { nodes { name } } }`, nil); !strings.Contains(got, "must not be negative") {
			t.Errorf("first -1: got %s, want an error", got)
		}
	})
}

// TestAdditionsAtOnce adds to the same stream from several requests.
func TestAdditionsAtOnce(t *testing.T) {
	simulate(t, func(t *testing.T, c *client) {
		c.run(`mutation { externalAuditEventDestinationCreate(input: { destinationUrl: "https://siem.example/ingest", groupPath: "my-group" }) { errors } }`, nil)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				c.run(fmt.Sprintf(`mutation { auditEventsStreamingHeadersCreate(input: { destinationId: "gid://gitlab/AuditEvents::ExternalAuditEventDestination/1", key: "h%d", value: "v" }) { errors } }`, i), nil)
			})
		}
		wg.Wait()
		got := c.run(`{ group(fullPath: "my-group") { externalAuditEventDestinations { nodes { headers { nodes { id key } } } } } }`, nil)
		if n := strings.Count(got, `"key"`); n != 20 {
			t.Errorf("got %d headers in %s, want 20", n, got)
		}
		got = c.run(`mutation { auditEventsStreamingHeadersCreate(input: { destinationId: "gid://gitlab/AuditEvents::ExternalAuditEventDestination/1", key: "h20", value: "v" }) { errors header { id } } }`, nil)
		if !strings.Contains(got, `more than 20 headers`) || !strings.Contains(got, `"header":null`) {
			t.Errorf("21 headers: got %s, want an error", got)
		}
	})
}

// TestPlaceChosenAtOnce: of several requests at once that want to go to the same
// place, one gets there.
func TestPlaceChosenAtOnce(t *testing.T) {
	simulate(t, func(t *testing.T, c *client) {
		at := func(address string) int {
			return strings.Count(c.run(`{ group(fullPath: "my-group") { externalAuditEventDestinations { nodes { destinationUrl } } } }`, nil), `"`+address+`"`)
		}
		many := func(query func(i int) string) {
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() { c.run(query(i), nil) })
			}
			wg.Wait()
		}
		many(func(int) string {
			return `mutation { externalAuditEventDestinationCreate(input: { destinationUrl: "https://siem.example/same", groupPath: "my-group" }) { errors } }`
		})
		if n := at("https://siem.example/same"); n != 1 {
			t.Errorf("created: got %d destinations, want 1", n)
		}
		var ids []string
		for i := range 20 {
			got := c.run(fmt.Sprintf(`mutation { groupAuditEventStreamingDestinationsCreate(input: { groupPath: "my-group", category: "http", config: { url: "https://siem.example/%d" } }) { externalAuditEventDestination { id } } }`, i), nil)
			_, id, _ := strings.Cut(got, "ExternalStreamingDestination/")
			id, _, _ = strings.Cut(id, `"`)
			ids = append(ids, id)
		}
		many(func(i int) string {
			if i%2 == 0 {
				return `mutation { externalAuditEventDestinationUpdate(input: { id: "gid://gitlab/AuditEvents::ExternalAuditEventDestination/` + ids[i] + `", destinationUrl: "https://siem.example/other" }) { errors } }`
			}
			return `mutation { groupAuditEventStreamingDestinationsUpdate(input: { id: "gid://gitlab/AuditEvents::Group::ExternalStreamingDestination/` + ids[i] + `", config: { url: "https://siem.example/other" } }) { errors } }`
		})
		if n := at("https://siem.example/other"); n != 1 {
			t.Errorf("changed: got %d destinations, want 1", n)
		}
	})
}
