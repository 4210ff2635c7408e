package web

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/sluicelog/sluice/control"
)

// Names of the cookie. Browsers take the first one from encrypted connections to
// this very host alone, so that no other can plant it
// (https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-4.1.3.2);
// without encryption they would not take it.
const (
	hostCookie  = "__Host-sluice"
	plainCookie = "sluice"
)

func (s *Site) cookieName(r *http.Request) string {
	if s.encrypted(r) {
		return hostCookie
	}
	return plainCookie
}

// Session returns the text of the session's cookie, "" without one, for
// [control.Service.Session]. Whoever calls it for a request that changes
// something asks Guard first.
func (s *Site) Session(r *http.Request) string {
	c, err := r.Cookie(s.cookieName(r))
	if err != nil {
		return ""
	}
	return c.Value
}

// sessionCookie carries a session; with "" it takes the browser's away.
func (s *Site) sessionCookie(r *http.Request, text string) *http.Cookie {
	c := &http.Cookie{
		Name: s.cookieName(r), Value: text, Path: "/", HttpOnly: true, Secure: s.encrypted(r), SameSite: http.SameSiteLaxMode,
		MaxAge: int(control.SessionLife / time.Second),
	}
	if text == "" {
		c.MaxAge = -1
	}
	return c
}

// nextParam is the parameter with the page that is wanted after signing in.
const nextParam = "next"

// maxTarget bounds the address of a wanted page, in bytes.
const maxTarget = 2048

// toSignIn sends somebody who is not signed in to the page for it, and from there
// to where they were going. A form that was posted is not kept.
func toSignIn(r *http.Request, page bool) answer {
	q := url.Values{}
	target := ""
	switch {
	case r.Method != http.MethodPost:
		target = r.URL.RequestURI()
	case page:
		target = r.URL.EscapedPath()
	}
	if r.Method == http.MethodPost {
		q.Set(noticeParam, "session_ended")
	}
	if target = localTarget(target); target != home {
		q.Set(nextParam, target)
	}
	if len(q) == 0 {
		return redirect(signInPath)
	}
	return redirect(signInPath + "?" + q.Encode())
}

// localTarget returns the page that text names, and the first page unless it is
// plainly one of ours. Links to the page for signing in come from anybody: they
// must not lead to another site.
func localTarget(text string) string {
	if len(text) > maxTarget || !strings.HasPrefix(text, home) || strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c == '\\' || c >= 0x7f }) {
		return home
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.ContainsAny(u.Path, "\\\r\n\t") {
		return home
	}
	clean := path.Clean(u.Path)
	if clean != strings.TrimSuffix(u.Path, "/") || !strings.HasPrefix(clean+"/", home) {
		return home // dots or double slashes, which browsers read in their own ways
	}
	if clean == signInPath || clean == signOutPath || clean == firstUserPath || strings.HasPrefix(clean, assetRoot) {
		return home
	}
	target := u.EscapedPath()
	if u.RawQuery != "" {
		target += "?" + u.RawQuery
	}
	return target
}
