package deliver

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/store"
)

// FuzzCopy has the copy of an event in quarantine be anything at all. It is shown, or
// an error names it; it is redelivered and dropped, or stays; and the account adds
// up.
func FuzzCopy(f *testing.F) {
	whole, err := encodeCopy(&Quarantined{Partition: "audit", Seq: 1, ID: "e1", Type: "a", Namespace: "acme", Hash: "ff", Reason: "bad e1", Payload: []byte(`{"id":"e1","event_type":"a"}`)})
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{string(whole), `{}`, `null`, `[]`, `{"payload":null}`, `{"payload":"\u0000","hash":"x"}`, `{"seq":18446744073709551615,"partition":"git"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		simulate(t, Options{}, func(t *testing.T, w *world) {
			r := w.stream(1, "acme")
			r.set(func(r *receiver) { r.single, r.check, r.refuse = true, true, poison(destination.RejectedBatch, "e1") })
			w.post("acme", "a", 2)
			w.expect(1, sluice.Ledger{Accepted: 2, Delivered: 1, Quarantined: 1})
			for rec := range w.store.List(t.Context(), quarantinePrefix) {
				if w.store.Apply(t.Context(), store.Change{Key: rec.Key, Version: rec.Version, Value: text}) != nil {
					return // no store takes it
				}
			}
			list, err := w.d.Quarantine(t.Context(), 1, 10)
			if readable := err == nil; readable != (len(list) == 1) || !readable && !strings.Contains(err.Error(), "quarantined event 1") {
				t.Errorf("quarantine: got %+v (%v), want the event or an error that names it", list, err)
			}
			r.set(func(r *receiver) { r.refuse = nil })
			if n, err := w.d.Redeliver(t.Context(), 1, QuarantineChoice{}); n != 1 || err != nil {
				t.Errorf("redeliver: got %d (%v), want 1", n, err)
			}
			time.Sleep(time.Minute) // simulated
			left := w.ledger(1).Quarantined
			n, err := w.d.Drop(t.Context(), 1, QuarantineChoice{})
			if err != nil || uint64(n) != left {
				t.Errorf("drop: got %d (%v), want %d", n, err, left)
			}
			w.expect(1, sluice.Ledger{Accepted: 2, Delivered: 2 - left, Expired: left})
		})
	})
}
