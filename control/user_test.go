package control_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/secret"
)

const janesPassword secret.Text = "correct horse battery"

var home = netip.MustParseAddr("203.0.113.9")

// addUser makes a user with a role in a namespace, unless that is "".
func addUser(t *testing.T, w *controltest.World, name, namespace string, role control.Role) control.User {
	t.Helper()
	u, err := w.Service.CreateUser(t.Context(), w.Admin, control.UserSpec{Name: name, Password: janesPassword})
	if err != nil {
		t.Fatalf("create user %s: %v", name, err)
	}
	if namespace != "" {
		if _, err := w.Service.SetMember(t.Context(), w.Admin, control.MemberSpec{Namespace: namespace, User: name, Role: role}); err != nil {
			t.Fatalf("make %s %s: %v", name, role, err)
		}
	}
	return u
}

// signIn returns the text of a cookie, and the user as one who asks.
func signIn(t *testing.T, w *controltest.World, name string) (string, control.Principal) {
	t.Helper()
	in, err := w.Service.SignIn(t.Context(), name, janesPassword, home)
	if err != nil {
		t.Fatalf("sign %s in: %v", name, err)
	}
	p, err := w.Service.Session(t.Context(), in.Cookie.Reveal())
	if err != nil {
		t.Fatalf("session of %s: %v", name, err)
	}
	return in.Cookie.Reveal(), p
}

// personal returns the user with a token of these scopes.
func personal(t *testing.T, w *controltest.World, name string, scopes ...string) (control.Token, control.Principal) {
	t.Helper()
	made, err := w.Service.CreateToken(t.Context(), w.Admin, control.TokenSpec{Kind: control.KindPersonal, User: name, Scopes: scopes})
	if err != nil {
		t.Fatalf("token of %s: %v", name, err)
	}
	p, err := w.Service.Authenticate(t.Context(), made.Text)
	if err != nil {
		t.Fatalf("authenticate %s: %v", name, err)
	}
	return made, p
}

func TestUsers(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		jane := addUser(t, w, "Jane", "acme", control.Owner)
		if jane.ID != "u1" || jane.Password != "" || jane.Administrator || jane.Disabled {
			t.Errorf("got %+v, want a plain user u1", jane)
		}
		made, err := w.Service.CreateUser(ctx, w.Admin, control.UserSpec{Name: "joe"})
		if err != nil || len(made.Password) != 20 {
			t.Errorf("got a password of %d characters and error %v, want one that was made", len(made.Password), err)
		}
		_, err = w.Service.CreateUser(ctx, w.Admin, control.UserSpec{Name: "jANE"})
		wantError(t, "the same name", err, sluice.Conflict)
		synctest.Wait()
		w.Restart()
		list, err := w.Service.Users(ctx, w.Admin)
		if err != nil || len(list) != 2 || list[0].Roles["acme"] != control.Owner {
			t.Errorf("list after a restart: got %+v and error %v, want jane, an owner, and joe", list, err)
		}
		if got, err := w.Service.User(ctx, w.Admin, "jane"); err != nil || got.ID != "u1" {
			t.Errorf("by name: got %+v and error %v", got, err)
		}
		_, err = w.Service.User(ctx, w.Admin, "u9")
		wantError(t, "nobody", err, sluice.NotFound)
		yes := true
		u, err := w.Service.UpdateUser(ctx, w.Admin, "u1", control.UserPatch{Administrator: &yes})
		if err != nil || !u.Administrator {
			t.Errorf("got %+v and error %v, want an administrator", u, err)
		}
		wantTypes(t, w, "user.", "user.create", "user.create", "user.update")
		wantTypes(t, w, "member.", "member.create")
		if e := w.Events("audit", "member.create")[0]; e.EntityPath != "acme" || e.Details["role"] != "owner" {
			t.Errorf("member: got %s, want an event of acme", e.Raw)
		}
		if e := w.Events("audit", "user.create")[0]; e.EntityType != sluice.KindInstance {
			t.Errorf("user: got %s, want an event of the installation", e.Raw)
		}
		if records := w.Records() + w.Logs(); strings.Contains(records, janesPassword.Reveal()) || strings.Contains(records, made.Password) {
			t.Error("a password is stored or logged")
		}
	})
}

func TestBadUsers(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		synctest.Wait()
		before := w.Records()
		for name, spec := range map[string]control.UserSpec{
			"no name":        {},
			"long":           {Name: strings.Repeat("n", 65)},
			"blank":          {Name: "jane doe"},
			"sign in front":  {Name: ".jane"},
			"not ascii":      {Name: "jané"},
			"an id":          {Name: "U12"},
			"a number":       {Name: "12"},
			"short password": {Name: "jane", Password: "hunter2"},
			"few letters":    {Name: "jane", Password: "süßigkeiten"}, // 11 characters, 13 bytes
			"long password":  {Name: "jane", Password: secret.Text(strings.Repeat("p", 257))},
			"two lines":      {Name: "jane", Password: "one line\nanother line"},
			"the name":       {Name: "jane.from.acme", Password: "Jane.From.Acme"},
		} {
			_, err := w.Service.CreateUser(t.Context(), w.Admin, spec)
			wantError(t, name, err, sluice.Invalid)
		}
		if after := w.Records(); after != before {
			t.Errorf("bad users left something behind: %s", after)
		}
		if _, err := w.Service.CreateUser(t.Context(), w.Admin, control.UserSpec{Name: "joerg", Password: secret.Text(strings.Repeat("ü", 256))}); err != nil {
			t.Errorf("a password of 256 letters: %v", err)
		}
		addUser(t, w, "jane", "", "")
		for name, spec := range map[string]control.MemberSpec{
			"role":     {Namespace: "acme", User: "jane", Role: "king"},
			"instance": {User: "jane", Role: control.Owner},
			"below":    {Namespace: "acme/web", User: "jane", Role: control.Owner},
			"nobody":   {Namespace: "acme", User: "joe", Role: control.Owner},
		} {
			_, err := w.Service.SetMember(t.Context(), w.Admin, spec)
			wantError(t, name, err, sluice.Invalid)
		}
		past := time.Now().Add(-time.Second)
		for name, spec := range map[string]control.TokenSpec{
			"whose":     {Scopes: []string{"api"}},
			"nobody's":  {User: "joe", Scopes: []string{"api"}},
			"no scope":  {User: "jane"},
			"scope":     {User: "jane", Scopes: []string{"api", "sudo"}},
			"past":      {User: "jane", Scopes: []string{"api"}, ExpiresAt: &past},
			"namespace": {User: "jane", Scopes: []string{"api"}, Namespace: "acme"},
		} {
			spec.Kind = control.KindPersonal
			_, err := w.Service.CreateToken(t.Context(), w.Admin, spec)
			wantError(t, name, err, sluice.Invalid)
		}
	})
}

// A token cannot outlive itself through another one.
func TestHeirsOfTokens(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		addUser(t, w, "jane", "acme", control.Owner)
		_, jane := signIn(t, w, "jane")
		end := time.Now().UTC().Add(time.Hour)
		spec := control.TokenSpec{Kind: control.KindPersonal, Scopes: []string{"api"}, ExpiresAt: &end}
		first, err := w.Service.CreateToken(ctx, jane, spec)
		if err != nil {
			t.Fatal(err)
		}
		with, err := w.Service.Authenticate(ctx, first.Text)
		if err != nil {
			t.Fatal(err)
		}
		later := end.Add(time.Second)
		spec.ExpiresAt = &later
		_, err = w.Service.CreateToken(ctx, with, spec)
		wantError(t, "a later end", err, sluice.Invalid)
		spec.ExpiresAt = nil
		if heir, err := w.Service.CreateToken(ctx, with, spec); err != nil || heir.ExpiresAt == nil || !heir.ExpiresAt.Equal(end) {
			t.Errorf("no end: got %+v and error %v, want the end of the token that asked, %s", heir, err, end)
		}
		if free, err := w.Service.CreateToken(ctx, jane, spec); err != nil || free.ExpiresAt != nil {
			t.Errorf("with a session: got %+v and error %v, want no end", free, err)
		}
	})
}

func TestPersonalTokens(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		s := create(t, w)
		addUser(t, w, "jane", "acme", control.Owner)
		addUser(t, w, "joe", "acme", control.Owner)
		_, jane := signIn(t, w, "jane")
		_, joe := signIn(t, w, "joe")
		end := time.Now().Add(48 * time.Hour)
		own, err := w.Service.CreateToken(ctx, jane, control.TokenSpec{Kind: control.KindPersonal, Name: "laptop", Scopes: []string{"read_api"}, ExpiresAt: &end})
		if err != nil || own.User != "u1" || !strings.HasPrefix(own.Text, "slc_") {
			t.Fatalf("got %+v and error %v, want jane's token", own, err)
		}
		for _, name := range []string{"joe", "nobody"} {
			_, err = w.Service.CreateToken(ctx, jane, control.TokenSpec{Kind: control.KindPersonal, User: name, Scopes: []string{"api"}})
			wantError(t, "a token for "+name, err, sluice.Forbidden)
		}
		reader, err := w.Service.Authenticate(ctx, own.Text)
		if err != nil || reader.ID != "u1" || reader.Credential != own.ID {
			t.Fatalf("got %+v and error %v, want jane", reader, err)
		}
		if got, err := w.Service.Stream(ctx, reader, s.ID); err != nil || got.VerificationToken == "" {
			t.Errorf("read: got error %v, want the stream with its token", err)
		}
		_, err = w.Service.PauseStream(ctx, reader, s.ID)
		if e := wantError(t, "pause", err, sluice.Forbidden); !strings.Contains(e.Hint, "admin:enterprise, api") {
			t.Errorf("hint: got %q, want the scopes", e.Hint)
		}
		_, err = w.Service.CreateToken(ctx, reader, control.TokenSpec{Kind: control.KindPersonal, Scopes: []string{"api"}})
		wantError(t, "a token that makes a stronger one", err, sluice.Forbidden)
		_, err = w.Service.Producer(ctx, own.Text)
		wantError(t, "post with it", err, sluice.Forbidden)
		list, err := w.Service.Tokens(ctx, jane)
		if err != nil || len(list) != 1 || list[0].LastUsedAt == nil || list[0].Text != "" {
			t.Errorf("jane's: got %+v and error %v, want one that was used", list, err)
		}
		if list, err := w.Service.Tokens(ctx, joe); err != nil || len(list) != 0 {
			t.Errorf("joe's: got %+v and error %v, want none", list, err)
		}
		foreign := wantError(t, "revoke another's", w.Service.RevokeToken(ctx, joe, own.ID), sluice.NotFound)
		absent := wantError(t, "revoke nothing", w.Service.RevokeToken(ctx, joe, "t99"), sluice.NotFound)
		if *foreign != *absent {
			t.Errorf("got %v for another's token and %v for none: want no difference", foreign, absent)
		}
		synctest.Wait()
		w.Restart()
		if _, err := w.Service.Authenticate(ctx, own.Text); err != nil {
			t.Errorf("after a restart: %v", err)
		}
		time.Sleep(48 * time.Hour)
		_, err = w.Service.Authenticate(ctx, own.Text)
		wantError(t, "after its end", err, sluice.Unauthorized)
		if err := w.Service.RevokeToken(ctx, jane, own.ID); err != nil {
			t.Errorf("revoke: %v", err)
		}
		other, _ := personal(t, w, "joe", "api")
		yes := true
		if _, err := w.Service.UpdateUser(ctx, w.Admin, "joe", control.UserPatch{Disabled: &yes}); err != nil {
			t.Fatal(err)
		}
		_, err = w.Service.Authenticate(ctx, other.Text)
		wantError(t, "of a disabled user", err, sluice.Unauthorized)
	})
}

func TestSessions(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		addUser(t, w, "jane", "acme", control.Owner)
		cookie, _ := signIn(t, w, "JANE")
		if strings.Contains(w.Records(), cookie) {
			t.Error("the text of a cookie is stored")
		}
		ended := func(what, cookie string) {
			t.Helper()
			_, err := w.Service.Session(ctx, cookie)
			wantError(t, what, err, sluice.Unauthorized)
		}
		ended("another cookie", "x")
		w.Restart()
		for range 13 {
			time.Sleep(12*time.Hour - time.Second)
			if _, err := w.Service.Session(ctx, cookie); err != nil {
				t.Fatalf("a session in use: %v", err)
			}
		}
		time.Sleep(12 * time.Hour)
		ended("after 7 days", cookie)
		idle, _ := signIn(t, w, "jane")
		time.Sleep(12 * time.Hour)
		ended("after 12 idle hours", idle)
		left, _ := signIn(t, w, "jane")
		if err := errors.Join(w.Service.SignOut(ctx, left), w.Service.SignOut(ctx, left)); err != nil {
			t.Errorf("sign out, twice: %v", err)
		}
		ended("after signing out", left)
		other, _ := signIn(t, w, "jane")
		mine, jane := signIn(t, w, "jane")
		wrong := w.Service.ChangePassword(ctx, jane, "not my password", "another horse battery", home)
		wantError(t, "with a wrong password", wrong, sluice.Forbidden)
		same := w.Service.ChangePassword(ctx, jane, janesPassword, janesPassword, home)
		wantError(t, "to the same password", same, sluice.Invalid)
		if err := w.Service.ChangePassword(ctx, jane, janesPassword, "another horse battery", home); err != nil {
			t.Fatal(err)
		}
		ended("another session after a new password", other)
		if _, err := w.Service.Session(ctx, mine); err != nil {
			t.Errorf("the session that changed it: %v", err)
		}
		w.Restart()
		if _, err := w.Service.Session(ctx, mine); err != nil {
			t.Errorf("after a restart: %v", err)
		}
		reset := secret.Text("a third horse battery")
		if _, err := w.Service.UpdateUser(ctx, w.Admin, "jane", control.UserPatch{Password: &reset}); err != nil {
			t.Fatal(err)
		}
		ended("after an administrator set the password", mine)
		time.Sleep(time.Hour)
		synctest.Wait()
		if strings.Contains(w.Records(), "\nsession/") {
			t.Error("records of ended sessions stay")
		}
		wantTypes(t, w, "user.sign_out", "user.sign_out")
	})
}

// A user has 20 sessions at most: further ones end those that rest for longest.
func TestSessionsAreBounded(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		addUser(t, w, "jane", "", "")
		var cookies []string
		for range 22 {
			time.Sleep(time.Second)
			cookie, _ := signIn(t, w, "jane")
			cookies = append(cookies, cookie)
		}
		for i, cookie := range cookies {
			if _, err := w.Service.Session(t.Context(), cookie); (err == nil) != (i >= 2) {
				t.Errorf("session %d of 22: got error %v", i, err)
			}
		}
		synctest.Wait()
		if got := strings.Count(w.Records(), "\nsession/"); got != 20 {
			t.Errorf("got %d records, want 20", got)
		}
	})
}

func TestSignInIsThrottled(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		addUser(t, w, "jane", "acme", control.Owner)
		try := func(name string, password secret.Text, from string) error {
			_, err := w.Service.SignIn(ctx, name, password, netip.MustParseAddr(from))
			return err
		}
		for _, name := range []string{"jane", "nobody"} {
			from := map[string]string{"jane": "198.51.100.1", "nobody": "2001:db8::1"}[name]
			for range 5 {
				wantError(t, name, try(name, "a wrong password", from), sluice.Unauthorized)
			}
			for delay := time.Second; delay < 15*time.Minute; delay *= 2 {
				wantError(t, name+" at once", try(name, janesPassword, from), sluice.RateLimited)
				time.Sleep(delay - time.Nanosecond)
				wantError(t, name+" too early", try(name, janesPassword, from), sluice.RateLimited)
				time.Sleep(time.Nanosecond)
				wantError(t, name, try(name, "a wrong password", from), sluice.Unauthorized)
			}
			time.Sleep(15*time.Minute - time.Nanosecond)
			wantError(t, name+" after many", try(name, janesPassword, from), sluice.RateLimited)
		}
		wantError(t, "another name from there", try("joe", janesPassword, "2001:db8::ffff"), sluice.RateLimited)
		wantError(t, "the name from elsewhere", try("nobody", janesPassword, "192.0.2.1"), sluice.RateLimited)
		time.Sleep(15 * time.Minute)
		if err := try("jane", janesPassword, "198.51.100.1"); err != nil {
			t.Errorf("after the delay: %v", err)
		}
		wantTypes(t, w, "user.sign_in_delayed", "user.sign_in_delayed")
		if told := w.Events("audit", "user.sign_in_delayed")[0]; told.Details["ip_address"] != "198.51.100.1" {
			t.Errorf("the event does not say where the tries came from: %s", told.Raw)
		}
	})
}

// Wrong name, wrong password and a disabled user are answered alike.
func TestSignInTellsNothing(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		addUser(t, w, "jane", "", "")
		addUser(t, w, "joe", "", "")
		yes := true
		if _, err := w.Service.UpdateUser(t.Context(), w.Admin, "joe", control.UserPatch{Disabled: &yes}); err != nil {
			t.Fatal(err)
		}
		var first string
		for name, password := range map[string]secret.Text{"jane": "a wrong password", "joe": janesPassword, "nobody": janesPassword, "u1": janesPassword, "": "", strings.Repeat("x", 1000): "p"} {
			_, err := w.Service.SignIn(t.Context(), name, password, netip.Addr{})
			wantError(t, name, err, sluice.Unauthorized)
			if first == "" {
				first = err.Error()
			}
			if err.Error() != first {
				t.Errorf("%s: got %q, want %q", name, err, first)
			}
		}
	})
}
