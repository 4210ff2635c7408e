package graphql

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// Codes of requests that are refused as such.
const (
	codeQueryTooLarge sluice.Code = "query_too_large"
	codeMethod        sluice.Code = "method_not_allowed"
)

// query is one query of a request.
type query struct {
	Query         string
	OperationName string
	Variables     map[string]any
}

// textUnit is how many bytes of text count as much as a node.
const textUnit = 256

// budget is what one request may resolve: a node of a list, a look-up and 256 bytes
// of a text that may be long count one each, and reading the streams of a namespace
// 50 and 5 for each. Depth and selections are bounded too, but lists within lists
// multiply; see maxFields for what nodes consist of.
const budget = 20_000

// introspection is what a look at the whole schema counts, which is some 30 ms
// of a processor.
const introspection = budget / 4

type callerKey struct{}

// caller is who makes a request, and what is left of its budget.
type caller struct {
	by      control.Principal
	known   bool        // there was a token; without one everything is null
	get     bool        // queries only
	refused atomic.Bool // a mutation was in a GET request
	left    atomic.Int64
	fields  atomic.Int64 // resolved so far

	mu sync.Mutex // held for what follows
	// streams are the lists that were read, by folded namespace: however often a
	// request asks for one, it costs once. A mutation forgets them.
	streams map[string][]seenStream
}

// seenStream is a stream with what GitLab knows of its configuration.
type seenStream struct {
	control.Stream
	config config
}

func seen(s control.Stream) seenStream {
	out := seenStream{Stream: s}
	_ = json.Unmarshal(s.Config, &out.config) // what kinds have beyond GitLab's is left out
	return out
}

// list returns the streams of a namespace.
func (c *caller) list(ctx context.Context, s *control.Service, namespace string) ([]seenStream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	folded := sluice.FoldNamespace(namespace)
	if list, ok := c.streams[folded]; ok {
		return list, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	streams, err := s.Streams(ctx, c.by, &namespace)
	if err != nil {
		return nil, err
	}
	list := make([]seenStream, len(streams))
	for i := range streams {
		list[i] = seen(streams[i])
	}
	if c.streams == nil {
		c.streams = map[string][]seenStream{}
	}
	c.streams[folded] = list
	return list, c.spend(50 + 5*len(list))
}

// forget has lists read again after a change.
func (c *caller) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams = nil
}

func callerOf(ctx context.Context) *caller { return ctx.Value(callerKey{}).(*caller) }

// spend takes n from the budget of the request.
func (c *caller) spend(n int) error {
	if c.left.Add(-int64(n)) < 0 {
		return errTooMuch()
	}
	return nil
}

func errTooMuch() error {
	return sluice.Errorf(sluice.TooLarge, "the query asks for too much: ask for less at once")
}

// show returns a text that may be long, and counts it.
func show(ctx context.Context, s string) (string, error) {
	return s, callerOf(ctx).spend(len(s) / textUnit)
}

// showAll is show for a list.
func showAll(ctx context.Context, list []string) ([]string, error) {
	size := 0
	for _, s := range list {
		size += len(s)
	}
	return list, callerOf(ctx).spend(size / textUnit)
}

// authenticate finds out who makes a request. Nobody in particular may ask, too.
func (a *API) authenticate(ctx context.Context, r *http.Request) (*caller, error) {
	c := &caller{get: r.Method == http.MethodGet || r.Method == http.MethodHead}
	c.left.Store(budget)
	var err error
	if text := token(r); text != "" {
		c.by, err = a.service.Authenticate(ctx, text)
		c.known = err == nil
		return c, err
	}
	if a.session == nil {
		return c, nil
	}
	text := a.session(r)
	if text == "" {
		return c, nil
	}
	if err := a.guard.Check(r); err != nil {
		return c, sluice.Errorf(sluice.Forbidden, "a page of another site sent this request")
	}
	c.by, err = a.service.Session(ctx, text)
	c.known = err == nil
	return c, err
}

// token returns the token of a request, "" without one.
func token(r *http.Request) string {
	if h := r.Header.Get("Authorization"); h != "" {
		if scheme, text, _ := strings.Cut(h, " "); strings.EqualFold(scheme, "Bearer") {
			return strings.TrimSpace(text)
		}
	}
	if h := r.Header.Get("Private-Token"); h != "" {
		return h
	}
	q := r.URL.Query()
	if text := q.Get("private_token"); text != "" {
		return text
	}
	return q.Get("access_token")
}

// read returns the queries of a request, and whether they came as an array.
func read(w http.ResponseWriter, r *http.Request) (list []query, batch bool, err error) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		list, err = readForm(r.URL.Query())
	case http.MethodPost:
		list, batch, err = readBody(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		return nil, false, sluice.Errorf(codeMethod, "use POST, or GET for queries")
	}
	for i := range list {
		if utf8.RuneCountInString(list[i].Query) > maxQuery {
			return nil, false, sluice.Errorf(codeQueryTooLarge, "Query too large")
		}
	}
	return list, batch, err
}

func readForm(form url.Values) ([]query, error) {
	q := query{Query: form.Get("query"), OperationName: form.Get("operationName")}
	var err error
	q.Variables, err = readVariables(form.Get("variables"))
	return []query{q}, err
}

func readBody(w http.ResponseWriter, r *http.Request) ([]query, bool, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, false, sluice.Errorf(sluice.TooLarge, "the body has more than %d bytes", maxBody)
	}
	if err != nil {
		return nil, false, sluice.Errorf(sluice.Invalid, "the body cannot be read")
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch media {
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, false, sluice.Errorf(sluice.Invalid, "the form cannot be read")
		}
		list, err := readForm(form)
		return list, false, err
	case "application/graphql":
		return []query{{Query: string(body)}}, false, nil
	}
	return readJSON(body)
}

// sent is a query as JSON has it.
type sent struct {
	Query         string `json:"query"`
	OperationName string `json:"operationName"`
	Variables     any    `json:"variables"`
}

func readJSON(body []byte) (list []query, batch bool, err error) {
	var all []sent
	if text := strings.TrimSpace(string(body)); strings.HasPrefix(text, "[") {
		batch = true
		err = json.Unmarshal(body, &all)
	} else {
		all = make([]sent, 1)
		err = json.Unmarshal(body, &all[0])
	}
	switch {
	case err != nil:
		return nil, batch, sluice.Errorf(sluice.Invalid, "the body must be a JSON object with the member query, or an array of such objects")
	case len(all) == 0 || len(all) > maxBatch:
		return nil, batch, sluice.Errorf(sluice.Invalid, "an array must have 1 to %d queries", maxBatch)
	}
	for _, s := range all {
		q := query{Query: s.Query, OperationName: s.OperationName}
		if q.Variables, err = readVariables(s.Variables); err != nil {
			return nil, batch, err
		}
		list = append(list, q)
	}
	return list, batch, nil
}

// readVariables takes an object, or a text that holds one.
func readVariables(v any) (map[string]any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		return v, nil
	case string:
		if strings.TrimSpace(v) == "" {
			return nil, nil
		}
		var out map[string]any
		if json.Unmarshal([]byte(v), &out) == nil {
			return out, nil
		}
	}
	return nil, sluice.Errorf(sluice.Invalid, "variables must be a JSON object")
}
