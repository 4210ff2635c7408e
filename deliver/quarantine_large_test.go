package deliver

import (
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/store"
)

// A large event goes to quarantine as any other does; what is said of the largest
// one has to fit beside it. A list of the quarantine ends behind so much.
func TestQuarantineTakesLargeEvents(t *testing.T) {
	if beside := store.MaxValue - eventlog.MaxEvent; beside < 64<<10 {
		t.Errorf("room beside the largest event: got %d bytes, want 64 KiB", beside)
	}
	const size = 9 << 20
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		r.set(func(r *receiver) { r.check, r.refuse = true, poison(destination.RejectedBatch, "large", "e1") })
		head := `{"id":"large","event_type":"a","entity_path":"acme","text":"`
		payload := head + strings.Repeat("x", size-len(head)-2) + `"}`
		var b eventlog.Batch
		env := sluice.Envelope{ID: []byte("large"), IDOffset: 7, Type: []byte("a"), Namespace: []byte("acme"), Class: sluice.Audit}
		b.Add([]byte(payload), &env, "t1")
		if err := w.append(&b); err != nil {
			t.Fatal(err)
		}
		w.post("acme", "a", 2)
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 1, Quarantined: 2})
		list, err := w.d.Quarantine(t.Context(), 1, 10)
		if err != nil || len(list) != 1 || string(list[0].Payload) != payload {
			t.Errorf("quarantine: got %d events (%v), want the large one as it was, and none behind it in the same list", len(list), err)
		}
	})
}
