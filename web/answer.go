package web

import (
	"context"
	"crypto/rand"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// answer is what a request gets: a page, or a redirect to one.
type answer struct {
	status   int    // of a page; 0 is 200
	page     string // its template
	title    string
	data     any           // what the template shows
	location string        // of a redirect, "" for a page
	cookie   *http.Cookie  // to be set; may be nil
	script   string        // a file of assets/ that the page loads beside app.js, or ""
	file     *file         // in place of a page; may be nil
	wait     time.Duration // as in [sluice.Error]
}

// file is what a browser keeps as a file.
type file struct {
	name string // letters, digits, dashes and dots
	json []byte
}

// send sends the file.
func (f *file) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+f.name+`"`)
	h.Set("Content-Length", strconv.Itoa(len(f.json)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(f.json) // nobody is left to be told
	}
}

func show(page, title string, data any) answer {
	return answer{status: http.StatusOK, page: page, title: title, data: data}
}

// redirect sends the browser to a page. What was posted is not posted again.
func redirect(location string) answer { return answer{location: location} }

// redirectWith has the page show a notice.
func redirectWith(location, code string) answer {
	return redirect(location + "?" + url.Values{noticeParam: {code}}.Encode())
}

// noticeParam is the parameter of an address that names a notice.
const noticeParam = "notice"

// notice is a line on top of a page about what was done before.
type notice struct {
	Text  string
	Alert bool // something was not done
}

// noticeOf returns the notice with this code, nil without one. The address of a
// page may come from anybody: it chooses among these texts and adds none.
func noticeOf(code string) *notice {
	n, ok := map[string]notice{
		"signed_out":       {Text: "You are signed out."},
		"session_ended":    {Text: "You were signed out in the meantime. What you sent was not done: sign in and do it again.", Alert: true},
		"password_changed": {Text: "Your password is changed. Everywhere else you are signed out."},
		"token_revoked":    {Text: "The token is revoked. What used it cannot sign in with it any more."},
		"token_repeated": {Text: "This form was sent before: the token exists and is in the list. If you did not copy it, revoke it and create another one.",
			Alert: true},
		"form_repeated":      {Text: "This form was sent before, and was done then. What it made was shown once, in its answer.", Alert: true},
		"member_set":         {Text: "The role is given."},
		"member_removed":     {Text: "The role is taken away, from the next request on."},
		"stream_retried":     {Text: "The stream is tried now: the result is below in a moment."},
		"stream_not_retried": {Text: "There was nothing to try: no delivery waits for its next try, or it failed less than a second ago."},
		"redelivered":        {Text: "They are tried again, one by one, as soon as the destination takes events. What is refused again stays in quarantine."},
		"dropped":            {Text: "They are dropped. The stream's account counts them as expired."},
		"user_changed":       {Text: "The user is changed, from the next request on."},
		"stream_created":     {Text: "The stream is saved and has begun."},
		"stream_saved":       {Text: "The stream is saved. The change takes effect between two deliveries."},
		"stream_paused":      {Text: "The stream is paused. Nothing is lost meanwhile."},
		"stream_resumed":     {Text: "The stream is resumed, and sends what came meanwhile."},
		"stream_deleted":     {Text: "The stream is deleted. Its final account is in the audit log."},
		"stream_repeated":    {Text: "This form was sent before: the stream exists and is in the list.", Alert: true},
	}[code]
	if !ok {
		return nil
	}
	return &n
}

// frame is what the layout shows around the data of a page.
type frame struct {
	Title  string
	Path   string
	Me     *control.Me // nil: nobody is signed in
	Place  *place      // nil: the page is about none
	Notice *notice
	Script string // see [answer]
	Data   any
}

// write sends an answer.
func (s *Site) write(w http.ResponseWriter, v *visit, a answer) {
	if a.cookie != nil {
		http.SetCookie(w, a.cookie)
	}
	if a.location != "" {
		http.Redirect(w, v.Request, a.location, http.StatusSeeOther)
		return
	}
	if a.file != nil {
		a.file.send(w, v.Request)
		return
	}
	f := frame{Title: a.title, Path: v.URL.Path, Me: v.me, Place: v.place, Data: a.data, Script: a.script, Notice: noticeOf(v.URL.Query().Get(noticeParam))}
	if a.status >= http.StatusBadRequest {
		f.Notice = nil // there is something newer to tell
	}
	if a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(a.wait.Seconds())))))
	}
	if err := s.pages.write(w, v.Request, a.status, a.page, f); err != nil {
		s.logger.ErrorContext(v.Context(), "page not made", "page", a.page, "err", err)
		http.Error(w, "the page cannot be shown; the server's log has the cause", http.StatusInternalServerError)
	}
}

// problem is what the page of an error shows.
type problem struct {
	Status        int
	Heading       string
	Message, Hint string // sentences; Hint may be ""
	Reference     string // names the entry in the server's log, or ""
}

// fail answers with the page of an error. What is not meant for people goes to
// the log, under a reference that the page shows.
func (s *Site) fail(w http.ResponseWriter, v *visit, err error) {
	p := problem{}
	e, ok := errors.AsType[*sluice.Error](err)
	if !ok {
		p.Reference = rand.Text()[:12]
		if v.Context().Err() == nil {
			s.logger.ErrorContext(v.Context(), "page failed", "reference", p.Reference, "method", v.Method, "path", v.URL.Path, "err", err)
		}
		e = sluice.Errorf(sluice.Internal, "the server could not do this, and its administrators can see why").
			WithHint("try again; if it fails again, tell an administrator the reference below")
	}
	p.Status, p.Heading = statusOf(e.Code)
	words := told(e)
	p.Message, p.Hint = words.Message, words.Hint
	s.write(w, v, answer{status: p.Status, page: "error", title: p.Heading, data: p, wait: e.Wait})
}

// codeMethod is the code of a method that a path does not have.
const codeMethod sluice.Code = "method_not_allowed"

// statusOf is the one place where codes become HTTP statuses, and headings.
func statusOf(code sluice.Code) (status int, heading string) {
	switch code {
	case sluice.Invalid:
		return http.StatusBadRequest, "This could not be read"
	case sluice.Unauthorized:
		return http.StatusUnauthorized, "You are not signed in"
	case sluice.Forbidden:
		return http.StatusForbidden, "You may not do this"
	case sluice.NotFound:
		return http.StatusNotFound, "There is no such page"
	case codeMethod:
		return http.StatusMethodNotAllowed, "This page works in another way"
	case sluice.Conflict:
		return http.StatusConflict, "This does not fit what is there"
	case sluice.TooLarge:
		return http.StatusRequestEntityTooLarge, "This is too much at once"
	case sluice.RateLimited:
		return http.StatusTooManyRequests, "Too many tries"
	case sluice.Busy:
		return http.StatusServiceUnavailable, "The server is busy"
	case sluice.NoSpace:
		return http.StatusInsufficientStorage, "The disk is full"
	case sluice.Unsupported:
		return http.StatusNotImplemented, "This server does not offer it"
	}
	return http.StatusInternalServerError, "Something went wrong here"
}

func notFound(context.Context, *visit) (answer, error) { return answer{}, errNotFound() }

func errNotFound() error {
	return sluice.Errorf(sluice.NotFound, "it may have been deleted, its address may be wrong, or it is not for your account").
		WithHint("check the address, or ask an owner or an administrator for access")
}

func errMethod() error {
	return sluice.Errorf(codeMethod, "this address was opened in a way that it does not answer").WithHint("go to the page with the form or button, and use that")
}

func errCrossSite() error {
	return sluice.Errorf(sluice.Forbidden, "this seems to come from a page of another site, so nothing was done").
		WithHint("do it on the page here; if you did, the server does not know at which address people reach it, and an administrator can set external-url")
}

// formProblem is what a form shows above its fields.
type formProblem struct {
	Message, Hint string
	Fields        []fieldLink // those that are marked
}

// fieldLink leads to a field.
type fieldLink struct{ ID, Text string }

// refuse shows the page of a form again, with the reason why it was not done.
// Errors that no other entry would change are returned.
func refuse(page, title string, data any, into **formProblem, err error) (answer, error) {
	e, ok := errors.AsType[*sluice.Error](err)
	if !ok {
		return answer{}, err
	}
	status := http.StatusUnprocessableEntity
	switch e.Code {
	case sluice.RateLimited, sluice.Busy, sluice.NoSpace, sluice.Internal:
		status, _ = statusOf(e.Code)
	}
	words := told(e)
	*into = &words
	return answer{status: status, page: page, title: title, data: data, wait: e.Wait}, nil
}

// sentence makes one of a message, which begins small and has no full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	first, n := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[n:]
	if strings.ContainsAny(s[len(s)-1:], ".!?:") {
		return s
	}
	return s + "."
}
