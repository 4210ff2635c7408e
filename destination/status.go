package destination

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxRetryAfter bounds how long a destination can ask to be left alone.
const MaxRetryAfter = time.Hour

// advice says what an owner can do about a status of HTTP.
var advice = map[int]string{
	http.StatusBadRequest:            "it refuses the content",
	http.StatusUnauthorized:          "it does not accept the credentials: check tokens and headers",
	http.StatusForbidden:             "the credentials do not permit this, or a firewall blocks it",
	http.StatusNotFound:              "nothing is there: check the address",
	http.StatusMethodNotAllowed:      "it does not take this kind of request: check the address",
	http.StatusNotAcceptable:         "it cannot answer as asked: check the headers",
	http.StatusProxyAuthRequired:     "a proxy in between asks for credentials",
	http.StatusConflict:              "it refuses the content",
	http.StatusGone:                  "it is gone for good: remove the stream or give it a new address",
	http.StatusRequestEntityTooLarge: "the request is too large for it",
	http.StatusUnsupportedMediaType:  "it does not take this content type: set a Content-Type header or another format",
	http.StatusMisdirectedRequest:    "it does not serve this host name: check the address",
	http.StatusUnprocessableEntity:   "it refuses the content",
	http.StatusTooManyRequests:       "it asks for fewer requests; sending goes on later",
	http.StatusNotImplemented:        "it does not offer this: check the address",
	http.StatusHTTPVersionNotSupported: "it does not speak HTTP/1.1: " +
		"put a proxy that does in front of it",
}

// FromStatus judges a status of HTTP where no protocol says otherwise: nil for
// 2xx, else an error whose message holds the destination's words (see
// [Redactor.Words]). Retry-After, in seconds or as a date, counts from now and
// is cut to [MaxRetryAfter]; it is read when the destination is unavailable.
func FromStatus(status int, header http.Header, body []byte, now time.Time, redact *Redactor) *Error {
	if status >= 200 && status <= 299 {
		return nil
	}
	e := &Error{
		Class:    classOf(status),
		Status:   status,
		Gone:     status == http.StatusGone,
		TooLarge: status == http.StatusRequestEntityTooLarge,
	}
	if e.Class == Unavailable {
		e.RetryAfter = retryAfter(header.Get("Retry-After"), now)
	}
	e.Message = statusMessage(status, header, body, redact)
	return e
}

func classOf(status int) Class {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, 499:
		return Unavailable
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return RejectedBatch
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return Misconfigured
	}
	if status >= 500 && status <= 599 {
		return Unavailable
	}
	return Misconfigured
}

func statusMessage(status int, header http.Header, body []byte, redact *Redactor) string {
	m := strings.TrimSpace(fmt.Sprintf("the destination answered %d %s", status, http.StatusText(status)))
	switch {
	case advice[status] != "":
		m += ": " + advice[status]
	case status >= 300 && status <= 399:
		m += ": redirects are not followed"
		if to := redact.Words([]byte(header.Get("Location"))); to != "" {
			m += ", it points to " + to
		}
	}
	if words := redact.Words(body); words != "" {
		m += "; it said: " + words
	}
	return m
}

func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return min(max(0, time.Duration(min(seconds, 1<<30))*time.Second), MaxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), MaxRetryAfter)
}
