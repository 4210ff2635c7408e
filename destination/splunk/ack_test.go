package splunk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
	"github.com/sluicelog/sluice/destination/splunk/splunktest"
)

// pipes is a listener whose connections stay in the process, so that a collector
// and its receiver live on simulated time together.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// simulated is a collector with a receiver, on simulated time.
type simulated struct {
	*Collector
	server *splunktest.Server
}

// inBubble runs f on simulated time with a collector in the mode and its receiver.
func inBubble(t *testing.T, mode Ack, o splunktest.Options, f func(*testing.T, simulated)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Token = testToken
		s := splunktest.New(o)
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		web := &http.Server{Handler: s.Handler()}
		var wg sync.WaitGroup
		wg.Go(func() { _ = web.Serve(l) })
		transport := &http.Transport{DialContext: l.dial}
		w := wire{scheme: "http", transport: transport, release: transport.CloseIdleConnections}
		config := Config{Domain: "splunk.test", Port: 8088, Path: defaultPath, IndexerAck: mode}
		c := newCollector(config, testToken, destination.Env{Now: time.Now}, w, nil)
		f(t, simulated{c, s})
		if err := c.Close(); err != nil {
			t.Errorf("Close: got %v, want nil", err)
		}
		_ = web.Close()
		wg.Wait()
	})
}

// heavy returns a batch of n events that make a request each.
func heavy(n int) *destination.Batch {
	b := destinationtest.Batch(n)
	for i := range b.Events {
		b.Events[i].Payload = fmt.Appendf(nil, `{"id":"e-%d","x":%q}`, i, strings.Repeat("x", maxBytes*6/10))
	}
	return b
}

// question is what a receiver was asked about.
type question struct {
	at  time.Duration
	ids []uint64
}

// listener notes the questions about acknowledgements.
type listener struct {
	start     time.Time
	mu        sync.Mutex
	questions []question
}

func (l *listener) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if strings.HasSuffix(q.URL.Path, "/ack") {
			body, _ := io.ReadAll(q.Body)
			q.Body = io.NopCloser(bytes.NewReader(body))
			var in struct{ Acks []uint64 }
			_ = json.Unmarshal(body, &in)
			l.mu.Lock()
			l.questions = append(l.questions, question{time.Since(l.start), in.Acks})
			l.mu.Unlock()
		}
		h.ServeHTTP(w, q)
	})
}

func TestAcknowledgementIsAwaited(t *testing.T) {
	var l listener
	indexed := func(_ string, id uint64, asked int) bool { return asked > 2*int(id) }
	inBubble(t, AckRequire, splunktest.Options{Ack: true, Indexed: indexed, Wrap: l.wrap}, func(t *testing.T, s simulated) {
		l.start = time.Now()
		if res := s.Send(t.Context(), heavy(3)); res.Err != nil {
			t.Fatalf("Send: got %v, want delivered", res.Err)
		}
		want := []question{
			{0, []uint64{0}}, // is there acknowledgement at all?
			{1 * time.Second, []uint64{0, 1, 2}}, {3 * time.Second, []uint64{1, 2}}, {7 * time.Second, []uint64{1, 2}},
			{15 * time.Second, []uint64{2}}, {25 * time.Second, []uint64{2}},
		}
		if got := fmt.Sprint(l.questions); got != fmt.Sprint(want) {
			t.Errorf("questions: got %s, want %s", got, fmt.Sprint(want))
		}
		wantOneChannel(t, s, 3)
	})
}

// wantOneChannel checks that n requests with events came on the same channel.
func wantOneChannel(t *testing.T, s simulated, n int) {
	t.Helper()
	var channels []string
	for _, e := range s.server.Events() {
		channels = append(channels, e.Channel)
	}
	if len(channels) != n || len(slices.Compact(channels)) != 1 || channels[0] == "" {
		t.Errorf("channels of the events: got %q, want the same %d times", channels, n)
	}
}

func TestNeverAcknowledged(t *testing.T) {
	no := func(string, uint64, int) bool { return false }
	for _, mode := range []Ack{AckAuto, AckRequire} {
		inBubble(t, mode, splunktest.Options{Ack: true, Indexed: no}, func(t *testing.T, s simulated) {
			start, channel := time.Now(), s.lane("audit").channel
			res := s.Send(t.Context(), destinationtest.Batch(2))
			wantFailure(t, string(mode), res, destination.Unavailable, "did not say within 5m0s")
			if took := time.Since(start); took != 5*time.Minute || res.Events != nil {
				t.Errorf("Send: got %v after %v, want no outcomes after 5m", res.Events, took)
			}
			if s.lane("audit").channel == channel {
				t.Error("channel: got the same again, want another one: its ids are not asked about again")
			}
			if limit := s.Limits().Timeout; limit < 5*time.Minute+2*RequestTimeout {
				t.Errorf("Limits: got timeout %v, want more than the wait takes", limit)
			}
		})
	}
}

func TestSomeAreNeverAcknowledged(t *testing.T) {
	some := func(_ string, id uint64, _ int) bool { return id != 1 }
	inBubble(t, AckRequire, splunktest.Options{Ack: true, Indexed: some}, func(t *testing.T, s simulated) {
		res := s.Send(t.Context(), heavy(4))
		wantFailure(t, "Send", res, destination.Unavailable, "sent again")
		if want := slices.Concat(outcomes(1, 0, 1), outcomes(2, 0, 0)); !slices.Equal(res.Events, want) {
			t.Errorf("outcomes: got %v, want %v", res.Events, want)
		}
	})
}

// TestLostAnswerAboutAcknowledgement loses the one answer that says true: the
// collector has forgotten the id by then.
func TestLostAnswerAboutAcknowledgement(t *testing.T) {
	lost := false
	wrap := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if strings.HasSuffix(q.URL.Path, "/ack") && !lost {
				lost = true
				h.ServeHTTP(discard{http.Header{}}, q)
				panic(http.ErrAbortHandler)
			}
			h.ServeHTTP(w, q)
		})
	}
	inBubble(t, AckAuto, splunktest.Options{Ack: true, Wrap: wrap}, func(t *testing.T, s simulated) {
		b := destinationtest.Batch(3)
		wantFailure(t, "first Send", s.Send(t.Context(), b), destination.Unavailable, "did not say within")
		wantFailure(t, "second Send", s.Send(t.Context(), b), 0, "")
		if got := len(s.server.Events()); got != 6 {
			t.Errorf("events stored: got %d, want the batch twice", got)
		}
	})
}

// discard is a ResponseWriter for answers that nobody gets.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// TestRestartBetweenRequests has a collector that forgets while requests are
// under way, and then gives the same ids to others.
func TestRestartBetweenRequests(t *testing.T) {
	var server *splunktest.Server
	posts := 0
	wrap := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if strings.HasSuffix(q.URL.Path, "/event") {
				if posts++; posts == 3 {
					server.Forget()
				}
			}
			h.ServeHTTP(w, q)
		})
	}
	inBubble(t, AckRequire, splunktest.Options{Ack: true, Wrap: wrap}, func(t *testing.T, s simulated) {
		server = s.server
		res := s.Send(t.Context(), heavy(4))
		wantFailure(t, "Send", res, destination.Unavailable, "anew")
		if res.Events != nil || len(s.server.Events()) != 3 {
			t.Errorf("Send: got outcomes %v, %d events stored, want none and 3", res.Events, len(s.server.Events()))
		}
	})
}

// TestTwoIndexersByTurns has a load balancer that does not keep to one indexer.
// What one of them says about a number must not be taken for the other's word
// about the same number.
func TestTwoIndexersByTurns(t *testing.T) {
	broken := splunktest.New(splunktest.Options{Token: testToken, Ack: true, Indexed: func(string, uint64, int) bool { return false }})
	posts := 0
	wrap := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if strings.HasSuffix(q.URL.Path, "/event") {
				if posts++; posts%2 == 0 {
					broken.Handler().ServeHTTP(w, q)
					return
				}
			}
			h.ServeHTTP(w, q)
		})
	}
	inBubble(t, AckRequire, splunktest.Options{Ack: true, Wrap: wrap}, func(t *testing.T, s simulated) {
		channel := s.lane("audit").channel
		res := s.Send(t.Context(), heavy(2))
		wantFailure(t, "Send", res, destination.Unavailable, "anew")
		if res.Events != nil {
			t.Errorf("outcomes: got %v, want none: the second event is at the indexer that indexes nothing", res.Events)
		}
		if s.lane("audit").channel == channel {
			t.Error("channel: got the same again, want another one")
		}
	})
}

// TestLostAnswerLeavesItsNumber has a load balancer that does not keep to one
// indexer, either, and an answer that is lost: the number in it must not be taken
// for the same one of the other indexer.
func TestLostAnswerLeavesItsNumber(t *testing.T) {
	broken := splunktest.New(splunktest.Options{Token: testToken, Ack: true, Indexed: func(string, uint64, int) bool { return false }})
	posts := 0
	wrap := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if strings.HasSuffix(q.URL.Path, "/event") {
				if posts++; posts == 1 {
					h.ServeHTTP(discard{http.Header{}}, q)
					panic(http.ErrAbortHandler)
				}
				broken.Handler().ServeHTTP(w, q)
				return
			}
			h.ServeHTTP(w, q)
		})
	}
	inBubble(t, AckRequire, splunktest.Options{Ack: true, Wrap: wrap}, func(t *testing.T, s simulated) {
		wantFailure(t, "first Send", s.Send(t.Context(), destinationtest.Batch(1)), destination.Unavailable, "")
		// Its event and another one are at the indexer that indexes nothing.
		wantFailure(t, "second Send", s.Send(t.Context(), destinationtest.Batch(2)), destination.Unavailable, "did not say within")
	})
}

func TestCancelledWhileWaiting(t *testing.T) {
	first := func(_ string, id uint64, _ int) bool { return id == 0 }
	inBubble(t, AckRequire, splunktest.Options{Ack: true, Indexed: first}, func(t *testing.T, s simulated) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start, channel := time.Now(), s.lane("audit").channel
		res := s.Send(ctx, heavy(2))
		wantFailure(t, "Send", res, destination.Unavailable, "")
		if s.lane("audit").channel == channel {
			t.Error("channel: got the same again, want another one: a later id could be taken for one that is still open")
		}
		if took := time.Since(start); took != 5*time.Second || !slices.Equal(res.Events, outcomes(1, 0, 1)) {
			t.Errorf("Send: got %v after %v, want the first delivered after 5s", res.Events, took)
		}
	})
}

func TestRequireWithoutAcknowledgement(t *testing.T) {
	inBubble(t, AckRequire, splunktest.Options{}, func(t *testing.T, s simulated) {
		for range 2 {
			wantFailure(t, "Send", s.Send(t.Context(), destinationtest.Batch(2)), destination.Misconfigured, "enable it for the token")
		}
		if got := len(s.server.Events()); got != 0 {
			t.Errorf("events stored: got %d, want none: a held stream is probed again and again", got)
		}
	})
}

// TestAutoGoesOnWithout has a collector that gives ids and does not answer for
// them.
func TestAutoGoesOnWithout(t *testing.T) {
	for name, answer := range map[string]string{"code 14": `{"text":"ACK is disabled","code":14}`, "takes it for an event": `{"text":"Event field is required","code":12}`} {
		wrap := func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				if strings.HasSuffix(q.URL.Path, "/ack") {
					w.WriteHeader(400)
					_, _ = io.WriteString(w, answer)
					return
				}
				q.Header.Set("X-Splunk-Request-Channel", newChannel()) // it would ask for one
				h.ServeHTTP(w, q)
			})
		}
		inBubble(t, AckAuto, splunktest.Options{Ack: true, Wrap: wrap}, func(t *testing.T, s simulated) {
			b := destinationtest.Batch(2)
			wantFailure(t, name, s.Send(t.Context(), b), destination.Unavailable, "without waiting for acknowledgement from now on")
			start := time.Now()
			wantFailure(t, name, s.Send(t.Context(), b), 0, "")
			if took := time.Since(start); took != 0 {
				t.Errorf("%s: got the second Send after %v, want it at once", name, took)
			}
		})
	}
}

// TestAcknowledgementOutlivesAProxy has a proxy that knows nothing of questions about
// acknowledgements for a while: that does not end them.
func TestAcknowledgementOutlivesAProxy(t *testing.T) {
	asked := 0
	wrap := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if strings.HasSuffix(q.URL.Path, "/ack") {
				if asked++; asked == 2 {
					http.NotFound(w, q)
					return
				}
			}
			h.ServeHTTP(w, q)
		})
	}
	inBubble(t, AckAuto, splunktest.Options{Ack: true, Wrap: wrap}, func(t *testing.T, s simulated) {
		b := destinationtest.Batch(1)
		wantFailure(t, "first Send", s.Send(t.Context(), b), 0, "")
		wantFailure(t, "second Send", s.Send(t.Context(), b), destination.Misconfigured, "answered 404")
		wantFailure(t, "third Send", s.Send(t.Context(), b), 0, "")
		if asked != 3 {
			t.Errorf("questions: got %d, want 3: each batch is asked about", asked)
		}
	})
}

func TestOffTakesAChannelOnDemand(t *testing.T) {
	inBubble(t, AckOff, splunktest.Options{Ack: true}, func(t *testing.T, s simulated) {
		start := time.Now()
		for range 2 {
			wantFailure(t, "Send", s.Send(t.Context(), destinationtest.Batch(1)), 0, "")
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("Send: got %v, want no waiting", took)
		}
		var codes []int
		for _, q := range s.server.Requests() {
			codes = append(codes, q.Code)
		}
		if want := []int{10, 0, 0}; !slices.Equal(codes, want) {
			t.Errorf("codes: got %v, want %v", codes, want)
		}
		wantOneChannel(t, s, 2)
	})
	inBubble(t, AckOff, splunktest.Options{}, func(t *testing.T, s simulated) {
		wantFailure(t, "Send", s.Send(t.Context(), destinationtest.Batch(1)), 0, "")
		if got := s.server.Events()[0].Channel; got != "" {
			t.Errorf("channel: got %s, want none", got)
		}
	})
}

// TestLanesStayApart looks at channels and cookies of two partitions.
func TestLanesStayApart(t *testing.T) {
	seen := map[string][]string{}
	wrap := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			channel := q.Header.Get("X-Splunk-Request-Channel")
			seen[channel] = append(seen[channel], q.Header.Get("Cookie"))
			http.SetCookie(w, &http.Cookie{Name: "node", Value: channel[:4], Path: "/"})
			http.SetCookie(w, &http.Cookie{Name: "old", Value: "x", MaxAge: -1})
			h.ServeHTTP(w, q)
		})
	}
	inBubble(t, AckAuto, splunktest.Options{Ack: true, Wrap: wrap}, func(t *testing.T, s simulated) {
		for _, partition := range []string{"audit", "git", "audit"} {
			b := destinationtest.Batch(1)
			b.Partition = partition
			wantFailure(t, partition, s.Send(t.Context(), b), 0, "")
		}
		if len(seen) != 2 {
			t.Fatalf("channels: got %d, want one a partition", len(seen))
		}
		for channel, cookies := range seen {
			want := []string{"", "node=" + channel[:4], "node=" + channel[:4], "node=" + channel[:4]}[:len(cookies)]
			if !slices.Equal(cookies, want) {
				t.Errorf("cookies: got %q, want %q", cookies, want)
			}
		}
	})
}

func TestCookiesAreBounded(t *testing.T) {
	var c cookies
	now := time.Now()
	h := http.Header{}
	for i := range 100 {
		h.Add("Set-Cookie", fmt.Sprintf("c%d=%s", i, strings.Repeat("x", i*10)))
	}
	c.keep(h, now)
	if len(c) != maxCookies {
		t.Errorf("cookies: got %d, want %d", len(c), maxCookies)
	}
	c.keep(http.Header{"Set-Cookie": {"c1=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "c2=new", "big=" + strings.Repeat("x", 3900)}}, now)
	if got := c.String(); len(got) > maxCookieBytes+2*maxCookies {
		t.Errorf("cookies: got %d bytes, want at most %d and what stands between them", len(got), maxCookieBytes)
	}
	if got := c.String(); len(c) != maxCookies-1 || strings.Contains(got, "c1=") || !strings.Contains(got, "c2=new") || strings.Contains(got, "big") {
		t.Errorf("cookies: got %s, want c1 gone, c2 new, no big one", got)
	}
}
