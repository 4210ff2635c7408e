package web

import (
	"context"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/secret"
)

const titlePassword = "Change password"

// passwordForm is the data of the page for changing the password.
type passwordForm struct {
	Name    string // whose it is, for the browser's store of passwords
	Exposed bool
	Problem *formProblem
}

func (s *Site) passwordPage(_ context.Context, v *visit) (answer, error) {
	return show("password", titlePassword, &passwordForm{Name: v.me.Name, Exposed: s.exposed(v.Request)}), nil
}

func (s *Site) changePassword(ctx context.Context, v *visit) (answer, error) {
	form := &passwordForm{Name: v.me.Name, Exposed: s.exposed(v.Request)}
	next, err := newPassword(v)
	if err == nil {
		err = s.service.ChangePassword(ctx, v.by, secret.Text(v.PostForm.Get("password")), next, s.clientAddr(v.Request))
	}
	if codeOf(err) == sluice.Unauthorized { // the session ended meanwhile
		return redirectWith(signInPath, "session_ended"), nil
	}
	if err != nil {
		return refuse("password", titlePassword, form, &form.Problem, err)
	}
	return redirectWith(passwordPath, "password_changed"), nil
}
