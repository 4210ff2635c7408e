package graphql_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/graphql"
	"github.com/sluicelog/sluice/secret"
)

const password secret.Text = "correct horse battery"

// people makes users with roles, and returns a token of each by name.
func (c *client) people() map[string]string {
	c.t.Helper()
	out := map[string]string{"administrator": c.AdminToken, "nobody": ""}
	for _, u := range []struct {
		name, namespace string
		role            control.Role
		scope           string
	}{
		{"owner", "my-group", control.Owner, "api"},
		{"reader", "my-group", control.Owner, "read_api"},
		{"auditor", "my-group", control.Auditor, "api"},
		{"stranger", "other", control.Owner, "api"},
	} {
		if _, err := c.Service.CreateUser(c.t.Context(), c.Admin, control.UserSpec{Name: u.name, Password: password}); err != nil {
			c.t.Fatal(err)
		}
		if _, err := c.Service.SetMember(c.t.Context(), c.Admin, control.MemberSpec{Namespace: u.namespace, User: u.name, Role: u.role}); err != nil {
			c.t.Fatal(err)
		}
		made, err := c.Service.CreateToken(c.t.Context(), c.Admin, control.TokenSpec{Kind: control.KindPersonal, User: u.name, Scopes: []string{u.scope}})
		if err != nil {
			c.t.Fatal(err)
		}
		out[u.name] = made.Text
	}
	made, err := c.Service.CreateToken(c.t.Context(), c.Admin, control.TokenSpec{Namespace: "my-group"})
	if err != nil {
		c.t.Fatal(err)
	}
	out["producer"] = made.Text
	return out
}

// TestWhoSeesWhat compares what each person gets for what is there with what it
// gets for what is not.
func TestWhoSeesWhat(t *testing.T) {
	simulate(t, func(t *testing.T, c *client) {
		tokens := c.people()
		c.run(`mutation { groupAuditEventStreamingDestinationsCreate(input: { groupPath: "my-group", name: "a", category: "http", secretToken: "a-token-of-our-own", config: { url: "https://siem.example/?key=hidden", headers: { h: { value: "header-value" } } } }) { errors } }`, nil)
		c.run(`mutation { instanceAuditEventStreamingDestinationsCreate(input: { name: "b", category: "http", secretToken: "another-token-of-ours", config: { url: "https://siem.example/b" } }) { errors } }`, nil)
		const (
			lists = `{ group(fullPath: "my-group") { externalAuditEventStreamingDestinations { nodes { id secretToken config } } } auditEventsInstanceStreamingDestinations { nodes { id } } }`
			id    = `"gid://gitlab/AuditEvents::Group::ExternalStreamingDestination/`
		)
		full := `{"id":` + id + `1","secretToken":"a-token-of-our-own","config":{"headers":{"h":{"active":true,"value":"header-value"}},"url":"https://siem.example/?key=hidden"}}`
		masked := `{"id":` + id + `1","secretToken":"","config":{"headers":{"h":{"active":true,"value":"***"}},"url":"https://siem.example/?***"}}`
		see := func(group, instance string) string {
			return `{"data":{"group":` + group + `,"auditEventsInstanceStreamingDestinations":{"nodes":[` + instance + `]}}}`
		}
		of := func(node string) string {
			return `{"externalAuditEventStreamingDestinations":{"nodes":[` + node + `]}}`
		}
		for name, want := range map[string]string{
			"administrator": see(of(full), `{"id":"gid://gitlab/AuditEvents::Instance::ExternalStreamingDestination/2"}`),
			"owner":         see(of(full), ""),
			"reader":        see(of(full), ""),
			"auditor":       see(of(masked), ""),
			"stranger":      see("null", ""),
			"producer":      see("null", ""),
			"nobody":        see("null", ""),
		} {
			c.token = tokens[name]
			if got := c.run(lists, nil); got != want {
				t.Errorf("%s:\n got %s\nwant %s", name, got, want)
			}
		}
		update := `mutation { groupAuditEventStreamingDestinationsUpdate(input: { id: ` + id + `1", name: "c" }) { errors } }`
		create := `mutation { externalAuditEventDestinationCreate(input: { groupPath: "my-group", destinationUrl: "https://siem.example/c" }) { errors } }`
		filter := `mutation { auditEventsGroupDestinationNamespaceFilterCreate(input: { destinationId: ` + id + `1", namespacePath: "other" }) { errors } }`
		for _, name := range []string{"reader", "auditor", "stranger", "producer", "nobody"} {
			c.token = tokens[name]
			for _, query := range []string{update, create, filter, strings.Replace(update, "/1", "/77", 1), strings.Replace(create, "my-group", "no-such-group", 1)} {
				if got := c.run(query, nil); !strings.Contains(got, notFound) {
					t.Errorf("%s: %s: got %s, want not found", name, query, got)
				}
			}
		}
		for name, token := range tokens {
			if c.token = token; name == "administrator" {
				continue
			}
			got := c.run(`mutation { instanceExternalAuditEventDestinationCreate(input: { destinationUrl: "https://siem.example/c" }) { errors } }`, nil)
			if !strings.Contains(got, "You do not have access to this mutation.") {
				t.Errorf("%s: instance create: got %s, want no access", name, got)
			}
			got = c.run(`mutation { instanceAuditEventStreamingDestinationsUpdate(input: { id: "gid://gitlab/AuditEvents::Instance::ExternalStreamingDestination/2", active: false }) { errors } }`, nil)
			if !strings.Contains(got, notFound) {
				t.Errorf("%s: instance update: got %s, want not found", name, got)
			}
		}
		c.token = tokens["owner"]
		c.want(update, `{"data":{"groupAuditEventStreamingDestinationsUpdate":{"errors":[]}}}`)
	})
}

func TestSessions(t *testing.T) {
	simulate(t, func(t *testing.T, c *client) {
		c.people()
		in, err := c.Service.SignIn(t.Context(), "owner", password, netip.MustParseAddr("203.0.113.9"))
		if err != nil {
			t.Fatal(err)
		}
		c.api = graphql.New(graphql.Config{Service: c.Service, Session: func(r *http.Request) string {
			cookie, err := r.Cookie("session")
			if err != nil {
				return ""
			}
			return cookie.Value
		}})
		c.token = ""
		for _, tc := range []struct {
			name, cookie, site string
			status             int
			want               string
		}{
			{"own page", in.Cookie.Reveal(), "same-origin", 200, found},
			{"another site's page", in.Cookie.Reveal(), "cross-site", 403, `{"errors":[{"message":"a page of another site sent this request"}]}`},
			{"ended", "no-session", "same-origin", 401, `{"errors":[{"message":"Invalid token"}]}`},
			{"none", "", "cross-site", 200, nothing},
		} {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/graphql", strings.NewReader(group))
			r.Header.Set("Sec-Fetch-Site", tc.site)
			r.Header.Set("Content-Type", "application/json")
			if tc.cookie != "" {
				r.AddCookie(&http.Cookie{Name: "session", Value: tc.cookie, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
			}
			rec := c.do(r)
			if got := strings.TrimSpace(rec.Body.String()); rec.Code != tc.status || got != tc.want {
				t.Errorf("%s: got %d with %s, want %d with %s", tc.name, rec.Code, got, tc.status, tc.want)
			}
		}
	})
}
