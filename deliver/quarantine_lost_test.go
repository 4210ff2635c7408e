package deliver

import (
	"slices"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/store"
)

// Control state that was saved from a damaged file may lack copies that a lane
// lists. They can be seen, delivered and dropped all the same.
func TestQuarantineWithoutItsCopies(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		bad := []string{"e1", "e2", "e3"}
		r.set(func(r *receiver) {
			r.single, r.check, r.refuse = true, true, poison(destination.RejectedBatch, bad...)
		})
		w.post("acme", "a", 4)
		w.expect(1, sluice.Ledger{Accepted: 4, Delivered: 1, Quarantined: 3})
		for rec := range w.store.List(t.Context(), quarantinePrefix) {
			if errs := w.store.Apply(t.Context(), store.Change{Key: rec.Key, Version: rec.Version}); errs != nil {
				t.Fatal(errs)
			}
		}
		list, err := w.d.Quarantine(t.Context(), 1, 10)
		var ids []string
		for i := range list {
			ids = append(ids, list[i].ID)
		}
		if err != nil || !slices.Equal(ids, bad) {
			t.Errorf("quarantine: got %q (%v), want %q", ids, err, bad)
		}
		one := func(seq uint64) QuarantineChoice {
			return QuarantineChoice{Events: []QuarantineKey{{Partition: "audit", Seq: seq}}}
		}
		if n, err := w.d.Drop(t.Context(), 1, one(1)); n != 1 || err != nil {
			t.Errorf("drop: got %d (%v), want 1", n, err)
		}
		if n, err := w.d.Redeliver(t.Context(), 1, one(2)); n != 1 || err != nil {
			t.Errorf("redeliver: got %d (%v), want 1", n, err)
		}
		w.expect(1, sluice.Ledger{Accepted: 4, Delivered: 1, Quarantined: 2, Expired: 1})
		if list, err := w.d.Quarantine(t.Context(), 1, 10); err != nil || len(list) != 2 || list[0].Reason != "bad e2" {
			t.Errorf("quarantine after another refusal: got %+v (%v), want e2 with the reason, and e3", list, err)
		}
		r.set(func(r *receiver) { r.refuse = nil })
		if n, err := w.d.Redeliver(t.Context(), 1, QuarantineChoice{}); n != 2 || err != nil {
			t.Errorf("redeliver: got %d (%v), want 2", n, err)
		}
		w.expect(1, sluice.Ledger{Accepted: 4, Delivered: 3, Expired: 1})
		if got, want := r.received(), []string{"e4", "e2", "e3"}; !slices.Equal(got, want) {
			t.Errorf("received: got %q, want %q", got, want)
		}
	})
}

// Of an event whose copy is lost and that the log no longer holds, the number is
// left: it is shown, and can be dropped.
func TestQuarantineWithoutCopyAndEvent(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		r.set(func(r *receiver) { r.check, r.refuse = true, poison(destination.RejectedBatch, "e1") })
		w.post("acme", "a", 1)
		w.expect(1, sluice.Ledger{Accepted: 1, Quarantined: 1})
		for rec := range w.store.List(t.Context(), quarantinePrefix) {
			w.store.Apply(t.Context(), store.Change{Key: rec.Key, Version: rec.Version})
		}
		w.post("acme", "a", 1)
		w.expect(1, sluice.Ledger{Accepted: 2, Delivered: 1, Quarantined: 1})
		w.stop()
		if !w.engine.Lose("audit", 1) {
			t.Fatal("no block at 1")
		}
		w.start()
		list, err := w.d.Quarantine(t.Context(), 1, 10)
		if err != nil || len(list) != 1 || list[0].Seq != 1 || list[0].Reason != errCopyLost.Error() {
			t.Errorf("quarantine: got %+v (%v), want the number and why there is no more", list, err)
		}
		if n, err := w.d.Redeliver(t.Context(), 1, QuarantineChoice{}); n != 1 || err != nil {
			t.Errorf("redeliver: got %d (%v), want 1", n, err)
		}
		w.expect(1, sluice.Ledger{Accepted: 2, Delivered: 1, Quarantined: 1})
		if n, err := w.d.Drop(t.Context(), 1, QuarantineChoice{}); n != 1 || err != nil {
			t.Errorf("drop: got %d (%v), want 1", n, err)
		}
		w.expect(1, sluice.Ledger{Accepted: 2, Delivered: 1, Expired: 1})
	})
}
