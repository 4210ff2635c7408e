package web_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/web"
)

// addUser makes a user and returns its id.
func (b *browser) addUser(name string) string {
	b.t.Helper()
	u, err := b.Service.CreateUser(b.t.Context(), b.Admin, control.UserSpec{Name: name, Password: password})
	if err != nil {
		b.t.Fatal(err)
	}
	return u.ID
}

// as returns another browser in which a user is signed in.
func (b *browser) as(name string) *browser {
	b.t.Helper()
	other := b.another()
	other.signIn(name)
	return other
}

// wire returns how many bytes a page has as it is sent. It is not judged: html-validate
// takes more than a minute for the largest.
func (b *browser) wire(target string) int {
	b.t.Helper()
	b.unjudged = true
	defer func() { b.unjudged = false }()
	p := b.want(b.do("GET", target, nil, "Accept-Encoding", "gzip"), 200, target)
	if p.Header().Get("Content-Encoding") != "gzip" {
		b.t.Errorf("%s is not packed", target)
	}
	return p.Body.Len()
}

func TestMembers(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		const page = "/-/groups/acme/members"
		otto, ida := b.addUser("Otto"), b.addUser("Ida")
		b.signIn("jane")
		b.get(200, page, "Members", "jane", "owner", ">you<", "Add member")
		b.follows(b.do("POST", page, values("name", " otto ", "role", "auditor")), page+"?notice=member_set")
		b.get(200, page+"?notice=member_set", "The role is given.", "Otto", "auditor")
		for _, c := range []struct{ name, role, text string }{
			{"", "owner", "Enter a user name."},
			{"nobody", "owner", "There is no user with this name. An administrator makes users."},
			{ida, "owner", "There is no user with this name. An administrator makes users."}, // of others
			{"OTTO", "owner", "Otto is a member already, with the role auditor."},
			{"mona", "king", "Role must be"},
		} {
			p := b.post(422, page, values("name", c.name, "role", c.role), ` value="`+c.name+`"`, "Add a member")
			if text := strings.Join(strings.Fields(tags.ReplaceAllString(p.html, " ")), " "); !strings.Contains(text, c.text) {
				t.Errorf("%s: got %s", c.text, text)
			}
		}
		b.as("Otto").get(403, page, "You may not do this")
		b.follows(b.do("POST", page, values("user", otto, "role", "owner")), page+"?notice=member_set")
		b.get(200, page, "Make auditor")
		b.as("Otto").get(200, page)
		b.follows(b.do("POST", page, values("user", otto, "role", "auditor")), page+"?notice=member_set")
		b.removeMember(page, otto)
	})
}

var tags = regexp.MustCompile(`<[^>]*>`)

// removeMember goes through the pages that remove an auditor of acme; jane stays.
func (b *browser) removeMember(page, id string) {
	b.t.Helper()
	confirm := page + "/" + id + "/remove"
	b.get(200, confirm, "Remove Otto from acme?", `action="`+confirm+`"`, "Keep the member")
	b.follows(b.do("POST", confirm, values()), page+"?notice=member_removed")
	b.get(404, confirm)
	b.post(404, confirm, values())
	jane, err := b.session()
	if err != nil {
		b.t.Fatal(err)
	}
	own := page + "/" + jane.ID + "/remove"
	b.get(200, own, "This is you")
	b.post(422, own, values(), "The enterprise or group would have no owner.", "Make somebody else an owner first.")
	b.post(422, page, values("user", jane.ID, "role", "auditor"), "The enterprise or group would have no owner.")
	mona := b.as("mona") // an administrator may leave none
	mona.follows(mona.do("POST", own, values()), page+"?notice=member_removed")
	b.get(404, page)
	mona.get(200, page, "has no members yet")
	synctest.Wait()
	if got := len(b.Events("audit", "member.")); got != 7 {
		b.t.Errorf("got %d events of members, want 7", got)
	}
}

// Those who may not manage a place do not see who may do what there.
func TestPeopleAreForOwners(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		b.addUser("otto")
		b.signIn("jane") // an auditor of Umbra
		token, err := b.Service.CreateToken(t.Context(), b.Admin, control.TokenSpec{Namespace: "umbra", Name: "theirs"})
		if err != nil {
			t.Fatal(err)
		}
		b.secrets = append(b.secrets, token.Text)
		if _, err := b.Service.SetMember(t.Context(), b.Admin, control.MemberSpec{Namespace: "elsewhere", User: "otto", Role: control.Owner}); err != nil {
			t.Fatal(err)
		}
		stranger := b.as("otto")
		for _, page := range []string{"members", "members/u1/remove", "tokens", "tokens/" + token.ID + "/revoke"} {
			b.get(403, "/-/groups/umbra/"+page)
			b.post(403, "/-/groups/umbra/"+page, values("name", "otto", "role", "owner"))
			stranger.get(404, "/-/groups/umbra/"+page)
			stranger.post(404, "/-/groups/umbra/"+page, values("name", "otto", "role", "owner"))
			b.want(b.do("DELETE", "/-/groups/acme/"+page, nil), 405, "DELETE "+page)
		}
		b.get(404, "/-/groups/acme/tokens/"+token.ID+"/revoke") // of another place
		b.post(404, "/-/groups/acme/tokens/"+token.ID+"/revoke", values())
		for _, page := range []string{"users", "users/u1", "tokens", "members"} {
			b.get(404, "/-/instance/"+page)
			b.post(404, "/-/instance/"+page, values("change", "disabled", "to", "yes"))
		}
		b.post(404, "/-/instance/users/u1/password", values("new_password", "another horse battery"))
		b.want(b.do("HEAD", "/-/groups/acme/members", nil), 200, "HEAD")
		mona := b.as("mona")
		mona.get(404, "/-/groups/acme/users")
		mona.get(404, "/-/instance/members")
		mona.get(405, "/-/instance/users/u1/password")
	})
}

func TestProducers(t *testing.T) {
	const own = "chosen-by-a-gitlab-server"
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		const page = "/-/groups/acme/tokens"
		b.secrets = append(b.secrets, own)
		b.signIn("jane")
		empty := b.get(200, page, "There is no token yet.", "curl http://127.0.0.1:8080/api/v1/events", "git install-hook", "<dd><code>127.0.0.1</code>", "<dd><code>8080</code>")
		form := values("once", empty.field("once"), "name", "build <server>", "rate", "500")
		made := b.post(200, page, form, "shown only this once", "build &lt;server&gt;", "500 events a second", `"entity_path":"acme/web"`, "never used")
		text := made.shown()
		by, err := b.Service.Producer(t.Context(), text)
		if err != nil || by.Namespace != "acme" {
			t.Fatalf("got %+v with error %v, want a producer of acme", by, err)
		}
		b.secrets = append(b.secrets, text)
		b.follows(b.do("POST", page, form), page+"?notice=token_repeated")
		b.lacks(b.get(200, page, "build &lt;server&gt;", "What to do with it", "last used <time"), "never used")
		b.post(422, page, values("name", "king", "kind", "admin"), "not bound to an enterprise or group")
		b.post(200, page, values("name", "gitlab", "text", own), "the text that you gave")
		if by, err := b.Service.Producer(t.Context(), own); err != nil || by.Namespace != "acme" {
			t.Errorf("got %+v with error %v, want a producer of acme", by, err)
		}
		for _, c := range []struct{ name, rate, text, want string }{
			{"x", "many", "", "a whole number of events a second"},
			{"x", "-1", "", "a whole number of events a second"}, {"x", "999999999", "", "The limit must be 0 to 100000000 events a second."},
			{"x", "5", "too short", "Token must have 16 to 255 characters."},
			{"x", "", own, "A token with this text exists."},
			{strings.Repeat("n", 300), "", "", "Name must have at most 255 characters."},
		} {
			b.post(422, page, values("name", c.name, "rate", c.rate, "text", c.text), c.want, ` value="`+c.name+`"`, ` value="`+c.rate+`"`)
		}
		p := b.get(200, page)
		confirm := regexp.MustCompile(`/-/groups/acme/tokens/t\d+/revoke`).FindString(p.html) // the newest
		b.get(200, confirm, "Revoke the token gitlab?", "refused at once", "It was last used <time")
		b.follows(b.do("POST", confirm, values()), page+"?notice=token_revoked")
		b.get(404, confirm)
		if _, err := b.Service.Producer(t.Context(), own); codeOf(err) != sluice.Unauthorized {
			t.Errorf("after revoking: got error %v, want that it is not valid", err)
		}
		b.lacks(b.as("mona").get(200, "/-/instance/tokens", "administrator"), "build &lt;server&gt;")
	})
}

// Tokens of the instance are producers' or administrators'; one of these stays.
func TestInstanceTokens(t *testing.T) {
	origin, err := web.ParseOrigin("https://sluice.example.com")
	if err != nil {
		t.Fatal(err)
	}
	simulate(t, web.Config{External: origin}, func(t *testing.T, b *browser) {
		const page = "/-/instance/tokens"
		b.signIn("mona")
		p := b.get(200, page, "every enterprise and group", "does everything through the API")
		confirm := regexp.MustCompile(page + `/t\d+/revoke`).FindString(p.html)
		b.get(200, confirm, "Whoever administers this server")
		b.post(422, confirm, values(), "This is the only administrator&#39;s token.")
		made := b.post(200, page, values("name", "ci", "kind", "admin"), "shown only this once")
		b.lacks(made, `id="curl-made"`)
		b.secrets = append(b.secrets, made.shown())
		b.follows(b.do("POST", confirm, values()), page+"?notice=token_revoked")
		made = b.post(200, page, values("name", "all", "kind", "producer"), "curl https://sluice.example.com/api/v1/events", "<dd><code>sluice.example.com</code>", "<dd><code>443</code>")
		by, err := b.Service.Producer(t.Context(), made.shown())
		if err != nil || by.Namespace != sluice.Instance {
			t.Errorf("got %+v with error %v, want a producer of all", by, err)
		}
	})
}

// password returns the password that a page shows, "" for none.
func (p page) password() string {
	m := regexp.MustCompile(`<code id="made-password">([^<]*)</code>`).FindStringSubmatch(p.html)
	if m == nil {
		return ""
	}
	return m[1]
}

func TestUsers(t *testing.T) {
	const given = "a horse of her own"
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		const page = "/-/instance/users"
		b.secrets = append(b.secrets, given)
		b.signIn("mona")
		first := b.get(200, page, "jane", "owner of", `href="/-/groups/acme/members"`, "mona", ">you<", ">administrator<")
		form := values("once", first.field("once"), "name", "Otto")
		made := b.post(200, page, form, "The user Otto is made", "shown only this once", "No role yet")
		text := made.password()
		if len(text) < 12 {
			t.Fatalf("got the password %q, want one that was made", text)
		}
		b.signsIn("Otto", text)
		b.secrets = append(b.secrets, text)
		b.follows(b.do("POST", page, form), page+"?notice=form_repeated")
		b.get(200, page+"?notice=form_repeated", "Otto", "was done then")
		made = b.post(200, page, values("name", "ada", "new_password", given, "administrator", "yes"), "The password is the one that you gave.", "needs no roles")
		if made.password() != "" {
			t.Error("a given password is shown")
		}
		for _, c := range []struct{ name, password, text string }{
			{"", "", "Name must have 1 to 64 letters"}, {"otto", "", "A user with this name exists."}, {"x", "short", "12 to 256 characters"},
		} {
			b.post(422, page, values("name", c.name, "new_password", c.password, "administrator", "yes"), c.text, ` value="`+c.name+`"`, `value="yes" checked`)
		}
		b.lacks(b.get(200, page), "shown only this once")
	})
}

// signsIn holds that a password is the user's.
func (b *browser) signsIn(name, text string) {
	b.t.Helper()
	other := b.another()
	other.follows(other.do("POST", "/-/sign_in", values("name", name, "password", text)), "/-/")
}

func TestChangeUser(t *testing.T) {
	const given = "a horse of her own"
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		b.secrets = append(b.secrets, given)
		page := "/-/instance/users/" + b.addUser("otto")
		b.signIn("mona")
		b.get(200, page, "otto", "Make administrator", "Disable user", "Set password")
		b.follows(b.do("POST", page, values("change", "administrator", "to", "yes")), page+"?notice=user_changed")
		b.get(200, page+"?notice=user_changed", "The user is changed", "Take the rights of an administrator away")
		otto := b.as("otto")
		otto.get(200, "/-/instance/users")
		b.follows(b.do("POST", page, values("change", "administrator", "to", "no")), page+"?notice=user_changed")
		otto.get(404, "/-/instance/users")
		b.follows(b.do("POST", page, values("change", "disabled", "to", "yes")), page+"?notice=user_changed")
		otto.follows(otto.do("GET", "/-/", nil), "/-/sign_in")
		b.get(200, page, ">disabled<", "Enable user")
		b.follows(b.do("POST", page, values("change", "disabled", "to", "no")), page+"?notice=user_changed")
		b.post(422, page, values("change", "nothing"), "There is nothing to change.")
		b.get(404, "/-/instance/users/u999")

		once := b.get(200, page).field("once")
		b.post(422, page+"/password", values("once", once, "new_password", "short"), "12 to 256 characters")
		b.follows(b.do("POST", page+"/password", values("once", once, "new_password", given)), page+"?notice=user_changed")
		b.signsIn("otto", given)
		once = b.get(200, page).field("once")
		form := values("once", once, "new_password", "")
		text := b.post(200, page+"/password", form, "shown only this once").password()
		b.signsIn("otto", text)
		b.secrets = append(b.secrets, text)
		b.follows(b.do("POST", page+"/password", form), page+"?notice=form_repeated")
		mona, err := b.session()
		if err != nil {
			t.Fatal(err)
		}
		b.lacks(b.get(200, "/-/instance/users/"+mona.ID, "This is your own account"), "Disable user")
	})
}

// However many users there are, a page stays small.
func TestManyPeople(t *testing.T) {
	const many = 10_000
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		ctx := t.Context()
		hash := control.UserSpec{Password: password}
		for i := range many {
			hash.Name = fmt.Sprintf("person-%05d@example.com", i)
			if _, err := b.Service.CreateUser(ctx, b.Admin, hash); err != nil {
				t.Fatal(err)
			}
			if i >= 1000 {
				continue
			}
			if _, err := b.Service.SetMember(ctx, b.Admin, control.MemberSpec{Namespace: "acme", User: hash.Name, Role: control.Auditor}); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Service.CreateToken(ctx, b.Admin, control.TokenSpec{Namespace: "acme", Name: hash.Name}); err != nil {
				t.Fatal(err)
			}
		}
		b.signIn("mona")
		for _, page := range []string{"/-/instance/users", "/-/groups/acme/members", "/-/groups/acme/tokens"} {
			if got := b.wire(page); got > 100<<10 {
				t.Errorf("%s: got %d bytes, want 100 KiB at most", page, got)
			}
			b.get(200, page, "100 of ", "search for a part of the name")
			b.get(200, page+"?q="+url.QueryEscape("PERSON-00777@"), "person-00777@example.com")
			b.get(200, page+"?q=nobody+at+all", "nobody at all")
		}
	})
}
