package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/sluicelog/sluice"
)

// refusal is why a request is not answered with 200.
type refusal struct {
	status  int
	code    string
	message string
	hint    string
	wait    time.Duration // for Retry-After, 0 for none
	events  []badEvent
	total   int // of bad events
}

func (r *refusal) Error() string { return r.message }

// statusOf is the one place where codes become statuses.
func statusOf(code sluice.Code) int {
	switch code {
	case sluice.Invalid:
		return http.StatusBadRequest
	case sluice.Unauthorized:
		return http.StatusUnauthorized
	case sluice.Forbidden:
		return http.StatusForbidden
	case sluice.NotFound:
		return http.StatusNotFound
	case sluice.Conflict:
		return http.StatusConflict
	case sluice.TooLarge:
		return http.StatusRequestEntityTooLarge
	case sluice.RateLimited:
		return http.StatusTooManyRequests
	case sluice.Busy:
		return http.StatusServiceUnavailable
	case sluice.NoSpace:
		return http.StatusInsufficientStorage
	case sluice.Unsupported:
		return http.StatusNotImplemented
	}
	return http.StatusInternalServerError
}

// asRefusal returns the answer to err. What a producer should not read is logged
// here and replaced.
func (h *Handler) asRefusal(ctx context.Context, err error) *refusal {
	var r *refusal
	var e *sluice.Error
	switch {
	case errors.As(err, &r):
		return r
	case errors.As(err, &e) && e.Code != sluice.Internal:
		r = &refusal{status: statusOf(e.Code), code: string(e.Code), message: e.Message, hint: e.Hint}
		if e.Code == sluice.Busy || e.Code == sluice.RateLimited {
			r.wait = time.Second
		}
		return r
	case ctx.Err() != nil: // the producer has gone, or the server stops
		errors.As(busy(), &r)
		return r
	}
	h.opts.Logger.ErrorContext(ctx, "events not stored", "err", err)
	return &refusal{
		status: http.StatusInternalServerError, code: string(sluice.Internal),
		message: "the server failed to store the events",
		hint:    "send the same request again later; the server's log says what failed",
	}
}

// refuse answers with err and returns the status.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) int {
	no := h.asRefusal(r.Context(), err)
	header := w.Header()
	header["Content-Type"] = h.contentType
	header.Set("Cache-Control", "no-store")
	switch no.status {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", h.opts.Allow)
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Bearer realm="sluice"`)
	case http.StatusUnsupportedMediaType:
		header.Set("Accept-Encoding", "gzip, zstd")
	case http.StatusRequestTimeout, http.StatusRequestEntityTooLarge:
		header.Set("Connection", "close")
	}
	if no.wait > 0 {
		header.Set("Retry-After", strconv.FormatInt(int64((no.wait+time.Second-1)/time.Second), 10))
	}
	// The server reads the rest of a short body before it answers; a slow
	// producer must not hold it up.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(maxWait))
	w.WriteHeader(no.status)
	_, _ = w.Write(no.body())
	return no.status
}

// body is what the producer reads.
func (r *refusal) body() []byte {
	type answer struct {
		Code    string     `json:"code"`
		Message string     `json:"message"`
		Hint    string     `json:"hint"`
		Total   int        `json:"total,omitempty"`
		Events  []badEvent `json:"events,omitempty"`
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(map[string]answer{"error": {r.code, r.message, r.hint, r.total, r.events}})
	if err != nil {
		panic("ingest: encode answer: " + err.Error()) // it holds strings and numbers only
	}
	return buf.Bytes()
}

func emptyBody() error {
	return &refusal{
		status: http.StatusBadRequest, code: "empty_body",
		message: "the request has no events", hint: "send one JSON object, an array of objects, or one object on each line",
	}
}

func (h *Handler) tooLarge() error {
	return &refusal{
		status: http.StatusRequestEntityTooLarge, code: string(sluice.TooLarge),
		message: "the body is larger than " + strconv.Itoa(h.opts.MaxRequest) + " bytes",
		hint:    "send fewer events in a request; the limit holds for the body as sent and unpacked",
	}
}
