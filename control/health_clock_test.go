package control_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
)

// A stream whose trouble was told while the clock was a day ahead is told to be well
// again when it is, not a day later, and is checked.
func TestRecoveryAfterAClockWasAhead(t *testing.T) {
	var ahead atomic.Int64
	now := func(c *control.Config) {
		c.Now = func() time.Time { return time.Now().Round(0).Add(time.Duration(ahead.Load())) }
	}
	for _, again := range []bool{false, true} {
		simulate(t, now, func(t *testing.T, w *controltest.World) {
			ahead.Store(0)
			s := create(t, w)
			ahead.Store(int64(24 * time.Hour))
			w.Kind.Refuse(errDown)
			w.Post("acme", "user.add", 1)
			time.Sleep(10 * time.Minute)
			wantStates(t, w, "a day ahead", "failing")
			ahead.Store(0)
			w.Kind.Refuse(nil)
			if again {
				w.Restart()
			}
			time.Sleep(30 * time.Minute)
			wantStates(t, w, "set back, and well again", "failing", "recovered")
			if c := health(t, w, s.ID).LastCheck; c == nil || c.Time.After(time.Now()) {
				t.Errorf("last check: got %+v, want one since the clock was set back", c)
			}
		})
	}
}

// Notices that were sent, or put off, while the clock was a day ahead do not keep
// those of the day after from being sent.
func TestNoticesAfterAClockWasAhead(t *testing.T) {
	var ahead atomic.Int64
	now := func(c *control.Config) {
		c.Now = func() time.Time { return time.Now().Round(0).Add(time.Duration(ahead.Load())) }
	}
	for _, fails := range []error{nil, errors.New("gone")} {
		simulate(t, now, func(t *testing.T, w *controltest.World) {
			ahead.Store(0)
			create(t, w)
			noticed(t, w)
			ahead.Store(int64(24 * time.Hour))
			w.Sender.Fail(fails)
			w.Kind.Refuse(errDown)
			w.Post("acme", "user.add", 1)
			time.Sleep(10 * time.Minute)
			ahead.Store(0)
			w.Sender.Fail(nil)
			time.Sleep(time.Minute)
			if got := w.Sender.Got(); len(got) != 1 || got[0].Type != "stream.failing" {
				t.Errorf("sends ended with %v: got notices %+v, want the trouble", fails, got)
			}
			w.Kind.Refuse(nil)
			time.Sleep(30 * time.Minute)
			wantStates(t, w, "set back, and well again", "failing", "recovered")
			got := w.Sender.Got()
			if len(got) == 0 || got[len(got)-1].Type != "stream.recovered" {
				t.Errorf("sends end with %v: got notices %+v, want the recovery", fails, got)
			}
		})
	}
}
