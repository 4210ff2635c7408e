package deliver

import (
	"errors"
	"slices"
	"sync/atomic"
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

// What is to be redelivered waits for a destination that is not there, as new events
// do, whether there are any, whether the destination refuses requests or Sluice, and
// whether the stream is done.
func TestRedeliveryWaitsForTheDestination(t *testing.T) {
	for _, class := range []destination.Class{destination.Unavailable, destination.Misconfigured} {
		for _, done := range []bool{false, true} {
			for _, fresh := range []int{0, 5} {
				simulate(t, Options{}, func(t *testing.T, w *world) {
					r := w.stream(1, "acme", func(s *Stream) {
						if done {
							s.Until = time.Now().Add(time.Hour)
						}
					})
					r.set(func(r *receiver) { r.single, r.refuse = true, poison(destination.RejectedBatch, "e1", "e2", "e3") })
					w.post("acme", "a", 4)
					w.expect(1, sluice.Ledger{Accepted: 4, Delivered: 1, Quarantined: 3})
					if done {
						time.Sleep(2 * time.Hour)
						w.post("acme", "a", 1)
						time.Sleep(time.Minute)
					}
					absent := &destination.Error{Class: class, Status: 503, Message: "not now"}
					r.set(func(r *receiver) {
						r.check, r.refuse = false, func([]destination.Event) *destination.Error { return absent }
					})
					if n, err := w.d.Redeliver(t.Context(), 1, QuarantineChoice{}); n != 3 || err != nil {
						t.Fatalf("redeliver: got %d and error %v, want 3", n, err)
					}
					w.post("acme", "a", fresh)
					var before, after int
					r.set(func(r *receiver) { before = r.sends })
					time.Sleep(time.Hour)
					if r.set(func(r *receiver) { after = r.sends }); after-before > 360 { // 3600 would be one a second
						t.Errorf("class %v, done %t: got %d sends in an hour, want few", class, done, after-before)
					}
					if got := w.state(1); !done && got.Status == sluice.StatusActive {
						t.Errorf("class %v: status %q, want that of a stream in trouble", class, got.Status)
					}
					r.set(func(r *receiver) { r.check, r.refuse = true, nil })
					time.Sleep(10 * time.Minute)
					want := sluice.Ledger{Accepted: 4 + uint64(fresh), Delivered: 4 + uint64(fresh)}
					if done {
						want = sluice.Ledger{Accepted: 4, Delivered: 4}
					}
					w.expect(1, want)
					if got := w.state(1); got.Lanes[0].LastError != nil {
						t.Errorf("class %v, done %t: the last error is %+v, want none", class, done, got.Lanes[0].LastError)
					}
				})
			}
		}
	}
}

// An event in quarantine that breaks the destination each time is not tried for ever,
// and keeps no other from its try.
func TestRedeliveryOfAnEventThatBreaksTheDestination(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme")
		r.set(func(r *receiver) { r.single, r.refuse = true, poison(destination.RejectedBatch, "e1", "e2", "e3") })
		w.post("acme", "a", 4)
		w.expect(1, sluice.Ledger{Accepted: 4, Delivered: 1, Quarantined: 3})
		var before, after int
		r.set(func(r *receiver) {
			r.check, r.refuse, before = true, poison(destination.Unavailable, "e2"), r.sends
		})
		if n, err := w.d.Redeliver(t.Context(), 1, QuarantineChoice{}); n != 3 || err != nil {
			t.Fatalf("redeliver: got %d and error %v, want 3", n, err)
		}
		time.Sleep(time.Hour)
		w.expect(1, sluice.Ledger{Accepted: 4, Delivered: 3, Quarantined: 1})
		if r.set(func(r *receiver) { after = r.sends }); after-before > 20 || w.status(1) != sluice.StatusActive {
			t.Errorf("got %d sends and status %q, want few and an active stream", after-before, w.status(1))
		}
		list, err := w.d.Quarantine(t.Context(), 1, 10)
		if err != nil || len(list) != 1 || list[0].Reason != "bad e2" || list[0].At.Before(list[0].Accepted.Add(time.Second)) {
			t.Errorf("got %+v, error %v, want e2 with what was said of it last", list, err)
		}
	})
}

// A stream that is done, and whose destination cannot be opened, is not tried each
// second.
func TestRedeliveryOfAStreamThatIsDone(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme", func(s *Stream) { s.Until = time.Now().Add(time.Hour) })
		r.set(func(r *receiver) { r.single, r.refuse = true, poison(destination.RejectedBatch, "e1") })
		w.post("acme", "a", 2)
		w.expect(1, sluice.Ledger{Accepted: 2, Delivered: 1, Quarantined: 1})
		time.Sleep(2 * time.Hour)
		w.post("acme", "a", 1)
		time.Sleep(time.Minute)
		r.set(func(r *receiver) { r.refuse = nil })
		open, opened := w.confs[1].Open, new(atomic.Int64)
		w.change(1, func(s *Stream) {
			s.Open = func() (destination.Destination, error) { opened.Add(1); return nil, errors.New("not now") }
		})
		if n, err := w.d.Redeliver(t.Context(), 1, QuarantineChoice{}); n != 1 || err != nil {
			t.Fatalf("redeliver: got %d and error %v, want 1", n, err)
		}
		time.Sleep(time.Hour)
		if n := opened.Load(); n == 0 || n > 60 {
			t.Errorf("opened %d times in an hour, want some and few", n)
		}
		w.change(1, func(s *Stream) { s.Open = open })
		w.expect(1, sluice.Ledger{Accepted: 2, Delivered: 2})
	})
}

// What was to be redelivered and is given up leaves no trouble behind.
func TestDroppedRedelivery(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := w.stream(1, "acme", func(s *Stream) { s.Until = time.Now().Add(time.Hour) })
		r.set(func(r *receiver) { r.single, r.refuse = true, poison(destination.RejectedBatch, "e1") })
		w.post("acme", "a", 2)
		w.expect(1, sluice.Ledger{Accepted: 2, Delivered: 1, Quarantined: 1})
		time.Sleep(2 * time.Hour)
		w.post("acme", "a", 1)
		time.Sleep(time.Minute)
		r.set(func(r *receiver) {
			r.refuse = func([]destination.Event) *destination.Error {
				return &destination.Error{Class: destination.Unavailable, Message: "not now"}
			}
		})
		if n, err := w.d.Redeliver(t.Context(), 1, QuarantineChoice{}); n != 1 || err != nil {
			t.Fatalf("redeliver: got %d and error %v, want 1", n, err)
		}
		time.Sleep(time.Hour)
		if n, err := w.d.Drop(t.Context(), 1, QuarantineChoice{}); n != 1 || err != nil {
			t.Fatalf("drop: got %d and error %v, want 1", n, err)
		}
		time.Sleep(10 * time.Minute)
		if got := w.state(1); got.Lanes[0].LastError != nil {
			t.Errorf("the last error is %+v, want none", got.Lanes[0].LastError)
		}
		w.expect(1, sluice.Ledger{Accepted: 2, Delivered: 1, Expired: 1})
	})
}
