package control_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/notice"
	"github.com/sluicelog/sluice/store"
)

var (
	errDown   = &destination.Error{Class: destination.Unavailable, Status: 503, Message: "busy, come back later"}
	errDenied = &destination.Error{Class: destination.Misconfigured, Status: 401, Message: "token expired"}
)

// states returns the events that tell states, in order.
func states(w *controltest.World) []string {
	out := []string{}
	for _, e := range w.Events("audit", "stream.") {
		if slices.Contains([]string{"stream.failing", "stream.held", "stream.recovered"}, e.EventType) {
			out = append(out, strings.TrimPrefix(e.EventType, "stream."))
		}
	}
	return out
}

func wantStates(t *testing.T, w *controltest.World, when string, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := states(w); !slices.Equal(got, want) {
		t.Errorf("%s: got states %v, want %v", when, got, want)
	}
}

func health(t *testing.T, w *controltest.World, id sluice.StreamID) control.Health {
	t.Helper()
	s, err := w.Service.Stream(t.Context(), w.Admin, id)
	if err != nil {
		t.Fatal(err)
	}
	return s.Health
}

func TestStatesAreTold(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		time.Sleep(time.Minute)
		w.Kind.Refuse(errDown)
		w.Post("acme", "user.add", 1)
		time.Sleep(40 * time.Second)
		wantStates(t, w, "after 40 s of failures")
		if h := health(t, w, s.ID); h.State != "ok" || h.LastError == nil || h.LastError.Class != "unavailable" || h.NextRetry == nil || h.LagEvents == 0 || h.LagSeconds < 30 || h.LastSuccess == nil {
			t.Errorf("health: got %+v, want an error, lag and the state as it was told", h)
		}
		time.Sleep(5 * time.Minute)
		wantStates(t, w, "after 6 minutes of failures", "failing")
		if h := health(t, w, s.ID); h.State != "failing" || h.Since == nil || time.Since(*h.Since) < 5*time.Minute {
			t.Errorf("health: got %+v, want it failing for 5 minutes", h)
		}
		w.Kind.Refuse(errDenied)
		time.Sleep(10 * time.Minute)
		wantStates(t, w, "denied", "failing", "held")
		w.Kind.Refuse(nil)
		time.Sleep(20 * time.Minute)
		wantStates(t, w, "well again", "failing", "held", "recovered")
		if h := health(t, w, s.ID); h.State != "ok" || h.Since != nil || h.LagEvents != 0 {
			t.Errorf("health: got %+v, want it well", h)
		}
		events := w.Events("audit", "stream.")
		for _, e := range events {
			if e.EventType == "stream.held" && (e.Details["reason"] != "token expired" || e.Details["class"] != "misconfigured" || e.Details["status"] != 401.0 ||
				e.Details["since"] == nil || e.Details["lag_events"] == 0.0 || e.AuthorName != "Sluice" || e.TargetDetails != "siem") {
				t.Errorf("held: got %s", e.Raw)
			}
			if e.EventType == "stream.recovered" && (e.Details["was"] != "held" || e.Details["since"] == nil) {
				t.Errorf("recovered: got %s", e.Raw)
			}
		}
	})
}

// What comes and goes is told rarely, however fast it does.
func TestFlappingIsDamped(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		create(t, w)
		for i := range 120 {
			err := errDown
			if i%2 == 0 {
				err = errDenied
			}
			w.Kind.Refuse(err)
			w.Post("acme", "user.add", 1)
			time.Sleep(20 * time.Second)
			w.Kind.Refuse(nil)
			time.Sleep(40 * time.Second)
		}
		synctest.Wait()
		if got := states(w); len(got) > 24 { // two hours
			t.Errorf("two hours of flapping: got %d messages: %v", len(got), got)
		}
	})
}

// A pause is no trouble, and a paused stream has not recovered.
func TestPauseTellsNothing(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		w.Kind.Refuse(errDenied)
		w.Post("acme", "user.add", 1)
		time.Sleep(time.Minute)
		wantStates(t, w, "denied", "held")
		if _, err := w.Service.PauseStream(t.Context(), w.Admin, s.ID); err != nil {
			t.Fatal(err)
		}
		w.Kind.Refuse(nil)
		time.Sleep(time.Hour)
		wantStates(t, w, "paused", "held")
		if _, err := w.Service.ResumeStream(t.Context(), w.Admin, s.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		wantStates(t, w, "resumed", "held", "recovered")
	})
}

// cut loses changes of the records of streams; delivery goes on.
type cut struct {
	left atomic.Int64 // changes that are let through
	late atomic.Bool  // the answer to the last of them is lost as well
}

// never lets everything through.
const never = 1 << 40

func (c *cut) after(n int64, late bool) {
	c.late.Store(late)
	c.left.Store(n)
}

func (c *cut) install(cfg *control.Config) {
	of := func(c store.Change) bool { return strings.HasPrefix(c.Key, "stream/") }
	memory := cfg.Store.(*store.Memory)
	memory.SetBefore(func(change store.Change) error {
		if of(change) && c.left.Add(-1) < 0 {
			return errPower
		}
		return nil
	})
	memory.SetAfter(func(change store.Change) error {
		if of(change) && c.late.Load() && c.left.Load() <= 0 {
			return errPower
		}
		return nil
	})
}

// Each change of a state is told once, whenever the process ends.
func TestStatesAreToldOnce(t *testing.T) {
	for _, late := range []bool{false, true} {
		for n := range int64(6) {
			t.Run(fmt.Sprintf("%d/%v", n, late), func(t *testing.T) {
				var power cut
				power.after(never, false)
				simulate(t, power.install, func(t *testing.T, w *controltest.World) {
					create(t, w)
					if _, err := w.Service.SetNotices(t.Context(), w.Admin, "acme", []control.Address{{Kind: notice.HTTP, Address: "https://hooks.example/1"}}); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
					w.Kind.Refuse(errDenied)
					power.after(n, late)
					w.Post("acme", "user.add", 1)
					time.Sleep(20 * time.Second)
					synctest.Wait()
					w.Crash()
					power.after(never, false)
					time.Sleep(10 * time.Minute)
					wantStates(t, w, "held", "held")
					power.after(n, late)
					w.Kind.Refuse(nil)
					time.Sleep(15 * time.Minute)
					synctest.Wait()
					w.Crash()
					power.after(never, false)
					time.Sleep(20 * time.Minute)
					wantStates(t, w, "recovered", "held", "recovered")
					w.Restart()
					time.Sleep(20 * time.Minute)
					wantStates(t, w, "restarted", "held", "recovered")
					// Notices come at least once.
					ids := map[string]bool{}
					for _, sent := range w.Sender.Got() {
						ids[sent.ID] = true
					}
					if len(ids) != 2 {
						t.Errorf("got notices with %d ids, want 2", len(ids))
					}
				})
			})
		}
	}
}

func TestScheduledChecks(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		var ids []sluice.StreamID
		for i := range 20 {
			ids = append(ids, create(t, w, named(fmt.Sprint("siem", i))).ID)
		}
		paused := ids[19]
		if _, err := w.Service.PauseStream(t.Context(), w.Admin, paused); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Hour)
		if got := w.Kind.Checks(); got == 0 || got >= 19 {
			t.Errorf("after 6 hours: got %d checks, want some of 19: they are spread over a day", got)
		}
		time.Sleep(19 * time.Hour)
		synctest.Wait()
		for _, id := range ids {
			c := health(t, w, id).LastCheck
			if id == paused && c != nil || id != paused && (c == nil || !c.OK) {
				t.Errorf("stream %d after a day: got check %+v", id, c)
			}
		}
		before := w.Kind.Checks()
		for range 2 {
			time.Sleep(24 * time.Hour)
			w.Restart()
		}
		if got := w.Kind.Checks() - before; got < 33 || got > 42 {
			t.Errorf("in two days: got %d checks of 19 streams, want 38 or nearly so", got)
		}
		wantTypes(t, w, "stream.check") // nothing has changed
	})
}

// A check follows a failure, and its outcome is told when it changes.
func TestChecksAfterFailures(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		w.Kind.Refuse(errDenied)
		w.Post("acme", "user.add", 1)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		wantTypes(t, w, "stream.check", "stream.check")
		if c := health(t, w, s.ID).LastCheck; c == nil || c.OK || c.FailedStage != "accept" || c.Message != "token expired" {
			t.Errorf("got check %+v, want it failed at accept", c)
		}
		time.Sleep(5 * time.Hour)
		wantTypes(t, w, "stream.check", "stream.check") // the outcome is the same
		if e := w.Events("audit", "stream.check")[0]; e.Details["ok"] != false || e.Details["failed_stage"] != "accept" || e.Details["scheduled"] != true || e.AuthorName != "Sluice" || !strings.Contains(string(e.Raw), `"A scheduled check fails"`) {
			t.Errorf("got event %s", e.Raw)
		}
		w.Kind.Refuse(nil)
		if out, err := w.Service.CheckStream(t.Context(), w.Admin, s.ID); err != nil || !out.OK {
			t.Errorf("a person's check: got %+v, error %v", out, err)
		}
		time.Sleep(48 * time.Hour)
		wantTypes(t, w, "stream.check", "stream.check", "stream.check") // the person's; the scheduled ones agree with it
	})
}

func TestNotices(t *testing.T) {
	const hook = "https://hooks.example/T0KEN"
	addresses := []control.Address{{Kind: notice.HTTP, Address: hook}, {Kind: notice.Email, Address: "jane@acme.example"}}
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		create(t, w)
		create(t, w, func(s *control.StreamSpec) { s.Namespace = "umbra" })
		if _, err := w.Service.SetNotices(t.Context(), w.Admin, "ACME", addresses); err != nil {
			t.Fatal(err)
		}
		if got, err := w.Service.Notices(t.Context(), w.Admin, "acme"); err != nil || len(got.Addresses) != 2 || got.Addresses[0].Address != hook {
			t.Errorf("got %d addresses, error %v, want two", len(got.Addresses), err)
		}
		time.Sleep(time.Minute)
		w.Kind.Refuse(errDenied)
		w.Post("acme", "user.add", 3)
		w.Post("umbra", "user.add", 3)
		time.Sleep(time.Minute)
		synctest.Wait()
		got := w.Sender.Got()
		if len(got) != 2 || got[0].Address == got[1].Address || got[0].ID != got[1].ID || got[0].Stream.Namespace != "acme" {
			t.Fatalf("got %+v, want one notice to each address of acme", got)
		}
		held := w.Events("audit", "stream.held")
		if !slices.ContainsFunc(held, func(e controltest.Stored) bool { return e.ID == got[0].ID }) {
			t.Errorf("the notice's id %s is no event's", got[0].ID)
		}
		if n := got[0]; n.Type != "stream.held" || n.Reason != "token expired" || n.Advice == "" || n.LagEvents == 0 || n.Since.IsZero() || n.Stream.Name != "siem" {
			t.Errorf("got notice %+v", n)
		}
		w.Kind.Refuse(nil)
		time.Sleep(10 * time.Minute)
		if got := w.Sender.Got(); len(got) != 4 || got[3].Type != "stream.recovered" {
			t.Errorf("got %d notices, want two more about the recovery", len(got))
		}
		if _, err := w.Service.RotateKeys(t.Context(), w.Admin); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := w.Service.PruneKeys(t.Context(), w.Admin); err != nil {
			t.Fatal(err)
		}
		w.Restart()
		if got, err := w.Service.Notices(t.Context(), w.Admin, "acme"); err != nil || len(got.Addresses) != 2 {
			t.Errorf("after the restart: got %d addresses, error %v, want two", len(got.Addresses), err)
		}
		if out, err := w.Service.TestNotices(t.Context(), w.Admin, "acme"); err != nil || len(out) != 2 || !out[0].OK {
			t.Errorf("test: got %+v, error %v", out, err)
		}
		if text := w.Records() + w.Logs(); strings.Contains(text, "T0KEN") || strings.Contains(fmt.Sprintf("%+v", addresses), "T0KEN") {
			t.Error("an address is shown")
		}
		for _, e := range w.Events("audit", "") {
			if strings.Contains(string(e.Raw), "T0KEN") {
				t.Errorf("an event shows an address: %s", e.Raw)
			}
		}
		wantTypes(t, w, "notice.", "notice.update", "notice.test")
	})
}

// A notice that cannot be sent is tried again, within bounds, and delays nothing.
func TestNoticesAreTriedAgain(t *testing.T) {
	set := func(t *testing.T, w *controltest.World) {
		t.Helper()
		if _, err := w.Service.SetNotices(t.Context(), w.Admin, "acme", []control.Address{{Kind: notice.HTTP, Address: "https://hooks.example/1"}}); err != nil {
			t.Fatal(err)
		}
	}
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		set(t, w)
		w.Sender.Fail(errors.New("gone"))
		w.Kind.Refuse(errDenied)
		w.Post("acme", "user.add", 1)
		time.Sleep(10 * time.Minute)
		if got := w.Sender.Tries(); got < 3 || got > 8 {
			t.Errorf("in 10 minutes: got %d tries, want a few", got)
		}
		w.Restart() // what is left is stored
		w.Sender.Fail(nil)
		time.Sleep(time.Hour)
		if got := w.Sender.Got(); len(got) != 1 || got[0].Type != "stream.held" {
			t.Errorf("got %+v, want the notice once", got)
		}
		w.Sender.Fail(errors.New("gone"))
		before := w.Sender.Tries()
		w.Kind.Refuse(nil)
		time.Sleep(48 * time.Hour)
		if got := w.Sender.Tries() - before; got != 12 {
			t.Errorf("in two days: got %d tries, want 12", got)
		}
		if strings.Contains(w.Records(), `"notices"`) {
			t.Error("a notice is left")
		}
		w.Sender.Fail(nil)
		release := w.Sender.Hang()
		w.Kind.Refuse(errDenied)
		w.Post("acme", "user.add", 1)
		time.Sleep(time.Minute)
		w.Kind.Refuse(nil)
		if _, err := w.Service.PauseStream(t.Context(), w.Admin, s.ID); err != nil { // a change is tried at once
			t.Fatal(err)
		}
		if _, err := w.Service.ResumeStream(t.Context(), w.Admin, s.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if s, err := w.Service.Stream(t.Context(), w.Admin, s.ID); err != nil || s.Ledger.Pending != 0 {
			t.Errorf("while a notice hangs: got %+v, error %v, want all delivered", s.Ledger, err)
		}
		release()
	})
}

func TestNoticeSettingsAreChecked(t *testing.T) {
	many := make([]control.Address, 11)
	for i := range many {
		many[i] = control.Address{Kind: notice.Email, Address: fmt.Sprint("a", i)}
	}
	simulate(t, func(c *control.Config) { delete(c.Senders, notice.Email) }, func(t *testing.T, w *controltest.World) {
		owner := control.Principal{ID: "t9", Kind: control.KindAdmin, Namespace: "acme", Name: "owner"}
		producer := control.Principal{ID: "t8", Kind: control.KindProducer, Namespace: "acme"}
		good := []control.Address{{Kind: notice.HTTP, Address: "https://hooks.example/1"}}
		for name, c := range map[string]struct {
			p         control.Principal
			namespace string
			addresses []control.Address
			code      sluice.Code
		}{
			"too many":           {owner, "acme", many, sluice.Invalid},
			"twice":              {owner, "acme", slices.Concat(good, good), sluice.Invalid},
			"bad":                {owner, "acme", []control.Address{{Kind: notice.HTTP, Address: "bad"}}, sluice.Invalid},
			"no kind":            {owner, "acme", []control.Address{{Address: "x"}}, sluice.Invalid},
			"no mail server":     {owner, "acme", many[:1], sluice.Invalid},
			"below a group":      {owner, "acme/web", good, sluice.Invalid},
			"somebody else's":    {owner, "umbra", good, sluice.NotFound},
			"the instance's":     {owner, "", good, sluice.NotFound},
			"a producer's token": {producer, "acme", good, sluice.Forbidden},
		} {
			_, err := w.Service.SetNotices(t.Context(), c.p, c.namespace, c.addresses)
			wantError(t, name, err, c.code)
		}
		for _, namespace := range []string{"acme", ""} {
			if _, err := w.Service.SetNotices(t.Context(), w.Admin, namespace, good); err != nil {
				t.Errorf("%q: %v", namespace, err)
			}
			if got, err := w.Service.SetNotices(t.Context(), w.Admin, namespace, nil); err != nil || len(got.Addresses) != 0 {
				t.Errorf("%q: got %d addresses, error %v, want none", namespace, len(got.Addresses), err)
			}
		}
		if list, err := w.Service.Namespaces(t.Context(), w.Admin, ""); err != nil || len(list) != 1 {
			t.Errorf("namespaces: got %v, error %v, want acme alone", list, err)
		}
	})
}

func TestAttemptsAndActivity(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		w.Post("acme", "user.add", 3)
		time.Sleep(time.Second)
		w.Kind.Refuse(errDown)
		w.Post("acme", "user.add", 1)
		time.Sleep(time.Minute)
		list, err := w.Service.Attempts(t.Context(), w.Admin, s.ID, 200)
		if err != nil || len(list) < 3 || list[0].Outcome != "unavailable" || list[0].Status != 503 || list[0].Message != errDown.Message || list[len(list)-1].Outcome != "delivered" {
			t.Errorf("attempts: got %+v, error %v", list, err)
		}
		if some, err := w.Service.Attempts(t.Context(), w.Admin, s.ID, 2); err != nil || len(some) != 2 || some[0] != list[0] {
			t.Errorf("two attempts: got %+v, error %v", some, err)
		}
		minutes, err := w.Service.Activity(t.Context(), w.Admin, s.ID, 0)
		var sum control.Minute
		for _, m := range minutes {
			sum.Delivered += m.Delivered
			sum.Failures += m.Failures
		}
		if err != nil || sum.Delivered < 3 || sum.Failures == 0 {
			t.Errorf("activity: got %+v, error %v", minutes, err)
		}
		for _, limit := range []int{-1, 201} {
			_, err := w.Service.Attempts(t.Context(), w.Admin, s.ID, limit)
			wantError(t, fmt.Sprint("limit ", limit), err, sluice.Invalid)
		}
		_, err = w.Service.Activity(t.Context(), w.Admin, s.ID, 7*24*60+1)
		wantError(t, "more than a week", err, sluice.Invalid)
		other := control.Principal{ID: "t9", Kind: control.KindAdmin, Namespace: "umbra"}
		_, err = w.Service.Attempts(t.Context(), other, s.ID, 1)
		wantError(t, "somebody else's attempts", err, sluice.NotFound)
	})
}

// A kind that panics costs its stream a try or a check, and shows no secret.
func TestPanics(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		w.Kind.Panic()
		w.Post("acme", "user.add", 1)
		time.Sleep(10 * time.Minute)
		wantStates(t, w, "panics", "failing")
		out, err := w.Service.CheckStream(t.Context(), w.Admin, s.ID)
		if err != nil || out.OK || len(out.Stages) == 0 {
			t.Errorf("check: got %+v, error %v, want it failed", out, err)
		}
		if c := health(t, w, s.ID).LastCheck; c == nil || c.OK {
			t.Errorf("last check: got %+v, want it failed", c)
		}
		if logs := w.Logs(); !strings.Contains(logs, "panicked") || strings.Contains(logs, thePassword) {
			t.Errorf("the log says nothing of the panic, or shows the password")
		}
	})
}
