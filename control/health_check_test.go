package control_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/notice"
)

// Of a stream without events only checks can tell that its destination has gone.
func TestFailedChecksOfAnIdleStreamAreNoticed(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w, func(s *control.StreamSpec) { s.Filter.EventTypes = []string{"git.push"} })
		if _, err := w.Service.SetNotices(t.Context(), w.Admin, "acme", []control.Address{{Kind: notice.Email, Address: "jane@acme.example"}}); err != nil {
			t.Fatal(err)
		}
		fails := func(while time.Duration) {
			t.Helper()
			before := w.Kind.Checks()
			w.Kind.Refuse(errDown)
			for w.Kind.Checks() == before { // the daily one
				time.Sleep(time.Minute)
			}
			time.Sleep(while)
			w.Kind.Refuse(nil)
			synctest.Wait()
		}
		fails(time.Minute)
		time.Sleep(time.Hour)
		if got := w.Sender.Got(); len(got) != 0 {
			t.Errorf("a single failure: got notices %+v, want none", got)
		}
		fails(3 * time.Hour)
		got := w.Sender.Got()
		if len(got) != 1 || got[0].Type != "stream.check_failed" || got[0].Reason != "accept: "+errDown.Message || got[0].Advice == "" || got[0].Since.IsZero() || got[0].Stream.ID != int64(s.ID) {
			t.Fatalf("checks that go on failing: got notices %+v, want one", got)
		}
		events := w.Events("audit", "stream.check")
		if e := events[len(events)-1]; e.ID != got[0].ID || e.Details["ok"] != false || e.Details["scheduled"] != true {
			t.Errorf("the notice's id is %s: got the event %s", got[0].ID, e.Raw)
		}
		time.Sleep(2 * time.Hour)
		if got := w.Sender.Got(); len(got) != 2 || got[1].Type != "stream.check_passed" || got[1].Reason != "" {
			t.Errorf("a check that passes again: got notices %+v, want a second one", got)
		}
		wantTypes(t, w, "stream.check", "stream.check", "stream.check", "stream.check", "stream.check", "stream.check")
		wantStates(t, w, "never delivered")
	})
}

// Who was told that checks fail is told that they pass, also when somebody who mended
// the stream has asked for the check that passes first.
func TestPeopleHearThatAStreamWasMended(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w, func(s *control.StreamSpec) { s.Filter.EventTypes = []string{"git.push"} })
		noticed(t, w)
		w.Kind.Refuse(errDown)
		time.Sleep(25 * time.Hour)
		if got := w.Sender.Got(); len(got) != 1 || got[0].Type != "stream.check_failed" {
			t.Fatalf("checks that fail: got notices %+v, want one", got)
		}
		for _, down := range []bool{false, true, false} { // who mends it needs two tries
			w.Kind.Refuse(nil)
			if down {
				w.Kind.Refuse(errDown)
			}
			if out, err := w.Service.CheckStream(t.Context(), w.Admin, s.ID); err != nil || out.OK == down {
				t.Fatalf("check: got %+v, error %v", out, err)
			}
			time.Sleep(5 * time.Second)
		}
		time.Sleep(5 * time.Minute)
		if got := w.Sender.Got(); len(got) != 2 || got[1].Type != "stream.check_passed" {
			t.Errorf("mended: got notices %+v, want a second one", got)
		}
		before := w.Kind.Checks()
		time.Sleep(12 * time.Hour)
		if got := w.Kind.Checks(); got != before || len(w.Sender.Got()) != 2 {
			t.Errorf("told: got %d more checks and %d notices, want none and 2", got-before, len(w.Sender.Got()))
		}
	})
}
