// Package rest is the native HTTP API: streams, tokens and namespaces under
// /api/v1, health and metrics. It translates between JSON and package control,
// which decides everything. docs/api/native.md is its manual.
//
// Every answer is JSON, errors included: {"error":{"code","message","hint"}}.
package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/quota"
)

// Config says what an API works with.
type Config struct {
	Service *control.Service // required
	Logger  *slog.Logger     // access is logged at debug level, without tokens
	Version string           // shown in the metrics
	// Session returns the text of the session's cookie, "" without one. It counts
	// only when a request has no header Authorization. Nil: there are no sessions.
	Session func(*http.Request) string
	// Guard refuses requests of other sites' pages that come with a cookie; by
	// default one that trusts no other origin.
	Guard *http.CrossOriginProtection
	// Requests bounds those of each credential; nil: there is no limit.
	Requests *quota.Requests
	// Snapshots tells what is kept of the control state; nil: nothing is.
	Snapshots func() Snapshots
	// Measured is the number of streams with metrics of their own; the others are
	// summed. 1,000 by default.
	Measured int
}

// API is the native API.
type API struct {
	service  *control.Service
	logger   *slog.Logger
	version  string
	session  func(*http.Request) string // may be nil
	guard    *http.CrossOriginProtection
	requests *quota.Requests
	measured int
	kept     func() Snapshots // may be nil
	mux      *http.ServeMux
	stop     sync.Once
	stopping chan struct{} // closed by Stop
	exports  transfers
	readers  transfers // that follow the log
}

// New returns the API as a handler of /api/, /healthz, /readyz and /metrics; all
// other paths are not found. It does not take events.
func New(cfg Config) *API {
	a := &API{service: cfg.Service, logger: cfg.Logger, version: cfg.Version, session: cfg.Session, guard: cfg.Guard, measured: cfg.Measured,
		requests: cfg.Requests, kept: cfg.Snapshots, mux: http.NewServeMux(), stopping: make(chan struct{})}
	if a.guard == nil {
		a.guard = http.NewCrossOriginProtection()
	}
	if a.measured == 0 {
		a.measured = 1000
	}
	if a.logger == nil {
		a.logger = slog.New(slog.DiscardHandler)
	}
	a.mount()
	return a
}

// call is one authenticated request.
type call struct {
	*http.Request
	by control.Principal
}

// answer is what a request gets: a status of 2xx and a body to encode as JSON.
type answer struct {
	status int
	body   any
}

func ok(body any) (answer, error) { return answer{http.StatusOK, body}, nil }

// methods are the ways to use a path.
type methods map[string]func(context.Context, *call) (answer, error)

// server is a body that is written while it is made, in a form of its own.
type server interface {
	serve(http.ResponseWriter, *http.Request)
}

// withoutBody answers with what do returns for the caller.
func withoutBody[T any](do func(context.Context, control.Principal) (T, error)) func(context.Context, *call) (answer, error) {
	return func(ctx context.Context, c *call) (answer, error) {
		out, err := do(ctx, c.by)
		return answer{http.StatusOK, out}, err
	}
}

// routes is the table of all paths that ask for a token.
func (a *API) routes() map[string]methods {
	return map[string]methods{
		"/api/v1/streams":                           {"GET": a.listStreams, "POST": a.createStream},
		"/api/v1/streams/check":                     {"POST": a.checkDraft},
		"/api/v1/streams/preview":                   {"POST": a.previewStream},
		"/api/v1/streams/{id}":                      {"GET": a.getStream, "PATCH": a.updateStream, "DELETE": a.deleteStream},
		"/api/v1/streams/{id}/check":                {"POST": a.checkStream},
		"/api/v1/streams/{id}/pause":                {"POST": a.pauseStream},
		"/api/v1/streams/{id}/resume":               {"POST": a.resumeStream},
		"/api/v1/streams/{id}/retry":                {"POST": a.retryStream},
		"/api/v1/streams/{id}/attempts":             {"GET": a.listAttempts},
		"/api/v1/streams/{id}/activity":             {"GET": a.listActivity},
		"/api/v1/streams/{id}/lag":                  {"GET": a.listLag},
		"/api/v1/streams/{id}/quarantine":           {"GET": a.listQuarantine},
		"/api/v1/streams/{id}/quarantine/redeliver": {"POST": a.redeliver},
		"/api/v1/streams/{id}/quarantine/drop":      {"POST": a.drop},
		"/api/v1/tokens":                            {"GET": a.listTokens, "POST": a.createToken},
		"/api/v1/tokens/{id}":                       {"DELETE": a.revokeToken},
		"/api/v1/users":                             {"GET": a.listUsers, "POST": a.createUser},
		"/api/v1/users/{id}":                        {"GET": a.getUser, "PATCH": a.updateUser},
		"/api/v1/members":                           {"GET": a.listMembers, "POST": a.setMember, "DELETE": a.removeMember},
		"/api/v1/me":                                {"GET": withoutBody(a.service.Me)},
		"/api/v1/namespaces":                        {"GET": a.listNamespaces, "POST": a.declareNamespace},
		"/api/v1/counts":                            {"GET": a.listCounts},
		"/api/v1/events":                            {"GET": a.findEvents},
		"/api/v1/events/counts":                     {"GET": a.countEvents},
		"/api/v1/events/export":                     {"GET": a.exportEvents},
		"/api/v1/events/live":                       {"GET": a.followEvents},
		"/api/v1/events/index":                      {"GET": a.indexStatus},
		"/api/v1/notices":                           {"GET": a.getNotices, "PUT": a.setNotices},
		"/api/v1/notices/test":                      {"POST": a.testNotices},
		"/api/v1/info":                              {"GET": a.info},
		"/api/v1/kinds":                             {"GET": a.listKinds},
		"/api/v1/secrets":                           {"GET": withoutBody(a.service.SealingKeys)},
		"/api/v1/secrets/rotate":                    {"POST": withoutBody(a.service.RotateKeys)},
		"/api/v1/secrets/prune":                     {"POST": withoutBody(a.service.PruneKeys)},
	}
}

// openRoutes is the table of the paths that answer GET without one, or judge it
// themselves.
func (a *API) openRoutes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"/api/v1/openapi.yaml": serveDocument(), "/healthz": a.health, "/readyz": a.ready, "/metrics": a.guardedMetrics,
	}
}

// mount makes the tables known.
func (a *API) mount() {
	for path, m := range a.routes() {
		a.mux.Handle(path, a.handle(path, m))
	}
	for path, do := range a.openRoutes() {
		a.mux.HandleFunc(path, a.open(do))
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, sluice.Errorf(sluice.NotFound, "there is nothing at this path").WithHint("the API lies under /api/v1; see its manual"))
	})
}

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	a.mux.ServeHTTP(seen, r)
	a.logger.DebugContext(r.Context(), "request answered", "method", r.Method, "path", r.URL.Path,
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

// takesQuery reports whether a way to use a path reads the query. The others
// refuse one: a parameter that is misspelt or not there must not seem to hold.
func takesQuery(method, path string) bool {
	switch path {
	case "/api/v1/members":
		return method != http.MethodPost
	case "/api/v1/streams", "/api/v1/namespaces", "/api/v1/counts", "/api/v1/streams/{id}/attempts",
		"/api/v1/streams/{id}/activity", "/api/v1/streams/{id}/lag", "/api/v1/streams/{id}/quarantine":
		return method == http.MethodGet
	}
	return strings.HasPrefix(path, "/api/v1/events") || strings.HasPrefix(path, "/api/v1/notices")
}

// handle authenticates a request and answers it by its method.
func (a *API) handle(path string, m methods) http.HandlerFunc {
	allow := strings.Join(allowed(m), ", ")
	return func(w http.ResponseWriter, r *http.Request) {
		by, err := a.authenticate(r)
		if err == nil {
			err = a.requests.Admit(w.Header(), by.Key())
		}
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		do := m[method]
		if do == nil {
			w.Header().Set("Allow", allow)
			writeProblem(w, http.StatusMethodNotAllowed, sluice.Errorf("method_not_allowed", "the method is not for this path").WithHint("use %s", allow))
			return
		}
		c := &call{Request: r, by: by}
		if !takesQuery(method, path) {
			if _, err := c.query(); err != nil {
				a.refuse(w, r, err)
				return
			}
		}
		out, err := do(r.Context(), c)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		if b, ok := out.body.(server); ok {
			b.serve(w, r)
			return
		}
		if b, ok := out.body.(interface{ header(http.Header) }); ok {
			b.header(w.Header())
		}
		writeJSON(w, out.status, out.body)
	}
}

// authenticate finds out who makes a request, by its token or else by its
// session, which a browser sends along with what other sites' pages ask for, too:
// also where they lead a browser to, for which the guard would let a GET pass. But
// an export is recorded under the name of whose session it is, and a search or a
// live view takes what others need.
func (a *API) authenticate(r *http.Request) (control.Principal, error) {
	text := ""
	if a.session != nil && r.Header.Get("Authorization") == "" {
		text = a.session(r)
	}
	if text == "" {
		return a.service.Authenticate(r.Context(), bearer(r))
	}
	as := r.WithContext(r.Context())
	as.Method = http.MethodPost // of whichever method
	if err := a.guard.Check(as); err != nil {
		return control.Principal{}, sluice.Errorf(sluice.Forbidden, "a page of another site sent this request").
			WithHint("use the pages of this server, or a token")
	}
	return a.service.Session(r.Context(), text)
}

// allowed lists the methods, GET with HEAD.
func allowed(m methods) []string {
	var out []string
	for _, name := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		if m[name] != nil {
			out = append(out, name)
		}
		if name == "GET" && m[name] != nil {
			out = append(out, "HEAD")
		}
	}
	return out
}

// open answers GET requests without a token.
func (a *API) open(do http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			writeProblem(w, http.StatusMethodNotAllowed, sluice.Errorf("method_not_allowed", "the method is not for this path").WithHint("use GET"))
			return
		}
		do(w, r)
	}
}

// bearer returns the token of a request, "" without one.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// refuse answers with an error. What is not meant for callers goes to the log.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*sluice.Error](err)
	if !ok {
		if r.Context().Err() == nil {
			a.logger.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "err", err)
		}
		e = sluice.Errorf(sluice.Internal, "the server failed to do this").WithHint("it may have been done in part; the server's log has the cause")
	}
	writeError(w, e)
}

func (a *API) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (a *API) ready(w http.ResponseWriter, _ *http.Request) {
	err := a.service.Ready()
	if err == nil {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
		return
	}
	e, ok := errors.AsType[*sluice.Error](err)
	if !ok {
		e = sluice.Errorf(sluice.Internal, "the server is not ready")
	}
	writeProblem(w, http.StatusServiceUnavailable, e)
}
