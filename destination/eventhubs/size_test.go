package eventhubs

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
	"github.com/sluicelog/sluice/destination/eventhubs/eventhubstest"
)

// padded returns n events of about size bytes each.
func padded(n, size int) *destination.Batch {
	b := destinationtest.Batch(n)
	for i := range b.Events {
		id := b.Events[i].ID
		head := fmt.Sprintf(`{"id":"%s","pad":"`, id)
		b.Events[i].Payload = []byte(head + strings.Repeat("x", size-len(head)-2) + `"}`)
	}
	return b
}

// TestBatchesFillTheLink wants as few batches as the link's limit allows.
func TestBatchesFillTheLink(t *testing.T) {
	b, _, open := server(t)
	for hub, limit := range map[string]int{"standard": 1 << 20, "small": 256 << 10} {
		batch := padded(2000, 1000)
		if res := open(named(hub)).Send(t.Context(), batch); res.Err != nil {
			t.Fatalf("Send to %s: got %v, want delivered", hub, res.Err)
		}
		messages := b.Messages(hub)
		for i, m := range messages {
			if m.Size > limit || m.Size < limit*9/10 && i < len(messages)-1 {
				t.Errorf("batch %d of %s: got %d bytes, want nearly %d", i, hub, m.Size, limit)
			}
		}
		if got := b.Stored(hub); !slices.Equal(got, ids(batch)) {
			t.Errorf("events of %s: got %d, want %d in order", hub, len(got), len(batch.Events))
		}
	}
}

// TestTooLarge sends events around the limit: the one that does not fit is
// rejected alone, the largest that fits is delivered.
func TestTooLarge(t *testing.T) {
	b, _, open := server(t)
	h := open(named("small"))
	const limit = 256 << 10
	// What envelope and message of the event "e-0" add for the key "acme".
	overhead := limit - largest(t, h, limit)
	if overhead < 100 || overhead > 512 {
		t.Errorf("overhead of a message: got %d bytes, want 100 to 512", overhead)
	}
	batch := padded(5, 1000)
	batch.Events[2].Payload = padded(3, limit).Events[2].Payload
	res := h.Send(t.Context(), batch)
	want := []destination.Outcome{destination.Delivered, destination.Delivered, destination.Rejected, destination.Delivered, destination.Delivered}
	if !slices.Equal(res.Events, want) || res.Err == nil || res.Err.Class != destination.RejectedBatch || !res.Err.TooLarge {
		t.Errorf("Send: got %v with %v, want %v", res.Err, res.Events, want)
	}
	if reason := res.Reasons[2]; !strings.Contains(reason, "262144 bytes") || !strings.Contains(reason, "at most 262144") {
		t.Errorf("reason: got %q, want both sizes", reason)
	}
	if got := b.Stored("small"); !slices.Contains(got, "e-4") {
		t.Errorf("stored: got %v, want the event behind the large one", got)
	}
	if h.unproved.Load() {
		t.Error("unproved: got true, want false: size is no refusal of the hub")
	}
}

// largest finds the largest payload that the hub takes. At every size around it,
// the event is either delivered or rejected, never held.
func largest(t *testing.T, h *Hub, limit int) int {
	t.Helper()
	low, high := limit-1000, limit
	for high-low > 1 {
		size := (low + high) / 2
		res := h.Send(t.Context(), padded(1, size))
		switch {
		case res.Err == nil:
			low = size
		case res.Err.TooLarge && res.Err.Class == destination.RejectedBatch:
			high = size
		default:
			t.Fatalf("Send of %d bytes: got %v, want delivered or too large", size, res.Err)
		}
	}
	return low
}

// TestShrinking has a service that takes less than it announced.
func TestShrinking(t *testing.T) {
	b, _, open := server(t)
	batch := padded(500, 1000)
	batch.Events[250].Payload = padded(251, 200_000).Events[250].Payload
	res := open(named("shrinking")).Send(t.Context(), batch)
	if res.Err == nil || !res.Err.TooLarge || res.Events[250] != destination.Rejected {
		t.Fatalf("Send: got %v, want event 250 rejected as too large", res.Err)
	}
	good := slices.Delete(ids(batch), 250, 251)
	if got := b.Stored("shrinking"); !slices.Equal(got, good) {
		t.Errorf("stored: got %d events, want %d in order", len(got), len(good))
	}
}

// TestOnePoisonEvent wants one event in 500 isolated in at most 21 batches, and
// nothing of the others sent twice.
func TestOnePoisonEvent(t *testing.T) {
	b, _, open := server(t)
	h := open(named("reject-one"))
	batch := destinationtest.Batch(500)
	const bad = 333
	batch.Events[bad].Payload = []byte(`{"id":"e-333","note":"swallow-me-not"}`)
	res := h.Send(t.Context(), batch)
	if res.Err == nil || res.Err.Class != destination.RejectedBatch || res.Events[bad] != destination.Rejected {
		t.Fatalf("Send: got %v, want event %d rejected", res.Err, bad)
	}
	if want := "I do not like this event."; !strings.Contains(res.Reasons[bad], want) {
		t.Errorf("reason: got %q, want %q in it", res.Reasons[bad], want)
	}
	if got := b.Stored("reject-one"); !slices.Equal(got, slices.Delete(ids(batch), bad, bad+1)) {
		t.Errorf("stored: got %d events, want 499 in order", len(got))
	}
	if got := len(b.Messages("reject-one")); got > 21 {
		t.Errorf("batches: got %d, want at most 21", got)
	}
	if h.unproved.Load() {
		t.Error("unproved: got true, want false: others were accepted")
	}
}

// TestEverythingRefused wants a Send to stop after twenty refusals, and a check
// to send a test event then, because an open link proves nothing any more.
func TestEverythingRefused(t *testing.T) {
	b, _, open := server(t)
	h := open(named("refusing"))
	if list, ok := runCheck(t, h); !ok || !strings.Contains(list[len(list)-1].Message, "nothing was written") {
		t.Errorf("Check: got %+v, want passed and nothing written", list)
	}
	res := h.Send(t.Context(), destinationtest.Batch(100))
	rejected := 0
	for _, o := range res.Events {
		if o == destination.Rejected {
			rejected++
		}
	}
	if res.Err == nil || res.Err.Class != destination.RejectedBatch || rejected != maxRefusals {
		t.Errorf("Send: got %v with %d rejected, want rejected with %d", res.Err, rejected, maxRefusals)
	}
	before := len(b.Messages("refusing"))
	list, ok := runCheck(t, h)
	if last := list[len(list)-1]; ok || last.Name != "accept" || !strings.Contains(last.Message, "refuses the content") {
		t.Errorf("Check: got %+v, want failed at accept", list)
	}
	messages := b.Messages("refusing")[before:]
	if len(messages) != 1 || !strings.Contains(messages[0].Events[0].Body, destination.CheckType) {
		t.Errorf("messages: got %+v, want one test event", messages)
	}
	h = open(named("forbidden")) // opens its link
	if list, ok := runCheck(t, h); !ok {
		t.Errorf("Check: got %+v, want passed", list)
	}
	_ = h.Send(t.Context(), destinationtest.Batch(1))
	if list, ok := runCheck(t, h); ok || !strings.Contains(list[len(list)-1].Message, "not allowed") {
		t.Errorf("Check after a failure: got %+v, want failed at accept", list)
	}
	good := open(named("good"))
	good.unproved.Store(true)
	if list, ok := runCheck(t, good); !ok || !strings.Contains(list[len(list)-1].Message, "a test event was sent") || good.unproved.Load() {
		t.Errorf("Check: got %+v, want passed by a test event", list)
	}
}

// TestLargeEventsAreNotChanged wants the stored bytes as the body.
func TestLargeEventsAreNotChanged(t *testing.T) {
	b, _, open := server(t)
	batch := padded(1, 700_000)
	before := bytes.Clone(batch.Events[0].Payload)
	if res := open(named("hub")).Send(t.Context(), batch); res.Err != nil {
		t.Fatalf("Send: got %v, want delivered", res.Err)
	}
	if got := b.Messages("hub")[0].Events[0].Body; got != string(before) {
		t.Errorf("body: got %d bytes, want the payload's %d", len(got), len(before))
	}
}

func runCheck(t *testing.T, h *Hub) (list []destination.Stage, ok bool) {
	t.Helper()
	ok = h.Check(t.Context(), func(s destination.Stage) { list = append(list, s) })
	return list, ok
}

// TestCheckStages wants each fault at the stage that it belongs to.
func TestCheckStages(t *testing.T) {
	_, l, open := server(t)
	for hub, want := range map[string]struct{ stages, words string }{
		"hub":         {"resolve connect tls authenticate accept", "open for sending, up to 1048576 bytes a message; nothing was written"},
		"missing":     {"resolve connect tls authenticate accept", "no event hub of this name"},
		"disabled":    {"resolve connect tls authenticate accept", "is disabled"},
		"nolimit":     {"resolve connect tls authenticate accept", "does not say how large"},
		"no-claim":    {"resolve connect tls authenticate", "lacks the right Send"},
		"barred":      {"resolve connect tls authenticate", "does not let this server in"},
		"nowhere":     {"resolve connect tls authenticate", "no event hub of this name"},
		"claims-busy": {"resolve connect tls authenticate", "could not check"},
	} {
		list, ok := runCheck(t, open(named(hub)))
		var names []string
		for _, s := range list {
			names = append(names, s.Name)
		}
		last := list[len(list)-1]
		if got := strings.Join(names, " "); got != want.stages || ok != (hub == "hub") || !strings.Contains(last.Message, want.words) {
			t.Errorf("Check of %s: got %s, %q, want %s, %q", hub, got, last.Message, want.stages, want.words)
		}
	}
	plain := openHub(t, named("hub"), withKey(l.Host(), eventhubstest.KeyName, eventhubstest.Key)+emulated, testEnv())
	defer plain.Close()
	if res := plain.Send(t.Context(), destinationtest.Batch(1)); res.Err == nil || res.Err.Class != destination.Unavailable {
		t.Errorf("Send without TLS to a port with it: got %v, want unavailable", res.Err)
	}
}
