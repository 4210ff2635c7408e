package rest_test

import (
	"context"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// FuzzRequest sends requests as they come to an API with a stream and events. No
// request may panic or answer 500.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][2]string{
		{"POST /api/v1/streams", stream},
		{"POST /api/v1/streams/check", stream},
		{"POST /api/v1/streams/preview", `{"namespace":"acme","filter":{"event_types":["a"],"namespaces":["acme/web"]}}`},
		{"GET /api/v1/streams?namespace=acme", ""},
		{"PATCH /api/v1/streams/1", `{"config":{"host":null,"headers":[{"name":"A","value":"b","active":false}]},"filter":{"event_types":["a"]},"until":"2199-01-01T00:00:00Z","version":1}`},
		{"DELETE /api/v1/streams/1", ""},
		{"POST /api/v1/streams/1/check", ""},
		{"POST /api/v1/streams/1/pause", "{}"},
		{"GET /api/v1/streams/1/attempts?limit=5", ""},
		{"GET /api/v1/streams/1/activity?minutes=5", ""},
		{"GET /api/v1/streams/1/lag?hours=5", ""},
		{"GET /api/v1/streams/1/quarantine?limit=1", ""},
		{"POST /api/v1/streams/1/quarantine/redeliver", `{"events":[{"partition":"audit","seq":1}]}`},
		{"POST /api/v1/streams/1/quarantine/drop", `{"all":true}`},
		{"POST /api/v1/tokens", `{"kind":"personal","user":"jane","scopes":["api"],"expires_at":"2199-01-01T00:00:00Z"}`},
		{"POST /api/v1/tokens", `{"namespace":"acme","rate_limit":5,"token":"a-token-of-20-letters"}`},
		{"DELETE /api/v1/tokens/t1", ""},
		{"POST /api/v1/users", `{"name":"joe","password":"correct horse battery","administrator":true}`},
		{"PATCH /api/v1/users/jane", `{"disabled":true,"password":""}`},
		{"POST /api/v1/members", `{"namespace":"acme","user":"jane","role":"owner"}`},
		{"DELETE /api/v1/members?namespace=acme&user=jane", ""},
		{"POST /api/v1/namespaces", `{"path":"acme/web","kind":"project"}`},
		{"GET /api/v1/counts?namespace=acme&hours=5&by=namespace", ""},
		{"GET /api/v1/events?phrase=actor%3Aa+created%3A%3E2026-01-01&limit=5&order=asc&class=git", ""},
		{"GET /api/v1/events?after=AAAA", ""},
		{"GET /api/v1/events/counts?by=type&class=audit", ""},
		{"GET /api/v1/events/export?format=csv&from=2026-01-01&to=2026-01-02&compression=gzip", ""},
		{"GET /api/v1/events/live?phrase=a", ""},
		{"PUT /api/v1/notices", `{"namespace":"acme","addresses":[{"kind":"email","to":"a@example.com"}]}`},
		{"POST /api/v1/secrets/rotate", ""},
		{"GET /metrics", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, line, body string) {
		method, target, ok := strings.Cut(line, " ")
		u, err := url.ParseRequestURI(target)
		if !ok || err != nil || u.Host != "" || !token(method) {
			return
		}
		searching(t, func(t *testing.T, c *client) {
			c.prepareFuzz()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a live reader goes on
			defer cancel()
			r := httptest.NewRequestWithContext(ctx, method, "/", strings.NewReader(body))
			r.URL, r.RequestURI = u, target
			r.Header.Set("Authorization", "Bearer "+c.token)
			rec := httptest.NewRecorder()
			c.api.ServeHTTP(rec, r)
			if rec.Code == 500 {
				t.Errorf("%q with %q: got 500 with %s", line, body, rec.Body)
			}
		})
	})
}

func token(method string) bool {
	return method != "" && strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

func (c *client) prepareFuzz() {
	c.want(201, "POST", "/api/v1/streams", stream)
	c.want(201, "POST", "/api/v1/users", `{"name":"jane","password":"correct horse battery"}`)
	c.Post("acme/web", "user.add", 2)
	synctest.Wait()
}
