package destinationtest

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// statuses is what bare HTTP statuses mean where no protocol says otherwise.
var statuses = map[destination.Class][]int{
	destination.Unavailable:   {408, 425, 429, 499, 500, 502, 503, 504, 507, 520, 599},
	destination.RejectedBatch: {400, 409, 413, 422},
	destination.Misconfigured: {300, 304, 305, 401, 402, 403, 404, 405, 406, 407, 410, 411, 414, 415, 416, 421, 423, 431, 451, 501, 505},
}

func testStatuses(t *testing.T, h Harness) {
	for class, list := range statuses {
		for _, status := range list {
			t.Run(strconv.Itoa(status), func(t *testing.T) {
				t.Parallel()
				testStatus(t, h, status, class)
			})
		}
	}
}

// testStatus has a receiver that answers with a status and repeats the request.
func testStatus(t *testing.T, h Harness, status int, class destination.Class) {
	r, dst := h.start(t, Always(Step{Act: Answer, Status: status, Echo: true}))
	b := Batch(1)
	res := h.send(t.Context(), t, dst, b)
	wantClass(t, res, class)
	if res.Err.Status != status {
		t.Errorf("Status: got %d, want %d", res.Err.Status, status)
	}
	if got, want := res.Err.Gone, status == http.StatusGone; got != want {
		t.Errorf("Gone: got %t, want %t", got, want)
	}
	if got, want := res.Err.TooLarge, status == http.StatusRequestEntityTooLarge; got != want {
		t.Errorf("TooLarge: got %t, want %t", got, want)
	}
	if !strings.Contains(res.Err.Message, strconv.Itoa(status)) {
		t.Errorf("message: got %q, want the status in it", res.Err.Message)
	}
	if n := len(r.Requests()); n != 1 {
		t.Errorf("requests: got %d, want 1: destinations do not retry", n)
	}
}

func testRetryAfter(t *testing.T, h Harness) {
	for value, want := range map[string][2]time.Duration{
		"7":        {7 * time.Second, 7 * time.Second},
		"86400":    {destination.MaxRetryAfter, destination.MaxRetryAfter},
		"-5":       {0, 0},
		"tomorrow": {0, 0},
		time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat): {time.Minute, 10 * time.Minute},
		time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat):       {0, 0},
	} {
		_, dst := h.start(t, Always(Step{Act: Answer, Status: 429, Header: http.Header{"Retry-After": {value}}}))
		res := h.send(t.Context(), t, dst, Batch(1))
		wantClass(t, res, destination.Unavailable)
		if got := res.Err.RetryAfter; got < want[0] || got > want[1] {
			t.Errorf("RetryAfter of %q: got %v, want %v to %v", value, got, want[0], want[1])
		}
	}
}

func testRedirects(t *testing.T, h Harness) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		target := h.listen(t, Always(Step{Act: Accept}), false)
		_, dst := h.start(t, Always(Step{Act: Answer, Status: status, Header: http.Header{"Location": {target.URL + "/moved"}}}))
		res := h.send(t.Context(), t, dst, Batch(2))
		wantClass(t, res, destination.Misconfigured)
		if !strings.Contains(res.Err.Message, "redirect") {
			t.Errorf("message: got %q, want it to name the redirect", res.Err.Message)
		}
		wantNone(t, target)
	}
}

// maxEndless is more than the buffers between two sockets hold, and much less
// than a destination can read before its time is over.
const maxEndless = 64 << 20

func testEndlessAcceptance(t *testing.T, h Harness) {
	r, dst := h.start(t, Always(Step{Act: Endless, Status: 200}))
	for range 2 {
		res := h.send(t.Context(), t, dst, Batch(1))
		if h.BodyDecides {
			wantClass(t, res, destination.Unavailable)
			continue
		}
		wantDelivered(t, res)
	}
	wantBounded(t, r)
}

func testEndlessFailure(t *testing.T, h Harness) {
	r, dst := h.start(t, Always(Step{Act: Endless, Status: 500}))
	wantClass(t, h.send(t.Context(), t, dst, Batch(1)), destination.Unavailable)
	wantBounded(t, r)
}

func wantBounded(t *testing.T, r *Receiver) {
	t.Helper()
	if got := r.endless.Load(); got > maxEndless {
		t.Errorf("answer: got %d bytes read, want less than %d", got, maxEndless)
	}
}

// testTrickle has an answer that never ends although nearly nothing comes: Send
// must end by itself.
func testTrickle(t *testing.T, h Harness) {
	_, dst := h.start(t, Always(Step{Act: Trickle}))
	res := h.send(t.Context(), t, dst, Batch(1))
	if h.BodyDecides {
		wantClass(t, res, destination.Unavailable)
		return
	}
	wantDelivered(t, res)
}

// testSwitch has a receiver that switches to a protocol that nobody asked for, and
// then is silent: that holds a Send no longer than any other answer.
func testSwitch(t *testing.T, h Harness) {
	r, dst := h.start(t, Always(Step{Act: Switch}))
	done := make(chan destination.Result, 1)
	go func() { done <- dst.Send(t.Context(), Batch(1)) }()
	<-r.Arrived
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	select {
	case res := <-done:
		wantClass(t, res, destination.Misconfigured)
	case <-limit.C:
		t.Fatal("Send: got no end, want it to end with the answer")
	}
}

func testAcceptThenDie(t *testing.T, h Harness) {
	_, dst := h.start(t, Always(Step{Act: AcceptThenDie}))
	res := h.send(t.Context(), t, dst, Batch(1))
	if h.BodyDecides {
		wantClass(t, res, destination.Unavailable)
		return
	}
	wantDelivered(t, res)
}
