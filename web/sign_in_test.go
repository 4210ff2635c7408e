package web_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/store"
	"github.com/sluicelog/sluice/web"
)

func TestSignInAndOut(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		b.follows(b.do("GET", "/-/", nil), "/-/sign_in")
		b.follows(b.do("HEAD", "/-/account/tokens?x=1&y=%2F", nil), "/-/sign_in?next=%2F-%2Faccount%2Ftokens%3Fx%3D1%26y%3D%252F")
		b.get(200, "/-/sign_in?next=%2F-%2Faccount%2Ftokens%3Fx%3D1%26y%3D%252F", `name="next" value="/-/account/tokens?x=1&amp;y=%2F"`)
		b.follows(b.do("POST", "/-/sign_in", values("name", " JANE ", "password", password, "next", "/-/account/tokens?x=1&y=%2F")), "/-/account/tokens?x=1&y=%2F")
		if p, err := b.session(); err != nil || p.Name != "jane" {
			t.Fatalf("got %+v with error %v, want jane", p, err)
		}
		b.follows(b.do("GET", "/-/sign_in?next=/-/account/password", nil), "/-/account/password")
		left := b.cookies["sluice"]
		b.follows(b.do("POST", "/-/sign_out", url.Values{}), "/-/sign_in?notice=signed_out")
		b.get(200, "/-/sign_in?notice=signed_out", "You are signed out.")
		if len(b.cookies) != 0 {
			t.Errorf("got cookies %v after signing out, want none", b.cookies)
		}
		b.cookies[left.Name] = left
		b.follows(b.do("GET", "/-/", nil), "/-/sign_in")
		b.follows(b.do("POST", "/-/sign_out", url.Values{}), "/-/sign_in?notice=signed_out")
		b.follows(b.do("POST", "/-/account/tokens", values("name", "x")), "/-/sign_in?next=%2F-%2Faccount%2Ftokens&notice=session_ended")
		b.get(200, "/-/sign_in?next=%2F-%2Faccount%2Ftokens&notice=session_ended", "was not done")
		synctest.Wait()
		for _, e := range b.Events("audit", "user.sign_") {
			if e.AuthorName != "jane" || e.EventType == "user.sign_in" && !strings.Contains(string(e.Raw), `"ip_address":"127.0.0.1"`) {
				t.Errorf("got event %s, want one of jane with the address", e.Raw)
			}
		}
	})
}

func TestWrongPassword(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		pages := map[string]string{}
		for _, name := range []string{"jane", "nobody"} {
			p := b.post(422, "/-/sign_in", values("name", name, "password", "a wrong password", "next", "/-/account/password"),
				"The name or the password is wrong.", `value="/-/account/password"`, `value="`+name+`"`)
			pages[name] = strings.ReplaceAll(p.html, name, "NAME")
		}
		if pages["jane"] != pages["nobody"] {
			t.Errorf("the answers for a name and for none differ:\n%s\n%s", pages["jane"], pages["nobody"])
		}
		for range 3 { // five from this address
			b.post(422, "/-/sign_in", values("name", "jane", "password", "a wrong password"))
		}
		b.post(429, "/-/sign_in", values("name", "jane", "password", password), "Signing in failed too often.", "Try again in a second.")
		time.Sleep(time.Second)
		b.post(422, "/-/sign_in", values("name", "jane", "password", "a wrong password"))
		late := b.post(429, "/-/sign_in", values("name", "jane", "password", password), "Try again in 2 seconds.")
		if got := late.Header().Get("Retry-After"); got != "2" {
			t.Errorf("got Retry-After %q, want 2", got)
		}
		time.Sleep(2 * time.Second)
		b.signIn("jane")
	})
}

// Whoever knows the cookie that a browser had before does not know the session
// that begins, and the one before it ends.
func TestNoFixation(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		planted := &http.Cookie{Name: "sluice", Value: strings.Repeat("A", 43)}
		b.cookies["sluice"] = planted
		b.signIn("jane")
		first := b.cookies["sluice"]
		if first.Value == planted.Value || len(first.Value) != 43 {
			t.Errorf("got the cookie %q, want a new one", first.Value)
		}
		b.signIn("mona")
		if b.cookies["sluice"].Value == first.Value {
			t.Error("two sessions have one cookie")
		}
		if _, err := b.Service.Session(t.Context(), first.Value); codeOf(err) != sluice.Unauthorized {
			t.Errorf("the session before: got error %v, want that it has ended", err)
		}
		second := b.cookies["sluice"]
		b.post(422, "/-/sign_in", values("name", "jane", "password", "a wrong password"))
		if _, err := b.Service.Session(t.Context(), second.Value); err != nil {
			t.Errorf("a failed try ended the session: %v", err)
		}
	})
}

func codeOf(err error) sluice.Code {
	if e, ok := errors.AsType[*sluice.Error](err); ok {
		return e.Code
	}
	return ""
}

func TestCookies(t *testing.T) {
	origin := func(text string) web.Origin {
		o, err := web.ParseOrigin(text)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	for _, c := range []struct {
		name    string
		cfg     web.Config
		host    string
		tls     bool
		secure  bool
		exposed bool
	}{
		{"own machine", web.Config{}, "127.0.0.1:8080", false, false, false},
		{"own machine by name", web.Config{}, "localhost:8080", false, false, false},
		{"own machine, IPv6", web.Config{}, "[::1]:8080", false, false, false},
		{"another machine", web.Config{}, "sluice.lan:8080", false, false, true},
		{"another machine by address", web.Config{}, "192.0.2.1", false, false, true},
		{"TLS", web.Config{}, "sluice.lan", true, true, false},
		{"TLS in front", web.Config{External: origin("https://sluice.example.com")}, "10.0.0.1:8080", false, true, false},
		{"no TLS in front", web.Config{External: origin("http://sluice.lan")}, "sluice.lan", false, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, c.cfg, func(t *testing.T, b *browser) {
				b.host, b.tls = c.host, c.tls
				if p := b.get(200, "/-/sign_in"); strings.Contains(p.html, "This connection is not encrypted") != c.exposed {
					t.Errorf("got %s, want a warning: %t", p.html, c.exposed)
				}
				p := b.do("POST", "/-/sign_in", values("name", "jane", "password", password))
				got := p.Header().Get("Set-Cookie")
				name, attributes := "sluice", "; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax"
				if c.secure {
					name, attributes = "__Host-sluice", "; Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Lax"
				}
				if !strings.HasPrefix(got, name+"=") || !strings.HasSuffix(got, attributes) || strings.Contains(got, "Domain") {
					t.Errorf("got %q, want %s=...%s", got, name, attributes)
				}
				b.get(200, "/-/")
				other := map[string]string{"sluice": "__Host-sluice", "__Host-sluice": "sluice"}[name]
				b.cookies = map[string]*http.Cookie{other: {Name: other, Value: b.cookies[name].Value}}
				b.follows(b.do("GET", "/-/", nil), "/-/sign_in") // a cookie of the other name is nobody's
			})
		})
	}
}

func TestSessionsEnd(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		time.Sleep(control.SessionIdle - time.Second)
		b.get(200, "/-/")
		time.Sleep(control.SessionIdle)
		b.follows(b.do("GET", "/-/account/password", nil), "/-/sign_in?next=%2F-%2Faccount%2Fpassword")
		b.signIn("jane")
		yes := true
		if _, err := b.Service.UpdateUser(t.Context(), b.Admin, "jane", control.UserPatch{Disabled: &yes}); err != nil {
			t.Fatal(err)
		}
		b.follows(b.do("GET", "/-/", nil), "/-/sign_in")
		b.post(422, "/-/sign_in", values("name", "jane", "password", password), "The name or the password is wrong.")
	})
}

func TestClientAddresses(t *testing.T) {
	cfg := web.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	simulate(t, cfg, func(t *testing.T, b *browser) {
		try := func(remote, forwarded string, status int) {
			t.Helper()
			b.remote = remote
			p := b.do("POST", "/-/sign_in", values("name", fmt.Sprint("nobody", time.Now().UnixNano()), "password", "x"), "X-Forwarded-For", forwarded)
			b.want(p, status, remote+" for "+forwarded)
			time.Sleep(time.Microsecond) // another name each time
		}
		for i := range 5 {
			try("10.0.0.1:1000", fmt.Sprintf("198.51.100.%d, 203.0.113.5", i), 422)
		}
		try("10.0.0.1:1000", "198.51.100.77, 203.0.113.5", 429) // what the client writes in front gains nothing
		try("10.0.0.2:1000", "203.0.113.5, 10.0.0.1", 429)      // a second proxy
		try("203.0.113.5:1000", "198.51.100.78", 429)           // the same without a proxy
		try("10.0.0.1:1000", "203.0.113.6", 422)
		try("192.0.2.1:1000", "203.0.113.5", 422) // not a proxy of ours: its own address counts
	})
}

func TestFirstUser(t *testing.T) {
	simulateEmpty(t, web.Config{}, nil, func(t *testing.T, b *browser) {
		b.follows(b.do("GET", "/-/", nil), "/-/sign_in")
		b.follows(b.do("GET", "/-/sign_in", nil), "/-/first_user")
		b.get(200, "/-/first_user", "Welcome to Sluice", "Administrator's token")
		producer, err := b.Service.CreateToken(t.Context(), b.Admin, control.TokenSpec{Namespace: "acme"})
		if err != nil {
			t.Fatal(err)
		}
		form := func(token, name, password, again string) url.Values {
			return values("token", token, "name", name, "new_password", password, "repeated_password", again)
		}
		for _, c := range []struct {
			name, text string
			form       url.Values
		}{
			{"no token", "This is not the administrator", form("", "mona", password, password)},
			{"a wrong token", "This is not the administrator", form("wrong", "mona", password, password)},
			{"a producer's token", "This is not the administrator", form(producer.Text, "mona", password, password)},
			{"no password", "Enter a new password.", form(b.AdminToken, "mona", "", "")},
			{"two passwords", "differ", form(b.AdminToken, "mona", password, password+"x")},
			{"a short password", "12 to 256 characters", form(b.AdminToken, "mona", "short", "short")},
			{"a wrong name", "Name must have 1 to 64", form(b.AdminToken, "mona lisa", password, password)},
		} {
			b.post(422, "/-/first_user", c.form, c.text)
			if b.Service.AnyUsers() || len(b.cookies) != 0 {
				t.Fatalf("%s: a user was made", c.name)
			}
		}
		b.follows(b.do("POST", "/-/first_user", form(" "+b.AdminToken+"\n", "mona", password, password)), "/-/")
		b.get(200, "/-/", "This installation")
		stranger := b.another()
		stranger.get(404, "/-/first_user")
		stranger.post(404, "/-/first_user", form(b.AdminToken, "joe", password, password))
		stranger.get(200, "/-/sign_in", "Sign in to Sluice")
	})
}

// Where the user is made and the session is not, the person can sign in.
func TestFirstUserIsNotSignedIn(t *testing.T) {
	simulateEmpty(t, web.Config{}, nil, func(t *testing.T, b *browser) {
		synctest.Wait()
		b.Store.SetBefore(func(c store.Change) error {
			if strings.HasPrefix(c.Key, "session/") {
				return errors.New("broken")
			}
			return nil
		})
		b.follows(b.do("POST", "/-/first_user", values("token", b.AdminToken, "name", "mona", "new_password", password, "repeated_password", password)), "/-/sign_in")
		b.Store.SetBefore(nil)
		b.signIn("mona")
	})
}

// A server that cannot store the session says so, and nobody is signed in.
func TestSignInFails(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		synctest.Wait()
		b.Store.SetBefore(func(store.Change) error { return store.ErrFull })
		b.post(507, "/-/sign_in", values("name", "jane", "password", password))
		b.Store.SetBefore(func(store.Change) error { return errors.New("broken") })
		b.post(500, "/-/sign_in", values("name", "jane", "password", password))
		b.Store.SetBefore(nil)
		if len(b.cookies) != 0 {
			t.Errorf("got cookies %v, want none", b.cookies)
		}
		b.signIn("jane")
	})
}
