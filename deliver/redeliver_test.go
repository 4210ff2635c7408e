package deliver

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// New events do not wait until all of a quarantine has been tried again.
func TestRedeliveryLeavesTurnsToNewEvents(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		const bad = 50
		r := w.stream(1, "acme")
		ids, events := w.batch("acme", "a", bad+1)
		r.set(func(r *receiver) { r.single, r.refuse = true, poison(destination.RejectedBatch, ids[:bad]...) })
		if err := w.append(events); err != nil {
			t.Fatal(err)
		}
		w.expect(1, sluice.Ledger{Accepted: bad + 1, Delivered: 1, Quarantined: bad})
		r.set(func(r *receiver) { r.single, r.refuse, r.delay = false, nil, time.Second })
		if n, err := w.d.Redeliver(t.Context(), 1, QuarantineChoice{}); n != bad || err != nil {
			t.Fatalf("redeliver: got %d and error %v, want %d", n, err, bad)
		}
		fresh := w.post("acme", "a", 10)
		time.Sleep(5 * time.Second)
		if got := r.received(); !slices.Contains(got, fresh[9]) || len(got) >= bad {
			t.Errorf("after five seconds: got %v, want the new events and some of those in quarantine", got)
		}
		time.Sleep(2 * bad * time.Second)
		w.expect(1, sluice.Ledger{Accepted: bad + 11, Delivered: bad + 11})
	})
}

// A redelivery that something of our own comes in the way of is not forgotten.
func TestRedeliveryIsTriedAgain(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		r.set(func(r *receiver) { r.single, r.refuse = true, poison(destination.RejectedBatch, "e1", "e2") })
		w.post("acme", "a", 3)
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 1, Quarantined: 2})
		r.set(func(r *receiver) { r.refuse = nil })
		w.change(1, func(s *Stream) { s.Paused = true })
		if n, err := w.d.Redeliver(t.Context(), 1, QuarantineChoice{}); n != 2 || err != nil {
			t.Fatalf("redeliver: got %d and error %v, want 2", n, err)
		}
		open := w.confs[1].Open
		w.change(1, func(s *Stream) {
			s.Paused, s.Open = false, func() (destination.Destination, error) { return nil, errors.New("not now") }
		})
		time.Sleep(time.Minute)
		w.change(1, func(s *Stream) { s.Open = open })
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
	})
}
