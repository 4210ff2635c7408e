package splunk

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
	"github.com/sluicelog/sluice/destination/splunk/splunktest"
)

// trusting returns a collector that trusts the server's certificate.
func trusting(t *testing.T, s *splunktest.Server, fields map[string]any) *Collector {
	t.Helper()
	c := openAt(t, s.URL, fixedEnv(), fields)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	c.wire.release()
	c.wire.tls.RootCAs = roots
	transport := destination.NewTransport(c.env, c.wire.tls)
	c.wire.transport, c.wire.release = transport, transport.CloseIdleConnections
	return c
}

// run runs the check and returns the last stage, and all messages.
func run(t *testing.T, c *Collector, want bool) (last destination.Stage, all string) {
	t.Helper()
	got := c.Check(t.Context(), func(s destination.Stage) {
		last = s
		all += s.Name + ": " + s.Message + "\n"
	})
	if got != want {
		t.Errorf("Check: got %t, want %t:\n%s", got, want, all)
	}
	return last, all
}

func TestCheckOverTLS(t *testing.T) {
	s := splunktest.Start(splunktest.Options{Token: testToken})
	defer s.Close()
	c := trusting(t, s, map[string]any{})
	defer c.Close()
	if res := c.Send(t.Context(), destinationtest.Batch(3)); res.Err != nil {
		t.Errorf("Send: got %v, want delivered", res.Err)
	}
	_, all := run(t, c, true)
	for _, want := range []string{"resolve: 127.0.0.1 is an address", "connect: ", "tls: TLS 1.3; the certificate is valid until ",
		"authenticate: the collector accepts the token", "accept: the collector says that it is healthy; it accepts the stream's events"} {
		if !strings.Contains(all, want) {
			t.Errorf("stages: got\n%swant %q in it", all, want)
		}
	}
	if got := len(s.Events()); got != 3 {
		t.Errorf("events stored: got %d, want 3: a check writes nothing", got)
	}
}

func TestCheckWithoutVerification(t *testing.T) {
	s := splunktest.Start(splunktest.Options{Token: testToken})
	defer s.Close()
	c := openAt(t, s.URL, fixedEnv(), map[string]any{"ssl_verify": false})
	defer c.Close()
	if res := c.Send(t.Context(), destinationtest.Batch(3)); res.Err != nil {
		t.Errorf("Send: got %v, want delivered", res.Err)
	}
	if _, all := run(t, c, true); !strings.Contains(all, "the certificate was not verified, because SSL verification is off") {
		t.Errorf("stages: got\n%swant them to say that nothing was verified", all)
	}
	verified := openAt(t, s.URL, fixedEnv(), map[string]any{})
	defer verified.Close()
	if last, _ := run(t, verified, false); last.Name != "tls" || !strings.Contains(last.Message, "authority that is not trusted") {
		t.Errorf("last stage: got %+v, want tls with the reason", last)
	}
}

// TestSkippingVerificationKeepsEncryption has a receiver that speaks no TLS.
func TestSkippingVerificationKeepsEncryption(t *testing.T) {
	s := splunktest.Start(splunktest.Options{Token: testToken, Plain: true})
	defer s.Close()
	c := openAt(t, strings.Replace(s.URL, "http:", "https:", 1), fixedEnv(), map[string]any{"ssl_verify": false})
	defer c.Close()
	wantFailure(t, "Send", c.Send(t.Context(), destinationtest.Batch(1)), destination.Misconfigured, "does not speak TLS")
	if last, _ := run(t, c, false); last.Name != "tls" {
		t.Errorf("last stage: got %+v, want tls", last)
	}
	if got := len(s.Requests()); got != 0 {
		t.Errorf("requests: got %d, want none", got)
	}
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	unhealthy := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if strings.HasSuffix(q.URL.Path, "/health") {
				w.WriteHeader(503)
				_, _ = io.WriteString(w, `{"text":"HEC is unhealthy, queues are full","code":18}`)
				return
			}
			h.ServeHTTP(w, q)
		})
	}
	for _, c := range []struct {
		name    string
		options splunktest.Options
		fields  map[string]any
		ok      bool
		stage   string
		words   string
	}{
		{"all well", splunktest.Options{}, nil, true, "accept", "no test event was written"},
		{"disabled token", splunktest.Options{Disabled: true}, nil, false, "authenticate", "the token is disabled"},
		{"wrong token", splunktest.Options{Token: "another"}, nil, false, "authenticate", "copy the token's value"},
		{"wrong path", splunktest.Options{}, map[string]any{"path": "/collector"}, false, "authenticate", "nothing is there"},
		{"no health", splunktest.Options{NoHealth: true}, nil, true, "accept", "does not tell its health (it answered 404 at /services/collector/health), which is no harm"},
		{"full queues", splunktest.Options{Wrap: unhealthy}, nil, false, "accept", "its queues are full"},
		{"index allowed", splunktest.Options{Indexes: []string{"main", "audit"}}, map[string]any{"index": "audit"}, true, "accept", "it accepted a test event for the index audit"},
		{"index not allowed", splunktest.Options{Indexes: []string{"main"}}, map[string]any{"index": "audit"}, false, "accept", "allowed indexes"},
		{"acknowledgement there", splunktest.Options{Ack: true}, map[string]any{"indexer_ack": "require"}, true, "accept", "answers for acknowledgements"},
		{"acknowledgement missing", splunktest.Options{}, map[string]any{"indexer_ack": "require"}, false, "accept", "enable it for the token"},
		{"channel asked for", splunktest.Options{Ack: true}, map[string]any{"indexer_ack": "off"}, true, "accept", "healthy"},
		{"acknowledgement in auto", splunktest.Options{Ack: true, Indexes: []string{"a"}}, map[string]any{"index": "a"}, true, "accept", "it accepted a test event"},
	} {
		if c.options.Token == "" {
			c.options.Token = testToken
		}
		c.options.Plain = true
		s := splunktest.Start(c.options)
		dst := openAt(t, s.URL, fixedEnv(), c.fields)
		last, all := run(t, dst, c.ok)
		if last.Name != c.stage || !strings.Contains(last.Message, c.words) {
			t.Errorf("%s: got\n%swant it to end at %s with %q", c.name, all, c.stage, c.words)
		}
		if strings.Contains(all, testToken) {
			t.Errorf("%s: got\n%swant no token in it", c.name, all)
		}
		for _, e := range s.Events() {
			var m struct {
				EventType  string `json:"event_type"`
				EntityPath string `json:"entity_path"`
			}
			if err := json.Unmarshal(e.Payload, &m); err != nil || m.EventType != destination.CheckType || m.EntityPath != "acme" {
				t.Errorf("%s: got event %s, want a marked one of the stream's namespace", c.name, e.Payload)
			}
		}
		dst.Close()
		s.Close()
	}
}

// TestCheckAfterFailures has a collector that accepted events, answers for its
// health and its token, and takes no event any more: what it accepted before
// proves nothing.
func TestCheckAfterFailures(t *testing.T) {
	for name, fail := range map[string]func(http.ResponseWriter){
		"the index was removed": func(w http.ResponseWriter) {
			w.WriteHeader(400)
			_, _ = io.WriteString(w, `{"text":"Incorrect index","code":7,"invalid-event-number":1}`)
		},
		"it has an error": func(w http.ResponseWriter) {
			w.WriteHeader(500)
			_, _ = io.WriteString(w, `{"text":"Internal server error","code":8}`)
		},
		"it hangs up":  func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"another page": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>Sign in</html>") },
	} {
		var failing atomic.Bool
		wrap := func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				if failing.Load() && strings.HasSuffix(q.URL.Path, "/event") && q.ContentLength > 0 {
					_, _ = io.Copy(io.Discard, q.Body)
					fail(w)
					return
				}
				h.ServeHTTP(w, q)
			})
		}
		s := splunktest.Start(splunktest.Options{Token: testToken, Plain: true, Wrap: wrap})
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		c := openAt(t, s.URL, fixedEnv(), map[string]any{"index": "audit"})
		wantFailure(t, name, c.Send(t.Context(), destinationtest.Batch(2)), 0, "")
		failing.Store(true)
		if res := c.Send(t.Context(), destinationtest.Batch(1)); res.Err == nil {
			t.Errorf("%s: got delivered, want a failure", name)
		}
		if last, all := run(t, c, false); last.Name != "accept" {
			t.Errorf("%s: got\n%swant it to end at accept", name, all)
		}
		failing.Store(false)
		run(t, c, true)
		c.Close()
		s.Close()
	}
}

// TestCheckOfIndexersThatDoNotAcknowledge has a collector that accepts whatever
// it gets and whose indexers are down.
func TestCheckOfIndexersThatDoNotAcknowledge(t *testing.T) {
	for _, mode := range []Ack{AckAuto, AckRequire} {
		var up atomic.Bool
		indexed := func(string, uint64, int) bool { return up.Load() }
		inBubble(t, mode, splunktest.Options{Ack: true, Indexed: indexed}, func(t *testing.T, s simulated) {
			accept := func() (string, *destination.Error) {
				return (&check{c: s.Collector, l: newLane(mode)}).accept(t.Context())
			}
			wantFailure(t, string(mode), s.Send(t.Context(), destinationtest.Batch(1)), destination.Unavailable, "indexed")
			start := time.Now()
			if message, err := accept(); err == nil || !strings.Contains(err.Message, "did not say within") {
				t.Errorf("%s: got %q, %v, want a test event that is not acknowledged", mode, message, err)
			}
			if took := time.Since(start); took > 25*time.Second {
				t.Errorf("%s: got an answer after %v, want it before the check's time is over", mode, took)
			}
			up.Store(true)
			if message, err := accept(); err != nil || !strings.Contains(message, "test event") {
				t.Errorf("%s: got %q, %v, want an accepted test event", mode, message, err)
			}
		})
	}
}

// TestCheckOfAnotherProtocol has a gateway whose errors have codes, too: 5 is its
// word for "not found".
func TestCheckOfAnotherProtocol(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(404)
		_, _ = io.WriteString(w, `{"code":5,"message":"Not Found","details":[]}`)
	}))
	defer s.Close()
	c := openAt(t, s.URL, fixedEnv(), map[string]any{})
	defer c.Close()
	if last, all := run(t, c, false); last.Name != "authenticate" {
		t.Errorf("last stage: got\n%swant authenticate", all)
	}
}

// TestCheckProvesAcceptance has a collector that knows the token and refuses every
// event: an empty request would prove nothing.
func TestCheckProvesAcceptance(t *testing.T) {
	s := splunktest.Start(splunktest.Options{Token: testToken, Plain: true, Refuse: func(splunktest.Event) int { return 6 }})
	defer s.Close()
	c := openAt(t, s.URL, fixedEnv(), map[string]any{})
	defer c.Close()
	run(t, c, true)
	wantFailure(t, "Send", c.Send(t.Context(), destinationtest.Batch(1)), destination.RejectedBatch, "code 6")
	if last, _ := run(t, c, false); last.Name != "accept" || !strings.Contains(last.Message, "code 6") {
		t.Errorf("last stage: got %+v, want accept with the refusal of the test event", last)
	}
}
