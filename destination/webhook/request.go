package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/http"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

const (
	// maxAnswer is how much of an answer is read. A connection that has more to
	// say is closed.
	maxAnswer = 64 << 10
	// answerTimeout is how long the rest of an answer is waited for once its
	// status is known.
	answerTimeout = 2 * time.Second
)

// request is one POST.
type request struct {
	id        string
	body      *destination.Body
	eventType string // X-Gitlab-Audit-Event-Type; none when empty
	check     bool   // a marked test event
}

// post sends r and returns nil when the answer's status is 2xx. When it
// returns, nothing reads the body any more.
func (e *Endpoint) post(ctx context.Context, r request) *destination.Error {
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer r.body.Release()
	defer cancel()
	resp, err := e.transport.RoundTrip(e.httpRequest(ctx, r))
	if err != nil {
		return destination.Classify(err)
	}
	// As much as came: of an acceptance it no longer matters.
	words, _ := destination.ReadAnswer(resp, maxAnswer, answerTimeout, cancel)
	return destination.FromStatus(resp.StatusCode, resp.Header, words, e.now(), e.redact)
}

func (e *Endpoint) httpRequest(ctx context.Context, r request) *http.Request {
	h := make(http.Header, len(e.fields)+5)
	values := make([]string, len(e.fields))
	for i, f := range e.fields {
		values[i] = f.value
		h[f.name] = values[i : i+1 : i+1]
	}
	now := e.now()
	// In lower case, as Standard Webhooks writes them.
	h["webhook-id"] = []string{r.id}
	h["webhook-timestamp"] = []string{timestamp(now)}
	if s := sign(e.signers, r.id, now, r.body); s != "" {
		h["webhook-signature"] = []string{s}
	}
	if t := headerValue(r.eventType); t != "" {
		h["X-Gitlab-Audit-Event-Type"] = []string{t}
	}
	if r.check {
		h["X-Sluice-Check"] = []string{"1"}
	}
	req := &http.Request{
		Method: http.MethodPost, URL: &e.url, Host: e.url.Host, Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body:          r.body.Reader(),
		ContentLength: r.body.Len(),
		// Used when an idle connection turns out to be closed before the first
		// byte is written; other repeats are the caller's.
		GetBody: func() (io.ReadCloser, error) { return r.body.Reader(), nil },
	}
	return req.WithContext(ctx)
}

// headerValue returns an event type in a form that a header can carry.
func headerValue(s string) string {
	s = s[:min(len(s), sluice.MaxTypeLength)]
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			clean := []byte(s)
			for j, c := range clean {
				if c < ' ' || c == 0x7f {
					clean[j] = '?'
				}
			}
			return string(clean)
		}
	}
	return s
}

// messageID returns the webhook-id of a request: the same for the same events.
func messageID(events []destination.Event) string {
	h := sha256.New()
	var buf [8 * 64]byte
	for len(events) > 0 {
		n := min(len(events), len(buf)/8)
		for i := range n {
			binary.BigEndian.PutUint64(buf[8*i:], events[i].Hash)
		}
		h.Write(buf[:8*n])
		events = events[n:]
	}
	return "msg_" + hex.EncodeToString(h.Sum(buf[:0])[:16])
}
