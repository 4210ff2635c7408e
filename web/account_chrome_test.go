package web_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/web"
)

// TestAccountInBrowser goes through the pages of an account in a real browser,
// with scripts and without.
func TestAccountInBrowser(t *testing.T) {
	w := controltest.New(t, nil)
	defer w.Stop()
	server := httptest.NewServer(web.New(web.Config{Service: w.Service, Logger: w.Logger()}))
	defer server.Close()
	c := startChrome(t, server.URL)

	c.open("/-/account/tokens")
	c.want("/-/first_user", "Welcome to Sluice")
	c.look("first-user")
	c.fill("token", w.AdminToken, "name", "mona", "new-password", password, "repeated-password", "another one")
	c.follow("form button")
	c.want("/-/first_user", "The new password and its repetition differ.")
	c.fill("token", w.AdminToken, "new-password", password, "repeated-password", password)
	c.follow("form button")
	c.want("/-/", "Search or go to", "administrator", "mona")
	c.look("home")
	c.menu()
	c.tokens()

	c.follow(".menu-list a[href$=password]")
	c.look("password")
	c.fill("password", password, "new-password", password+"!", "repeated-password", password+"!")
	c.follow("main form button")
	c.want("/-/account/password", "Your password is changed.")
	c.scripts(false)
	c.withoutScripts()
	c.wantNoProblems()
}

// menu opens and closes the menu, by pointer and keyboard.
func (c *chrome) menu() {
	c.t.Helper()
	const open = `document.querySelector("details.menu").open`
	c.click(".menu summary")
	c.want("/-/", "Signed in as mona", "Sign out")
	c.look("menu")
	c.click("h1")
	if eval[bool](c, open) {
		c.t.Error("the menu stays open when something else is clicked")
	}
	c.click(".menu summary")
	eval[any](c, `document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape", bubbles: true}))`)
	if eval[bool](c, open) {
		c.t.Error("the menu stays open with Escape")
	}
}

// tokens makes a token, sends the form again, copies it and revokes it, and leaves
// the menu open.
func (c *chrome) tokens() {
	c.t.Helper()
	c.click(".menu summary")
	c.follow(".menu-list a[href$=tokens]")
	c.want("/-/account/tokens", "You have no tokens.")
	c.fill("name", "laptop")
	c.follow("main form button")
	c.want("/-/account/tokens", "Choose at least one scope.")
	c.look("token-problem")
	c.click(`label[for="scope-read:audit_log"]`)
	c.follow("main form button")
	c.want("/-/account/tokens", "shown only this once", "laptop")
	c.look("token-made")
	if got := eval[string](c, `document.querySelector(".rows time").title`); !strings.HasSuffix(got, " UTC") {
		c.t.Errorf("the time in UTC: got %q", got)
	}
	eval[any](c, `navigator.clipboard.writeText = async (text) => { document.body.dataset.copied = text; }`)
	c.click("button[data-copy]")
	if !eval[bool](c, `document.body.dataset.copied === document.getElementById("made-token").textContent`) {
		c.t.Error("the button does not copy the token")
	}
	c.follow(".rows a.danger")
	c.look("revoke")
	c.follow("main form button.danger")
	c.want("/-/account/tokens", "The token is revoked.", "You have no tokens.")
	c.look("tokens")
	c.click(".menu summary")
}

// withoutScripts does what matters most with plain forms.
func (c *chrome) withoutScripts() {
	c.t.Helper()
	c.open("/-/account/tokens")
	c.fill("name", "plain")
	c.click("[id='scope-api']")
	c.follow("main form button")
	c.want("/-/account/tokens", "shown only this once", " UTC")
	c.follow(".rows a.danger")
	c.follow("main form button.danger")
	c.want("/-/account/tokens?notice=token_revoked", "The token is revoked.")
	c.click(".menu summary")
	c.follow(".menu-list button")
	c.want("/-/sign_in?notice=signed_out", "You are signed out.")
	c.look("sign-in")
	c.open("/-/account/password")
	c.fill("name", "mona", "password", password+"!")
	c.follow("main form button")
	c.want("/-/account/password", "Change password")
	c.open("/-/nothing")
	c.look("not-found")
}
