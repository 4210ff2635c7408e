package cloudlogging

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/sluicelog/sluice/destination"
)

const (
	// maxAnswer is how much of an answer is read: a refusal names up to 1,000
	// entries with its words for each. A connection with more to say is closed.
	maxAnswer = 2 << 20
	// maxTokenAnswer bounds the token endpoint's answer.
	maxTokenAnswer = 64 << 10
	// answerTimeout is how long the rest of an answer is waited for once its
	// status is known.
	answerTimeout = 2 * time.Second
)

// write sends p's request, once more with another token when one that was kept
// is refused. Errors of single entries are by the index of the entry in the
// request; they are nil when none is named.
func (w *Writer) write(ctx context.Context, p pack) (map[int]entryError, *destination.Error) {
	for again := false; ; again = true {
		t, fresh, err := w.tokens.get(ctx)
		if err != nil {
			return nil, err
		}
		named, err := w.post(ctx, p, t)
		if err == nil || err.Status != http.StatusUnauthorized {
			return named, err
		}
		w.tokens.drop(t)
		if fresh || again {
			return named, err // another one would be no better
		}
	}
}

// post sends p's request with the token.
func (w *Writer) post(ctx context.Context, p pack, t token) (map[int]entryError, *destination.Error) {
	body := destination.NewBody(p.body)
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer body.Release()
	defer cancel()
	h := make(http.Header, len(w.header)+1)
	for name, values := range w.header {
		h[name] = values
	}
	h["Authorization"] = []string{"Bearer " + t.access}
	req := &http.Request{
		Method: http.MethodPost, URL: w.url, Host: w.url.Host, Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body:          body.Reader(),
		ContentLength: body.Len(),
		// Used when an idle connection turns out to be closed before the first
		// byte is written; other repeats are the caller's.
		GetBody: func() (io.ReadCloser, error) { return body.Reader(), nil },
	}
	resp, err := w.transport.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, destination.Classify(err)
	}
	destination.Progressed(ctx)
	if success(resp.StatusCode) {
		body, whole := destination.ReadAnswer(resp, maxTokenAnswer, answerTimeout, cancel)
		return nil, accepted(resp.StatusCode, body, whole, t.redact)
	}
	words, _ := destination.ReadAnswer(resp, maxAnswer, answerTimeout, cancel) // as much as came
	a := answer{status: resp.StatusCode, header: resp.Header, body: words, entries: len(p.sent)}
	return a.judge(w, t.redact)
}
