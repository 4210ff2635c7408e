package cloudlogging

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"

	"github.com/sluicelog/sluice/destination"
)

// scope is all that a token is good for.
const scope = "https://www.googleapis.com/auth/logging.write"

const (
	// maxEarly is how long before its end a token is replaced; one that lives
	// short is replaced when a fourth of its time is left.
	maxEarly = 5 * time.Minute
	// unknownLife is how long a token is used whose end the endpoint does not tell.
	unknownLife = 10 * time.Minute
	// maxLife is more than any token of Google's lives.
	maxLife = 24 * time.Hour
)

// token is an access token.
type token struct {
	access string
	until  time.Time             // when to get another one
	redact *destination.Redactor // knows the token
}

// tokens gets access tokens with the account's key (RFC 7523, as described in
// https://developers.google.com/identity/protocols/oauth2/service-account) and
// keeps the last one. It may be used by several goroutines at once.
type tokens struct {
	account   account
	url       string
	transport http.RoundTripper
	userAgent string
	now       func() time.Time

	turn chan struct{} // holds one value; who has it may fetch

	mu   sync.Mutex
	kept token
}

// get returns a token and whether it was fetched just now. It does not outlast
// the context.
func (t *tokens) get(ctx context.Context) (token, bool, *destination.Error) {
	if kept, ok := t.current(); ok {
		return kept, false, nil
	}
	select {
	case <-t.turn:
		defer func() { t.turn <- struct{}{} }()
	case <-ctx.Done():
		return token{}, false, destination.Classify(ctx.Err())
	}
	if kept, ok := t.current(); ok {
		return kept, false, nil // somebody else has just fetched it
	}
	fetched, err := t.fetch(ctx)
	return fetched, err == nil, err
}

func (t *tokens) current() (token, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept, t.kept.access != "" && t.now().Before(t.kept.until)
}

// drop forgets a token that was refused, unless there is a newer one.
func (t *tokens) drop(refused token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept.access == refused.access {
		t.kept = token{}
	}
}

// fetch gets a new token and keeps it.
func (t *tokens) fetch(ctx context.Context) (token, *destination.Error) {
	if err := ctx.Err(); err != nil {
		return token{}, destination.Classify(err)
	}
	var x tokenExchange
	client := destination.NewClient(roundTripper(func(r *http.Request) (*http.Response, error) {
		return x.do(ctx, t, r)
	}))
	config := jwt.Config{Email: t.account.email, PrivateKey: t.account.key, Scopes: []string{scope}, TokenURL: t.url}
	got, err := config.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, client)).Token()
	if err != nil {
		return token{}, x.judge(t, err)
	}
	if got.AccessToken == "" || strings.IndexFunc(got.AccessToken, notVisible) >= 0 {
		return token{}, x.noToken()
	}
	life := lifeOf(got)
	next := token{
		access: got.AccessToken,
		until:  t.now().Add(life - min(maxEarly, life/4)),
		redact: destination.NewRedactor(got.AccessToken),
	}
	t.mu.Lock()
	t.kept = next
	t.mu.Unlock()
	return next, nil
}

// lifeOf returns how long a token is good for. What cannot be is not believed:
// every request would need a token of its own, or one would be used for ever.
func lifeOf(t *oauth2.Token) time.Duration {
	life := time.Until(t.Expiry)
	if t.Expiry.IsZero() || life <= 0 {
		return unknownLife
	}
	return min(life, maxLife)
}

func notVisible(r rune) bool { return r <= ' ' || r > '~' }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// tokenExchange is one request to the token endpoint. The library gives its
// requests no context, reads without a time limit and turns causes into text:
// all that is kept here.
type tokenExchange struct {
	redact  *destination.Redactor
	failure error // why there is no answer
	status  int   // 0 before the answer
	header  http.Header
	body    []byte
}

func (x *tokenExchange) do(ctx context.Context, t *tokens, r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	r = r.Clone(ctx)
	r.Header.Set("User-Agent", t.userAgent)
	x.redact = destination.NewRedactor(assertion(r)) // the key itself is not sent
	resp, err := t.transport.RoundTrip(r)
	if err != nil {
		x.failure = err
		return nil, err
	}
	x.status, x.header = resp.StatusCode, resp.Header
	body, whole := destination.ReadAnswer(resp, maxTokenAnswer, answerTimeout, cancel)
	if x.body = body; success(x.status) && !whole {
		x.failure = io.ErrUnexpectedEOF
		return nil, x.failure
	}
	resp.Body = io.NopCloser(bytes.NewReader(x.body))
	return resp, nil
}

// assertion returns the signed proof in a token request: as good as a password
// for an hour, so that it must not be shown when an answer repeats it.
func assertion(r *http.Request) string {
	if r.GetBody == nil {
		return ""
	}
	body, err := r.GetBody()
	if err != nil {
		return ""
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		return ""
	}
	form, _ := url.ParseQuery(string(text))
	return form.Get("assertion")
}

// judge says why there is no token.
func (x *tokenExchange) judge(t *tokens, err error) *destination.Error {
	if x.failure != nil {
		e := *destination.Classify(x.failure)
		e.Message = "the token endpoint: " + e.Message
		return &e
	}
	if _, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return tokenRefused(t, x)
	}
	if x.status == 0 {
		return &destination.Error{Class: destination.Misconfigured, Message: "the private key cannot be used to sign: enter a new one"}
	}
	return x.noToken()
}

// noToken is for an answer of 2xx that is not the token endpoint's: somebody else
// gave it, which does not pass by itself. Only a page is repeated: what looks like
// an answer may hold a part of a token.
func (x *tokenExchange) noToken() *destination.Error {
	e := &destination.Error{Class: destination.Misconfigured, Status: x.status, Message: fmt.Sprintf(
		"the token endpoint answered %d without an access token, not as Google does: check whether a proxy or a sign-in page in between answers for it, and token_url when it is set", x.status)}
	if page := bytes.TrimSpace(x.body); bytes.HasPrefix(page, []byte("<")) {
		e.Message += "; it said: " + x.redact.Words(page)
	}
	return e
}
