package web

import (
	"context"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/secret"
)

// Paths of the pages.
const (
	home          = "/-/"
	signInPath    = "/-/sign_in"
	signOutPath   = "/-/sign_out"
	firstUserPath = "/-/first_user"
	account       = "/-/account/"
	passwordPath  = account + "password"
	tokensPath    = account + "tokens"
)

const titleSignIn = "Sign in"

// signInForm is the data of the page for signing in.
type signInForm struct {
	Name    string
	Next    string // the page to go to, "" for the first one
	Exposed bool   // others may read the password
	Problem *formProblem
}

func (s *Site) signInPage(_ context.Context, v *visit) (answer, error) {
	next := localTarget(v.URL.Query().Get(nextParam))
	switch {
	case v.me != nil:
		return redirect(next), nil
	case !s.service.AnyUsers():
		return redirect(firstUserPath), nil
	}
	return show("sign_in", titleSignIn, &signInForm{Next: next, Exposed: s.exposed(v.Request)}), nil
}

// signIn begins a session, always a new one, and ends the one that the browser
// had.
func (s *Site) signIn(ctx context.Context, v *visit) (answer, error) {
	form := &signInForm{Name: strings.TrimSpace(v.PostForm.Get("name")), Next: localTarget(v.PostForm.Get(nextParam)), Exposed: s.exposed(v.Request)}
	out, err := s.beginSession(ctx, v, form.Name, secret.Text(v.PostForm.Get("password")), form.Next)
	if err != nil {
		v.me = nil // the page is the one of somebody who is not signed in
		return refuse("sign_in", titleSignIn, form, &form.Problem, err)
	}
	return out, nil
}

func (s *Site) beginSession(ctx context.Context, v *visit, name string, password secret.Text, next string) (answer, error) {
	in, err := s.service.SignIn(ctx, name, password, s.clientAddr(v.Request))
	if err != nil {
		return answer{}, err
	}
	if before := s.Session(v.Request); before != "" {
		if err := s.service.SignOut(ctx, before); err != nil {
			s.logger.WarnContext(ctx, "earlier session not ended", "err", err)
		}
	}
	out := redirect(next)
	out.cookie = s.sessionCookie(v.Request, in.Cookie.Reveal())
	return out, nil
}

func (s *Site) signOut(ctx context.Context, v *visit) (answer, error) {
	if text := s.Session(v.Request); text != "" {
		if err := s.service.SignOut(ctx, text); err != nil {
			return answer{}, err
		}
	}
	out := redirectWith(signInPath, "signed_out")
	out.cookie = s.sessionCookie(v.Request, "")
	return out, nil
}

const titleFirstUser = "Make the first user"

// firstUserForm is the data of the page that is there until there is a user.
type firstUserForm struct {
	Name    string
	Exposed bool
	Problem *formProblem
}

func (s *Site) firstUserPage(_ context.Context, v *visit) (answer, error) {
	if s.service.AnyUsers() {
		return answer{}, errNotFound()
	}
	return show("first_user", titleFirstUser, &firstUserForm{Exposed: s.exposed(v.Request)}), nil
}

// makeFirstUser makes the first user, an administrator, for who has the
// administrator's token, and signs that user in.
func (s *Site) makeFirstUser(ctx context.Context, v *visit) (answer, error) {
	if s.service.AnyUsers() {
		return answer{}, errNotFound()
	}
	form := &firstUserForm{Name: strings.TrimSpace(v.PostForm.Get("name")), Exposed: s.exposed(v.Request)}
	out, err := s.beginFirst(ctx, v, form.Name)
	if err != nil {
		return refuse("first_user", titleFirstUser, form, &form.Problem, err)
	}
	return out, nil
}

func (s *Site) beginFirst(ctx context.Context, v *visit, name string) (answer, error) {
	by, err := s.service.Authenticate(ctx, strings.TrimSpace(v.PostForm.Get("token")))
	switch {
	case codeOf(err) == sluice.Unauthorized, err == nil && (by.Kind != control.KindAdmin || !by.Administrator()):
		return answer{}, sluice.Errorf(sluice.Unauthorized, "this is not the administrator's token").
			WithHint("the server printed it when it started for the first time, unless SLUICE_ADMIN_TOKEN presets it")
	case err != nil:
		return answer{}, err
	}
	password, err := newPassword(v)
	if err != nil {
		return answer{}, err
	}
	if _, err := s.service.CreateUser(ctx, by, control.UserSpec{Name: name, Password: password, Administrator: true}); err != nil {
		return answer{}, err
	}
	out, err := s.beginSession(ctx, v, name, password, home)
	if err != nil {
		s.logger.WarnContext(ctx, "first user made and not signed in", "err", err)
		return redirect(signInPath), nil
	}
	return out, nil
}

// newPassword returns the password that a form has twice.
func newPassword(v *visit) (secret.Text, error) {
	text := v.PostForm.Get("new_password")
	switch {
	case text == "":
		return "", sluice.Errorf(sluice.Invalid, "enter a new password")
	case text != v.PostForm.Get("repeated_password"):
		return "", sluice.Errorf(sluice.Invalid, "the new password and its repetition differ").WithHint("enter the same in both fields")
	}
	return secret.Text(text), nil
}
