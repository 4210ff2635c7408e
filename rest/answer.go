package rest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/sluicelog/sluice"
)

// problem is the body of every error.
type problem struct {
	Error details `json:"error"`
}

type details struct {
	Code    sluice.Code `json:"code"`
	Message string      `json:"message"`
	Hint    string      `json:"hint"`
}

// statusOf is the one place where codes become HTTP statuses.
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

func writeError(w http.ResponseWriter, e *sluice.Error) {
	writeProblem(w, statusOf(e.Code), e)
}

func writeProblem(w http.ResponseWriter, status int, e *sluice.Error) {
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="sluice"`)
	case http.StatusTooManyRequests:
		if w.Header().Get("Retry-After") == "" {
			wait := 10 * time.Second // something that takes long is under way
			if e.Wait > 0 {
				wait = e.Wait
			}
			w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		}
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, status, problem{details{e.Code, e.Message, e.Hint}})
}

// writeJSON writes the one form of all answers.
func writeJSON(w http.ResponseWriter, status int, body any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		status = http.StatusInternalServerError
		buf.Reset()
		buf.WriteString(`{"error":{"code":"internal","message":"the answer could not be written","hint":""}}` + "\n")
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(buf.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // nobody is left to be told
}
