package web

import (
	"testing"
	"time"

	"github.com/sluicelog/sluice/control"
)

func TestFigures(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(uint64(1000)), "1,000"}, {count(int64(-1234567)), "-1,234,567"},
		{size(0), "0 B"}, {size(1023), "1023 B"}, {size(1536), "1.5 KiB"}, {size(64 << 20), "64 MiB"}, {size(1000 << 20), "0.98 GiB"}, {size(5 << 50), "5 PiB"},
		{plural(1, "event", "events"), "1 event"}, {plural(uint64(1001), "event", "events"), "1,001 events"}, {short(0), "0"}, {short(0.001), "less than 0.01"}, {short(0.25), "0.25"}, {short(3), "3"}, {short(3.14159), "3.1"}, {short(31.4), "31"}, {short(12345.6), "12,346"},
		{lasting(0), "less than 1 s"}, {lasting(59 * time.Second), "59 s"}, {lasting(61 * time.Second), "1 min"}, {lasting(90 * time.Minute), "1 h 30 min"}, {lasting(12*time.Hour + time.Minute), "12 h"},
		{lasting(49 * time.Hour), "2 d 1 h"}, {lasting(180 * 24 * time.Hour), "180 d"},
		{millis(1500 * time.Microsecond), "1.5 ms"}, {millis(5 * time.Second), "5 s"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestQuantile(t *testing.T) {
	commits := make([]uint64, len(control.CommitBuckets())+1)
	commits[1], commits[3], commits[len(commits)-1] = 50, 49, 1
	for part, want := range map[float64]string{0.5: "within 1 ms", 0.95: "within 5 ms", 0.99: "within 5 ms", 1: "longer than 5 s"} {
		if got := quantile(commits, part); got != want {
			t.Errorf("%v: got %q, want %q", part, got, want)
		}
	}
}

func TestForecast(t *testing.T) {
	space := control.Space{Watched: true, Free: 11 << 30, Floor: 1 << 30}
	for _, c := range []struct {
		perEvent float64
		day      uint64
		want     string
	}{
		{0, 10, "too few events to tell"}, {10, 0, "too few events to tell"}, {1 << 10, 1 << 20, "full in about 10 days, at 1 GiB a day"},
		{1 << 10, 1 << 21, "full in about 5 days, at 2 GiB a day"}, {1, 1 << 10, "more than ten years, at 1 KiB a day"},
	} {
		if got := forecast(space, c.perEvent, c.day); got != c.want {
			t.Errorf("%+v: got %q, want %q", c, got, c.want)
		}
	}
	if got := forecast(control.Space{Free: 1, Floor: 2}, 1, 1); got != "the disk is full" {
		t.Errorf("got %q, want that it is full", got)
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		u    usage
		want float64
	}{
		{usage{stored: 10, log: 128 << 20}, 0},
		{usage{stored: 5000, log: 128 << 20}, 0},
		{usage{stored: 1 << 20, log: 2 << 30, index: 1 << 20}, 2049},
		{usage{stored: 2000, log: 128 << 20, index: 4000, raw: 2_000_000, packed: 1_000_000, in: control.Intake{Accepted: 2000, Bytes: 2_000_000}}, 502},
	} {
		if got := c.u.perEvent(); got != c.want {
			t.Errorf("%+v: got %v bytes an event, want %v", c.u, got, c.want)
		}
	}
}

func TestSamples(t *testing.T) {
	var s samples
	at := time.Unix(1e9, 0)
	if _, _, ok := s.add(at, control.Intake{Accepted: 100}); ok {
		t.Error("got a rate of one sample")
	}
	if _, _, ok := s.add(at.Add(500*time.Millisecond), control.Intake{Accepted: 200}); ok || len(s.list) != 1 {
		t.Error("got a rate of two samples within a second, or kept both")
	}
	recent, long, ok := s.add(at.Add(10*time.Second), control.Intake{Accepted: 1100})
	if !ok || recent.Events != 100 || long != recent {
		t.Errorf("got %+v, %+v, %v, want 100 events a second", recent, long, ok)
	}
	recent, long, _ = s.add(at.Add(20*time.Second), control.Intake{Accepted: 1100})
	if recent.Events != 0 || long.Events != 50 || long.Over != 20*time.Second {
		t.Errorf("got %+v and %+v, want nothing now and 50 events a second in all", recent, long)
	}
	for i := range 1000 {
		s.add(at.Add(time.Duration(i)*time.Minute), control.Intake{Accepted: 2000})
	}
	if len(s.list) > maxSamples {
		t.Errorf("got %d samples, want %d at most", len(s.list), maxSamples)
	}
}
