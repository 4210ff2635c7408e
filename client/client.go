// Package client is a small client of the native API. Each method is one
// request: nothing is redirected or cached, and no failure that the server
// answered is retried, so that callers decide what to do about it; they read it
// from an [Error]. When a connection breaks, net/http may repeat by itself a
// request that only reads or has an Idempotency-Key, which changes nothing.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// DefaultServer is where a server listens that nobody configured.
const DefaultServer = "http://127.0.0.1:8080"

const (
	defaultTimeout = 60 * time.Second
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 64 << 20
)

// Config says which server to talk to, and how.
type Config struct {
	// Server is the server's address, http or https, with a path when it is
	// behind a proxy that adds one. Default: DefaultServer.
	Server string
	// Token authenticates every request; "" sends none.
	Token string
	// UserAgent names the program. Default: "sluice-client".
	UserAgent string
	// Timeout bounds each request from dialing to the last byte of the answer,
	// besides the context. Default: 60 s.
	Timeout time.Duration
}

// Client talks to one server. Its methods may be called at once.
type Client struct {
	base      *url.URL
	token     string
	userAgent string
	http      *http.Client
}

// New returns a client. It does not connect. Proxy variables in the environment
// are ignored.
func New(cfg Config) (*Client, error) {
	if cfg.Server == "" {
		cfg.Server = DefaultServer
	}
	base, err := url.Parse(cfg.Server)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("server %q: must be an address such as %s", cfg.Server, DefaultServer)
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("server %q: must have no user, query or fragment", base.Redacted())
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "sluice-client"
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &Client{
		base:      base,
		token:     cfg.Token,
		userAgent: cfg.UserAgent,
		http: &http.Client{
			Timeout: cfg.Timeout,
			Transport: &http.Transport{
				DialContext:         dialer.DialContext,
				TLSHandshakeTimeout: 10 * time.Second,
				IdleConnTimeout:     60 * time.Second,
				ForceAttemptHTTP2:   true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Ready reports, as nil, that the server takes events.
func (c *Client) Ready(ctx context.Context) error {
	return c.do(ctx, request{method: http.MethodGet, path: "/readyz"}, nil)
}

// request is one call. in is sent as JSON unless body is set.
type request struct {
	method, path string
	query        url.Values
	in           any
	body         []byte
	header       http.Header
}

// do sends r and decodes the answer into out, unless it is nil.
func (c *Client) do(ctx context.Context, r request, out any) error {
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return c.failed(ctx, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return c.failed(ctx, err)
	}
	if len(body) > maxAnswer {
		return &Error{Status: res.StatusCode, Code: CodeBadAnswer, Message: fmt.Sprintf("the answer of %s is larger than %d bytes", c.base.Host, maxAnswer)}
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return parseError(res, body)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return &Error{Status: res.StatusCode, Code: CodeBadAnswer, Message: fmt.Sprintf("the answer of %s is not what Sluice answers: %v", c.base.Host, err),
			Hint: "Is that the address of a Sluice server?"}
	}
	return nil
}

func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	body := r.body
	if r.in != nil {
		var err error
		if body, err = json.Marshal(r.in); err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
	}
	u := c.base.JoinPath(r.path)
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if r.in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

// failed is what became of a request that got no answer.
func (c *Client) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return &Error{Code: CodeUnreachable, Message: fmt.Sprintf("cannot reach the server at %s: %v", c.base, err),
		Hint: "Is it running there? See --server and SLUICE_SERVER.", cause: err}
}

// Codes of errors that are found on this side.
const (
	CodeUnreachable = "unreachable" // no answer; Status is 0
	CodeBadAnswer   = "bad_answer"  // an answer that Sluice does not give
)

// Error is a request that was not answered with 2xx.
type Error struct {
	Status  int    // HTTP status, 0 when there was no answer
	Code    string // the server's code, or one of this package
	Message string
	Hint    string // what to do, may be ""
	// RetryAfter is how long the server asked to wait, 0 when it did not.
	RetryAfter time.Duration
	// Events says what is wrong with each bad event of a refused post.
	Events []EventError

	cause error
}

// EventError is why one event of a post was refused.
type EventError struct {
	Index   int    `json:"index"` // from 0, in the order of the request
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.cause }

// Temporary reports whether the same request may succeed later without anybody
// changing it: no answer, overload, or trouble at the server.
func (e *Error) Temporary() bool {
	switch e.Status {
	case 0, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return e.Status >= 500
}

func parseError(res *http.Response, body []byte) *Error {
	var answer struct {
		Error *struct {
			Code    string       `json:"code"`
			Message string       `json:"message"`
			Hint    string       `json:"hint"`
			Events  []EventError `json:"events"`
		} `json:"error"`
	}
	e := &Error{Status: res.StatusCode, RetryAfter: retryAfter(res.Header.Get("Retry-After"), time.Now())}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Error == nil || answer.Error.Message == "" {
		e.Code = CodeBadAnswer
		e.Message = fmt.Sprintf("%s answered %s", res.Request.URL.Redacted(), res.Status)
		if e.Status < 500 {
			e.Hint = "Is that the address of a Sluice server?"
		}
		return e
	}
	e.Code, e.Message, e.Hint, e.Events = answer.Error.Code, answer.Error.Message, answer.Error.Hint, answer.Error.Events
	return e
}

// retryAfter reads a Retry-After header: seconds or a date.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// list decodes an array, or an object with the array under one name.
type list[T any] struct {
	name  string
	items []T
}

func (l *list[T]) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, &l.items)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(b, &object); err != nil {
		return err
	}
	items, ok := object[l.name]
	if !ok {
		return fmt.Errorf("%q is missing", l.name)
	}
	return json.Unmarshal(items, &l.items)
}
