// Package github serves the audit log of GitHub's REST API for clients that were
// made for it: the logs of an enterprise and of an organization, the streams of an
// enterprise, and what such clients ask besides. It translates onto package control, which decides
// everything. docs/api/github.md is its manual.
//
// Source: GitHub's documentation, "REST API endpoints for enterprise audit logs",
// and the client github.com/google/go-github.
package github

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

// API answers requests below /api/v3, and the same ones at the root. It may be
// used by several goroutines at once.
type API struct {
	service  *control.Service
	logger   *slog.Logger
	requests *quota.Requests
	external string
	mux      *http.ServeMux
}

// Prefix is where the API lies besides the root.
const Prefix = "/api/v3"

// Roots are the paths at the root that belong to the API.
func Roots() []string { return []string{"/enterprises/", "/orgs/", "/meta", "/rate_limit"} }

// New returns the API.
func New(cfg Config) *API {
	a := &API{service: cfg.Service, logger: cfg.Logger, requests: cfg.Requests, external: cfg.External, mux: http.NewServeMux()}
	if a.logger == nil {
		a.logger = slog.New(slog.DiscardHandler)
	}
	for path, m := range map[string]methods{
		"/enterprises/{enterprise}/audit-log":                  {"GET": a.enterpriseLog},
		"/enterprises/{enterprise}/audit-log/stream-key":       {"GET": a.streamKey},
		"/enterprises/{enterprise}/audit-log/streams":          {"GET": a.listStreams, "POST": a.createStream},
		"/enterprises/{enterprise}/audit-log/streams/{stream}": {"GET": a.getStream, "PUT": a.updateStream, "DELETE": a.deleteStream},
		"/orgs/{org}/audit-log":                                {"GET": a.orgLog},
		"/meta":                                                {"GET": a.meta},
	} {
		a.mux.HandleFunc(path, a.handle(m, a.requests.Take))
	}
	a.mux.HandleFunc("/rate_limit", a.handle(methods{"GET": a.rateLimit}, a.requests.Look)) // which costs nothing
	a.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { writeProblem(w, errNotFound) })
	return a
}

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, no-store")
	h.Set("X-GitHub-Media-Type", "github.v3; format=json")
	if strings.HasPrefix(r.URL.Path, Prefix+"/") {
		http.StripPrefix(Prefix, a.mux).ServeHTTP(w, r)
		return
	}
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

// problem is an error in GitHub's form.
type problem struct {
	status int
	text   string
	errors []string
}

func (p *problem) Error() string { return p.text }

var (
	errCredentials = &problem{status: http.StatusUnauthorized, text: "Bad credentials"}
	errForbidden   = &problem{status: http.StatusForbidden, text: "Resource not accessible by this token"}
	errNotFound    = &problem{status: http.StatusNotFound, text: "Not Found"}
	errInternal    = &problem{status: http.StatusInternalServerError, text: "Server Error"}
)

// token returns the token of a request. GitHub's clients send it as Bearer, as
// token, or as the password of basic authentication.
func token(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "token") {
		return strings.TrimSpace(text)
	}
	return ""
}

// methods are the ways to use a path.
type methods map[string]func(*call) error

// handle authenticates a request, counts it, and answers it by its method.
func (a *API) handle(m methods, count func(key string) quota.Window) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		do := m[method]
		if do == nil {
			writeProblem(w, errNotFound)
			return
		}
		by, err := a.service.Authenticate(r.Context(), token(r))
		if err == nil {
			window := count(by.Key())
			tellRate(w.Header(), r, window)
			err = window.Err()
		}
		if err == nil {
			err = do(&call{Request: r, w: w, by: by, origin: a.origin(r)})
		}
		if err != nil {
			writeProblem(w, a.explain(r, err))
		}
	}
}

// meta tells where deliveries come from, in the member that GitHub's hooks have.
func (a *API) meta(c *call) error {
	info, err := a.service.Info(c.Context(), c.by)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"verifiable_password_authentication": false, "hooks": info.EgressAddresses})
	return nil
}

// explain puts an error into GitHub's words.
func (a *API) explain(r *http.Request, err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	e, ok := errors.AsType[*sluice.Error](err)
	if !ok {
		if r.Context().Err() == nil {
			a.logger.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "err", err)
		}
		return errInternal
	}
	switch e.Code {
	case sluice.Unauthorized:
		return errCredentials
	case sluice.Forbidden:
		return errForbidden
	case sluice.NotFound:
		return errNotFound
	case sluice.Invalid:
		return &problem{http.StatusUnprocessableEntity, "Validation Failed", []string{e.Message}}
	case sluice.Conflict:
		return &problem{http.StatusUnprocessableEntity, "Validation Failed", []string{e.Message}}
	case sluice.RateLimited:
		return &problem{status: http.StatusForbidden, text: "API rate limit exceeded: " + e.Message}
	case sluice.Busy:
		return &problem{status: http.StatusServiceUnavailable, text: e.Message}
	case sluice.NoSpace:
		return &problem{status: http.StatusInsufficientStorage, text: e.Message}
	case sluice.Unsupported:
		return &problem{status: http.StatusNotImplemented, text: e.Message}
	}
	a.logger.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "err", err)
	return errInternal
}

func writeProblem(w http.ResponseWriter, p *problem) {
	if p.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	body := map[string]any{"message": p.text, "status": strconv.Itoa(p.status)}
	if len(p.errors) > 0 {
		body["errors"] = p.errors
	}
	writeJSON(w, p.status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"message":"Server Error"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // nobody is left to be told
}
