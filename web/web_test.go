package web_test

import (
	"compress/gzip"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/store"
	"github.com/sluicelog/sluice/web"
)

const password = "correct horse battery"

// browser asks a site for pages as a browser does, without a network. Every page
// is checked as HTML, and for secrets.
type browser struct {
	*controltest.World
	t       *testing.T
	site    *web.Site
	host    string
	remote  string // address and port
	tls     bool
	cookies map[string]*http.Cookie
	secrets []string      // that no page may hold
	sent    *atomic.Int64 // events
	// unjudged: pages are not kept for the validator.
	unjudged bool
}

// simulate runs f against a site in simulated time, with a user jane, an owner of
// acme and an auditor of umbra, and mona, an administrator.
func simulate(t *testing.T, cfg web.Config, f func(t *testing.T, b *browser)) {
	t.Helper()
	simulateWith(t, cfg, nil, f)
}

// simulateWith is simulate with a service that was configured.
func simulateWith(t *testing.T, cfg web.Config, configure func(*control.Config), f func(t *testing.T, b *browser)) {
	t.Helper()
	simulateEmpty(t, cfg, configure, func(t *testing.T, b *browser) {
		for name, administrator := range map[string]bool{"jane": false, "mona": true} {
			if _, err := b.Service.CreateUser(t.Context(), b.Admin, control.UserSpec{Name: name, Password: password, Administrator: administrator}); err != nil {
				t.Fatal(err)
			}
		}
		for namespace, role := range map[string]control.Role{"acme": control.Owner, "Umbra": control.Auditor} {
			if _, err := b.Service.SetMember(t.Context(), b.Admin, control.MemberSpec{Namespace: namespace, User: "jane", Role: role}); err != nil {
				t.Fatal(err)
			}
		}
		f(t, b)
	})
}

// simulateEmpty runs f against a site without users.
func simulateEmpty(t *testing.T, cfg web.Config, configure func(*control.Config), f func(t *testing.T, b *browser)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := controltest.New(t, configure)
		cfg.Service, cfg.Logger = w.Service, w.Logger()
		b := &browser{World: w, t: t, site: web.New(cfg), secrets: []string{password, w.AdminToken}, sent: new(atomic.Int64)}
		f(t, b.another())
		synctest.Wait()
		for _, text := range append(b.secrets, "slc_") {
			if strings.Contains(w.Logs(), text) {
				t.Errorf("the log holds the secret %s", text)
			}
		}
		w.Stop()
	})
}

// another returns a browser of the same site that knows nothing.
func (b *browser) another() *browser {
	return &browser{World: b.World, t: b.t, site: b.site, host: "127.0.0.1:8080", remote: "127.0.0.1:50000",
		cookies: map[string]*http.Cookie{}, secrets: slices.Clone(b.secrets), sent: b.sent}
}

// page is an answer.
type page struct {
	*httptest.ResponseRecorder
	html string
}

// do sends a request with headers by name and value in turn.
func (b *browser) do(method, target string, form url.Values, headers ...string) page {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequestWithContext(b.t.Context(), method, target, body)
	r.Host, r.RemoteAddr = b.host, b.remote
	if b.tls {
		r.TLS = &tls.ConnectionState{}
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	b.site.ServeHTTP(rec, r)
	return b.received(r, rec)
}

// received keeps cookies and checks what every page owes its readers.
func (b *browser) received(r *http.Request, rec *httptest.ResponseRecorder) page {
	b.t.Helper()
	for _, c := range rec.Result().Cookies() {
		b.cookies[c.Name] = c
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	text := rec.Body.String()
	if rec.Header().Get("Content-Encoding") == "gzip" && text != "" {
		text = unpack(b.t, text)
	}
	what := fmt.Sprintf("%s %s, status %d", r.Method, r.URL.Path, rec.Code)
	if strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") && text != "" && rec.Code != http.StatusSeeOther {
		checkHTML(b.t, what, text)
		if !b.unjudged {
			keepPage(b.t, what, text)
		}
	}
	secrets := b.secrets
	for _, c := range b.cookies {
		secrets = append(secrets, c.Value)
	}
	for _, s := range secrets {
		if strings.Contains(text, s) || strings.Contains(rec.Header().Get("Location"), s) {
			b.t.Errorf("%s: the answer holds the secret %s", what, s)
		}
	}
	return page{rec, text}
}

func unpack(t *testing.T, text string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

// get wants a page with a status that holds texts.
func (b *browser) get(status int, target string, texts ...string) page {
	b.t.Helper()
	return b.want(b.do("GET", target, nil), status, "GET "+target, texts...)
}

// post sends a form and wants a page.
func (b *browser) post(status int, target string, form url.Values, texts ...string) page {
	b.t.Helper()
	return b.want(b.do("POST", target, form), status, "POST "+target, texts...)
}

func (b *browser) want(p page, status int, what string, texts ...string) page {
	b.t.Helper()
	if p.Code != status {
		b.t.Errorf("%s: got status %d with %.400s, want %d", what, p.Code, p.html, status)
	}
	for _, text := range texts {
		if !strings.Contains(p.html, text) {
			b.t.Errorf("%s: got no %q in %s", what, text, p.html)
		}
	}
	return p
}

// follows wants a redirect.
func (b *browser) follows(p page, location string) {
	b.t.Helper()
	if got := p.Header().Get("Location"); p.Code != http.StatusSeeOther || got != location {
		b.t.Errorf("got status %d to %q, want 303 to %q", p.Code, got, location)
	}
}

// values makes a form of names and values in turn.
func values(pairs ...string) url.Values {
	out := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		out.Add(pairs[i], pairs[i+1])
	}
	return out
}

// signIn signs a user in.
func (b *browser) signIn(name string) {
	b.t.Helper()
	b.follows(b.do("POST", "/-/sign_in", values("name", name, "password", password)), "/-/")
}

// session returns whose session the browser's cookie is.
func (b *browser) session() (control.Principal, error) {
	for _, c := range b.cookies {
		return b.Service.Session(b.t.Context(), c.Value)
	}
	return control.Principal{}, fmt.Errorf("no cookie")
}

func TestFrame(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		p := b.get(200, "/-/", "Enterprises and groups", "acme", "owner", "Umbra", "auditor", "jane")
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
			"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8",
		} {
			if got := p.Header().Get(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		if head := b.do("HEAD", "/-/", nil); head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") != p.Header().Get("Content-Length") {
			t.Errorf("HEAD: got status %d with %d bytes and %v, want the headers of GET", head.Code, head.Body.Len(), head.Header())
		}
		packed := b.do("GET", "/-/account/tokens", nil, "Accept-Encoding", "br, gzip;q=0.8")
		if packed.Header().Get("Content-Encoding") != "gzip" || packed.Header().Get("Vary") != "Accept-Encoding" || !strings.Contains(packed.html, "Add a token") {
			t.Errorf("packed: got %v and %.100s", packed.Header(), packed.html)
		}
		if p := b.do("GET", "/-/account/tokens", nil, "Accept-Encoding", "gzip;q=0, identity"); p.Header().Get("Content-Encoding") != "" {
			t.Error("a page is packed for one who does not want it")
		}
		b.get(200, "/-/?notice=token_revoked", "The token is revoked")
		if p := b.get(200, "/-/?notice=Call+0800-EVIL"); strings.Contains(p.html, "EVIL") {
			t.Errorf("got a notice of somebody else's words: %s", p.html)
		}
		b.follows(b.do("GET", "/-/account", nil), "/-/account/tokens")
		mona := b.another()
		mona.signIn("mona")
		mona.get(200, "/-/", "This installation")
	})
}

func TestWhatIsNotThere(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		for _, path := range []string{"/-/nothing", "/-/assets/x/none.css/", "/-/account/tokens/t1/revoke/more"} {
			b.get(404, path, "There is no such page")
		}
		for _, c := range []struct{ method, path, allow string }{
			{"GET", "/-/sign_out", "POST"}, {"PUT", "/-/sign_in", "GET, HEAD, POST"}, {"POST", "/-/", "GET, HEAD"}, {"DELETE", "/-/account/tokens", "GET, HEAD, POST"},
			{"OPTIONS", "/-/", "GET, HEAD"},
		} {
			p := b.want(b.do(c.method, c.path, nil), 405, c.method+" "+c.path)
			if got := p.Header().Get("Allow"); got != c.allow {
				t.Errorf("%s %s: got Allow %q, want %q", c.method, c.path, got, c.allow)
			}
		}
		b.post(413, "/-/sign_in", values("name", strings.Repeat("x", 30<<10)), "more than 8 KiB")
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/-/sign_in", strings.NewReader("name=%zz"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		rec := httptest.NewRecorder()
		b.site.ServeHTTP(rec, r)
		b.want(b.received(r, rec), 400, "a form that is none", "The form cannot be read.")
	})
}

func TestAssets(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		p := b.get(200, "/-/sign_in")
		for name, contentType := range map[string]string{"app.css": "text/css; charset=utf-8", "app.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
			at := strings.Index(p.html, "/-/assets/")
			version := p.html[at+len("/-/assets/"):]
			version, _, _ = strings.Cut(version, "/")
			path := "/-/assets/" + version + "/" + name
			if !strings.Contains(p.html, `"`+path+`"`) {
				t.Errorf("no page asks for %s", path)
			}
			plain := b.get(200, path)
			if plain.Header().Get("Content-Type") != contentType || plain.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" {
				t.Errorf("%s: got %v", path, plain.Header())
			}
			packed := b.do("GET", path, nil, "Accept-Encoding", "gzip")
			if packed.html != plain.html || packed.Body.Len() >= plain.Body.Len() {
				t.Errorf("%s: packed it is another text, or longer", path)
			}
			if old := b.get(200, "/-/assets/0123456789abcdef/"+name); old.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s of another version: got %v, want that it is not kept", name, old.Header())
			}
			b.want(b.do("POST", path, url.Values{}), 405, "POST "+path)
		}
		b.get(404, "/-/assets/0123456789abcdef/app.css.map")
	})
}

// Whatever is asked by a page of another site changes nothing.
func TestOtherSites(t *testing.T) {
	origin, err := web.ParseOrigin("https://sluice.example.com")
	if err != nil {
		t.Fatal(err)
	}
	simulate(t, web.Config{External: origin}, func(t *testing.T, b *browser) {
		b.host = "10.0.0.9:8080" // a proxy that does not pass on the host
		b.signIn("jane")
		for _, c := range []struct {
			name    string
			headers []string
			refused bool
		}{
			{"another site", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, true},
			{"a sibling", []string{"Sec-Fetch-Site", "same-site", "Origin", "https://other.example.com"}, true},
			{"an old browser at another site", []string{"Sec-Fetch-Site", "", "Origin", "https://evil.example"}, true},
			{"the same name without encryption", []string{"Sec-Fetch-Site", "", "Origin", "http://sluice.example.com"}, true},
			{"a page without an origin", []string{"Sec-Fetch-Site", "", "Origin", "null"}, true},
			{"an old browser at the external address", []string{"Sec-Fetch-Site", "", "Origin", "https://sluice.example.com"}, false},
			{"the page itself", []string{"Sec-Fetch-Site", "same-origin", "Origin", "https://sluice.example.com"}, false},
		} {
			p := b.do("POST", "/-/account/tokens", values("name", c.name, "scope", "none"), c.headers...)
			if c.refused {
				b.want(p, 403, c.name, "You may not do this", "page of another site", "external-url")
			} else {
				b.want(p, 422, c.name, "Scopes has an unknown scope")
			}
		}
		for _, path := range []string{"/-/sign_in", "/-/sign_out", "/-/first_user", "/-/account/password", "/-/account/tokens/t1/revoke", "/-/nothing"} {
			b.want(b.do("POST", path, values("x", "y"), "Sec-Fetch-Site", "cross-site"), 403, path)
		}
		if _, err := b.session(); err != nil {
			t.Errorf("the session was ended by another site: %v", err)
		}
	})
}

func TestServerFault(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		synctest.Wait()
		b.Store.SetBefore(func(store.Change) error { return errors.New("disk on fire") })
		p := b.post(500, "/-/account/tokens", values("name", "x", "scope", "api"), "Something went wrong here", "Reference: <code>")
		if strings.Contains(p.html, "fire") {
			t.Errorf("a page tells internals: %s", p.html)
		}
		_, reference, _ := strings.Cut(p.html, "Reference: <code>")
		reference, _, _ = strings.Cut(reference, "<")
		if !strings.Contains(b.Logs(), `"reference":"`+reference+`"`) {
			t.Errorf("the log has no entry with the reference %q", reference)
		}
		b.Store.SetBefore(nil)
	})
}

// deadlines is a connection that remembers the deadline for reading.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error { d.set = append(d.set, t); return nil }

// A form has to arrive in time; what is done with it may take longer.
func TestFormsHaveTime(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/-/sign_in", strings.NewReader("name=jane&password=x"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		b.site.ServeHTTP(d, r)
		if len(d.set) != 2 || !d.set[0].Equal(time.Now().Add(30*time.Second)) || !d.set[1].IsZero() {
			t.Errorf("got deadlines %v, want one in 30 seconds, and then none", d.set)
		}
	})
}
