package github_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	client "github.com/google/go-github/v89/github"

	"github.com/sluicelog/sluice/github"
	"github.com/sluicelog/sluice/quota"
)

// The client learns how many requests are left, asks no more when there are none,
// and goes on when the minute is over.
func TestRateLimitWithTheOfficialClient(t *testing.T) {
	simulate(t, func(w *world) {
		t := w.t
		w.fill()
		w.api = github.New(github.Config{Service: w.Service, Logger: w.Logger(), Requests: quota.New(3, nil)})
		ctx, c := t.Context(), w.client(w.AdminToken)
		time.Sleep(300 * time.Millisecond)
		end := time.Now().Add(quota.Length)
		for left := 2; left >= 0; left-- {
			_, resp, err := c.Enterprise.GetAuditLog(ctx, "acme", &client.GetAuditLogOptions{})
			if err != nil || resp.Rate.Limit != 3 || resp.Rate.Remaining != left || resp.Rate.Used != 3-left || resp.Rate.Resource != "audit_log" ||
				resp.Rate.Reset.Before(end) || resp.Rate.Reset.Sub(end) > time.Second {
				t.Errorf("%d left: got rate %+v and error %v", left, resp.Rate, err)
			}
		}
		var limited *client.RateLimitError
		if _, _, err := c.Enterprise.GetAuditLog(ctx, "acme", &client.GetAuditLogOptions{}); !errors.As(err, &limited) {
			t.Errorf("with none left: got error %v, want the client's own", err)
		}
		// A client that does not know yet is told by the server.
		_, resp, err := w.client(w.AdminToken).Organizations.GetAuditLog(ctx, "acme", &client.GetAuditLogOptions{})
		if !errors.As(err, &limited) || limited.Rate.Limit != 3 || limited.Rate.Remaining != 0 || resp.StatusCode != http.StatusForbidden ||
			resp.Header.Get("Retry-After") != "60" {
			t.Errorf("one too many: got error %v, status %d and headers %v", err, resp.StatusCode, resp.Header)
		}
		rates, _, err := w.client(w.AdminToken).RateLimit.Get(ctx)
		if err != nil || rates.AuditLog.Remaining != 0 || rates.Core.Limit != 3 {
			t.Errorf("what is left: got %+v and error %v", rates, err)
		}
		time.Sleep(time.Until(limited.Rate.Reset.Time))
		if _, resp, err := c.Enterprise.GetAuditLog(ctx, "acme", &client.GetAuditLogOptions{}); err != nil || resp.Rate.Remaining != 2 {
			t.Errorf("in the next minute: got error %v", err)
		}
	})
}

// Without a limit the headers are there, and never make a client wait.
func TestWithoutRateLimit(t *testing.T) {
	simulate(t, func(w *world) {
		t := w.t
		c := w.client(w.AdminToken)
		for range 3 {
			_, resp, err := c.Meta.Get(t.Context())
			if err != nil || resp.Rate.Remaining != resp.Rate.Limit || resp.Rate.Limit < 100_000 || resp.Rate.Used != 0 || !resp.Rate.Reset.After(time.Now()) {
				t.Errorf("got rate %+v and error %v, want one that never falls", resp.Rate, err)
			}
		}
		rec := httptest.NewRecorder()
		w.api.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/meta", nil))
		if rec.Code != http.StatusUnauthorized || rec.Header().Get("X-RateLimit-Limit") != "" {
			t.Errorf("without a token: got status %d and headers %v, want none of a limit", rec.Code, rec.Header())
		}
	})
}
