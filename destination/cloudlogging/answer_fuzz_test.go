package cloudlogging

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// FuzzAnswer: whatever a refusal says, it is one; it names only entries that the
// request had, each with a reason, and the wait that it asks for is within bounds.
func FuzzAnswer(f *testing.F) {
	const partial = `{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.logging.v2.WriteLogEntriesPartialErrors","logEntryErrors":{"0":{"code":3,"message":"no"},"2":{"code":7}}}]}}`
	for _, body := range []string{
		partial, `{"error":{"status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"-5s"}]}}`,
		`{"error":{"status":"UNAVAILABLE","details":[{"@type":"x/google.rpc.RetryInfo","retryDelay":"9999999h"},{"@type":"google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED"}]}}`,
		`{"error":{"status":"INVALID_ARGUMENT","message":"log_id"}}`, `{"error":{"status":"OK"}}`, `{"error":7}`, `{"error":{"details":[7,null]}}`, `<html>`, ``,
		`{"error":{"status":"INVALID_ARGUMENT","details":[{"@type":"google.logging.v2.WriteLogEntriesPartialErrors","logEntryErrors":{"+1":{"code":3},"-1":{"code":3}}}]}}`,
	} {
		f.Add(400, "7", uint8(3), []byte(body))
		f.Add(503, "Sun, 01 Mar 2026 12:00:30 GMT", uint8(1), []byte(body))
	}
	w := &Writer{config: Config{ProjectID: testProject, LogID: "audit"}, env: destination.Env{Now: time.Now}}
	redact := destination.NewRedactor("a-token")
	f.Fuzz(func(t *testing.T, status int, retry string, entries uint8, body []byte) {
		if status < 100 || status > 599 || success(status) {
			return
		}
		a := &answer{status: status, header: http.Header{"Retry-After": {retry}}, body: body, entries: int(entries)}
		named, err := a.judge(w, redact)
		if err == nil || err.Message == "" || err.Class < destination.Unavailable || err.Class > destination.RejectedBatch {
			t.Fatalf("%d %q: got %+v, want an error", status, body, err)
		}
		if err.RetryAfter < 0 || err.RetryAfter > destination.MaxRetryAfter || err.RetryAfter > 0 && err.Class != destination.Unavailable {
			t.Errorf("%d %q: got %+v", status, body, err)
		}
		for i, e := range named {
			if i < 0 || i >= int(entries) || e.message == "" || len(e.message) > 2*destination.MaxWords {
				t.Errorf("%d %q: got %d of %d entries refused with %q", status, body, i, entries, e.message)
			}
		}
		if accepted(200, body, false, redact) == nil {
			t.Errorf("%q: an answer that broke off is taken for an acceptance", body)
		}
	})
}

// FuzzToken: a token endpoint may answer anything at all. A token is text that can
// stand in a header, and is used neither for ever nor not at all.
func FuzzToken(f *testing.F) {
	for _, body := range []string{`{"access_token":"ya29.c.one","expires_in":3600,"token_type":"Bearer"}`, `{"access_token":"a b"}`, `{"access_token":7}`, `{"access_token":"x","expires_in":"-1"}`,
		`{"access_token":"x","id_token":"e30.eyJleHAiOjF9.e30"}`, `{"error":"invalid_grant","error_description":"no"}`, `access_token=x&expires_in=9`, `<html>`, ``} {
		f.Add(200, "application/json", []byte(body))
		f.Add(400, "application/x-www-form-urlencoded", []byte(body))
	}
	account, err := readAccount(testAccount().PEM())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, media string, body []byte) {
		if status < 100 || status > 599 || status == http.StatusSwitchingProtocols {
			return
		}
		tokens := &tokens{account: account, url: "https://tokens.test/", now: time.Now, turn: make(chan struct{}, 1),
			transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {media}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r}, nil
			})}
		tokens.turn <- struct{}{}
		got, fresh, err := tokens.get(t.Context())
		if (err == nil) != fresh {
			t.Fatalf("%d %q: got fresh %t and %v", status, body, fresh, err)
		}
		if err != nil {
			if err.RetryAfter < 0 || err.RetryAfter > destination.MaxRetryAfter || err.Message == "" {
				t.Errorf("%d %q: got %+v", status, body, err)
			}
			return
		}
		if life := time.Until(got.until); got.access == "" || life <= -time.Minute || life > maxLife || !success(status) {
			t.Errorf("%d %q: got token %q for %v", status, body, got.access, life)
		}
		for _, c := range got.access {
			if notVisible(c) {
				t.Errorf("%q: got token %q", body, got.access)
			}
		}
	})
}
