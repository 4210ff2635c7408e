package destination

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzFromStatus: whatever a receiver answers, the wait that it asks for is within
// bounds, and its words are short text without our secret.
func FuzzFromStatus(f *testing.F) {
	f.Add(503, "120", "", []byte("busy"))
	f.Add(429, "Sun, 01 Mar 2026 12:00:30 GMT", "", []byte(""))
	f.Add(503, "-9223372036854775808", "", []byte("\xff\xfe"))
	f.Add(503, "99999999999999999999", "", []byte(`{"error":"no"}`))
	f.Add(302, "", "https://example.com/?t=a-secret-of-ours", []byte("<html>"))
	f.Add(200, "1", "", []byte("ok"))
	const ours = "a-secret-of-ours"
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, status int, retry, location string, body []byte) {
		header := http.Header{"Retry-After": {retry}, "Location": {location}}
		e := FromStatus(status, header, body, now, NewRedactor(ours))
		if (e == nil) != (status >= 200 && status <= 299) {
			t.Fatalf("%d: got %v", status, e)
		}
		if e == nil {
			return
		}
		if e.RetryAfter < 0 || e.RetryAfter > MaxRetryAfter || e.RetryAfter > 0 && e.Class != Unavailable {
			t.Errorf("%d with Retry-After %q: got %v of class %v", status, retry, e.RetryAfter, e.Class)
		}
		if e.Class != Unavailable && e.Class != Misconfigured && e.Class != RejectedBatch {
			t.Errorf("%d: got class %v", status, e.Class)
		}
		if !utf8.ValidString(e.Message) || len(e.Message) > 3*MaxWords || strings.Contains(e.Message, ours) {
			t.Errorf("%d with %q, %q: got message %q", status, location, body, e.Message)
		}
	})
}

// FuzzReadFields: an object is read with the members that it may have, each once,
// or refused; what was read has the type that was asked for.
func FuzzReadFields(f *testing.F) {
	for _, text := range []string{`{"a":"x","b":1,"c":true,"d":[1,{}]}`, `{"a":1}`, `{"a":null}`, `{"a":"x","a":"y"}`, `{"e":1}`, `[]`, `null`, ``, `{"a":"x"} `, `{"b":1.5}`, `{"b":1e400}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		fields, err := ReadFields("config", raw, "a", "b", "c", "d")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "config") {
				t.Errorf("%q: got %v, want an error about config", raw, err)
			}
			return
		}
		a, b, c := "before", -1, true
		if fields.ReadAll(Member{"a", &a}, Member{"b", &b}, Member{"c", &c}) == nil && !fields.Has("a") && a != "before" {
			t.Errorf("%q: got a %q although it is not there", raw, a)
		}
	})
}
