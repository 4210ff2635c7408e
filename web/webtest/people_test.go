package webtest_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// members gives a user a role, another one, and none.
func members(t *testing.T, w *world) {
	w.call("POST", "/api/v1/users", map[string]any{"name": "lee", "password": password}, nil)
	jane, lee := w.signedIn(t, "jane"), w.signedIn(t, "lee")
	lee.Want("You have no role in an enterprise or group yet.")
	lee.OpenStatus("/-/groups/acme/audit-log", http.StatusNotFound)
	jane.goTo("initech")
	jane.side().Follow("link", "Members")
	jane.Click("summary", "Add a member")
	jane.Fill("User name", "nobody of this name")
	jane.FollowStatus("button", "Add member", http.StatusUnprocessableEntity)
	jane.Fill("User name", "lee")
	jane.Choose("Role", "Auditor: reads everything")
	jane.Follow("button", "Add member")
	jane.In("main li", "lee").Want("auditor")
	lee.goTo("initech")
	if got := strings.Join(lee.side().Names("link"), ", "); strings.Contains(got, "Members") {
		t.Errorf("an auditor is led to %s", got)
	}
	jane.In("main li", "lee").Follow("button", "Make owner")
	jane.In("main li", "lee").Want("owner")
	lee.Open("/-/groups/initech/members")
	jane.In("main li", "lee").Follow("link", "Remove")
	jane.Want("lee")
	jane.In("main", "").Follow("button", "Remove")
	lee.OpenStatus("/-/groups/initech/members", http.StatusNotFound)
}

// producers makes a token, posts an event with it, and revokes it.
func producers(t *testing.T, w *world) {
	p := w.signedIn(t, "jane")
	p.goTo("initech")
	p.side().Follow("link", "Tokens of producers")
	if !p.Has("field", "Token name") {
		p.Click("summary", "Add a token")
	}
	p.Fill("Token name", "build machine")
	p.Follow("button", "Create token")
	token := regexp.MustCompile(`slc_[\w-]{43}`).FindString(p.In("section", "shown only this once").Text())
	w.hide(token)
	if got := w.postAs(token, `{"event_type":"build","entity_path":"initech/ci"}`); got != http.StatusOK {
		t.Errorf("an event with the token: got status %d, want 200", got)
	}
	p.Open("/-/groups/initech/tokens")
	p.In("main li", "build machine").Follow("link", "Revoke")
	p.In("main", "").Follow("button", "Revoke")
	p.Want("There is no token yet.")
	if got := w.postAs(token, `{"event_type":"build","entity_path":"initech/ci"}`); got != http.StatusUnauthorized {
		t.Errorf("an event with the revoked token: got status %d, want 401", got)
	}
}

// users makes one, disables and enables it, as an administrator.
func users(t *testing.T, w *world) {
	mona := w.signedIn(t, "mona")
	mona.Follow("link", "This installation")
	mona.side().Follow("link", "Users")
	mona.Click("summary", "Add a user")
	mona.Fill("User name", "ned", "Password", "short")
	mona.FollowStatus("button", "Create user", http.StatusUnprocessableEntity)
	mona.Fill("User name", "ned", "Password", password)
	mona.Follow("button", "Create user")
	mona.Want("The user ned is made")
	ned := w.signedIn(t, "ned")
	ned.OpenStatus("/-/instance/users", http.StatusNotFound)
	mona.Open("/-/instance/users")
	mona.In("main li", "ned").Follow("link", "ned")
	mona.Follow("button", "Disable user")
	ned.Open("/-/")
	ned.WantPath("/-/sign_in")
	mona.Follow("button", "Enable user")
	ned.signIn("ned")
}
