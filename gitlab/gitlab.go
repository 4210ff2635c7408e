// Package gitlab serves the audit events of GitLab's REST API, version 4, for
// clients and scripts that were made for it: lists of the installation, of a group
// and of a project, and single events. It translates onto package control, which
// decides everything. docs/api/gitlab.md is its manual.
//
// Source: GitLab's documentation, "Audit events API" and "REST API: pagination".
package gitlab

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/quota"
)

// Config says what an API works with.
type Config struct {
	Service *control.Service // required
	Logger  *slog.Logger
	// Requests bounds those of each credential; nil: there is no limit.
	Requests *quota.Requests
	// External is where clients reach the server through a proxy, such as
	// "https://sluice.example"; "" when they connect to it themselves. Links lead
	// there: clients follow them with their tokens, which must not be sent in the
	// clear because the proxy's own connection is not encrypted.
	External string
}

// API answers requests below /api/v4. It may be used by several goroutines at once.
type API struct {
	service  *control.Service
	logger   *slog.Logger
	requests *quota.Requests
	external string
	mux      *http.ServeMux
}

// New returns the API as a handler of /api/v4/.
func New(cfg Config) *API {
	a := &API{service: cfg.Service, logger: cfg.Logger, requests: cfg.Requests, external: cfg.External, mux: http.NewServeMux()}
	if a.logger == nil {
		a.logger = slog.New(slog.DiscardHandler)
	}
	for path, do := range map[string]func(*call) error{
		"/api/v4/audit_events":                          a.listInstance,
		"/api/v4/audit_events/{event}":                  a.getInstance,
		"/api/v4/groups/{owner}/audit_events":           a.listOf(sluice.KindGroup),
		"/api/v4/groups/{owner}/audit_events/{event}":   a.getOf(sluice.KindGroup),
		"/api/v4/projects/{owner}/audit_events":         a.listOf(sluice.KindProject),
		"/api/v4/projects/{owner}/audit_events/{event}": a.getOf(sluice.KindProject),
	} {
		a.mux.HandleFunc(path, a.handle(do))
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { writeProblem(w, errNotFound) })
	return a
}

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "max-age=0, private, must-revalidate")
	h.Set("Vary", "Origin")
	a.mux.ServeHTTP(w, r)
}

// call is one authenticated request.
type call struct {
	*http.Request
	w      http.ResponseWriter
	by     control.Principal
	origin string // what links begin with
}

// origin returns the scheme and host at which a client has reached the server.
func (a *API) origin(r *http.Request) string {
	switch {
	case a.external != "":
		return a.external
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// problem is an error in GitLab's form.
type problem struct {
	status int
	key    string // "message" or "error"
	text   string
}

func (p *problem) Error() string { return p.text }

var (
	errUnauthorized = &problem{http.StatusUnauthorized, "message", "401 Unauthorized"}
	errForbidden    = &problem{http.StatusForbidden, "message", "403 Forbidden"}
	errNotFound     = &problem{http.StatusNotFound, "message", "404 Not Found"}
)

// bad says which parameter is wrong.
func bad(text string) *problem { return &problem{http.StatusBadRequest, "error", text} }

// token returns the token of a request, wherever GitLab's clients put it.
func token(r *http.Request) string {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(text)
	}
	if text := r.Header.Get("PRIVATE-TOKEN"); text != "" {
		return text
	}
	q := r.URL.Query()
	if text := q.Get("private_token"); text != "" {
		return text
	}
	return q.Get("access_token")
}

func (a *API) handle(do func(*call) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			writeProblem(w, &problem{http.StatusMethodNotAllowed, "error", "405 Not Allowed"})
			return
		}
		by, err := a.service.Authenticate(r.Context(), token(r))
		if err == nil {
			err = a.requests.Admit(w.Header(), by.Key())
		}
		if err == nil {
			err = do(&call{Request: r, w: w, by: by, origin: a.origin(r)})
		}
		if err != nil {
			writeProblem(w, a.explain(r, err))
		}
	}
}

// explain puts an error into GitLab's words.
func (a *API) explain(r *http.Request, err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	e, ok := errors.AsType[*sluice.Error](err)
	if !ok {
		if r.Context().Err() == nil {
			a.logger.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "err", err)
		}
		return &problem{http.StatusInternalServerError, "message", "500 Internal Server Error"}
	}
	switch e.Code {
	case sluice.Unauthorized:
		return errUnauthorized
	case sluice.Forbidden:
		return errForbidden
	case sluice.NotFound:
		return errNotFound
	case sluice.Invalid:
		return bad(e.Message)
	case sluice.RateLimited:
		return &problem{http.StatusTooManyRequests, "message", "429 Too Many Requests: " + e.Message}
	case sluice.Busy:
		return &problem{http.StatusServiceUnavailable, "message", e.Message}
	case sluice.Unsupported:
		return &problem{http.StatusNotImplemented, "message", e.Message}
	}
	a.logger.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "err", err)
	return &problem{http.StatusInternalServerError, "message", "500 Internal Server Error"}
}

func writeProblem(w http.ResponseWriter, p *problem) {
	if p.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, p.status, map[string]string{p.key: p.text})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"message":"500 Internal Server Error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // nobody is left to be told
}
