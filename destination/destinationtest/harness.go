// Package destinationtest is the specification that every destination kind
// passes. A [Harness] says how to make a destination of the kind that talks to
// a [Receiver] and how to read what arrived there; [Test] then plays receivers
// that accept, refuse, hang, reset and die, and looks at both ends.
package destinationtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// Harness describes a kind to the suite.
type Harness struct {
	// Open returns a destination that delivers to the receiver at url, with
	// secrets as a stream would have them. It does not skip the verification of
	// certificates. The suite closes the destination.
	Open func(t *testing.T, url string, env destination.Env) destination.Destination

	// Read returns the payloads that a request holds, in order, and what a
	// receiver can tell repeated requests by ("" when the protocol has nothing).
	Read func(t *testing.T, r Request) (payloads [][]byte, id string)

	// Secrets are the values that no error and no stage may show.
	Secrets []string

	// PerEvent says that each event is a request of its own.
	PerEvent bool

	// InOrder says that one Send runs one request at a time.
	InOrder bool

	// BodyDecides says that a 2xx is not an acceptance before its body was read.
	BodyDecides bool

	// Accept answers a request as the protocol accepts it; nil means 200 without
	// a body.
	Accept func(w http.ResponseWriter, r Request)

	// Aside answers requests that deliver nothing, a token endpoint's for
	// example, and reports whether it did. It may be nil.
	Aside func(w http.ResponseWriter, r *http.Request) bool

	// Listen starts the receiver of a protocol other than HTTP, to be stopped by
	// t.Cleanup. The cases that are about HTTP are then left out.
	Listen func(t *testing.T, script Script, secure bool) *Receiver
}

// poison marks the event that receivers refuse.
const poison = "swallow-me-not"

// loopback is a dialer that may reach receivers.
func loopback() *destination.Dialer {
	return destination.NewDialer(destination.DialerConfig{
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	})
}

func (h Harness) env(d *destination.Dialer) destination.Env {
	return destination.Env{Dialer: d, UserAgent: "sluice-test", Now: time.Now, Namespace: "acme"}
}

// open returns a destination at url that is closed when the test ends.
func (h Harness) open(t *testing.T, url string, d *destination.Dialer) destination.Destination {
	t.Helper()
	dst := h.Open(t, url, h.env(d))
	t.Cleanup(func() {
		if err := dst.Close(); err != nil {
			t.Errorf("Close: got %v, want nil", err)
		}
	})
	return dst
}

// start returns a receiver with a destination for it.
func (h Harness) start(t *testing.T, script Script) (*Receiver, destination.Destination) {
	t.Helper()
	r := h.listen(t, script, false)
	return r, h.open(t, r.URL, loopback())
}

// Batch returns a batch of n events that lie one behind the other in memory, as
// the log hands them out.
func Batch(n int) *destination.Batch {
	b := &destination.Batch{Stream: 7, Partition: "audit"}
	var block []byte
	at := make([]int, n+1)
	for i := range n {
		block = fmt.Appendf(block, `{"id":"e-%d","event_type":"project_created","entity_path":"acme/web","created_at":"2026-03-01T10:00:%02d.123Z","details":{"note":"tést %d"}}`, i, i%60, i)
		block = append(block, '\n')
		at[i+1] = len(block)
	}
	for i := range n {
		when := time.Date(2026, 3, 1, 10, 0, i%60, 123e6, time.UTC)
		b.Events = append(b.Events, destination.Event{
			Seq: uint64(100 + i), ID: fmt.Appendf(nil, "e-%d", i), Hash: 0x9e3779b97f4a7c15 * uint64(i+1), Type: "project_created",
			Time: when, Accepted: when.Add(time.Second), Namespace: "acme/web", Payload: block[at[i] : at[i+1]-1],
		})
	}
	return b
}

// snapshot returns a copy of everything in a batch.
func snapshot(b *destination.Batch) []destination.Event {
	out := slices.Clone(b.Events)
	for i := range out {
		out[i].ID = bytes.Clone(out[i].ID)
		out[i].Payload = bytes.Clone(out[i].Payload)
	}
	return out
}

// send sends b and checks what holds for every Send: the batch is not changed,
// the result is consistent, and no secret is shown.
func (h Harness) send(ctx context.Context, t *testing.T, dst destination.Destination, b *destination.Batch) destination.Result {
	t.Helper()
	before := snapshot(b)
	res := dst.Send(ctx, b)
	for i, e := range snapshot(b) {
		if got, want := fmt.Sprintf("%+v", e), fmt.Sprintf("%+v", before[i]); got != want {
			t.Errorf("event %d after Send: got %s, want %s", i, got, want)
		}
	}
	if res.Events != nil && len(res.Events) != len(b.Events) {
		t.Fatalf("outcomes: got %d, want %d or none", len(res.Events), len(b.Events))
	}
	all := !slices.ContainsFunc(outcomes(res, b), func(o destination.Outcome) bool { return o != destination.Delivered })
	if all != (res.Err == nil) {
		t.Errorf("result: got all delivered %t with error %v, want them to agree", all, res.Err)
	}
	if res.Err != nil {
		h.checkWords(t, res.Err.Message)
		if res.Err.RetryAfter < 0 || res.Err.RetryAfter > destination.MaxRetryAfter {
			t.Errorf("RetryAfter: got %v, want 0 to %v", res.Err.RetryAfter, destination.MaxRetryAfter)
		}
	}
	for _, reason := range res.Reasons {
		h.checkWords(t, reason)
	}
	return res
}

// outcomes returns the outcome of each event, whichever way the result says it.
func outcomes(res destination.Result, b *destination.Batch) []destination.Outcome {
	if res.Events != nil {
		return res.Events
	}
	out := make([]destination.Outcome, len(b.Events))
	if res.Err == nil {
		for i := range out {
			out[i] = destination.Delivered
		}
	}
	return out
}

// checkWords checks a text that owners see.
func (h Harness) checkWords(t *testing.T, text string) {
	t.Helper()
	if text == "" {
		t.Error("message: got none, want words for the owner")
	}
	if len(text) > 2*destination.MaxWords {
		t.Errorf("message: got %d bytes, want at most %d", len(text), 2*destination.MaxWords)
	}
	for _, c := range text {
		if c < ' ' {
			t.Errorf("message %q: got control character %q, want none", text, c)
		}
	}
	for _, s := range h.Secrets {
		if strings.Contains(text, s) {
			t.Errorf("message %q: got the secret %q in it", text, s)
		}
	}
}

// wantClass checks the class of a failed delivery.
func wantClass(t *testing.T, res destination.Result, want destination.Class) {
	t.Helper()
	if res.Err == nil {
		t.Fatalf("Send: got delivered, want %v", want)
	}
	if res.Err.Class != want {
		t.Fatalf("Send: got %v, want %v", res.Err, want)
	}
}

// wantDelivered checks that a Send succeeded.
func wantDelivered(t *testing.T, res destination.Result) {
	t.Helper()
	if res.Err != nil {
		t.Fatalf("Send: got %v, want delivered", res.Err)
	}
}

// arrived returns the payloads of the requests that keep returns true for.
func (h Harness) arrived(t *testing.T, r *Receiver, keep func(Request) bool) []string {
	t.Helper()
	var out []string
	for _, q := range r.Requests() {
		if !keep(q) {
			continue
		}
		payloads, _ := h.Read(t, q)
		for _, p := range payloads {
			if !json.Valid(p) {
				t.Errorf("payload: got %q, want JSON", p)
			}
			out = append(out, string(p))
		}
	}
	return out
}

func stored(q Request) bool { return q.Stored }

func payloads(events []destination.Event) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = string(e.Payload)
	}
	return out
}

// wantPayloads checks what arrived; the order counts when the kind keeps it.
func (h Harness) wantPayloads(t *testing.T, got, want []string) {
	t.Helper()
	if h.PerEvent && !h.InOrder {
		got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	}
	if !slices.Equal(got, want) {
		t.Errorf("payloads at the receiver: got %d\n%s\nwant %d\n%s", len(got), strings.Join(got, "\n"), len(want), strings.Join(want, "\n"))
	}
}
