package gitlab_test

import (
	"net/http"
	"testing"
	"time"

	client "gitlab.com/gitlab-org/api/client-go"

	"github.com/sluicelog/sluice/gitlab"
	"github.com/sluicelog/sluice/quota"
)

// The client as it is by default spreads its requests over the minute, and waits
// for the next one when it is told that there are too many.
func TestRateLimitWithTheOfficialClient(t *testing.T) {
	simulate(t, func(w *world) {
		t := w.t
		w.fill()
		w.api = gitlab.New(gitlab.Config{Service: w.Service, Logger: w.Logger(), Requests: quota.New(6, nil)})
		made := func(options ...client.ClientOptionFunc) *client.Client {
			c, err := client.NewClient(w.AdminToken, append(options, client.WithBaseURL("https://sluice.example/api/v4"), client.WithHTTPClient(&http.Client{Transport: w}))...)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		began := time.Now()
		quick := made(client.WithCustomLimiter(free{}), client.WithoutRetries())
		for i := range 7 {
			_, resp, err := quick.AuditEvents.ListInstanceAuditEvents(nil)
			if refused := i == 6; (err != nil) != refused || (resp.StatusCode == http.StatusTooManyRequests) != refused {
				t.Errorf("request %d: got status %d and error %v", i+1, resp.StatusCode, err)
			}
		}
		patient := made(client.WithCustomLimiter(free{}))
		_, resp, err := patient.AuditEvents.ListInstanceAuditEvents(nil)
		if err != nil || resp.Header.Get("RateLimit-Remaining") != "5" {
			t.Errorf("a client that repeats: got error %v and headers %v", err, resp.Header)
		}
		if took := time.Since(began); took < quota.Length || took > quota.Length+5*time.Second {
			t.Errorf("a client that repeats: waited %s, want until the minute was over", took)
		}
		began = time.Now()
		usual := made()
		for i := range 12 {
			if _, _, err := usual.AuditEvents.ListInstanceAuditEvents(nil); err != nil {
				t.Errorf("request %d of the client as it is: got error %v", i+1, err)
			}
		}
		if took := time.Since(began); took < quota.Length {
			t.Errorf("12 requests took %s, want them spread over more than a minute", took)
		}
	})
}
