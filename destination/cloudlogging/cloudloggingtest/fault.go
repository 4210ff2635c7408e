package cloudloggingtest

import (
	"encoding/json"
	"net"
	"net/http"
	"time"
)

// Error is a google.rpc.Status with the HTTP status that it is answered with.
type Error struct {
	HTTP    int    // of the answer
	Code    int    // of google.rpc.Code
	Status  string // its name
	Message string
	Details []any
}

// detail is a detail of an [Error] in its JSON form.
type detail map[string]any

const typePrefix = "type.googleapis.com/"

func errorInfo(reason, domain string) detail {
	return detail{"@type": typePrefix + "google.rpc.ErrorInfo", "reason": reason, "domain": domain, "metadata": map[string]string{"service": "logging.googleapis.com"}}
}

// Invalid refuses content.
func Invalid(message string) Error {
	return Error{HTTP: http.StatusBadRequest, Code: 3, Status: "INVALID_ARGUMENT", Message: message}
}

// Quota refuses for a quota that is used up, and asks to wait.
func Quota(wait time.Duration) Error {
	e := Error{HTTP: http.StatusTooManyRequests, Code: 8, Status: "RESOURCE_EXHAUSTED",
		Message: "Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute' of service 'logging.googleapis.com'."}
	e.Details = []any{errorInfo("RATE_LIMIT_EXCEEDED", "googleapis.com")}
	if wait > 0 {
		e.Details = append(e.Details, detail{"@type": typePrefix + "google.rpc.RetryInfo", "retryDelay": wait.String()})
	}
	return e
}

// PermissionDenied refuses for lack of a right; reason is that of the ErrorInfo,
// IAM_PERMISSION_DENIED or SERVICE_DISABLED for example, "" for none.
func PermissionDenied(reason string) Error {
	e := Error{HTTP: http.StatusForbidden, Code: 7, Status: "PERMISSION_DENIED",
		Message: "Permission 'logging.logEntries.create' denied on resource (or it may not exist)."}
	if reason != "" {
		e.Details = []any{errorInfo(reason, "googleapis.com")}
	}
	return e
}

// Unauthenticated refuses an access token.
func Unauthenticated() Error {
	return Error{HTTP: http.StatusUnauthorized, Code: 16, Status: "UNAUTHENTICATED",
		Message: "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
		Details: []any{errorInfo("ACCESS_TOKEN_EXPIRED", "googleapis.com")}}
}

// NotFound says that there is no such project.
func NotFound(project string) Error {
	return Error{HTTP: http.StatusNotFound, Code: 5, Status: "NOT_FOUND", Message: "Project does not exist: " + project}
}

// Unavailable is a passing difficulty.
func Unavailable() Error {
	return Error{HTTP: http.StatusServiceUnavailable, Code: 14, Status: "UNAVAILABLE", Message: "The service is currently unavailable."}
}

// partial returns the error of a request some of whose entries were written:
// the status of one of the others, with the errors of all.
func partial(failed map[int]Error) Error {
	first := -1
	list := map[int]any{}
	for i, e := range failed {
		list[i] = map[string]any{"code": e.Code, "message": e.Message}
		if first < 0 || i < first {
			first = i
		}
	}
	e := failed[first]
	e.Details = append([]any{detail{"@type": typePrefix + "google.logging.v2.WriteLogEntriesPartialErrors", "logEntryErrors": list}}, e.Details...)
	return e
}

func (e Error) write(w http.ResponseWriter) {
	body := map[string]any{"code": e.HTTP, "message": e.Message, "status": e.Status}
	if len(e.Details) > 0 {
		body["details"] = e.Details
	}
	writeJSON(w, e.HTTP, map[string]any{"error": body})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the sender may be gone
}

// reset closes the connection so that the sender gets a reset.
func reset(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
