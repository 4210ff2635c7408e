package github

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice/quota"
)

// unlimited stands for a limit where there is none. Some clients do not work
// without the headers, and all of them wait when little is left: so what is left
// never falls.
const unlimited = 1_000_000

// rate is what clients are told of their requests.
type rate struct {
	Limit     int   `json:"limit"`
	Remaining int   `json:"remaining"`
	Used      int   `json:"used"`
	Reset     int64 `json:"reset"` // seconds since 1970
}

func rateOf(w quota.Window) rate {
	if w.Limit == 0 {
		return rate{unlimited, unlimited, 0, time.Now().Add(quota.Length).Unix()}
	}
	return rate{w.Limit, w.Left(), min(w.Used, w.Limit), w.Reset()}
}

// tellRate says what is left in the headers that clients read. What is counted is
// one, whatever resource GitHub would count a request for.
func tellRate(h http.Header, r *http.Request, w quota.Window) {
	rate := rateOf(w)
	h.Set("X-RateLimit-Limit", strconv.Itoa(rate.Limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(rate.Remaining))
	h.Set("X-RateLimit-Used", strconv.Itoa(rate.Used))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(rate.Reset, 10))
	h.Set("X-RateLimit-Resource", resourceOf(r.URL.Path))
	if w.Over() {
		h.Set("Retry-After", strconv.Itoa(w.Wait()))
	}
}

func resourceOf(path string) string {
	switch {
	case strings.HasSuffix(path, "/audit-log"):
		return "audit_log"
	case strings.Contains(path, "/audit-log/"):
		return "audit_log_streaming"
	}
	return "core"
}

// rateLimit answers with the same, for every resource.
func (a *API) rateLimit(c *call) error {
	one := rateOf(a.requests.Look(c.by.Key()))
	writeJSON(c.w, http.StatusOK, map[string]any{
		"resources": map[string]rate{"core": one, "audit_log": one, "audit_log_streaming": one}, "rate": one,
	})
	return nil
}
