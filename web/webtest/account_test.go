package webtest_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/sluicelog/sluice/web/webtest"
)

func signInAndOut(t *testing.T, w *world) {
	p := w.window(t, false)
	p.Open("/-/account/tokens")
	p.WantPath("/-/sign_in?next=%2F-%2Faccount%2Ftokens")
	p.Fill("User name", "joe", "Password", "not his password")
	p.FollowStatus("button", "Sign in", http.StatusUnprocessableEntity)
	p.Want("name or the password")
	if got := p.Value("User name"); got != "joe" {
		t.Errorf("user name: got %q, want that it is still there", got)
	}
	if got := p.Value("Password"); got != "" {
		t.Errorf("password: got %q, want that it is gone", got)
	}
	p.Fill("Password", password)
	p.Follow("button", "Sign in")
	p.WantPath("/-/account/tokens")
	p.Click("summary", "joe")
	p.Follow("button", "Sign out")
	p.Want("You are signed out.")
	p.Open("/-/")
	p.WantPath("/-/sign_in")

	// With the keyboard alone: the first field has the focus.
	p.until("the focus in the first field", func() bool { return webtest.Eval[bool](p.Window, `document.activeElement.id === "name"`) })
	for _, name := range []string{"joe", password} {
		p.typing(name)
		p.Press(map[bool]string{true: kb.Tab, false: kb.Enter}[name == "joe"])
	}
	p.WantPath("/-/")
	p.Want("acme", "auditor")
	p.WantNot("umbra", "initech")
}

func changePassword(t *testing.T, w *world) {
	const changed = "a very different sentence"
	w.hide(changed)
	w.call("POST", "/api/v1/users", map[string]any{"name": "kim", "password": password}, nil)
	p, elsewhere := w.signedIn(t, "kim"), w.signedIn(t, "kim")
	p.Click("summary", "kim")
	p.Follow("link", "Change password")
	p.Fill("Current password", "wrong one", "New password", changed, "New password again", changed)
	p.FollowStatus("button", "Change password", http.StatusUnprocessableEntity)
	p.Fill("Current password", password, "New password", changed, "New password again", changed+"!")
	p.FollowStatus("button", "Change password", http.StatusUnprocessableEntity)
	p.Want("differ")
	p.Fill("Current password", password, "New password", changed, "New password again", changed)
	p.Follow("button", "Change password")
	p.Want("Your password is changed.")
	elsewhere.Open("/-/")
	elsewhere.WantPath("/-/sign_in")
	elsewhere.Fill("User name", "kim", "Password", changed)
	elsewhere.Follow("button", "Sign in")
	elsewhere.WantPath("/-/")
}

func personalTokens(t *testing.T, w *world) {
	p := w.signedIn(t, "jane")
	p.Click("summary", "jane")
	p.Follow("link", "Personal access tokens")
	p.Want("You have no tokens.")
	p.Fill("Token name", "laptop")
	p.FollowStatus("button", "Create token", http.StatusUnprocessableEntity)
	p.Want("Choose at least one scope.")
	p.Set("read_api", true)
	p.Follow("button", "Create token")
	p.Want("shown only this once", "laptop")
	p.Look("account-tokens-made")
	token := regexp.MustCompile(`slc_[\w-]{43}`).FindString(p.Text())
	if got := webtest.Eval[string](p.Window, `document.querySelector("main li time").title`); !strings.HasSuffix(got, " UTC") {
		t.Errorf("a time when the pointer rests on it: got %q, want UTC", got)
	}
	webtest.Eval[any](p.Window, `navigator.clipboard.writeText = async (text) => { document.title = text; }`)
	p.Click("button", "Copy")
	p.In("button", "Copied")
	if got := webtest.Eval[string](p.Window, `document.title`); got != token {
		t.Errorf("copied: got %q, want the token", got)
	}
	if got := w.status("/api/v1/me", token); got != http.StatusOK {
		t.Errorf("the token: got status %d, want 200", got)
	}
	w.hide(token)
	p.Open("/-/account/tokens")
	p.In("li", "laptop").Follow("link", "Revoke")
	p.Follow("button", "Revoke token")
	p.Want("The token is revoked.", "You have no tokens.")
	if got := w.status("/api/v1/me", token); got != http.StatusUnauthorized {
		t.Errorf("the revoked token: got status %d, want 401", got)
	}
}

// plainTokens makes and revokes a token with plain forms.
func plainTokens(t *testing.T, w *world) {
	p := w.window(t, true)
	p.signIn("joe")
	p.Click("summary", "joe")
	p.Follow("link", "Personal access tokens")
	p.Fill("Token name", "plain")
	p.Set("api", true)
	p.Follow("button", "Create token")
	p.Want("shown only this once", " UTC")
	p.In("main li", "plain").Follow("link", "Revoke")
	p.Follow("button", "Revoke token")
	p.Want("The token is revoked.")
	p.Click("summary", "joe")
	p.Follow("button", "Sign out")
	p.Want("You are signed out.")
}

// menu opens and closes the menu, by pointer and keyboard.
func menu(t *testing.T, w *world) {
	p := w.signedIn(t, "joe")
	open := func() bool { return p.Has("button", "Sign out") }
	p.Click("summary", "joe")
	p.Want("Signed in as joe")
	p.Look("menu")
	p.Click("heading", p.words.SearchOrGoTo)
	p.until("the menu to close", func() bool { return !open() })
	p.Click("summary", "joe")
	p.until("the menu to open", open)
	p.Press(kb.Escape)
	p.until("the menu to close", func() bool { return !open() })
	p.Press(kb.Enter) // the focus is back on the menu's name
	p.until("the menu to open", open)
}

// status returns the status of the answer to a request with a token.
func (w *world) status(path, token string) int {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// postAs sends an event with a token and returns the status of the answer.
func (w *world) postAs(token, event string) int {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+"/api/v1/events", strings.NewReader(event))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
