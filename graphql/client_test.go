package graphql_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	gitlab "gitlab.com/gitlab-org/api/client-go"
)

// RoundTrip answers a request of GitLab's client.
func (c *client) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	c.api.ServeHTTP(rec, r)
	out := rec.Result()
	out.Request = r
	return out, nil
}

// free is a limiter that never waits.
type free struct{}

func (free) Wait(context.Context) error { return nil }

func (c *client) official(token string) *gitlab.Client {
	c.t.Helper()
	out, err := gitlab.NewClient(token, gitlab.WithBaseURL("https://sluice.example"), gitlab.WithoutRetries(),
		gitlab.WithHTTPClient(&http.Client{Transport: c}), gitlab.WithCustomLimiter(free{}))
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// TestOfficialClient sends queries with variables through GitLab's own client.
func TestOfficialClient(t *testing.T) {
	simulate(t, func(t *testing.T, c *client) {
		var made struct {
			Data struct {
				GroupAuditEventStreamingDestinationsCreate struct {
					Errors                        []string
					ExternalAuditEventDestination struct{ ID, Name, SecretToken string }
				}
			}
		}
		create := gitlab.GraphQLQuery{
			Query: `mutation Create($in: GroupAuditEventStreamingDestinationsCreateInput!) {
				groupAuditEventStreamingDestinationsCreate(input: $in) { errors externalAuditEventDestination { id name secretToken } }
			}`,
			Variables: map[string]any{"in": map[string]any{"groupPath": "my-group", "category": "http", "name": "siem",
				"config": map[string]any{"url": "https://siem.example/ingest", "headers": map[string]any{"X-Key": map[string]any{"value": "v"}}}}},
		}
		if _, err := c.official(c.AdminToken).GraphQL.Do(create, &made); err != nil {
			t.Fatal(err)
		}
		got := made.Data.GroupAuditEventStreamingDestinationsCreate
		d := got.ExternalAuditEventDestination
		if len(got.Errors) != 0 || d.ID != "gid://gitlab/AuditEvents::Group::ExternalStreamingDestination/1" || d.Name != "siem" || len(d.SecretToken) != 24 {
			t.Errorf("got %+v, want the destination", got)
		}
		_, err := c.official("not-a-token").GraphQL.Do(create, &made)
		if e, ok := errors.AsType[*gitlab.GraphQLResponseError](err); !ok || !strings.Contains(e.Error(), "Invalid token") {
			t.Errorf("wrong token: got error %v, want one of GraphQL", err)
		}
	})
}
