package github_test

import (
	"testing"
	"testing/synctest"

	client "github.com/google/go-github/v89/github"

	"github.com/sluicelog/sluice/control"
)

// An organization of another enterprise with the same name hides nothing: who may
// read both gets both, and nobody else learns of it.
func TestOrganizationsOfOneName(t *testing.T) {
	simulate(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		w.fill()
		w.PostRaw(`{"_document_id":"forged","action":"repo.create","business":"aaa","org":"web","created_at":1772355600000}`)
		synctest.Wait()
		for _, name := range []string{"jane", "ann"} {
			if _, err := w.Service.CreateUser(ctx, w.Admin, control.UserSpec{Name: name, Password: "correct horse battery"}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Service.SetMember(ctx, w.Admin, control.MemberSpec{Namespace: "acme", User: name, Role: control.Auditor}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Service.SetMember(ctx, w.Admin, control.MemberSpec{Namespace: "aaa", User: "ann", Role: control.Auditor}); err != nil {
			t.Fatal(err)
		}
		count := func(token string) int {
			t.Helper()
			got, err := walk(func(o *client.GetAuditLogOptions) ([]*client.AuditEntry, *client.Response, error) {
				return w.client(token).Organizations.GetAuditLog(ctx, "web", o)
			}, client.GetAuditLogOptions{ListCursorOptions: client.ListCursorOptions{PerPage: 10}})
			if err != nil {
				t.Error(err)
			}
			return len(got)
		}
		token := func(user string) string {
			t.Helper()
			made, err := w.Service.CreateToken(ctx, w.Admin, control.TokenSpec{Kind: control.KindPersonal, User: user, Scopes: []string{"read:audit_log"}})
			if err != nil {
				t.Fatal(err)
			}
			return made.Text
		}
		for who, c := range map[string]struct {
			token string
			want  int
		}{"an administrator": {w.AdminToken, 43}, "an auditor of both": {token("ann"), 43}, "an auditor of one": {token("jane"), 42}} {
			if got := count(c.token); got != c.want {
				t.Errorf("%s: got %d events, want %d", who, got, c.want)
			}
		}
		made, err := w.Service.CreateToken(ctx, w.Admin, control.TokenSpec{Kind: control.KindPersonal, User: "ann", Scopes: []string{"api"}})
		if err != nil {
			t.Fatal(err)
		}
		ann, err := w.Service.Authenticate(ctx, made.Text)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Service.RemoveMember(ctx, ann, "aaa", "ann"); err != nil {
			t.Errorf("ann leaves aaa: %v", err)
		}
		if got := count(made.Text); got != 42 {
			t.Errorf("after ann has left: got %d events, want 42", got)
		}
	})
}
