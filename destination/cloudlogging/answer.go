package cloudlogging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// answer is an answer of the API that is not 2xx.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	entries int // how many the request had
}

// apiError is how Google's services describe an error
// (https://cloud.google.com/apis/design/errors).
type apiError struct {
	Message string            `json:"message"`
	Status  string            `json:"status"` // the name of a google.rpc.Code
	Details []json.RawMessage `json:"details"`
}

// detail is any of the details that are understood: RetryInfo, ErrorInfo and
// WriteLogEntriesPartialErrors.
type detail struct {
	Type       string `json:"@type"`
	Reason     string `json:"reason"`
	RetryDelay string `json:"retryDelay"`

	Entries map[string]entryStatus `json:"logEntryErrors"` // by index
}

// entryStatus is a google.rpc.Status.
type entryStatus struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// entryError is why one entry was not written.
type entryError struct {
	class   destination.Class
	message string
}

// codes are the values of google.rpc.Code: their numbers, names and classes
// (https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto).
var codes = []struct {
	name  string
	class destination.Class
}{
	{"OK", 0},
	{"CANCELLED", destination.Unavailable},
	{"UNKNOWN", destination.Unavailable},
	{"INVALID_ARGUMENT", destination.RejectedBatch},
	{"DEADLINE_EXCEEDED", destination.Unavailable},
	{"NOT_FOUND", destination.Misconfigured},
	{"ALREADY_EXISTS", destination.RejectedBatch},
	{"PERMISSION_DENIED", destination.Misconfigured},
	{"RESOURCE_EXHAUSTED", destination.Unavailable},
	{"FAILED_PRECONDITION", destination.Misconfigured},
	{"ABORTED", destination.Unavailable},
	{"OUT_OF_RANGE", destination.RejectedBatch},
	{"UNIMPLEMENTED", destination.Misconfigured},
	{"INTERNAL", destination.Unavailable},
	{"UNAVAILABLE", destination.Unavailable},
	{"DATA_LOSS", destination.Unavailable},
	{"UNAUTHENTICATED", destination.Misconfigured},
}

func codeNamed(name string) (class destination.Class, known bool) {
	for _, c := range codes[1:] {
		if c.name == name {
			return c.class, true
		}
	}
	return 0, false
}

// judge says what a refusal means. An answer that is not one of Google's is
// judged by its status alone.
func (a *answer) judge(w *Writer, redact *destination.Redactor) (map[int]entryError, *destination.Error) {
	var told struct {
		Error apiError `json:"error"`
	}
	words := a.body[:min(len(a.body), maxTokenAnswer)]
	bare := destination.FromStatus(a.status, a.header, words, w.env.Now(), redact)
	if json.Unmarshal(a.body, &told) != nil {
		return nil, bare
	}
	class, known := codeNamed(told.Error.Status)
	if !known {
		return nil, bare
	}
	e := &destination.Error{Class: class, Status: a.status, RetryAfter: bare.RetryAfter, Gone: bare.Gone, TooLarge: bare.TooLarge}
	d := told.Error.read()
	advice := w.advice(told.Error, d.Reason)
	switch {
	case limited[d.Reason]:
		e.Class = destination.Unavailable
	case class == destination.RejectedBatch && len(d.Entries) == 0 && aboutLog(told.Error.Message):
		e.Class = destination.Misconfigured
		advice = "it does not take the log's name: check project_id and log_id"
	case class == destination.RejectedBatch && strings.Contains(told.Error.Message, "payload size exceeds"):
		e.TooLarge = true
	}
	if e.Class != destination.Unavailable {
		e.RetryAfter = 0
	} else if delay, err := time.ParseDuration(d.RetryDelay); err == nil && delay > 0 {
		e.RetryAfter = min(delay, destination.MaxRetryAfter)
	}
	e.Message = fmt.Sprintf("Cloud Logging answered %d %s: %s", a.status, told.Error.Status, advice)
	if said := redact.Words([]byte(told.Error.Message)); said != "" {
		e.Message += "; it said: " + said
	}
	named := a.named(told.Error.Status, d, redact)
	if named != nil {
		e.Class = worst(named)
	}
	return named, e
}

// success reports whether a status of HTTP is 2xx.
func success(status int) bool { return status >= 200 && status <= 299 }

// accepted judges an answer of 2xx: nil when every entry is written. Google then
// answers with an empty object; when any entry is not, the status is that of an
// error. A page or a word of somebody else is no acceptance, and an answer that
// broke off may have been one.
func accepted(status int, body []byte, whole bool, redact *destination.Redactor) *destination.Error {
	if !whole {
		return &destination.Error{Class: destination.Unavailable, Status: status,
			Message: "the answer broke off or did not end: whether the entries were written is not known, so they are sent again"}
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) == nil && members != nil && members["error"] == nil {
		return nil
	}
	return &destination.Error{Class: destination.Misconfigured, Status: status,
		Message: fmt.Sprintf("the destination answered %d, but not as Cloud Logging does: check endpoint; it said: %s", status, redact.Words(body))}
}

// read returns what is understood of the details.
func (e *apiError) read() detail {
	var out detail
	for _, raw := range e.Details {
		var d detail
		if json.Unmarshal(raw, &d) != nil {
			continue
		}
		switch d.Type[strings.LastIndexByte(d.Type, '/')+1:] {
		case "google.rpc.ErrorInfo":
			out.Reason = d.Reason
		case "google.rpc.RetryInfo":
			out.RetryDelay = d.RetryDelay
		case "google.logging.v2.WriteLogEntriesPartialErrors":
			if out.Entries == nil {
				out.Entries = map[string]entryStatus{}
			}
			maps.Copy(out.Entries, d.Entries)
		}
	}
	return out
}

// named returns the errors of single entries, nil when there are none or when
// one is about an entry that the request does not have: then nothing is known.
// Google promises to name the entries that failed for good. The request's status is
// that of one that failed: when none of those named has it, others failed as well,
// and nobody knows which.
func (a *answer) named(status string, d detail, redact *destination.Redactor) map[int]entryError {
	if len(d.Entries) == 0 {
		return nil
	}
	complete := false
	out := make(map[int]entryError, len(d.Entries))
	for key, failed := range d.Entries {
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= a.entries || failed.Code < 1 || failed.Code >= len(codes) {
			return nil
		}
		c := codes[failed.Code]
		complete = complete || c.name == status
		said := redact.Words([]byte(failed.Message))
		if said == "" {
			said = "no reason"
		}
		out[i] = entryError{c.class, fmt.Sprintf("Cloud Logging refused the entry (%s): %s", c.name, said)}
	}
	if !complete {
		return nil
	}
	return out
}

// worst returns the class of a request some of whose entries were not written:
// an entry that was refused as such must not hide that others need the owner, or
// time.
func worst(named map[int]entryError) destination.Class {
	out := destination.RejectedBatch
	for _, e := range named {
		switch {
		case e.class == destination.Misconfigured:
			return destination.Misconfigured
		case e.class == destination.Unavailable:
			out = destination.Unavailable
		}
	}
	return out
}

// aboutLog reports whether a refusal is about the name of the log.
func aboutLog(message string) bool {
	m := strings.ToLower(message)
	return strings.Contains(m, "log name") || strings.Contains(m, "log_name") || strings.Contains(m, "log_id") || strings.Contains(m, "logs/[id]")
}
