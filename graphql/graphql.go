// Package graphql serves GitLab's GraphQL API for audit event streaming at
// /api/graphql: the whole of its schema, the legacy and the consolidated
// generation, groups and the instance. It is a translation onto package control,
// which decides everything: each of GitLab's objects is a view of a stream, so
// that what is made in one generation is there in the other and in the native
// API.
//
// The global id of an object is its class and a number: for destinations the
// stream's id, for headers and namespace filters one that is derived from the
// stream's id and the header's name or the namespace's path (see parts).
//
// Three of GitLab's ways are not taken over: a destination that is not active
// is a paused stream, which sends later what it did not send; limits are those
// of streams; and a filter on a group includes everything below it.
package graphql

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	gql "github.com/graph-gophers/graphql-go"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/quota"
)

// Limits of a request. What a query resolves is bounded by budget.
const (
	maxBody       = 1 << 20 // bytes
	maxQuery      = 10_000  // characters
	maxBatch      = 20      // queries in one request
	maxDepth      = 20
	maxSelections = 1000 // of one operation, fragments written out
	maxOverlaps   = 20_000
	maxErrors     = 5 // shown of one query
	maxTime       = 30 * time.Second
	maxRunning    = 4 // requests whose queries are run at once; others wait
	maxRunningOf  = 2 // of one user or token, and of all who send none
)

//go:embed schema.graphql
var schemaText string

// Config says what an API works with.
type Config struct {
	Service *control.Service // required
	Logger  *slog.Logger     // failures are logged, and access at debug level; never tokens
	// Session returns the text of the session's cookie, "" without one. It counts
	// only when a request has no token. Nil: there are no sessions.
	Session func(*http.Request) string
	// Guard refuses requests of other sites' pages that come with a cookie; by
	// default one that trusts no other origin.
	Guard *http.CrossOriginProtection
	// Requests bounds those of each credential; nil: there is no limit.
	Requests *quota.Requests
}

// API is the GraphQL API, a handler of the one path. It may be used by several
// goroutines at once.
type API struct {
	service   *control.Service
	logger    *slog.Logger
	schema    *gql.Schema
	session   func(*http.Request) string
	guard     *http.CrossOriginProtection // of requests with a cookie
	requests  *quota.Requests
	catalogue []definition
	running   *quota.Places // one for each request whose queries are run
	chosen    sync.Map      // by folded namespace: a channel that holds a value while somebody chooses a place
}

// New returns the API. It panics when the resolvers do not match the schema,
// which are both part of the program.
func New(cfg Config) *API {
	a := &API{service: cfg.Service, logger: cfg.Logger, session: cfg.Session, guard: cfg.Guard, requests: cfg.Requests, catalogue: readCatalogue(),
		running: quota.NewPlaces(maxRunning, maxRunningOf)}
	if a.guard == nil {
		a.guard = http.NewCrossOriginProtection()
	}
	if a.logger == nil {
		a.logger = slog.New(slog.DiscardHandler)
	}
	a.schema = gql.MustParseSchema(schemaText, &root{a}, gql.UseStringDescriptions(), gql.MaxDepth(maxDepth),
		gql.MaxSelections(maxSelections), gql.OverlapValidationLimit(maxOverlaps), gql.DisableFieldSelections(), gql.Tracer(counter{}),
		gql.Logger(panicLogger{a.logger}))
	return a
}

// root resolves the fields of Query and Mutation.
type root struct{ *API }

// panicLogger tells the server's log of a resolver that panicked.
type panicLogger struct{ *slog.Logger }

// LogPanic implements the library's interface for loggers. The value may hold
// anything, so that its type alone is logged.
func (l panicLogger) LogPanic(ctx context.Context, value any) {
	l.ErrorContext(ctx, "resolver panicked", "type", fmt.Sprintf("%T", value))
}

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	ctx, cancel := context.WithTimeout(r.Context(), maxTime)
	defer cancel()
	status, body := a.answer(ctx, w, r)
	out, err := json.Marshal(body)
	if err != nil {
		a.logger.ErrorContext(ctx, "answer not encoded", "err", err)
		status, out = http.StatusServiceUnavailable, []byte(`{"errors":[{"message":"the answer cannot be written"}]}`)
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(out, '\n')) // the caller is gone
	a.logger.DebugContext(ctx, "request answered", "method", r.Method, "path", r.URL.Path, "status", status, "took", time.Since(began))
}

// answer returns the status and what to encode as the body.
func (a *API) answer(ctx context.Context, w http.ResponseWriter, r *http.Request) (int, any) {
	c, err := a.authenticate(ctx, r)
	if err == nil {
		err = a.requests.Admit(w.Header(), c.by.Key())
	}
	if err != nil {
		return a.refused(ctx, err)
	}
	queries, batch, err := read(w, r)
	if err != nil {
		return a.refused(ctx, err)
	}
	if err := a.admitBatch(w.Header(), c.by.Key(), len(queries)); err != nil {
		return a.refused(ctx, err)
	}
	leave, err := a.running.Enter(ctx, c.by.ID)
	if err != nil {
		return a.refused(ctx, sluice.Errorf(sluice.Busy, "too many queries are under way: try again"))
	}
	defer leave()
	ctx = context.WithValue(ctx, callerKey{}, c)
	answers := make([]*gql.Response, len(queries))
	for i, q := range queries {
		answers[i] = a.run(ctx, q)
		if c.refused.Load() {
			return http.StatusUnprocessableEntity, problem(textGet)
		}
	}
	if batch {
		return http.StatusOK, answers
	}
	return http.StatusOK, answers[0]
}

// admitBatch counts the queries of a request behind the first, which was counted
// when the request began.
func (a *API) admitBatch(h http.Header, key string, queries int) (err error) {
	for range queries - 1 {
		err = a.requests.Admit(h, key)
	}
	return err
}

// run answers one query.
func (a *API) run(ctx context.Context, q query) (out *gql.Response) {
	defer func() {
		if v := recover(); v != nil {
			panicLogger{a.logger}.LogPanic(ctx, v)
			out = &gql.Response{Errors: queryErrors(textInternal)}
		}
	}()
	if q.Query == "" {
		return &gql.Response{Errors: queryErrors("there is no query in the request")}
	}
	if n := 4*strings.Count(q.Query, "__schema") + strings.Count(q.Query, "__type") - strings.Count(q.Query, "__typename"); n > 0 {
		if err := callerOf(ctx).spend(n * introspection / 4); err != nil {
			return &gql.Response{Errors: queryErrors(err.Error())}
		}
	}
	out = a.schema.Exec(ctx, q.Query, q.OperationName, q.Variables)
	if len(out.Errors) > maxErrors {
		out.Errors = out.Errors[:maxErrors]
	}
	return out
}

// refused answers a request whose queries are not run.
func (a *API) refused(ctx context.Context, err error) (int, any) {
	e := asError(err)
	switch e.Code {
	case sluice.Unauthorized:
		return http.StatusUnauthorized, problem("Invalid token")
	case sluice.Forbidden:
		return http.StatusForbidden, problem(e.Message)
	case sluice.Invalid:
		return http.StatusBadRequest, problem(e.Message)
	case sluice.RateLimited:
		return http.StatusTooManyRequests, problem(e.Message)
	case sluice.TooLarge:
		return http.StatusRequestEntityTooLarge, problem(e.Message)
	case codeQueryTooLarge:
		return http.StatusUnprocessableEntity, problem(e.Message)
	case sluice.Busy:
		return http.StatusServiceUnavailable, problem(e.Message)
	case codeMethod:
		return http.StatusMethodNotAllowed, problem(e.Message)
	}
	a.logger.ErrorContext(ctx, "request failed", "err", err)
	return http.StatusServiceUnavailable, problem(textInternal)
}

// problem is the body of an answer that has no data.
func problem(message string) any { return &gql.Response{Errors: queryErrors(message)} }
