package control_test

import (
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
)

// A role takes effect, and ends, with the next request.
func TestMembers(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		s := create(t, w)
		addUser(t, w, "jane", "acme", control.Owner)
		addUser(t, w, "joe", "ACME", control.Auditor)
		_, jane := signIn(t, w, "jane")
		token, joe := personal(t, w, "joe", "api")
		again := func() control.Principal {
			p, err := w.Service.Authenticate(ctx, token.Text)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		if jane.Namespace != "acme" || jane.Role("acme/web") != control.Owner || joe.Role("acme") != control.Auditor || joe.Role("umbra") != "" {
			t.Errorf("roles: got %+v and %+v", jane, joe)
		}
		full, err := w.Service.Stream(ctx, jane, s.ID)
		if err != nil || !strings.Contains(string(full.Config), theHeaderValue) || full.VerificationToken == "" {
			t.Errorf("an owner: got %s and error %v, want header values", full.Config, err)
		}
		for what, read := range map[string]func() (control.Stream, error){
			"one": func() (control.Stream, error) { return w.Service.Stream(ctx, joe, s.ID) },
			"list": func() (control.Stream, error) {
				list, err := w.Service.Streams(ctx, joe, nil)
				return list[0], err
			},
		} {
			if got, err := read(); err != nil || strings.Contains(string(got.Config), theHeaderValue) || !strings.Contains(string(got.Config), "***") || got.VerificationToken != "" {
				t.Errorf("an auditor, %s: got %s and error %v, want no secrets", what, got.Config, err)
			}
		}
		_, err = w.Service.PauseStream(ctx, joe, s.ID)
		wantError(t, "an auditor pauses", err, sluice.Forbidden)
		if _, err := w.Service.SetMember(ctx, jane, control.MemberSpec{Namespace: "acme", User: "joe", Role: control.Owner}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Service.PauseStream(ctx, again(), s.ID); err != nil {
			t.Errorf("an owner pauses: %v", err)
		}
		if err := w.Service.RemoveMember(ctx, jane, "acme", "joe"); err != nil {
			t.Fatal(err)
		}
		_, err = w.Service.Stream(ctx, again(), s.ID)
		wantError(t, "one without a role", err, sluice.Forbidden)
		wantError(t, "remove again", w.Service.RemoveMember(ctx, jane, "acme", "joe"), sluice.NotFound)
		if _, err := w.Service.SetMember(ctx, jane, control.MemberSpec{Namespace: "Acme", User: "joe", Role: control.Auditor}); err != nil {
			t.Fatal(err)
		}
		w.Restart()
		list, err := w.Service.Members(ctx, w.Admin, nil)
		if err != nil || len(list) != 2 || list[1].Role != control.Auditor || list[1].Name != "joe" || list[1].Namespace != "acme" {
			t.Errorf("members after a restart: got %+v and error %v, want jane and joe, an auditor", list, err)
		}
		wantTypes(t, w, "member.", "member.create", "member.create", "member.update", "member.delete", "member.create")
		e := w.Events("audit", "stream.pause")[0]
		if e.AuthorID != 2 || e.Details["author_class"] != "User" || e.Details["author_token"] != token.ID || e.Details["author_name"] != "joe" {
			t.Errorf("author: got %s, want joe with %s", e.Raw, token.ID)
		}
	})
}

// Ids are counted up. To an owner they mean members alone, and tell nobody's name.
func TestIDsTellNoNames(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		addUser(t, w, "jane", "acme", control.Owner)
		addUser(t, w, "joe", "acme", control.Auditor)
		addUser(t, w, "ann", "umbra", control.Owner)
		_, jane := signIn(t, w, "jane")
		set := func(p control.Principal, user string) error {
			_, err := w.Service.SetMember(ctx, p, control.MemberSpec{Namespace: "acme", User: user, Role: control.Owner})
			return err
		}
		ids := map[string]string{}
		users, err := w.Service.Users(ctx, w.Admin)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range users {
			ids[u.Name] = u.ID
		}
		wantError(t, "the id of a stranger", set(jane, ids["ann"]), sluice.Invalid)
		wantError(t, "remove the id of a stranger", w.Service.RemoveMember(ctx, jane, "acme", ids["ann"]), sluice.NotFound)
		if err := set(jane, ids["joe"]); err != nil {
			t.Errorf("the id of a member: %v", err)
		}
		if err := w.Service.RemoveMember(ctx, jane, "acme", ids["joe"]); err != nil {
			t.Errorf("remove the id of a member: %v", err)
		}
		wantError(t, "the id of one who was a member", set(jane, ids["joe"]), sluice.Invalid)
		if err := set(jane, "ann"); err != nil {
			t.Errorf("the name of a stranger: %v", err)
		}
		if err := set(w.Admin, ids["joe"]); err != nil {
			t.Errorf("an id by an administrator: %v", err)
		}
	})
}

// Owners cannot leave a namespace without one; an administrator can.
func TestLastOwner(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		addUser(t, w, "jane", "acme", control.Owner)
		addUser(t, w, "joe", "acme", control.Owner)
		addUser(t, w, "ann", "umbra", control.Owner)
		_, jane := signIn(t, w, "jane")
		if err := w.Service.RemoveMember(ctx, jane, "acme", "joe"); err != nil {
			t.Fatal(err)
		}
		demote := func(p control.Principal) error {
			_, err := w.Service.SetMember(ctx, p, control.MemberSpec{Namespace: "acme", User: "jane", Role: control.Auditor})
			return err
		}
		wantError(t, "the last owner goes", w.Service.RemoveMember(ctx, jane, "ACME", "jane"), sluice.Conflict)
		wantError(t, "the last owner becomes an auditor", demote(jane), sluice.Conflict)
		if _, err := w.Service.SetMember(ctx, jane, control.MemberSpec{Namespace: "acme", User: "joe", Role: control.Owner}); err != nil {
			t.Fatal(err)
		}
		yes := true
		if _, err := w.Service.UpdateUser(ctx, w.Admin, "joe", control.UserPatch{Disabled: &yes}); err != nil {
			t.Fatal(err)
		}
		wantError(t, "the other owner is disabled", demote(jane), sluice.Conflict)
		if err := demote(w.Admin); err != nil {
			t.Errorf("by an administrator: %v", err)
		}
	})
}
