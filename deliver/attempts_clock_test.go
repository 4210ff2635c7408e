package deliver

import (
	"log/slog"
	"testing"
	"time"

	"github.com/sluicelog/sluice/store"
)

// Minutes that were counted while the clock was ahead count for the one in which it
// was set back, and those that were stored meanwhile do not hide what follows.
func TestMinutesOfAClockThatJumps(t *testing.T) {
	js := newJournals(store.NewMemory(), slog.New(slog.DiscardHandler))
	j := &journal{js: js, of: &lane{s: &stream{id: 1}, p: &part{name: "audit"}}}
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	deliver := func(after time.Duration, events int) {
		t.Helper()
		j.add(&Attempt{Time: start.Add(after), Events: events, Delivered: events})
	}
	const day = 24 * time.Hour
	deliver(0, 1)
	deliver(day, 10)
	deliver(day+2*time.Hour, 100)
	if err := j.closeDays(t.Context()); err != nil { // stores the day to come
		t.Fatal(err)
	}
	for i := 1; i <= 3; i++ { // back, ahead, back ...
		deliver(time.Duration(i)*time.Minute, 1000)
		deliver(day+time.Duration(i)*time.Minute, 10_000)
	}
	deliver(4*time.Minute, 1)
	deliver(3*time.Hour, 7)
	if err := j.closeDays(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, _, err := j.minutes(t.Context(), minuteOf(start))
	if err != nil {
		t.Fatal(err)
	}
	sum, last := uint64(0), minuteOf(start.Add(3*time.Hour))
	for _, m := range list {
		sum += m.delivered
		if m.at > last {
			t.Errorf("got a minute to come: %v", time.Unix(m.at*60, 0).UTC())
		}
	}
	// The ten of the day ahead were stored as such, and are forgotten.
	if got, want := sum, uint64(1+100+3*1000+3*10_000+1+7); got != want {
		t.Errorf("got %d delivered, want %d", got, want)
	}
	if got, want := len(list), 6; got != want {
		t.Errorf("got %d minutes, want %d", got, want)
	}
}

// Retention stops while the clock is ahead, and goes on when it is set back.
func TestRetentionStopsWhileTheClockIsAhead(t *testing.T) {
	d := &Deliverer{opts: Options{Logger: slog.New(slog.DiscardHandler)}}
	for _, c := range []struct {
		ahead time.Duration
		want  bool
	}{{0, false}, {59 * time.Minute, false}, {24 * time.Hour, true}, {25 * time.Hour, true}, {0, false}, {-24 * time.Hour, false}, {2 * time.Hour, true}} {
		if got := d.clockAhead(t.Context(), c.ahead); got != c.want || d.RetentionStopped() != c.want {
			t.Errorf("%v ahead: got %v, and told %v, want %v", c.ahead, got, d.RetentionStopped(), c.want)
		}
	}
}
