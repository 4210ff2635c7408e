package crash

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sluicelog/sluice/client"
)

// people makes a user, who signs in and out, and a token that ends.
func people(w *world) {
	for i := range 2 {
		name := fmt.Sprintf("person-%d", i)
		w.user(name)
		cookie := w.signIn(name)
		w.signOut(cookie)
		text := fmt.Sprintf("crash-second-token-%d-0123456789", i)
		w.token("second "+name, text)
		w.revoke("second "+name, text)
	}
	w.post(post{count: 10})
}

const password = "a-password-of-some-length"

// user makes a user and finds out, after a crash, whether it is there.
func (w *world) user(name string) {
	w.Helper()
	w.do("make a user", func(ctx context.Context) error {
		list, err := w.Admin.Users(ctx)
		for i := range list {
			if list[i].Name == name {
				return nil
			}
		}
		if err == nil {
			_, err = w.Admin.CreateUser(ctx, client.UserSpec{Name: name, Password: password})
		}
		return err
	})
}

// form posts a form of the pages and returns the cookie that it sets.
func (w *world) form(ctx context.Context, path string, values url.Values, cookie *http.Cookie) (*http.Cookie, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL()+path, strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if cookie != nil {
		r.AddCookie(cookie)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther {
		return nil, fmt.Errorf("post %s: %s", path, resp.Status)
	}
	for _, c := range resp.Cookies() {
		return c, nil
	}
	return nil, nil
}

// signIn begins a session, which has to work.
func (w *world) signIn(name string) *http.Cookie {
	w.Helper()
	var cookie *http.Cookie
	w.do("sign in", func(ctx context.Context) (err error) {
		cookie, err = w.form(ctx, "/-/sign_in", url.Values{"name": {name}, "password": {password}}, nil)
		return err
	})
	if cookie == nil || cookie.Value == "" {
		w.Fatal("signing in gave no cookie")
	}
	w.me(cookie, http.StatusOK)
	return cookie
}

// signOut ends a session, which must not work any more.
func (w *world) signOut(cookie *http.Cookie) {
	w.Helper()
	w.do("sign out", func(ctx context.Context) error {
		_, err := w.form(ctx, "/-/sign_out", nil, cookie)
		return err
	})
	w.me(cookie, http.StatusUnauthorized)
}

// me asks who the session is and wants a status.
func (w *world) me(cookie *http.Cookie, want int) {
	w.Helper()
	w.do("ask who it is", func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL()+"/api/v1/me", http.NoBody)
		if err != nil {
			return err
		}
		r.AddCookie(cookie)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			w.Errorf("a session: got status %d, want %d", resp.StatusCode, want)
		}
		return nil
	})
}

// revoke ends a token, which worked and then must not work any more.
func (w *world) revoke(name, text string) {
	w.Helper()
	c := w.client(text)
	body := w.book.make(post{count: 3})
	w.do("post with the second token", func(ctx context.Context) error {
		_, err := c.PostEvents(ctx, body, "")
		return err
	})
	w.do("revoke a token", func(ctx context.Context) error {
		id, err := w.tokenNamed(ctx, name)
		if err == nil && id != "" {
			err = w.Admin.RevokeToken(ctx, id)
		}
		return err
	})
	w.do("post with a token that has ended", func(ctx context.Context) error {
		_, err := c.PostEvents(ctx, body, "")
		if err == nil || isStatus(err, http.StatusUnauthorized) {
			if err == nil {
				w.Errorf("a token that was revoked still works")
			}
			return nil
		}
		return err
	})
}
