package deliver

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
)

func TestPauseOfSevenDaysLosesNothing(t *testing.T) {
	retention := map[string]Retention{"audit": {Age: 7 * 24 * time.Hour}}
	simulate(t, Options{Retention: retention}, func(t *testing.T, w *world) {
		w.post("acme", "a", 1)
		r := w.stream(1, "acme")
		w.change(1, func(s *Stream) { s.Paused = true })
		for range 7 * 24 {
			w.post("acme", "a", 10)
			time.Sleep(time.Hour)
		}
		// The receiver takes an hour for all of it.
		r.set(func(r *receiver) {
			r.limits.Events = 7
			r.delay = 15 * time.Second
		})
		w.change(1, func(s *Stream) { s.Paused = false })
		time.Sleep(61 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 1680, Delivered: 1680})
		if got := len(r.received()); got != 1680 {
			t.Errorf("received %d, want 1680", got)
		}
	})
}

func TestPausePastRetentionEndsInAnExactGap(t *testing.T) {
	retention := map[string]Retention{"audit": {Age: 7 * 24 * time.Hour}}
	simulate(t, Options{Retention: retention}, func(t *testing.T, w *world) {
		w.stream(1, "acme")
		w.post("acme", "a", 3)
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
		w.change(1, func(s *Stream) { s.Paused = true })
		start := time.Now()
		for range 10 {
			w.post("acme", "a", 10)
			w.post("other", "a", 5)
			time.Sleep(24 * time.Hour)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		// Ten days after the pause: what is older than seven days is gone.
		cut := time.Now().Add(-7 * 24 * time.Hour)
		gone := uint64(0)
		for day := range 10 {
			if start.Add(time.Duration(day) * 24 * time.Hour).Before(cut) {
				gone += 10
			}
		}
		w.expect(1, sluice.Ledger{Accepted: 103, Delivered: 3, Expired: gone, Pending: 100 - gone})
		var told, events uint64
		for _, n := range w.noted() {
			if n.Type == "stream.gap" {
				told++
				events += n.Fields["events"].(uint64)
			}
		}
		if told == 0 || events != gone {
			t.Errorf("gaps told: %d with %d events, want %d events", told, events, gone)
		}
		w.change(1, func(s *Stream) { s.Paused = false })
		w.expect(1, sluice.Ledger{Accepted: 103, Delivered: 103 - gone, Expired: gone})
		if st, _ := w.d.State(context.Background(), 1); st.Status != sluice.StatusActive {
			t.Errorf("status %q, want active", st.Status)
		}
	})
}

func TestGapIsAnnounced(t *testing.T) {
	for name, keep := range map[string]Retention{
		"by age":         {Age: 24 * time.Hour},
		"by bytes":       {Bytes: 100},
		"first by bytes": {Age: 180 * 24 * time.Hour, Bytes: 100},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, Options{Retention: map[string]Retention{"audit": keep}}, announced)
		})
	}
}

func announced(t *testing.T, w *world) {
	w.stream(1, "acme")
	w.change(1, func(s *Stream) { s.Paused = true })
	w.post("acme", "a", 10)
	time.Sleep(8*24*time.Hour + time.Hour)
	synctest.Wait()
	var steps []any
	for _, n := range w.noted() {
		if n.Type == "stream.gap_expected" {
			steps = append(steps, n.Fields["percent_of_time"])
		}
	}
	if want := []any{50, 80, 95}; !slices.Equal(steps, want) {
		t.Errorf("announced at %v, want %v", steps, want)
	}
	if st, _ := w.d.laneState(w.d.streams[1].lanes[0]); st.GapExpected != 95 {
		t.Errorf("gap expected: got %d percent, want 95", st.GapExpected)
	}
}

// The record that tells of a gap may not be durable when the process dies, though
// the events are gone.
func TestGapOfAPausedStreamIsToldAfterACrash(t *testing.T) {
	retention := map[string]Retention{"audit": {Age: 24 * time.Hour}}
	simulate(t, Options{Retention: retention}, func(t *testing.T, w *world) {
		w.stream(1, "acme")
		w.change(1, func(s *Stream) { s.Paused = true })
		w.post("acme", "a", 10)
		time.Sleep(8*24*time.Hour - 10*time.Minute)
		w.post("acme", "a", 3)
		kept := w.store.Snapshot()
		time.Sleep(30 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 13, Expired: 10, Pending: 3})
		w.stop()
		w.use(kept)
		w.start()
		time.Sleep(2 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 13, Expired: 10, Pending: 3})
	})
}

func TestPercentBetween(t *testing.T) {
	for _, whole := range []time.Duration{8 * 24 * time.Hour, 30 * 365 * 24 * time.Hour} {
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, want := range []int{0, 50, 95, 100, 200} {
			if got := percentBetween(from, from.Add(whole), from.Add(whole/100*time.Duration(want))); got != want {
				t.Errorf("of %s: got %d percent, want %d", whole, got, want)
			}
		}
	}
}

// How much of a damaged block was a stream's is known behind it only, together with
// what was lost before it: the gap tells of both.
func TestGapBeforeDamage(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		w.stream(1, "acme", func(s *Stream) { s.Paused = true })
		for _, n := range []int{3, 4, 2} {
			w.post("acme", "a", n)
		}
		w.stop()
		if !w.engine.Lose("audit", 1) || !w.engine.Corrupt("audit", 4, eventlog.HeaderSize) {
			t.Fatal("no such blocks")
		}
		w.start()
		time.Sleep(2 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 9, Expired: 7, Pending: 2})
		var told []string
		for _, n := range w.noted() {
			told = append(told, fmt.Sprintf("%s of %v from %v to %v", n.Type, n.Fields["events"], n.Fields["first_seq"], n.Fields["last_seq"]))
		}
		if want := []string{"stream.gap of 7 from 1 to 7"}; !slices.Equal(told, want) {
			t.Errorf("told: got %q, want %q", told, want)
		}
		w.change(1, func(s *Stream) { s.Paused = false })
		w.expect(1, sluice.Ledger{Accepted: 9, Delivered: 2, Expired: 7})
	})
}

// A server that is started long after it last ran, or with a clock that is ahead,
// removes nothing for its age in its first hour, in each of its lives; then it
// believes the clock.
func TestRetentionWaitsForAClockThatIsAheadAtTheStart(t *testing.T) {
	const day = 24 * time.Hour
	retention := map[string]Retention{"audit": {Age: 7 * day}}
	simulate(t, Options{Retention: retention}, func(t *testing.T, w *world) {
		first := func(what string, want uint64, waits bool) {
			t.Helper()
			if got := w.log.First("audit"); got != want {
				t.Errorf("%s: the first event is %d, want %d", what, got, want)
			}
			if got := w.d.RetentionWaits(); got != waits {
				t.Errorf("%s: retention waits: got %v, want %v", what, got, waits)
			}
		}
		for range 20 {
			w.post("acme", "a", 1)
			time.Sleep(12 * time.Hour)
		}
		w.stop()
		time.Sleep(40 * time.Minute)
		w.start()
		time.Sleep(10 * time.Minute)
		before := w.log.First("audit")
		if before < 5 {
			t.Fatalf("the first event is %d, want those of three days to be gone", before)
		}
		first("after forty minutes", before, false)
		for range 3 {
			w.stop()
			time.Sleep(365 * day)
			w.start()
			time.Sleep(50 * time.Minute)
			w.post("acme", "a", 1) // of a time that may be wrong
			first("a year ahead", before, true)
		}
		time.Sleep(11 * time.Minute)
		first("after the grace", 23, false)
		w.stop()
		w.start()
		time.Sleep(10 * time.Minute)
		first("a start after that", 23, false)
	})
}

// What was old when the server last ran goes at once, and so does what is too much.
func TestRetentionOfWhatIsOldInAnyCase(t *testing.T) {
	const day = 24 * time.Hour
	simulate(t, Options{Retention: map[string]Retention{"audit": {Age: 7 * day}}}, func(t *testing.T, w *world) {
		for range 20 {
			w.post("acme", "a", 1)
			time.Sleep(time.Hour)
		}
		w.stop()
		time.Sleep(30 * day)
		w.opts.Retention = map[string]Retention{"audit": {Age: 10 * time.Hour}}
		w.start()
		time.Sleep(10 * time.Minute)
		if got := w.log.First("audit"); got < 9 || got > 12 || !w.d.RetentionWaits() {
			t.Errorf("by age: the first event is %d (waits: %v), want the tenth or so", got, w.d.RetentionWaits())
		}
		w.stop()
		w.opts.Retention = map[string]Retention{"audit": {Age: 7 * day, Bytes: 1}}
		w.start()
		time.Sleep(10 * time.Minute)
		if got := w.log.First("audit"); got != 20 || !w.d.RetentionWaits() {
			t.Errorf("by size: the first event is %d (waits: %v), want the last one", got, w.d.RetentionWaits())
		}
	})
}
