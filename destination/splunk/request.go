package splunk

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/sluicelog/sluice/destination"
)

const (
	// maxAnswer is how much of an answer is read. A connection that has more to
	// say is closed.
	maxAnswer = 64 << 10
	// answerTimeout is how long the rest of an answer is waited for once its
	// status is known.
	answerTimeout = 5 * time.Second
)

// answer is what came back for a request.
type answer struct {
	status int
	header http.Header
	body   []byte
	redact *destination.Redactor // knows what the request held

	coded bool // the body is a JSON object with a code of the collector's
	reply
}

// reply is the body of an answer. Fields that are absent stay nil.
type reply struct {
	Text    string          `json:"text"`
	Code    *int            `json:"code"`
	AckID   *uint64         `json:"ackId"`
	Invalid *int            `json:"invalid-event-number"`
	Acks    map[string]bool `json:"acks"`
}

// success reports whether the HTTP status is 2xx.
func (a *answer) success() bool { return a.status >= 200 && a.status <= 299 }

// is reports whether the answer has one of the codes.
func (a *answer) is(codes ...int) bool {
	if !a.coded {
		return false
	}
	for _, c := range codes {
		if *a.Code == c {
			return true
		}
	}
	return false
}

// splunks reports whether Splunk itself answered. It names itself in every answer;
// a proxy may hide that.
func (a *answer) splunks() bool { return a.header.Get("Server") == "Splunkd" }

// call is one request of a lane.
type call struct {
	method string
	url    *url.URL
	header http.Header // nil for none beside the usual ones
	body   []byte
	lane   *lane // nil for a request without token and channel
}

// do sends a request and reads its answer. When it returns, nothing reads the
// body of the request any more. An error means that there is no answer that says
// anything.
func (c *Collector) do(ctx context.Context, q call) (*answer, *destination.Error) {
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	body := destination.NewBody(q.body)
	defer body.Release()
	defer cancel()
	resp, err := c.wire.transport.RoundTrip(c.httpRequest(ctx, q, body))
	if err != nil {
		return nil, destination.Classify(err)
	}
	destination.Progressed(ctx)
	redact := c.redact
	if q.lane != nil {
		redact = c.keep(q.lane, resp.Header)
	}
	words, whole := destination.ReadAnswer(resp, maxAnswer, answerTimeout, cancel)
	a := &answer{status: resp.StatusCode, header: resp.Header, body: words, redact: redact}
	if a.success() && !whole {
		// The status says little here: the body would have decided.
		return nil, unavailable(a.status, "the collector's answer broke off or did not end: whether it accepted the events is not known")
	}
	a.coded = json.Unmarshal(a.body, &a.reply) == nil && a.Code != nil && c.credible(a)
	return a, nil
}

func (c *Collector) httpRequest(ctx context.Context, q call, body *destination.Body) *http.Request {
	h := make(http.Header, len(c.header)+4)
	for name, values := range c.header {
		h[name] = values
	}
	for name, values := range q.header {
		h[name] = values
	}
	if q.lane == nil {
		h.Del("Authorization")
	} else {
		q.lane.prepare(h)
	}
	req := &http.Request{
		Method: q.method, URL: q.url, Host: q.url.Host, Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: http.NoBody,
	}
	if body.Len() > 0 {
		req.ContentLength = body.Len()
		req.Body = body.Reader()
		// Used when an idle connection turns out to be closed before the first
		// byte is written; other repeats are the caller's.
		req.GetBody = func() (io.ReadCloser, error) { return body.Reader(), nil }
	}
	return req.WithContext(ctx)
}

func unavailable(status int, message string) *destination.Error {
	return &destination.Error{Class: destination.Unavailable, Status: status, Message: message}
}

func misconfigured(status int, message string) *destination.Error {
	return &destination.Error{Class: destination.Misconfigured, Status: status, Message: message}
}
