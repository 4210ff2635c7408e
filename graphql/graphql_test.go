package graphql_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/cloudlogging"
	"github.com/sluicelog/sluice/destination/s3"
	"github.com/sluicelog/sluice/destination/splunk"
	"github.com/sluicelog/sluice/destination/webhook"
	"github.com/sluicelog/sluice/graphql"
	"github.com/sluicelog/sluice/secret"
)

// client sends requests to an API without a network.
type client struct {
	*controltest.World
	t     *testing.T
	api   *graphql.API
	token string
}

// simulate runs f against an API in simulated time, with the kinds that GitLab
// has, and one more.
func simulate(t *testing.T, f func(t *testing.T, c *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f(t, newClient(t, w))
		w.Stop()
	})
}

func newClient(t *testing.T, w *controltest.World) *client {
	return &client{World: w, t: t, api: graphql.New(graphql.Config{Service: w.Service, Logger: w.Logger()}), token: w.AdminToken}
}

func newWorld(t *testing.T) *controltest.World {
	address := []netip.Addr{netip.MustParseAddr("203.0.114.7")}
	w := controltest.New(t, func(cfg *control.Config) {
		cfg.Kinds = append(cfg.Kinds, webhook.Kind{}, cloudlogging.New(), s3.Kind{}, splunk.New())
		cfg.Env.Dialer = destination.NewDialer(destination.DialerConfig{Resolver: destination.Hosts{
			"sink.example": address, "siem.example": address, "logging.googleapis.com": address,
			"oauth2.googleapis.com": address, "test-bucket.s3.us-east-1.amazonaws.com": address, "s3.us-east-1.amazonaws.com": address,
			"hec.example": address, "meta.example": {netip.MustParseAddr("169.254.169.254")},
		}})
	})
	for _, ns := range [][2]string{{"my-group", "group"}, {"my-group/sub", "group"}, {"my-group/sub/shop", "project"}, {"other", "group"}} {
		if _, err := w.Service.DeclareNamespace(t.Context(), w.Admin, ns[0], ns[1]); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// do sends a request and returns the answer.
func (c *client) do(r *http.Request) *httptest.ResponseRecorder {
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	rec := httptest.NewRecorder()
	c.api.ServeHTTP(rec, r)
	return rec
}

func (c *client) post(body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(c.t.Context(), "POST", "/api/graphql", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return c.do(r)
}

// run sends a query and returns the answer as compact JSON.
func (c *client) run(query string, variables map[string]any) string {
	c.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		c.t.Fatal(err)
	}
	rec := c.post(string(body))
	if rec.Code != http.StatusOK {
		c.t.Errorf("%.80s: got status %d with %s, want 200", query, rec.Code, rec.Body)
	}
	return strings.TrimSpace(rec.Body.String())
}

// want runs a query and compares the answer.
func (c *client) want(query, want string) {
	c.t.Helper()
	if got := c.run(query, nil); got != want {
		c.t.Errorf("%s:\n got %s\nwant %s", query, got, want)
	}
}

const (
	notFound = `The resource that you are attempting to access does not exist or you don't have permission to perform this action`
	group    = `{"query":"{ group(fullPath: \"my-group\") { name } }"}`
	found    = `{"data":{"group":{"name":"my-group"}}}`
	nothing  = `{"data":{"group":null}}`
)

func TestTransport(t *testing.T) {
	simulate(t, func(t *testing.T, c *client) {
		long, _ := json.Marshal("{ group(fullPath: \"" + strings.Repeat("x", 10_000) + "\") { name } }")
		get := "/api/graphql?query=" + url.QueryEscape(`{ group(fullPath: "my-group") { name } }`)
		mutation := "/api/graphql?query=" + url.QueryEscape(`mutation { externalAuditEventDestinationDestroy(input: {id: "gid://gitlab/AuditEvents::ExternalAuditEventDestination/1"}) { errors } }`)
		for _, tc := range []struct {
			name, method, url, header, value, body string
			status                                 int
			want                                   string
		}{
			{"bearer", "POST", "", "Authorization", "Bearer " + c.AdminToken, group, 200, found},
			{"private token", "POST", "", "PRIVATE-TOKEN", c.AdminToken, group, 200, found},
			{"private_token", "POST", "/api/graphql?private_token=" + c.AdminToken, "", "", group, 200, found},
			{"access_token", "POST", "/api/graphql?access_token=" + c.AdminToken, "", "", group, 200, found},
			{"nobody", "POST", "", "", "", group, 200, nothing},
			{"wrong token", "POST", "", "PRIVATE-TOKEN", "not-a-token", group, 401, `{"errors":[{"message":"Invalid token"}]}`},
			{"batch", "POST", "", "PRIVATE-TOKEN", c.AdminToken, "[" + group + "," + group + "]", 200, "[" + found + "," + found + "]"},
			{"empty batch", "POST", "", "PRIVATE-TOKEN", c.AdminToken, "[]", 400, `{"errors":[{"message":"an array must have 1 to 20 queries"}]}`},
			{"large batch", "POST", "", "PRIVATE-TOKEN", c.AdminToken, "[" + strings.Repeat(group+",", 20) + group + "]", 400, `{"errors":[{"message":"an array must have 1 to 20 queries"}]}`},
			{"get", "GET", get, "PRIVATE-TOKEN", c.AdminToken, "", 200, found},
			{"mutation by get", "GET", mutation, "PRIVATE-TOKEN", c.AdminToken, "", 422, `{"errors":[{"message":"Mutations are forbidden in GET requests"}]}`},
			{"put", "PUT", "", "PRIVATE-TOKEN", c.AdminToken, group, 405, `{"errors":[{"message":"use POST, or GET for queries"}]}`},
			{"long query", "POST", "", "PRIVATE-TOKEN", c.AdminToken, `{"query":` + string(long) + `}`, 422, `{"errors":[{"message":"Query too large"}]}`},
			{"large body", "POST", "", "PRIVATE-TOKEN", c.AdminToken, strings.Repeat(" ", 1<<20) + group, 413, `{"errors":[{"message":"the body has more than 1048576 bytes"}]}`},
			{"variables as text", "POST", "", "PRIVATE-TOKEN", c.AdminToken, `{"query":"query Q($p: ID!) { group(fullPath: $p) { name } }","operationName":"Q","variables":"{\"p\":\"My-Group\"}"}`, 200, found},
			{"no query", "POST", "", "PRIVATE-TOKEN", c.AdminToken, `{}`, 200, `{"errors":[{"message":"there is no query in the request"}]}`},
		} {
			if tc.url == "" {
				tc.url = "/api/graphql"
			}
			r := httptest.NewRequestWithContext(t.Context(), tc.method, tc.url, strings.NewReader(tc.body))
			if tc.header != "" {
				r.Header.Set(tc.header, tc.value)
			}
			c.token = ""
			rec := c.do(r)
			if got := strings.TrimSpace(rec.Body.String()); rec.Code != tc.status || got != tc.want {
				t.Errorf("%s: got %d with %.300s, want %d with %s", tc.name, rec.Code, got, tc.status, tc.want)
			}
		}
	})
}

func TestIntrospection(t *testing.T) {
	simulate(t, func(t *testing.T, c *client) {
		c.want(`{ __type(name: "GroupAuditEventStreamingDestination") { kind interfaces { name } } }`,
			`{"data":{"__type":{"kind":"OBJECT","interfaces":[{"name":"AuditEventStreamingDestinationInterface"}]}}}`)
		query, err := os.ReadFile("testdata/introspection.graphql") // as clients send it
		if err != nil {
			t.Fatal(err)
		}
		got := c.run(string(query), nil)
		schema, err := os.ReadFile("schema.graphql")
		if err != nil {
			t.Fatal(err)
		}
		many, err := json.Marshal(map[string]string{"query": string(query)})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.post("[" + strings.Repeat(string(many)+",", 9) + string(many) + "]").Body.String(); !strings.Contains(got, "asks for too much") {
			t.Errorf("10 introspections at once: got %.200s, want an error", got)
		}
		for line := range strings.Lines(string(schema)) {
			if kind, rest, _ := strings.Cut(line, " "); kind == "type" || kind == "input" || kind == "interface" || kind == "scalar" {
				if name := strings.Fields(rest)[0]; !strings.Contains(got, `"name":"`+name+`"`) {
					t.Errorf("introspection: got no %s %s", kind, name)
				}
			}
		}
	})
}

func TestTooMuch(t *testing.T) {
	simulate(t, func(t *testing.T, c *client) {
		deep := strings.Repeat("descendantGroups { nodes { ", 12) + "name" + strings.Repeat(" } }", 12)
		var wide strings.Builder
		for i := range 150 {
			fmt.Fprintf(&wide, "a%d: auditEventDefinitions { nodes { name } } ", i)
		}
		for name, query := range map[string]string{
			"depth":    `{ group(fullPath: "my-group") { ` + deep + ` } }`,
			"width":    `{ ` + wide.String() + ` }`,
			"fragment": `query { group(fullPath: "my-group") { ...a } } fragment a on Group { ...b ...b ...b ...b } fragment b on Group { ...c ...c ...c ...c } fragment c on Group { ...d ...d ...d ...d } fragment d on Group { ...e ...e ...e ...e } fragment e on Group { ...f ...f ...f ...f } fragment f on Group { name }`,
			"cycle":    `query { group(fullPath: "my-group") { ...a } } fragment a on Group { ...b } fragment b on Group { ...a }`,
		} {
			if got := c.run(query, nil); !strings.Contains(got, `"errors"`) {
				t.Errorf("%s: got %.200s, want an error", name, got)
			}
		}
	})
}

// However often a request asks for the streams of a group, they are read once, and
// lists within lists end at the budget.
func TestListsWithinLists(t *testing.T) {
	simulate(t, func(t *testing.T, c *client) {
		for i := range 60 {
			c.run(fmt.Sprintf(`mutation { externalAuditEventDestinationCreate(input: { destinationUrl: "https://siem.example/%d", groupPath: "my-group" }) { errors } }`, i), nil)
		}
		list := func(inner string) string {
			return `{ group(fullPath: "my-group") { externalAuditEventDestinations { nodes { id ` + inner + ` } } } }`
		}
		within := func(inner string) string {
			return `group { externalAuditEventDestinations { nodes { id ` + inner + ` } } }`
		}
		if got := c.run(list(within("")), nil); strings.Contains(got, `"errors"`) || strings.Count(got, `"id"`) != 60+60*60 {
			t.Errorf("two levels: got %d ids and %.200s, want all", strings.Count(got, `"id"`), got)
		}
		if got := c.run(list(within(within(""))), nil); !strings.Contains(got, "asks for too much") || len(got) > 8<<20 {
			t.Errorf("three levels: got %d bytes, want an error", len(got))
		}
		var many strings.Builder
		for i := range 100 {
			fmt.Fprintf(&many, `a%d: group(fullPath: "my-group") { externalAuditEventDestinations(first: 1) { nodes { id } } } `, i)
		}
		if got := c.run("{ "+many.String()+" }", nil); strings.Contains(got, `"errors"`) {
			t.Errorf("a hundred times: got %.200s, want answers", got)
		}
		got := c.run(`mutation { a: externalAuditEventDestinationDestroy(input: { id: "gid://gitlab/AuditEvents::ExternalAuditEventDestination/1" }) { errors } b: externalAuditEventDestinationCreate(input: { destinationUrl: "https://siem.example/0", groupPath: "my-group" }) { errors } }`, nil)
		if strings.Count(got, `"errors":[]`) != 2 {
			t.Errorf("the place of one that was deleted in the same request: got %s, want it free", got)
		}
	})
}

func secretTexts(name, value string) map[string]secret.Text {
	return map[string]secret.Text{name: secret.Text(value)}
}
