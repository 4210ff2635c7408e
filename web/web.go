// Package web serves the pages under /-/: plain HTML made by templates, with
// forms that work without scripts. It asks package control for everything and
// decides nothing by itself.
//
// A page is a handler, a template and an entry in [Site.routes]. A handler gets a
// visit (the request, its form, and who is signed in) and returns an answer (a
// page or a redirect) or an error, which [Site.fail] turns into a page. A form is
// posted to the address of the page that shows it. When something is wrong, the
// answer is the page again with the reason; when it was done, a redirect to a
// page, with the code of a notice, so that reloading repeats nothing.
//
// Cookies hold a session's text and nothing else. What a page of another site
// asks to change is refused by [http.CrossOriginProtection]; forms need no tokens
// against it. The Content-Security-Policy allows no scripts and styles but those
// in assets/.
package web

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/quota"
)

// Limits of a request.
const (
	maxForm  = 256 << 10        // bytes
	openForm = 8 << 10          // bytes, of those who are not signed in
	formTime = 30 * time.Second // in which a form has to arrive
)

// Config says what a Site works with.
type Config struct {
	Service *control.Service // required
	Logger  *slog.Logger     // failures are logged, and access at debug level; never what was entered
	// External is where browsers reach the pages, when they do not connect to
	// this server itself. With https cookies are for encrypted connections alone.
	External Origin
	Version  string // of the server, which administrators see
	// TrustedProxies are the addresses whose header X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Requests bounds those of each session; nil: there is no limit.
	Requests *quota.Requests
	// CountWait is how long after its request a page waits until events are counted,
	// 30 ms by default; what takes longer is there with a later view, see [Site.Run].
	// Below zero no page waits.
	CountWait time.Duration
}

// Site is the pages, a handler of everything under /-/. It may be used by several
// goroutines at once.
type Site struct {
	service  *control.Service
	logger   *slog.Logger
	external Origin
	proxies  []netip.Prefix
	guard    *http.CrossOriginProtection
	requests *quota.Requests
	assets   *assets
	pages    pages
	forms    *once
	version  string
	samples  samples
	held     *held
	counts   *counts
	wait     time.Duration // see CountWait
	tallies  tallies
	handler  http.Handler
}

// New returns the pages. It panics when a template cannot be parsed, which is a
// part of the program.
func New(cfg Config) *Site {
	s := &Site{service: cfg.Service, logger: cfg.Logger, external: cfg.External, proxies: cfg.TrustedProxies,
		guard: http.NewCrossOriginProtection(), requests: cfg.Requests, assets: readAssets(), forms: newOnce(), held: newHeld(), version: cfg.Version}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	s.counts, s.wait = newCounts(s.service, s.logger), cmp.Or(cfg.CountWait, countWait)
	if s.external != (Origin{}) {
		if err := s.guard.AddTrustedOrigin(s.external.String()); err != nil {
			panic("an origin that was parsed: " + err.Error())
		}
	}
	s.guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, &visit{Request: r}, errCrossSite())
	}))
	s.pages = readPages(s.assets)
	mux := http.NewServeMux()
	for path, r := range s.routes() {
		mux.Handle(path, s.handle(r))
	}
	mux.Handle(assetRoot+"{version}/{name}", s.assets)
	mux.Handle("/", s.handle(route{open: true, get: notFound, post: notFound}))
	s.handler = s.guard.Handler(mux)
	return s
}

// Run counts the events that pages say are being counted, until ctx ends; then it
// returns nil.
func (s *Site) Run(ctx context.Context) error {
	s.counts.run(ctx)
	return nil
}

// Guard refuses what pages of other sites ask to change. Other surfaces that take
// the session's cookie use it, too.
func (s *Site) Guard() *http.CrossOriginProtection { return s.guard }

// route is what can be done at a path: nil is not there.
type route struct {
	open      bool // to those who are not signed in, too
	get, post handler
}

// handler answers one way to use a path.
type handler func(ctx context.Context, v *visit) (answer, error)

// routes is the table of all pages.
func (s *Site) routes() map[string]route {
	routes := map[string]route{
		home + "{$}":                     {get: s.home},
		signInPath:                       {open: true, get: s.signInPage, post: s.signIn},
		firstUserPath:                    {open: true, get: s.firstUserPage, post: s.makeFirstUser},
		signOutPath:                      {open: true, post: s.signOut},
		passwordPath:                     {get: s.passwordPage, post: s.changePassword},
		tokensPath:                       {get: s.tokensPage, post: s.createToken},
		tokensPath + "/{token}/revoke":   {get: s.revokePage, post: s.revokeToken},
		strings.TrimSuffix(account, "/"): {get: func(context.Context, *visit) (answer, error) { return redirect(tokensPath), nil }},
	}
	s.addPlaces(routes)
	return routes
}

// ServeHTTP implements [http.Handler].
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: browsers would then hide the origin of forms from the guard.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	s.handler.ServeHTTP(seen, r)
	s.logger.DebugContext(r.Context(), "request answered", "method", r.Method, "path", r.URL.Path,
		"status", seen.status, "took", time.Since(began))
}

// statusWriter remembers the status for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// visit is one request for a page.
type visit struct {
	*http.Request
	by    control.Principal
	me    *control.Me // nil: nobody is signed in
	place *place      // that the page is about; nil for others
}

// handle answers requests for one path.
func (s *Site) handle(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := s.visitOf(r)
		if err == nil && v.me != nil && !rt.open { // whoever is over the limit can sign out
			err = s.requests.Take(v.by.Key()).Err()
		}
		if err != nil {
			s.fail(w, v, err)
			return
		}
		do := rt.get
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodPost:
			do = rt.post
		default:
			do = nil
		}
		if do == nil {
			w.Header().Set("Allow", rt.allow())
			s.fail(w, v, errMethod())
			return
		}
		if v.me == nil && !rt.open {
			s.write(w, v, toSignIn(r, rt.get != nil))
			return
		}
		if r.Method == http.MethodPost {
			most := int64(maxForm)
			if v.me == nil {
				most = openForm
			}
			if err := readForm(w, r, most); err != nil {
				s.fail(w, v, err)
				return
			}
		}
		out, err := do(r.Context(), v)
		if err != nil {
			s.fail(w, v, err)
			return
		}
		s.write(w, v, out)
	}
}

func (rt route) allow() string {
	var methods []string
	if rt.get != nil {
		methods = append(methods, "GET", "HEAD")
	}
	if rt.post != nil {
		methods = append(methods, "POST")
	}
	return strings.Join(methods, ", ")
}

// visitOf finds out who asks for a page.
func (s *Site) visitOf(r *http.Request) (*visit, error) {
	v := &visit{Request: r}
	text := s.Session(r)
	if text == "" {
		return v, nil
	}
	by, err := s.service.Session(r.Context(), text)
	if err == nil {
		me, failed := s.service.Me(r.Context(), by)
		v.by, v.me, err = by, &me, failed
	}
	if err != nil {
		v.me = nil
		if codeOf(err) == sluice.Unauthorized {
			err = nil // the session has ended
		}
	}
	return v, err
}

// readForm reads the body of a request, of so many bytes at most, into its
// PostForm.
func readForm(w http.ResponseWriter, r *http.Request, most int64) error {
	deadline := http.NewResponseController(w).SetReadDeadline
	_ = deadline(time.Now().Add(formTime)) // not every connection can
	r.Body = http.MaxBytesReader(w, r.Body, most)
	err := r.ParseForm()
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body) // of a body that is no form nothing was read
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return sluice.Errorf(sluice.TooLarge, "the form has more than %d KiB", most>>10).WithHint("enter less text")
	}
	if err != nil {
		// The deadline stays: the server reads what is left before it answers.
		return sluice.Errorf(sluice.Invalid, "the form cannot be read").WithHint("go back and send it again")
	}
	// One that passes while the page is made would look as if the browser had gone.
	_ = deadline(time.Time{})
	return nil
}

// codeOf returns the code of an error that a person may see, and else Internal.
func codeOf(err error) sluice.Code {
	if e, ok := errors.AsType[*sluice.Error](err); ok {
		return e.Code
	}
	return sluice.Internal
}
