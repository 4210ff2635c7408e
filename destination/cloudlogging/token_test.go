package cloudlogging

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/cloudlogging/cloudloggingtest"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

func deliver(t *testing.T, dst destination.Destination) {
	t.Helper()
	if res := dst.Send(t.Context(), destinationtest.Batch(1)); res.Err != nil {
		t.Fatalf("Send: got %v, want delivered", res.Err)
	}
}

func TestTokenIsKeptUntilShortlyBeforeItsEnd(t *testing.T) {
	c := &clock{}
	g, url := serve(t, nil)
	env := loopbackEnv()
	env.Now = c.now
	dst := openAt(t, url, testSecrets(), env)
	defer dst.Close()
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {0, 1}, {54 * time.Minute, 1}, {90 * time.Second, 2}, {50 * time.Minute, 2}, {10 * time.Minute, 3}} {
		c.move(step.after)
		deliver(t, dst)
		if got := g.TokenRequests(); got != step.want {
			t.Errorf("requests for tokens at %v: got %d, want %d", c.off, got, step.want)
		}
	}
}

func TestShortTokenIsUsed(t *testing.T) {
	c := &clock{}
	g, url := serve(t, func(cfg *cloudloggingtest.Config) { cfg.TokenLife = 40 * time.Second })
	env := loopbackEnv()
	env.Now = c.now
	dst := openAt(t, url, testSecrets(), env)
	defer dst.Close()
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {20 * time.Second, 1}, {15 * time.Second, 2}} {
		c.move(step.after)
		deliver(t, dst)
		if got := g.TokenRequests(); got != step.want {
			t.Errorf("requests for tokens at %v: got %d, want %d", c.off, got, step.want)
		}
	}
}

func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	g, dst := start(t, nil)
	deliver(t, dst)
	g.Revoke()
	deliver(t, dst)
	if got, want := g.TokenRequests(), 2; got != want {
		t.Errorf("requests for tokens: got %d, want %d", got, want)
	}
	if got, want := len(g.Entries()), 2; got != want {
		t.Errorf("entries: got %d, want %d", got, want)
	}
}

func TestEveryTokenIsRefused(t *testing.T) {
	g, dst := start(t, func(c *cloudloggingtest.Config) {
		c.Script = func(n int, _ cloudloggingtest.Request) cloudloggingtest.Fault {
			if n == 0 {
				return cloudloggingtest.Fault{}
			}
			e := cloudloggingtest.Unauthenticated()
			return cloudloggingtest.Fault{Error: &e}
		}
	})
	deliver(t, dst)
	for _, want := range []struct{ writes, tokens int }{{3, 2}, {4, 3}} { // the second Send begins with a new one
		res := dst.Send(t.Context(), destinationtest.Batch(1))
		if res.Err == nil || res.Err.Class != destination.Misconfigured {
			t.Fatalf("Send: got %v, want misconfigured", res.Err)
		}
		if got := len(g.Requests()); got != want.writes {
			t.Errorf("write requests: got %d, want %d", got, want.writes)
		}
		if got := g.TokenRequests(); got != want.tokens {
			t.Errorf("requests for tokens: got %d, want %d", got, want.tokens)
		}
	}
}

func TestLanesShareToken(t *testing.T) {
	g, dst := start(t, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if res := dst.Send(t.Context(), destinationtest.Batch(1)); res.Err != nil {
				t.Errorf("Send: got %v, want delivered", res.Err)
			}
		})
	}
	wg.Wait()
	if got := g.TokenRequests(); got != 1 {
		t.Errorf("requests for tokens: got %d, want 1", got)
	}
}

// A token endpoint that hangs holds no Send longer than its context, neither the
// one that asks nor those that wait for it.
func TestTokenEndpointHangs(t *testing.T) {
	asked := make(chan struct{})
	_, dst := start(t, func(c *cloudloggingtest.Config) {
		c.TokenScript = func(n int) cloudloggingtest.TokenFault {
			if n == 0 {
				close(asked)
			}
			return cloudloggingtest.TokenFault{Hang: true}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan destination.Result)
	for range 2 {
		go func() { results <- dst.Send(ctx, destinationtest.Batch(1)) }()
	}
	<-asked
	cancel()
	for range 2 {
		if res := <-results; res.Err == nil || res.Err.Class != destination.Unavailable {
			t.Errorf("Send: got %v, want unavailable", res.Err)
		}
	}
}

func TestTokenRefusals(t *testing.T) {
	const html = "<!DOCTYPE html><title>Error</title>"
	script := func(f cloudloggingtest.TokenFault) func(*cloudloggingtest.Config) {
		return func(c *cloudloggingtest.Config) {
			c.TokenScript = func(int) cloudloggingtest.TokenFault { return f }
		}
	}
	at := func(d time.Duration) func(*cloudloggingtest.Config) {
		return func(c *cloudloggingtest.Config) {
			c.Now = func() time.Time { return time.Now().Add(d) }
		}
	}
	for _, c := range []struct {
		name   string
		change func(*cloudloggingtest.Config)
		class  destination.Class
		words  []string
	}{
		{"another key", func(c *cloudloggingtest.Config) {
			other, err := cloudloggingtest.NewAccount(testProject)
			if err != nil {
				t.Fatal(err)
			}
			c.Key = &other.Key.PublicKey
		}, destination.Misconfigured, []string{"400 invalid_grant", "the private key is not, or no longer", "Invalid JWT Signature."}},
		{"another account", func(c *cloudloggingtest.Config) { c.Email = "other@" + testProject + ".iam.gserviceaccount.com" }, destination.Misconfigured,
			[]string{"there is no service account sluice@", "check client_email"}},
		{"clock ahead", at(-2 * time.Hour), destination.Misconfigured, []string{"the clock of this server is wrong", "2h0m0s ahead of Google's"}},
		{"clock behind", at(3 * time.Hour), destination.Misconfigured, []string{"the clock of this server is wrong", "3h0m0s behind Google's"}},
		{"other grant", script(cloudloggingtest.TokenFault{Status: 400, Error: "invalid_grant", Description: "Bad Request"}), destination.Misconfigured, []string{"deleted", "disabled", "clock"}},
		{"client", script(cloudloggingtest.TokenFault{Status: 401, Error: "invalid_client", Description: "Unauthorized"}), destination.Misconfigured, []string{"401 invalid_client"}},
		{"scope", script(cloudloggingtest.TokenFault{Status: 400, Error: "invalid_scope"}), destination.Misconfigured, []string{"400 invalid_scope"}},
		{"passing, as 400", script(cloudloggingtest.TokenFault{Status: 400, Error: "temporarily_unavailable"}), destination.Unavailable, []string{"later"}},
		{"500", script(cloudloggingtest.TokenFault{Status: 500, Error: "internal_failure"}), destination.Unavailable, []string{"500 internal_failure"}},
		{"503 with a page", script(cloudloggingtest.TokenFault{Status: 503, Body: html}), destination.Unavailable, []string{"the token endpoint", "503"}},
		{"429", script(cloudloggingtest.TokenFault{Status: 429, Body: html}), destination.Unavailable, []string{"429"}},
		{"400 with a page", script(cloudloggingtest.TokenFault{Status: 400, Body: html}), destination.Misconfigured, []string{"400"}},
		{"413", script(cloudloggingtest.TokenFault{Status: 413, Body: html}), destination.Misconfigured, []string{"413"}},
		{"404", script(cloudloggingtest.TokenFault{Status: 404, Body: html}), destination.Misconfigured, []string{"404"}},
		{"200 with a page", script(cloudloggingtest.TokenFault{Status: 200, Body: html}), destination.Misconfigured, []string{"without an access token", "a proxy or a sign-in page", "it said: " + html}},
		{"200 without a token", script(cloudloggingtest.TokenFault{Status: 200, Body: `{"token_type":"Bearer"}`}), destination.Misconfigured, []string{"without an access token"}},
		{"200 with another type", script(cloudloggingtest.TokenFault{Status: 200, Body: `{"access_token":7}`}), destination.Misconfigured, []string{"without an access token"}},
		{"200 with a token that is none", script(cloudloggingtest.TokenFault{Status: 200, Body: `{"access_token":"a\r\nEvil: 1"}`}), destination.Misconfigured, nil},
		{"200, too long", script(cloudloggingtest.TokenFault{Status: 200, Body: strings.Repeat(" ", maxTokenAnswer) + `{"access_token":"abc"}`}), destination.Unavailable, nil},
	} {
		g, dst := start(t, c.change)
		res := dst.Send(t.Context(), destinationtest.Batch(2))
		if res.Err == nil || res.Err.Class != c.class || res.Events != nil || res.Err.TooLarge {
			t.Errorf("%s: got %+v, want %v for all", c.name, res.Err, c.class)
			continue
		}
		checkSecrets(t, res.Err.Message)
		for _, want := range c.words {
			if !strings.Contains(res.Err.Message, want) {
				t.Errorf("%s: got %q, want %q in it", c.name, res.Err.Message, want)
			}
		}
		if len(g.Requests()) != 0 || g.TokenRequests() != 1 {
			t.Errorf("%s: got %d writes and %d requests for tokens, want 0 and 1", c.name, len(g.Requests()), g.TokenRequests())
		}
	}
}

// TestLifesThatCannotBe has token endpoints whose word about the life of a token
// is of no use: a token is neither fetched for every request nor kept for ever.
func TestLifesThatCannotBe(t *testing.T) {
	past := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":1}`)) + ".e30"
	for name, answer := range map[string]string{
		"no life":          `{"access_token":"ya29.c.one"}`,
		"none":             `{"access_token":"ya29.c.one","expires_in":0}`,
		"negative":         `{"access_token":"ya29.c.one","expires_in":-3600}`,
		"overflowing":      `{"access_token":"ya29.c.one","expires_in":9300000000}`,
		"largest":          `{"access_token":"ya29.c.one","expires_in":9223372036854775807}`,
		"ages":             `{"access_token":"ya29.c.one","expires_in":4000000000}`,
		"id token is over": `{"access_token":"ya29.c.one","id_token":"` + past + `"}`,
	} {
		c, asked := &clock{}, 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			if r.URL.Path == cloudloggingtest.TokenPath {
				asked++
				io.WriteString(w, answer)
			}
		}))
		env := loopbackEnv()
		env.Now = c.now
		dst := openAt(t, s.URL, testSecrets(), env)
		for range 3 {
			deliver(t, dst)
		}
		if asked != 1 {
			t.Errorf("%s: got %d requests for tokens for 3 batches, want 1", name, asked)
		}
		c.move(48 * time.Hour)
		deliver(t, dst)
		if asked != 2 {
			t.Errorf("%s: got %d requests for tokens after two days, want 2", name, asked)
		}
		dst.Close()
		s.Close()
	}
}

// A token that cannot be sent is not kept: the next one may be better.
func TestTokenThatIsNoneIsNotKept(t *testing.T) {
	_, dst := start(t, func(c *cloudloggingtest.Config) {
		c.TokenScript = func(n int) cloudloggingtest.TokenFault {
			if n == 0 {
				return cloudloggingtest.TokenFault{Status: 200, Body: `{"access_token":"a\r\nEvil: 1","expires_in":3600}`}
			}
			return cloudloggingtest.TokenFault{}
		}
	})
	if res := dst.Send(t.Context(), destinationtest.Batch(1)); res.Err == nil || !strings.Contains(res.Err.Message, "without an access token") {
		t.Errorf("Send: got %v, want a failure that names the token endpoint", res.Err)
	}
	deliver(t, dst)
}

// TestEchoedProofIsHidden has endpoints that repeat what they refuse.
func TestEchoedProofIsHidden(t *testing.T) {
	var proof, access string
	tokens := cloudloggingtest.New(testAccount().Config())
	refuseTokens := true
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != cloudloggingtest.TokenPath:
			access = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			w.WriteHeader(http.StatusForbidden)
			w.Write([]byte(`{"error":{"code":403,"status":"PERMISSION_DENIED","message":"no: ` + access + `"}}`))
		case refuseTokens:
			proof = r.FormValue("assertion")
			w.WriteHeader(http.StatusBadRequest)
			w.Write([]byte(`{"error":"invalid_grant","error_description":"no: ` + proof + `"}`))
		default:
			tokens.ServeHTTP(w, r)
		}
	}))
	defer s.Close()
	dst := openAt(t, s.URL, testSecrets(), loopbackEnv())
	defer dst.Close()
	res := dst.Send(t.Context(), destinationtest.Batch(1))
	if res.Err == nil || proof == "" || strings.Contains(res.Err.Message, proof[:40]) || !strings.Contains(res.Err.Message, "no: ***") {
		t.Errorf("refused token: got %v, want the words without the proof", res.Err)
	}
	refuseTokens = false
	res = dst.Send(t.Context(), destinationtest.Batch(1))
	if res.Err == nil || access == "" || strings.Contains(res.Err.Message, access[:20]) || !strings.Contains(res.Err.Message, "no: ***") {
		t.Errorf("refused write: got %v, want the words without the token", res.Err)
	}
}
