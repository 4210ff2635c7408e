package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/quota"
	"github.com/sluicelog/sluice/search"
	"github.com/sluicelog/sluice/web"
)

// requestLimit is the limit in these tests.
const requestLimit = 3

// limited runs f against all surfaces as a server has them, with that limit.
func limited(t *testing.T, f func(t *testing.T, w *controltest.World, ask func(method, path, token, body string) *httptest.ResponseRecorder)) {
	synctest.Test(t, func(t *testing.T) {
		var s *search.Service
		w := controltest.New(t, func(c *control.Config) {
			s = search.New(search.Config{Log: c.Log, Engine: index.NewMemory()})
			c.Search = s
		})
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Run(ctx) })
		synctest.Wait()
		cfg := defaultConfig()
		cfg.RequestLimit = requestLimit
		h, _, _ := (&server{cfg: &cfg, lg: w.Logger(), parts: &parts{snapshots: &snapshots{}, control: w.Service}}).handlers(web.New(web.Config{Service: w.Service}), quota.New(cfg.RequestLimit, nil))
		f(t, w, func(method, path, token, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			return rec
		})
		stop()
		wg.Wait()
		w.Stop()
	})
}

// Each surface says how many requests are left, refuses the one that is too many
// in its product's words, and takes the next one when the minute is over.
func TestRequestLimitOfEachSurface(t *testing.T) {
	gitlab := map[string]string{"limit": "RateLimit-Limit", "left": "RateLimit-Remaining", "used": "RateLimit-Observed", "reset": "RateLimit-Reset"}
	github := map[string]string{"limit": "X-RateLimit-Limit", "left": "X-RateLimit-Remaining", "used": "X-RateLimit-Used", "reset": "X-RateLimit-Reset"}
	for _, tt := range []struct {
		name, method, path, body string
		headers                  map[string]string
		status                   int    // of the one that is too many
		text                     string // in its body
	}{
		{"native", "GET", "/api/v1/me", "", gitlab, 429, `{"error":{"code":"rate_limited","message":"this credential's 3 requests a minute are used up"`},
		{"native, another method", "PUT", "/api/v1/me", "", gitlab, 429, `"rate_limited"`},
		{"github", "GET", "/api/v3/meta", "", github, 403, `{"message":"API rate limit exceeded`},
		{"github at the root", "GET", "/orgs/acme/audit-log", "", github, 403, `{"message":"API rate limit exceeded`},
		{"gitlab", "GET", "/api/v4/audit_events", "", gitlab, 429, `{"message":"429 Too Many Requests`},
		{"graphql", "POST", "/api/graphql", `{"query":"{ __typename }"}`, gitlab, 429, `{"errors":[{"message":"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			limited(t, func(t *testing.T, w *controltest.World, ask func(method, path, token, body string) *httptest.ResponseRecorder) {
				end := fmt.Sprint(time.Now().Add(time.Minute).Unix())
				expect := func(rec *httptest.ResponseRecorder, left, used string) {
					t.Helper()
					for what, want := range map[string]string{"limit": "3", "left": left, "used": used, "reset": end} {
						if got := rec.Header().Get(tt.headers[what]); got != want {
							t.Errorf("%s: got %q, want %q", tt.headers[what], got, want)
						}
					}
				}
				for i := range requestLimit {
					rec := ask(tt.method, tt.path, w.AdminToken, tt.body)
					if rec.Code == tt.status || rec.Header().Get("Retry-After") != "" {
						t.Errorf("request %d: got status %d with %s", i+1, rec.Code, rec.Body)
					}
					expect(rec, fmt.Sprint(requestLimit-1-i), fmt.Sprint(i+1))
					time.Sleep(time.Second)
				}
				rec := ask(tt.method, tt.path, w.AdminToken, tt.body)
				if rec.Code != tt.status || !strings.HasPrefix(rec.Body.String(), tt.text) && !strings.Contains(rec.Body.String(), tt.text) {
					t.Errorf("one too many: got status %d with %s, want %d with %s", rec.Code, rec.Body, tt.status, tt.text)
				}
				used := "4"
				if tt.headers["used"] == github["used"] {
					used = "3" // of those that were allowed
				}
				expect(rec, "0", used)
				if got := rec.Header().Get("Retry-After"); got != "57" {
					t.Errorf("got Retry-After %q, want 57", got)
				}
				time.Sleep(57 * time.Second)
				if rec := ask(tt.method, tt.path, w.AdminToken, tt.body); rec.Code == tt.status || rec.Header().Get(tt.headers["left"]) != "2" {
					t.Errorf("in the next minute: got status %d with %s and %v", rec.Code, rec.Body, rec.Header())
				}
			})
		})
	}
}

// The surfaces count together, by credential, and some requests are not counted.
func TestRequestLimitOfEachCredential(t *testing.T) {
	limited(t, func(t *testing.T, w *controltest.World, ask func(method, path, token, body string) *httptest.ResponseRecorder) {
		made := func(spec control.TokenSpec) string {
			t.Helper()
			tok, err := w.Service.CreateToken(t.Context(), w.Admin, spec)
			if err != nil {
				t.Fatal(err)
			}
			return tok.Text
		}
		producer, other := made(control.TokenSpec{Namespace: "acme"}), made(control.TokenSpec{Kind: control.KindAdmin})
		free := func(method, path, token, body string, status int) {
			t.Helper()
			rec := ask(method, path, token, body)
			if h := rec.Header(); rec.Code != status || h.Get("RateLimit-Limit") != "" {
				t.Errorf("%s %s: got status %d with %s and %v, want %d and no limit", method, path, rec.Code, rec.Body, h, status)
			}
		}
		for range requestLimit + 2 {
			free("POST", "/api/v1/events", producer, `{"event_type":"a","entity_path":"acme"}`, 200)
			free("GET", "/healthz", "", "", 200)
			free("GET", "/readyz", "", "", 200)
			free("GET", "/metrics", w.AdminToken, "", 200)
			free("GET", "/api/v1/openapi.yaml", w.AdminToken, "", 200)
			free("GET", "/api/v1/me", "wrong", "", 401)
			free("POST", "/api/graphql", "", `{"query":"{ __typename }"}`, 200)
		}
		for i, path := range []string{"/api/v1/me", "/api/v3/meta", "/api/v4/audit_events"} {
			rec := ask("GET", path, w.AdminToken, "")
			if left := fmt.Sprint(requestLimit - 1 - i); rec.Code != 200 || rec.Header().Get("RateLimit-Remaining")+rec.Header().Get("X-RateLimit-Remaining") != left {
				t.Errorf("%s: got status %d with %v, want %s left", path, rec.Code, rec.Header(), left)
			}
		}
		if rec := ask("GET", "/api/v1/me", w.AdminToken, ""); rec.Code != http.StatusTooManyRequests {
			t.Errorf("all together: got status %d, want 429", rec.Code)
		}
		for _, token := range []string{w.AdminToken, other, other} { // it costs nothing, and may be asked for always
			want := map[bool]string{true: `"remaining":0,"used":3,`, false: `"remaining":3,"used":0,`}[token == w.AdminToken]
			if rec := ask("GET", "/rate_limit", token, ""); rec.Code != 200 || strings.Count(rec.Body.String(), want) != 4 {
				t.Errorf("rate_limit: got status %d with %s, want 200 and %s", rec.Code, rec.Body, want)
			}
		}
		for _, token := range []string{other, producer} {
			if rec := ask("GET", "/api/v1/me", token, ""); rec.Code != http.StatusOK || rec.Header().Get("RateLimit-Observed") != "1" {
				t.Errorf("another credential: got status %d with %v, want its first request", rec.Code, rec.Header())
			}
		}
	})
}

// --rate-limit holds for tokens without a limit of their own.
func TestRateLimitOfEvents(t *testing.T) {
	s := startServer(t, t.TempDir()+"/data", http.DefaultClient, "--rate-limit", "1")
	var made struct{ Token string }
	if status := s.call("POST", "/api/v1/tokens", `{"namespace":"acme"}`, &made); status != http.StatusCreated {
		t.Fatalf("make a token: got status %d", status)
	}
	post := func() *http.Response {
		body := strings.Repeat(`{"event_type":"a","entity_path":"acme"}`+"\n", 1000) // in debt for long
		r, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/api/v1/events", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+made.Token)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res
	}
	if res := post(); res.StatusCode != http.StatusOK {
		t.Errorf("first: got status %d, want 200", res.StatusCode)
	}
	if res := post(); res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
		t.Errorf("second: got status %d with headers %v, want 429 with Retry-After", res.StatusCode, res.Header)
	}
}
