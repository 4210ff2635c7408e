package destinationtest

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/destination"
)

// Test runs the specification against the kind that h describes. Its cases run
// in parallel.
func Test(t *testing.T, h Harness) {
	cases := []struct {
		name string
		http bool // is about HTTP
		run  func(*testing.T, Harness)
	}{
		{"Accept", false, testAccept},
		{"LargeBatch", false, testLargeBatch},
		{"Limits", false, testLimits},
		{"NothingListens", false, testNothingListens},
		{"RefusedAddress", false, testRefusedAddress},
		{"UnknownHost", false, testUnknownHost},
		{"ResetBefore", false, func(t *testing.T, h Harness) { testRepeat(t, h, ResetBefore) }},
		{"ResetAfter", false, func(t *testing.T, h Harness) { testRepeat(t, h, ResetAfter) }},
		{"Hang", false, testHang},
		{"Cancelled", false, testCancelled},
		{"OnePoisonEvent", false, testPoison},
		{"WrongCertificate", false, testCertificate},
		{"NoGoroutineIsLeft", false, testLeak},
		{"CheckPasses", false, testCheck},
		{"CheckStops", false, testCheckStops},
		{"CheckHangs", true, testCheckHangs},
		{"Statuses", true, testStatuses},
		{"RetryAfter", true, testRetryAfter},
		{"Redirects", true, testRedirects},
		{"EndlessAcceptance", true, testEndlessAcceptance},
		{"EndlessFailure", true, testEndlessFailure},
		{"Trickle", true, testTrickle},
		{"AcceptThenDie", true, testAcceptThenDie},
		{"SwitchesProtocols", true, testSwitch},
	}
	for _, c := range cases {
		if c.http && h.Listen != nil {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, h)
		})
	}
}

func testAccept(t *testing.T, h Harness) {
	r, dst := h.start(t, Always(Step{Act: Accept}))
	for _, n := range []int{1, 2, 5} {
		b := Batch(n)
		before := len(r.Requests())
		wantDelivered(t, h.send(t.Context(), t, dst, b))
		requests := r.Requests()[before:]
		if want := map[bool]int{false: 1, true: n}[h.PerEvent]; len(requests) != want {
			t.Errorf("requests for %d events: got %d, want %d", n, len(requests), want)
		}
		for _, q := range requests {
			if h.Listen == nil && q.Length != int64(len(q.Body)) {
				t.Errorf("Content-Length: got %d, want %d", q.Length, len(q.Body))
			}
		}
		all := h.arrived(t, r, stored)
		h.wantPayloads(t, all[len(all)-n:], payloads(b.Events))
	}
}

// testLargeBatch sends as much as the kind takes.
func testLargeBatch(t *testing.T, h Harness) {
	r, dst := h.start(t, Always(Step{Act: Accept}))
	limits := dst.Limits()
	b := Batch(limits.Events)
	bytes := 0
	for i, e := range b.Events {
		if bytes += len(e.Payload) + 1; bytes > limits.Bytes {
			b.Events = b.Events[:i]
			break
		}
	}
	wantDelivered(t, h.send(t.Context(), t, dst, b))
	h.wantPayloads(t, h.arrived(t, r, stored), payloads(b.Events))
}

func testLimits(t *testing.T, h Harness) {
	_, dst := h.start(t, Always(Step{Act: Accept}))
	if l := dst.Limits(); l.Events < 1 || l.Bytes < 1 || l.Timeout <= 0 {
		t.Errorf("Limits: got %+v, want all of them positive", l)
	}
	wantDelivered(t, h.send(t.Context(), t, dst, &destination.Batch{}))
}

func testNothingListens(t *testing.T, h Harness) {
	dst := h.open(t, h.deadURL(t), loopback())
	wantClass(t, h.send(t.Context(), t, dst, Batch(2)), destination.Unavailable)
}

func testRefusedAddress(t *testing.T, h Harness) {
	r := h.listen(t, Always(Step{Act: Accept}), false)
	dst := h.open(t, r.URL, destination.NewDialer(destination.DialerConfig{}))
	res := h.send(t.Context(), t, dst, Batch(2))
	wantClass(t, res, destination.Misconfigured)
	if want := "--allow-destination"; !strings.Contains(res.Err.Message, want) {
		t.Errorf("message: got %q, want it to name %s", res.Err.Message, want)
	}
	wantNone(t, r)
}

func testUnknownHost(t *testing.T, h Harness) {
	r := h.listen(t, Always(Step{Act: Accept}), false)
	hosts := destination.Hosts{"elsewhere.test": {netip.MustParseAddr("127.0.0.1")}}
	d := destination.NewDialer(destination.DialerConfig{AllowPrivate: true, Resolver: hosts})
	known := h.open(t, strings.Replace(r.URL, "127.0.0.1", "elsewhere.test", 1), d)
	wantDelivered(t, h.send(t.Context(), t, known, Batch(1)))
	unknown := h.open(t, strings.Replace(r.URL, "127.0.0.1", "nowhere.test", 1), d)
	res := h.send(t.Context(), t, unknown, Batch(1))
	wantClass(t, res, destination.Unavailable)
	if want := "nowhere.test"; !strings.Contains(res.Err.Message, want) {
		t.Errorf("message: got %q, want it to name %s", res.Err.Message, want)
	}
}

func wantNone(t *testing.T, r *Receiver) {
	t.Helper()
	if n := len(r.Requests()); n != 0 {
		t.Errorf("requests: got %d, want none", n)
	}
}

// testRepeat loses the first answer and sends the same batch again: it must be
// the same request for the receiver.
func testRepeat(t *testing.T, h Harness, first Act) {
	r, dst := h.start(t, func(n int, _ Request) Step {
		if n == 0 {
			return Step{Act: first}
		}
		return Step{Act: Accept}
	})
	b := Batch(3)
	if h.PerEvent {
		b.Events = b.Events[:1]
	}
	wantClass(t, h.send(t.Context(), t, dst, b), destination.Unavailable)
	wantDelivered(t, h.send(t.Context(), t, dst, b))
	q := r.Requests()
	if len(q) != 2 {
		t.Fatalf("requests: got %d, want 2", len(q))
	}
	if !bytes.Equal(q[0].Body, q[1].Body) {
		t.Errorf("second attempt: got %q, want %q", q[1].Body, q[0].Body)
	}
	_, before := h.Read(t, q[0])
	_, after := h.Read(t, q[1])
	if before != after {
		t.Errorf("id of the second attempt: got %q, want %q", after, before)
	}
	want := payloads(b.Events)
	if first == ResetAfter {
		want = append(want, want...)
	}
	h.wantPayloads(t, h.arrived(t, r, stored), want)
}

// testHang ends the context while the receiver is silent.
func testHang(t *testing.T, h Harness) {
	r, dst := h.start(t, Always(Step{Act: Hang}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan destination.Result)
	b := Batch(3)
	go func() { done <- h.send(ctx, t, dst, b) }()
	<-r.Arrived
	cancel()
	res := <-done
	wantClass(t, res, destination.Unavailable)
	for i, o := range outcomes(res, b) {
		if o != destination.Unsent {
			t.Errorf("event %d: got outcome %d, want unsent", i, o)
		}
	}
}

func testCancelled(t *testing.T, h Harness) {
	r, dst := h.start(t, Always(Step{Act: Accept}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantClass(t, h.send(ctx, t, dst, Batch(3)), destination.Unavailable)
	wantNone(t, r)
}

func testCertificate(t *testing.T, h Harness) {
	r := h.listen(t, Always(Step{Act: Accept}), true)
	dst := h.open(t, r.URL, loopback())
	res := h.send(t.Context(), t, dst, Batch(1))
	wantClass(t, res, destination.Misconfigured)
	if want := "certificate"; !strings.Contains(res.Err.Message, want) {
		t.Errorf("message: got %q, want it to name the %s", res.Err.Message, want)
	}
	wantNone(t, r)
}

// testPoison has one event among many that the receiver refuses: splitting must
// find it, and everything else must arrive once.
func testPoison(t *testing.T, h Harness) {
	r, dst := h.start(t, func(_ int, q Request) Step {
		if bytes.Contains(q.Body, []byte(poison)) {
			return Step{Act: Refuse}
		}
		return Step{Act: Accept}
	})
	b := Batch(9)
	const bad = 5
	b.Events[bad].Payload = []byte(`{"id":"e-5","note":"` + poison + `"}` + "\n")
	b.Events[bad].Payload = b.Events[bad].Payload[:len(b.Events[bad].Payload)-1]
	good := payloads(append(append([]destination.Event{}, b.Events[:bad]...), b.Events[bad+1:]...))

	var rejected []string
	var split func(events []destination.Event)
	split = func(events []destination.Event) {
		part := &destination.Batch{Stream: b.Stream, Partition: b.Partition, Events: events}
		res := h.send(t.Context(), t, dst, part)
		switch {
		case res.Err == nil:
		case res.Err.Class != destination.RejectedBatch:
			t.Fatalf("Send: got %v, want %v", res.Err, destination.RejectedBatch)
		case res.Events != nil:
			for i, o := range res.Events {
				if o == destination.Rejected {
					rejected = append(rejected, string(events[i].Payload))
				}
			}
		case len(events) == 1:
			rejected = append(rejected, string(events[0].Payload))
		default:
			split(events[:len(events)/2])
			split(events[len(events)/2:])
		}
	}
	split(b.Events)
	if len(rejected) != 1 || rejected[0] != string(b.Events[bad].Payload) {
		t.Errorf("rejected: got %q, want the poison event alone", rejected)
	}
	h.wantPayloads(t, h.arrived(t, r, stored), good)
}
