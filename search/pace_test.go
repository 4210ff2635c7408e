package search

import (
	"testing"
	"time"
)

func TestPacer(t *testing.T) {
	var p pacer
	now, raw := time.Unix(1000, 0), uint64(0)
	step := func(posted uint64) time.Duration {
		now, raw = now.Add(100*time.Millisecond), raw+posted
		return p.worked(3*time.Millisecond, now, raw)
	}
	for i, c := range []struct {
		posted uint64
		want   time.Duration
	}{
		{0, 0}, {9 << 20, 0}, {9 << 20, 0}, // seen to be busy, too little work to rest for
		{9 << 20, 6 * time.Millisecond}, {0, 0}, {0, 6 * time.Millisecond}, // until it looks again
		{0, 0}, {1 << 20, 0}, {1 << 20, 0},
	} {
		if got := step(c.posted); got != c.want {
			t.Errorf("step %d: got a rest of %s, want %s", i, got, c.want)
		}
	}
}
