package splunk

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

// alike is a collector that answers every request alike.
type alike struct {
	status   int
	header   http.Header
	body     []byte
	requests int
}

func (a *alike) RoundTrip(r *http.Request) (*http.Response, error) {
	a.requests++
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: r}, nil
}

// FuzzAnswer has a collector that answers anything at all, to events and to
// questions about them, in each mode. Nothing counts as delivered without a word of
// acceptance, no event is blamed that a refusal does not name, and the wait for
// acknowledgements ends.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"text":"Success","code":0}`, `{"text":"Success","code":0,"ackId":7,"acks":{"7":true,"0":true}}`, `{"text":"Success","code":0,"ackId":18446744073709551615}`,
		`{"text":"Invalid data format","code":6,"invalid-event-number":1}`, `{"code":6,"invalid-event-number":-1}`, `{"code":7,"invalid-event-number":99999999999}`,
		`{"text":"ACK is disabled","code":14}`, `{"code":10}`, `{"code":27}`, `{"acks":{"1":false,"x":true}}`, `{"code":null}`, `{"code":1.0}`, `<html>`, ``,
	} {
		for mode, status := range []int{200, 400, 503} {
			f.Add(uint8(mode), status, "5", "Splunkd", []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, mode uint8, status int, retry, server string, body []byte) {
		if status < 100 || status > 599 || status == http.StatusSwitchingProtocols {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			far := &alike{status: status, header: http.Header{"Retry-After": {retry}, "Server": {server}}, body: body}
			config := Config{Domain: "splunk.test", Port: 8088, Path: defaultPath, IndexerAck: [...]Ack{AckAuto, AckRequire, AckOff}[mode%3]}
			c := newCollector(config, testToken, destination.Env{Now: time.Now}, wire{scheme: "http", transport: far, release: func() {}}, nil)
			began := time.Now()
			res := c.Send(t.Context(), destinationtest.Batch(3))
			if took := time.Since(began); took > c.Limits().Timeout || far.requests > 100 {
				t.Errorf("Send: took %v and %d requests", took, far.requests)
			}
			judgeFuzzed(t, res, status, body)
		})
	})
}

func judgeFuzzed(t *testing.T, res destination.Result, status int, body []byte) {
	t.Helper()
	accepts := bytes.Contains(body, []byte("code")) || bytes.Contains(bytes.ToLower(body), []byte("code")) || bytes.ContainsAny(body, `\`)
	if res.Err == nil && (status < 200 || status > 299 || !accepts) {
		t.Errorf("Send: got delivered for %d %q", status, body)
	}
	if res.Err == nil {
		return
	}
	if e := res.Err; e.RetryAfter < 0 || e.RetryAfter > destination.MaxRetryAfter || strings.Contains(e.Message, testToken) {
		t.Errorf("Send: got %+v", e)
	}
	if res.Events != nil && len(res.Events) != 3 {
		t.Errorf("Send: got outcomes %v of 3 events", res.Events)
	}
	for i, o := range res.Events {
		if o == destination.Rejected && res.Reasons[i] == "" {
			t.Errorf("Send: event %d is rejected without a reason", i)
		}
	}
}
