package web

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/sluicelog/sluice/control"
)

// The most that waited in an hour is shown, and hours of which nothing is known
// are not taken for ones in which nothing waited.
func TestWaitingGraph(t *testing.T) {
	now := time.Date(2026, 3, 8, 12, 30, 0, 0, time.UTC)
	st := &control.Stream{CreatedAt: now.Add(-26 * time.Hour), Health: control.Health{LagEvents: 3, LagSeconds: 61}}
	var samples []control.LagSample
	add := func(ago time.Duration, events, seconds uint64) {
		samples = append(samples, control.LagSample{Time: now.Add(-ago), Events: events, Seconds: seconds})
	}
	add(8*24*time.Hour, 99, 99) // too old
	for ago := 25 * time.Hour; ago > 9*time.Hour; ago -= 10 * time.Minute {
		add(ago, 0, 0)
	}
	add(5*time.Hour, 1000, 3600)
	add(5*time.Hour-10*time.Minute, 1500, 60)
	add(5*time.Hour-20*time.Minute, 0, 0)
	for ago := 4 * time.Hour; ago > 0; ago -= 10 * time.Minute {
		add(ago, 0, 0)
	}
	g := waitingGraph(st, samples, now)
	if want := "3 events, 1 min behind now; at most 1,500 events, 1 h behind; nothing is known where it is grey"; g.Summary != want || g.Top != "1,500" {
		t.Errorf("got %q and top %q, want %q and 1,500", g.Summary, g.Top, want)
	}
	var got []string
	for _, b := range g.Bars {
		got = append(got, fmt.Sprintf("%s %s %s %s", b.Class, b.X, b.Height, b.Title))
	}
	want := []string{
		"blank 0.0 100.0 1 Mar 13:00 to 7 Mar 11:00 UTC: before the stream was made",
		"blank 946.4 100.0 8 Mar 04:00 to 8 Mar 07:00 UTC: not recorded",
		" 964.3 100.0 8 Mar 07:00 UTC: 1,500 events, 1 min behind",
		" 994.0 1.5 8 Mar 12:00 UTC: 3 events, 1 min behind",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	st.CreatedAt, st.Health = now.Add(-30*24*time.Hour), control.Health{}
	if g := waitingGraph(st, nil, now); len(g.Bars) != 1 || g.Bars[0].Title != "1 Mar 13:00 to 8 Mar 12:00 UTC: not recorded" || g.Summary != "up to date now; nothing is known where it is grey" {
		t.Errorf("without samples: got %+v", g)
	}
}
