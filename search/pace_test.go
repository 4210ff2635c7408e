package search

import (
	"testing"
	"time"
)

func TestPacer(t *testing.T) {
	var p pacer
	now, raw, behind, busy := time.Unix(1000, 0), uint64(0), uint64(restMost), true
	step := func(posted uint64) time.Duration {
		now, raw = now.Add(100*time.Millisecond), raw+posted
		p.add(3 * time.Millisecond)
		return p.rest(now, raw, behind, func() bool { return busy })
	}
	const much, little = postBytes / 4, postBytes / 20
	for i, c := range []struct {
		busy   bool
		posted uint64
		want   time.Duration
	}{
		{true, 0, 0}, {true, much, 0}, {true, much, 0}, // seen to post, too little work to rest for
		{true, much, 2400 * time.Microsecond}, {true, 0, 0}, {true, 0, 2400 * time.Microsecond}, // until it looks again
		{true, 0, 0}, {true, little, 0}, {true, little, 0}, // little is posted
		{false, much, 0}, {false, much, 0}, {false, much, 0}, {false, much, 0}, // the processors have time
		{true, much, 0}, {true, much, 2400 * time.Microsecond},
	} {
		busy = c.busy
		if got := step(c.posted); got != c.want {
			t.Errorf("step %d: got a rest of %s, want %s", i, got, c.want)
		}
	}
	behind++
	for range 4 {
		if got := step(much); got != 0 {
			t.Errorf("too far behind: got a rest of %s, want none", got)
		}
	}
	behind--
	step(much)
	if got := step(much); got == 0 {
		t.Error("not too far behind any more: got no rest")
	}
}
