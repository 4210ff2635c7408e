package control_test

import (
	"strings"
	"testing"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
)

// changesOfPeople are the changes to users, members, their tokens and sessions.
func changesOfPeople() map[string]changing {
	jane := func(t *testing.T, w *controltest.World) { addUser(t, w, "jane", "", "") }
	owner := func(t *testing.T, w *controltest.World) { addUser(t, w, "jane", "acme", control.Owner) }
	user := func(w *controltest.World) control.User {
		u, _ := w.Service.User(w.T.Context(), w.Admin, "jane") // none yet: the zero value
		return u
	}
	member := func(role control.Role) func(w *controltest.World) error {
		return func(w *controltest.World) error {
			_, err := w.Service.SetMember(w.T.Context(), w.Admin, control.MemberSpec{Namespace: "acme", User: "jane", Role: role})
			return err
		}
	}
	role := func(role control.Role) func(w *controltest.World) bool {
		return func(w *controltest.World) bool { return user(w).Roles["acme"] == role }
	}
	cookie := ""
	yes := true
	return map[string]changing{
		"user.create": {
			event: "user.create",
			do: func(w *controltest.World) error {
				_, err := w.Service.CreateUser(w.T.Context(), w.Admin, control.UserSpec{Name: "jane"})
				return err
			},
			done: func(w *controltest.World) bool { return user(w).ID != "" },
		},
		"user.update": {
			before: jane, event: "user.update",
			do: func(w *controltest.World) error {
				_, err := w.Service.UpdateUser(w.T.Context(), w.Admin, "jane", control.UserPatch{Administrator: &yes})
				return err
			},
			done: func(w *controltest.World) bool { return user(w).Administrator },
		},
		"member.create": {before: jane, event: "member.create", do: member(control.Owner), done: role(control.Owner)},
		"member.update": {before: owner, event: "member.update", do: member(control.Auditor), done: role(control.Auditor)},
		"member.delete": {
			before: owner, event: "member.delete", done: role(""),
			do: func(w *controltest.World) error {
				return w.Service.RemoveMember(w.T.Context(), w.Admin, "acme", "jane")
			},
		},
		"token.personal": {
			before: jane, event: "token.create",
			do: func(w *controltest.World) error {
				_, err := w.Service.CreateToken(w.T.Context(), w.Admin, control.TokenSpec{Kind: control.KindPersonal, User: "jane", Scopes: []string{"api"}})
				return err
			},
			done: func(w *controltest.World) bool { return controlContext{w}.tokens() == 2 },
		},
		"user.sign_in": {
			before: jane, event: "user.sign_in",
			do: func(w *controltest.World) error {
				_, err := w.Service.SignIn(w.T.Context(), "jane", janesPassword, home)
				return err
			},
			done: func(w *controltest.World) bool { return strings.Contains(w.Records(), "\nsession/") },
		},
		"user.sign_out": {
			event:  "user.sign_out",
			before: func(t *testing.T, w *controltest.World) { jane(t, w); cookie, _ = signIn(t, w, "jane") },
			do:     func(w *controltest.World) error { return w.Service.SignOut(w.T.Context(), cookie) },
			done: func(w *controltest.World) bool {
				_, err := w.Service.Session(w.T.Context(), cookie)
				return err != nil
			},
		},
	}
}
