package webhook

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

// log is what a server received.
type log struct {
	url string

	mu   sync.Mutex // guards what follows
	list []received
	now  int // requests being answered
	most int // the most there were
}

type received struct {
	header http.Header
	body   string
}

func (l *log) requests() []received {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list)
}

// receiver starts a server that keeps what it gets and answers with handle; n
// is the number in the id of the event, -1 when there is none.
func receiver(t *testing.T, handle func(w http.ResponseWriter, r *http.Request, n int)) (*log, *httptest.Server) {
	t.Helper()
	l := &log{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		l.mu.Lock()
		l.list = append(l.list, received{r.Header.Clone(), string(body)})
		l.now++
		l.most = max(l.most, l.now)
		l.mu.Unlock()
		defer func() { l.mu.Lock(); l.now--; l.mu.Unlock() }()
		handle(w, r, number(string(body)))
	}))
	t.Cleanup(s.Close)
	l.url = s.URL
	return l, s
}

func number(body string) int {
	_, rest, found := strings.Cut(body, `"id":"e-`)
	if !found {
		return -1
	}
	n := 0
	for _, c := range rest {
		if c < '0' || c > '9' {
			break
		}
		n = 10*n + int(c-'0')
	}
	return n
}

func sendEvents(t *testing.T, url string, concurrency, n int) destination.Result {
	t.Helper()
	dst := openAt(t, url, testSecrets(), fixedEnv(), map[string]any{"concurrency": concurrency})
	defer dst.Close()
	return dst.Send(t.Context(), destinationtest.Batch(n))
}

// TestLongestPauseIsHonoured has answers to requests that run at once: what any of
// them asks for counts, not only what the first one does.
func TestLongestPauseIsHonoured(t *testing.T) {
	var both sync.WaitGroup
	both.Add(2)
	_, s := receiver(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		both.Done()
		both.Wait()
		status := http.StatusBadGateway
		if n == 1 {
			w.Header().Set("Retry-After", "60")
			status = http.StatusTooManyRequests
		}
		w.WriteHeader(status)
	})
	if res := sendEvents(t, s.URL, 2, 2); res.Err == nil || res.Err.Status != http.StatusBadGateway || res.Err.RetryAfter != time.Minute {
		t.Errorf("Send: got %+v, want the first failure, and to wait a minute", res.Err)
	}
}

func count(list []destination.Outcome, o destination.Outcome) int {
	n := 0
	for _, x := range list {
		if x == o {
			n++
		}
	}
	return n
}

func TestStrictOrderStopsAtTheFirstFailure(t *testing.T) {
	l, _ := receiver(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 4 {
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(503)
		}
	})
	res := sendEvents(t, l.url, 1, 10)
	if res.Err == nil || res.Err.Class != destination.Unavailable || res.Err.RetryAfter != 3*time.Second {
		t.Fatalf("Send: got %+v, want unavailable for 3 s", res.Err)
	}
	if got := len(l.requests()); got != 5 {
		t.Errorf("requests: got %d, want 5", got)
	}
	for i, got := range res.Events {
		if want := map[bool]destination.Outcome{true: destination.Delivered}[i < 4]; got != want {
			t.Errorf("event %d: got outcome %d, want %d", i, got, want)
		}
	}
	for i, q := range l.requests() {
		if number(q.body) != i {
			t.Errorf("request %d: got event %d, want them in order", i, number(q.body))
		}
	}
}

func TestRejectedEventsDoNotStopOthers(t *testing.T) {
	for _, concurrency := range []int{1, 4, 64} {
		l, _ := receiver(t, func(w http.ResponseWriter, _ *http.Request, n int) {
			if n%10 == 3 {
				w.WriteHeader(422)
				io.WriteString(w, "no such field")
			}
		})
		res := sendEvents(t, l.url, concurrency, 50)
		if res.Err == nil || res.Err.Class != destination.RejectedBatch {
			t.Fatalf("Send: got %v, want rejected", res.Err)
		}
		for i, got := range res.Events {
			want := destination.Delivered
			if i%10 == 3 {
				want = destination.Rejected
				if !strings.Contains(res.Reasons[i], "no such field") {
					t.Errorf("reason of event %d: got %q, want the receiver's words", i, res.Reasons[i])
				}
			}
			if got != want {
				t.Errorf("event %d: got outcome %d, want %d", i, got, want)
			}
		}
		if got := len(l.requests()); got != 50 {
			t.Errorf("requests: got %d, want 50", got)
		}
	}
}

func TestFailureOutranksRefusal(t *testing.T) {
	l, _ := receiver(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		switch n {
		case 1:
			w.WriteHeader(400)
		case 3:
			w.WriteHeader(401)
		}
	})
	res := sendEvents(t, l.url, 1, 10)
	if res.Err == nil || res.Err.Status != 401 {
		t.Errorf("Send: got %v, want the 401", res.Err)
	}
	if res.Events[1] != destination.Rejected || res.Events[3] != destination.Unsent {
		t.Errorf("outcomes: got %v, want event 1 rejected and 3 unsent", res.Events)
	}
}

func TestRefusalOfEverythingStops(t *testing.T) {
	l, _ := receiver(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(400) })
	res := sendEvents(t, l.url, 1, 256)
	if got := len(l.requests()); got != maxRefusals {
		t.Errorf("requests: got %d, want %d", got, maxRefusals)
	}
	if got := count(res.Events, destination.Rejected); got != maxRefusals {
		t.Errorf("rejected: got %d, want %d", got, maxRefusals)
	}
}

// TestConcurrency holds all requests until as many arrived as may run at once.
func TestConcurrency(t *testing.T) {
	const at = 8
	full := make(chan struct{})
	var once sync.Once
	var l *log
	l, _ = receiver(t, func(http.ResponseWriter, *http.Request, int) {
		l.mu.Lock()
		if l.now == at {
			once.Do(func() { close(full) })
		}
		l.mu.Unlock()
		<-full
	})
	if res := sendEvents(t, l.url, at, 100); res.Err != nil || res.Events != nil {
		t.Fatalf("Send: got %+v, want all delivered", res)
	}
	if l.most != at {
		t.Errorf("requests at once: got %d, want %d", l.most, at)
	}
}

// TestFailureLetsRequestsUnderWayFinish fails one request while others wait.
func TestFailureLetsRequestsUnderWayFinish(t *testing.T) {
	const at = 4
	full, failed := make(chan struct{}), make(chan struct{})
	var l *log
	arrived := 0
	l, _ = receiver(t, func(w http.ResponseWriter, r *http.Request, n int) {
		l.mu.Lock()
		if arrived++; arrived == at {
			close(full)
		}
		l.mu.Unlock()
		<-full
		if n == 1 {
			w.WriteHeader(500)
			close(failed)
			return
		}
		<-failed
	})
	res := sendEvents(t, l.url, at, 200)
	if res.Err == nil || res.Err.Status != 500 {
		t.Fatalf("Send: got %v, want the 500", res.Err)
	}
	if res.Events[1] != destination.Unsent || res.Events[0] != destination.Delivered {
		t.Errorf("outcomes: got %v, want 1 unsent and 0 delivered", res.Events[:at])
	}
	if got, requests := count(res.Events, destination.Delivered), len(l.requests()); got != requests-1 {
		t.Errorf("delivered: got %d, want all %d that were sent but one", got, requests)
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		fields map[string]any
		want   destination.Limits
	}{
		{map[string]any{}, destination.Limits{Events: 256, Bytes: 1 << 20, Timeout: 16 * RequestTimeout}},
		{map[string]any{"concurrency": 1}, destination.Limits{Events: 256, Bytes: 1 << 20, Timeout: 256 * RequestTimeout}},
		{map[string]any{"concurrency": 60}, destination.Limits{Events: 256, Bytes: 1 << 20, Timeout: 5 * RequestTimeout}},
		{map[string]any{"format": "array"}, destination.Limits{Events: 1000, Bytes: 1 << 20, Timeout: RequestTimeout}},
		{map[string]any{"format": "ndjson"}, destination.Limits{Events: 1000, Bytes: 1 << 20, Timeout: RequestTimeout}},
	} {
		dst := openAt(t, "http://a.test", nil, fixedEnv(), c.fields)
		if got := dst.Limits(); got != c.want {
			t.Errorf("Limits of %v: got %+v, want %+v", c.fields, got, c.want)
		}
	}
}
