package client

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"testing"
)

// FuzzLive follows a server that sends anything at all: each message is an event
// or a gap or an error, and the reading ends.
func FuzzLive(f *testing.F) {
	for _, in := range []string{"id: p1\ndata: {\"event\":{}}\n\n", "event: gap\nid: p2\ndata: {\"partition\":\"audit\",\"first_seq\":1,\"last_seq\":3}\n\n: beat\n\n", "event: x\ndata: 1\n\n", "data\n\n", "data:\ndata:{}\n\n", "\n\n", ""} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		l := &Live{body: io.NopCloser(nil), in: bufio.NewReaderSize(bytes.NewReader(in), 16)}
		for n := 0; ; n++ {
			event, gap, err := l.Next()
			if err != nil {
				return
			}
			if (event == nil) == (gap == nil) || n > len(in) {
				t.Fatalf("%q: message %d: got %v and %v", in, n, event, gap)
			}
		}
	})
}

// FuzzError reads refusals that are anything at all: the error tells something, and
// a wait that is not below zero.
func FuzzError(f *testing.F) {
	f.Add(400, "3", []byte(`{"error":{"code":"invalid","message":"1 bad event","hint":"look","events":[{"index":3,"code":"invalid"}]}}`))
	f.Add(503, "Sun, 01 Mar 2026 12:00:30 GMT", []byte(`{"error":null}`))
	f.Add(302, "-1", []byte(`<html>`))
	u := &url.URL{Scheme: "https", Host: "sluice.example.com", User: url.UserPassword("a", "a-secret")}
	f.Fuzz(func(t *testing.T, status int, retry string, body []byte) {
		e := parseError(&http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Retry-After": {retry}}, Request: &http.Request{URL: u}}, body)
		if e.Message == "" || e.RetryAfter < 0 || e.Status != status {
			t.Errorf("%d %q %q: got %+v", status, retry, body, e)
		}
		_ = e.Temporary()
	})
}
