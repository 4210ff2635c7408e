package web_test

import (
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/web"
)

func TestChangePassword(t *testing.T) {
	const next = "another horse battery"
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		b.secrets = append(b.secrets, next, "a wrong password")
		b.signIn("jane")
		elsewhere := b.another()
		elsewhere.signIn("jane")
		b.get(200, "/-/account/password", "Current password", `autocomplete="username"`)
		for _, c := range []struct{ current, next, again, text string }{
			{"a wrong password", next, next, "The current password is wrong."},
			{password, "", "", "Enter a new password."},
			{password, next, next + "x", "differ"},
			{password, "short", "short", "12 to 256 characters"},
			{password, password, password, "The new password is the current one."},
		} {
			b.post(422, "/-/account/password", values("password", c.current, "new_password", c.next, "repeated_password", c.again), c.text)
		}
		cookie := b.cookies["sluice"].Value
		b.follows(b.do("POST", "/-/account/password", values("password", password, "new_password", next, "repeated_password", next)), "/-/account/password?notice=password_changed")
		b.get(200, "/-/account/password?notice=password_changed", "Your password is changed.")
		if b.cookies["sluice"].Value != cookie {
			t.Error("the session that changed the password is another one")
		}
		elsewhere.follows(elsewhere.do("GET", "/-/", nil), "/-/sign_in")
		elsewhere.post(422, "/-/sign_in", values("name", "jane", "password", password))
		elsewhere.follows(elsewhere.do("POST", "/-/sign_in", values("name", "jane", "password", next)), "/-/")
		b.remote = "192.0.2.50:1000" // which did nothing wrong yet
		for range 5 {
			b.post(422, "/-/account/password", values("password", "a wrong password", "new_password", next, "repeated_password", next))
		}
		b.post(429, "/-/account/password", values("password", next, "new_password", password, "repeated_password", password), "Try again in a second.")
	})
}

// field returns the value of a hidden field of a page.
func (p page) field(name string) string {
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(p.html)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

// shown returns the token that a page shows, "" for none.
func (p page) shown() string {
	m := regexp.MustCompile(`<code id="made-token">([^<]*)</code>`).FindStringSubmatch(p.html)
	if m == nil {
		return ""
	}
	return m[1]
}

func TestTokens(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		ctx := t.Context()
		b.signIn("jane")
		empty := b.get(200, "/-/account/tokens", "You have no tokens.", "<details class=\"disclose\" open>")
		last := time.Now().UTC().AddDate(0, 0, 30).Format(time.DateOnly)
		if !strings.Contains(empty.html, `value="`+last+`"`) {
			t.Errorf("the form does not propose %s", last)
		}
		form := values("once", empty.field("once"), "name", "laptop <1>", "scope", "read_api", "scope", "read:audit_log", "expires", last)
		made := b.post(200, "/-/account/tokens", form, "shown only this once", "laptop &lt;1&gt;", "never used", "works until the end of")
		text := made.shown()
		if made.Header().Get("Cache-Control") != "no-store" || len(text) != 47 {
			t.Fatalf("got %q with %v, want a token that nobody keeps", text, made.Header())
		}
		b.secrets = append(b.secrets, text)
		p, err := b.Service.Authenticate(ctx, text)
		if err != nil || p.Name != "jane" {
			t.Fatalf("got %+v with error %v, want jane", p, err)
		}
		me, err := b.Service.Me(ctx, p)
		end := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 31)
		if err != nil || !slices.Equal(me.Scopes, []string{"read:audit_log", "read_api"}) || !me.ExpiresAt.Equal(end) {
			t.Errorf("got %+v with error %v, want two scopes until %s", me, err, end)
		}
		b.follows(b.do("POST", "/-/account/tokens", form), "/-/account/tokens?notice=token_repeated")
		b.get(200, "/-/account/tokens?notice=token_repeated", "This form was sent before")
		if list, err := b.Service.Tokens(ctx, p); err != nil || len(list) != 1 {
			t.Errorf("after sending the form again: got %d tokens with error %v, want 1", len(list), err)
		}
		b.get(200, "/-/account/tokens", "last used")
		b.revoke(me.Token)
		if _, err := b.Service.Authenticate(ctx, text); codeOf(err) != sluice.Unauthorized {
			t.Errorf("after revoking: got error %v, want that it is not valid", err)
		}
	})
}

// revoke goes through the pages that revoke a token of jane.
func (b *browser) revoke(id string) {
	b.t.Helper()
	path := "/-/account/tokens/" + id + "/revoke"
	mona := b.another()
	mona.signIn("mona")
	mona.get(404, path)
	mona.post(404, path, values())
	b.get(200, path, "Revoke the token laptop &lt;1&gt;?", `action="`+path+`"`)
	b.follows(b.do("POST", path, values()), "/-/account/tokens?notice=token_revoked")
	b.get(200, "/-/account/tokens?notice=token_revoked", "The token is revoked.", "You have no tokens.")
	b.get(404, path)
	b.post(404, path, values())
	synctest.Wait()
	if got := len(b.Events("audit", "token.revoke")); got != 1 {
		b.t.Errorf("got %d events of revoked tokens, want 1", got)
	}
}

func TestTokenForm(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		page := b.get(200, "/-/account/tokens")
		for _, name := range control.ScopeNames() {
			if !strings.Contains(page.html, `value="`+name+`" aria-describedby`) {
				t.Errorf("the form lacks the scope %s", name)
			}
		}
		once := page.field("once")
		for _, c := range []struct{ name, scope, expires, text string }{
			{"x", "", "", "Choose at least one scope."},
			{"x", "king", "", "Scopes has an unknown scope."},
			{strings.Repeat("n", 300), "api", "", "Name must have at most 255 characters."},
			{"x", "api", "tomorrow", "The last day cannot be read."},
			{"x", "api", time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly), "The last day has passed."},
		} {
			form := values("once", once, "name", c.name, "expires", c.expires)
			if c.scope != "" {
				form.Add("scope", c.scope)
			}
			p := b.post(422, "/-/account/tokens", form, c.text, ` value="`+c.name+`"`)
			if c.scope == "api" && !strings.Contains(p.html, `value="api" checked`) {
				t.Errorf("%s: what was chosen is lost", c.text)
			}
			if p.field("once") == once {
				t.Error("a number is used for two forms")
			}
		}
		form := values("once", once, "name", "today", "scope", "api", "expires", time.Now().UTC().Format(time.DateOnly))
		b.post(200, "/-/account/tokens", form, "today") // the first form, corrected
		b.post(200, "/-/account/tokens", values("name", "endless", "scope", "api"), "without an end")
		time.Sleep(24 * time.Hour)
		b.signIn("jane")
		b.get(200, "/-/account/tokens", ">Expired<")
		for i := range 98 {
			b.post(200, "/-/account/tokens", values("name", fmt.Sprint("token", i), "scope", "api"))
		}
		b.post(422, "/-/account/tokens", values("name", "one more", "scope", "api"), "The user has 100 tokens already.")
	})
}

// A token of somebody's own is all that the page shows, also to administrators.
func TestTokensAreOwn(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("mona")
		if _, err := b.Service.CreateToken(t.Context(), b.Admin, control.TokenSpec{Kind: control.KindPersonal, User: "jane", Name: "of jane", Scopes: []string{"api"}}); err != nil {
			t.Fatal(err)
		}
		if p := b.get(200, "/-/account/tokens", "You have no tokens."); strings.Contains(p.html, "of jane") {
			t.Errorf("got a token of somebody else: %s", p.html)
		}
	})
}
