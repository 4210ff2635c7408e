package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/rest"
)

// withSession has the API read the session from a header of the test's own.
func withSession(c *client) {
	c.serve(rest.Config{Session: func(r *http.Request) string { return r.Header.Get("Test-Session") }})
	c.token = ""
}

// ask sends a request with the given headers, by names and values in turn.
func (c *client) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(c.t.Context(), method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	c.handler.ServeHTTP(rec, r)
	return rec
}

func TestSessions(t *testing.T) {
	simulate(t, nil, func(t *testing.T, c *client) {
		if _, err := c.Service.CreateUser(t.Context(), c.Admin, control.UserSpec{Name: "jane", Password: "correct horse battery", Administrator: true}); err != nil {
			t.Fatal(err)
		}
		in, err := c.Service.SignIn(t.Context(), "jane", "correct horse battery", netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		cookie := in.Cookie.Reveal()
		withSession(c)
		const change = `{"namespace":"acme"}`
		for _, tc := range []struct {
			name, method, path, body string
			headers                  []string
			status                   int
		}{
			{"read", "GET", "/api/v1/me", "", nil, 200},
			{"read, by our page", "GET", "/api/v1/me", "", []string{"Sec-Fetch-Site", "same-origin"}, 200},
			{"read, as a typed address", "GET", "/api/v1/me", "", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}, 200},
			{"read, by another site", "GET", "/api/v1/me", "", []string{"Sec-Fetch-Site", "cross-site"}, 403},
			{"export, by a link of another site", "GET", "/api/v1/events/export", "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 403},
			{"export, by a link of a sibling site", "GET", "/api/v1/events/export", "", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate"}, 403},
			{"read with a token, by another site", "GET", "/api/v1/me", "", []string{"Sec-Fetch-Site", "cross-site", "Authorization", "Bearer " + c.AdminToken}, 200},
			{"change, without a browser", "POST", "/api/v1/tokens", change, nil, 201},
			{"change, by our page", "POST", "/api/v1/tokens", change, []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://example.com"}, 201},
			{"change, by another site", "POST", "/api/v1/tokens", change, []string{"Sec-Fetch-Site", "cross-site"}, 403},
			{"change, by a sibling site", "POST", "/api/v1/tokens", change, []string{"Sec-Fetch-Site", "same-site"}, 403},
			{"change, by another origin of an old browser", "POST", "/api/v1/tokens", change, []string{"Origin", "http://evil.example"}, 403},
			{"change, by a page without origin", "POST", "/api/v1/tokens", change, []string{"Origin", "null"}, 403},
			{"change with a token, by another origin", "POST", "/api/v1/tokens", change, []string{"Origin", "http://evil.example", "Authorization", "Bearer " + c.AdminToken}, 201},
			{"a wrong token beside a session", "GET", "/api/v1/me", "", []string{"Authorization", "Bearer none"}, 401},
			{"another scheme beside a session", "GET", "/api/v1/me", "", []string{"Authorization", "Basic none"}, 401},
			{"metrics", "GET", "/metrics", "", nil, 200},
		} {
			rec := c.ask(tc.method, tc.path, tc.body, append(tc.headers, "Test-Session", cookie)...)
			if rec.Code != tc.status {
				t.Errorf("%s: got status %d with %s, want %d", tc.name, rec.Code, rec.Body, tc.status)
			}
		}
		if rec := c.ask("GET", "/api/v1/me", ""); rec.Code != 401 {
			t.Errorf("without a session: got status %d, want 401", rec.Code)
		}
		metrics := c.ask("GET", "/metrics", "", "Test-Session", cookie).Body.String()
		for _, want := range []string{`sluice_signins_total{outcome="success"} 1`, `sluice_signins_total{outcome="delayed"} 0`, "sluice_sessions 1"} {
			if !strings.Contains(metrics, want+"\n") {
				t.Errorf("metrics: got none with %s", want)
			}
		}
		time.Sleep(control.SessionIdle)
		var out struct{ Error struct{ Code, Hint string } }
		rec := c.ask("GET", "/api/v1/me", "", "Test-Session", cookie)
		if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || rec.Code != 401 || out.Error.Hint != "sign in again" {
			t.Errorf("after 12 idle hours: got status %d with %s and error %v, want 401", rec.Code, rec.Body, err)
		}
	})
}

// What goes on for long goes on with a session, too, until that ends.
func TestLiveWithSession(t *testing.T) {
	searching(t, func(t *testing.T, c *client) {
		if _, err := c.Service.CreateUser(t.Context(), c.Admin, control.UserSpec{Name: "jane", Password: "correct horse battery", Administrator: true}); err != nil {
			t.Fatal(err)
		}
		in, err := c.Service.SignIn(t.Context(), "jane", "correct horse battery", netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		withSession(c)
		synctest.Wait()
		h, stop := c.connect()
		l := c.listen(h, "/api/v1/events/live?phrase=type:user.login", "Authorization", "", "Test-Session", in.Cookie.Reveal())
		post(c, "acme", "first")
		l.want("first")
		l.wantAfter(time.Minute, c, "later")
		if err := c.Service.SignOut(t.Context(), in.Cookie.Reveal()); err != nil {
			t.Fatal(err)
		}
		if m, more := l.next(); more {
			t.Errorf("after signing out: got %+v, want the end", m)
		}
		stop()
	})
}
