package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// person is somebody with a browser.
type person struct {
	t      *testing.T
	url    string
	client *http.Client
}

// newPerson returns one who does not follow redirects.
func newPerson(t *testing.T, s *running, transport http.RoundTripper) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &person{t: t, url: s.url, client: client}
}

// ask sends a request as a page of the origin does, and returns the status, where
// it redirects to, and the body.
func (p *person) ask(method, path, origin, contentType, body string) (int, string, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Origin", origin)
	req.Header.Set("Content-Type", contentType)
	resp, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(text)
}

// want asks and compares the status, and the redirect or a part of the body.
func (p *person) want(status int, part, method, path string, form url.Values) {
	p.t.Helper()
	code, location, text := p.ask(method, path, p.url, "application/x-www-form-urlencoded", form.Encode())
	if code != status || location != part && !strings.Contains(text, part) {
		p.t.Errorf("%s %s: got status %d to %q with %s, want %d and %q", method, path, code, location, text, status, part)
	}
}

// TestPages goes from the first start to a person who is signed in, in the pages
// and in both APIs that take the same cookie.
func TestPages(t *testing.T) {
	dir := t.TempDir()
	cert, key, pool := certificate(t, dir)
	for _, c := range []struct {
		name, cookie string
		args         []string
	}{
		{"plain", "sluice", nil},
		{"tls", "__Host-sluice", []string{"--tls-cert", cert, "--tls-key", key}},
	} {
		t.Run(c.name, func(t *testing.T) {
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
			defer transport.CloseIdleConnections()
			s := startServer(t, filepath.Join(dir, c.name), &http.Client{Transport: transport}, c.args...)
			if want := "Its pages are at " + s.url + "/-/\n"; !strings.Contains(s.output.String(), want) {
				t.Errorf("the server does not say %q", want)
			}
			mona := newPerson(t, s, transport)
			mona.want(302, "/-/", "GET", "/", nil)
			mona.want(302, "/-/", "HEAD", "/", nil)
			mona.want(404, `"not_found"`, "POST", "/", nil)
			mona.want(303, "/-/sign_in", "GET", "/-/", nil)
			mona.want(303, "/-/first_user", "GET", "/-/sign_in", nil)
			mona.want(303, "/-/", "POST", "/-/first_user", url.Values{"token": {adminToken}, "name": {"mona"},
				"new_password": {"correct horse battery"}, "repeated_password": {"correct horse battery"}})
			mona.want(200, "administrator", "GET", "/-/", nil)
			at, err := url.Parse(s.url)
			if err != nil {
				t.Fatal(err)
			}
			if cookies := mona.client.Jar.Cookies(at); len(cookies) != 1 || cookies[0].Name != c.cookie {
				t.Errorf("got cookies %v, want %s", cookies, c.cookie)
			}
			mona.surfaces()
			mona.want(303, "/-/sign_in?notice=signed_out", "POST", "/-/sign_out", url.Values{})
			mona.want(401, "a token is required", "GET", "/api/v1/me", nil)
		})
	}
}

// surfaces goes through the APIs that take the cookie, as our pages do and as
// those of another site.
func (p *person) surfaces() {
	p.t.Helper()
	const query = `{"query":"mutation { externalAuditEventDestinationCreate(input: { groupPath: \"acme\", destinationUrl: \"https://127.0.0.1:1/\" }) { errors } }"}`
	for _, c := range []struct {
		method, path, origin, body string
		status                     int
		part                       string
	}{
		{"GET", "/api/v1/me", "https://evil.example", "", 403, "of another site"},
		{"GET", "/api/v1/me", p.url, "", 200, `"name":"mona"`},
		{"POST", "/api/v1/tokens", "https://evil.example", `{"namespace":"acme"}`, 403, "of another site"},
		{"POST", "/api/v1/tokens", p.url, `{"namespace":"acme"}`, 201, `"token":"slc_`},
		{"POST", "/api/graphql", "https://evil.example", query, 403, "of another site"},
		{"POST", "/api/graphql", p.url, query, 200, `"errors":[]`},
		{"POST", "/-/sign_out", "https://evil.example", "", 403, "of another site"},
		{"GET", "/metrics", p.url, "", 200, `sluice_signins_total{outcome="success"} 1`},
	} {
		status, _, text := p.ask(c.method, c.path, c.origin, "application/json", c.body)
		if status != c.status || !strings.Contains(text, c.part) {
			p.t.Errorf("%s %s from %s: got status %d with %s, want %d with %s", c.method, c.path, c.origin, status, text, c.status, c.part)
		}
	}
}

// With TLS in front the cookie is for encrypted connections, and the address that
// people see is one that forms may come from.
func TestPagesBehindProxy(t *testing.T) {
	s := startServer(t, filepath.Join(t.TempDir(), "data"), http.DefaultClient, "--external-url", "https://sluice.example.com", "--trusted-proxy", "127.0.0.0/8")
	if want := "Its pages are at https://sluice.example.com/-/\n"; !strings.Contains(s.output.String(), want) {
		t.Errorf("the server does not say %q", want)
	}
	form := url.Values{"token": {adminToken}, "name": {"mona"}, "new_password": {"correct horse battery"}, "repeated_password": {"correct horse battery"}}.Encode()
	mona := newPerson(t, s, http.DefaultTransport)
	if status, _, text := mona.ask("POST", "/-/first_user", "https://evil.example", "application/x-www-form-urlencoded", form); status != 403 {
		t.Errorf("from another site: got status %d with %s, want 403", status, text)
	}
	if status, _, text := mona.ask("POST", "/-/first_user", "https://sluice.example.com", "application/x-www-form-urlencoded", form); status != 303 {
		t.Errorf("from the external address: got status %d with %s, want 303", status, text)
	}
	at, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	at.Scheme = "https"
	if got := mona.client.Jar.Cookies(at); len(got) != 1 || got[0].Name != "__Host-sluice" {
		t.Errorf("got cookies %v for an encrypted connection, want that of the session", got)
	}
	if code := s.call("POST", "/api/v1/namespaces", `{"path":"acme"}`, nil); code != http.StatusCreated {
		t.Fatalf("declare acme: got status %d", code)
	}
	for _, path := range []string{"/api/v3/enterprises/acme/audit-log", "/api/v4/audit_events"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+adminToken)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("Link"); !strings.HasPrefix(got, "<https://sluice.example.com"+path+"?") {
			t.Errorf("%s: got status %d and links %q, want the external address", path, res.StatusCode, got)
		}
	}
}
