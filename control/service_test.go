package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/deliver"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/eventlog"
)

func accept(w *controltest.World, ids ...string) error {
	var b eventlog.Batch
	for _, id := range ids {
		payload := []byte(`{"id":"` + id + `","event_type":"a","entity_path":"acme"}`)
		b.Add(payload, &sluice.Envelope{ID: []byte(id), IDOffset: 7, Type: []byte("a"), Namespace: []byte("acme"), Class: sluice.Audit}, "t1")
	}
	_, err := w.Service.Accept(context.Background(), &control.Producer{Source: "t1"}, map[string]*eventlog.Batch{"audit": &b})
	return err
}

// Below the floor producers are refused and self-audit goes on; it heals by
// itself.
func TestSpace(t *testing.T) {
	var free atomic.Uint64
	free.Store(1 << 30)
	watch := func(c *control.Config) { c.FreeSpace = func() (uint64, error) { return free.Load(), nil } }
	simulate(t, watch, func(t *testing.T, w *controltest.World) {
		synctest.Wait() // the log is ready
		if err := errors.Join(accept(w, "a"), w.Service.Ready()); err != nil {
			t.Errorf("with space: %v", err)
		}
		free.Store(1 << 20)
		time.Sleep(time.Second)
		wantError(t, "below the floor", accept(w, "b"), sluice.NoSpace)
		wantError(t, "ready below the floor", w.Service.Ready(), sluice.NoSpace)
		create(t, w)
		wantTypes(t, w, "stream.", "stream.create")
		free.Store(1 << 30)
		time.Sleep(time.Second)
		if err := errors.Join(accept(w, "b"), w.Service.Ready()); err != nil {
			t.Errorf("with space again: %v", err)
		}
		full := func(string) error { return eventlog.ErrFull }
		w.Blocks.Store(&full)
		wantError(t, "a full disk", accept(w, "c"), sluice.NoSpace)
		wantError(t, "ready with a full disk", w.Service.Ready(), sluice.NoSpace)
		w.Blocks.Store(nil)
		time.Sleep(time.Second)
		if err := accept(w, "c"); err != nil {
			t.Errorf("after a full disk: %v", err)
		}
		in := w.Service.Intake()
		if in.Accepted != 3 || in.Requests != 3 || in.Failures != 2 {
			t.Errorf("counts: got %+v, want 3 accepted and 2 failures: below the floor, and on a full disk", in)
		}
	})
}

// A disk that was full is tried again although nobody can tell how full it is; what
// was below the floor stays so.
func TestSpaceUnknown(t *testing.T) {
	var free atomic.Int64 // below 0: unknown
	watch := func(c *control.Config) {
		c.FreeSpace = func() (uint64, error) {
			if n := free.Load(); n >= 0 {
				return uint64(n), nil
			}
			return 0, errors.New("input/output error")
		}
	}
	free.Store(1 << 30)
	simulate(t, watch, func(t *testing.T, w *controltest.World) {
		synctest.Wait() // the log is ready
		free.Store(-1)
		full := func(string) error { return eventlog.ErrFull }
		w.Blocks.Store(&full)
		wantError(t, "a full disk", accept(w, "a"), sluice.NoSpace)
		w.Blocks.Store(nil)
		time.Sleep(time.Second)
		if err := errors.Join(accept(w, "a"), w.Service.Ready()); err != nil {
			t.Errorf("after a full disk: %v", err)
		}
		free.Store(1 << 20)
		time.Sleep(time.Second)
		free.Store(-1)
		time.Sleep(time.Second)
		wantError(t, "below the floor", accept(w, "b"), sluice.NoSpace)
	})
}

func TestFailedLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controltest.New(t, nil)
		w.Broken = true
		broken := func(string) error { return errors.New("input/output error") }
		w.Blocks.Store(&broken)
		wantError(t, "post to a broken log", accept(w, "a"), sluice.Internal)
		wantError(t, "ready with a broken log", w.Service.Ready(), sluice.Internal)
		w.Stop()
	})
}

// A tenant whose destinations hang leaves checks to others.
func TestChecksAreBounded(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		release := w.Kind.Hang()
		check := func(ns string) error {
			_, err := w.Service.CheckDraft(t.Context(), w.Admin, spec(func(s *control.StreamSpec) { s.Namespace = ns }))
			return err
		}
		var under sync.WaitGroup
		begin := func(namespaces ...string) {
			for _, ns := range namespaces {
				under.Go(func() {
					if err := check(ns); err != nil {
						t.Errorf("%s: %v", ns, err)
					}
				})
			}
			synctest.Wait()
		}
		begin("acme", "Acme", "ACME", "acme")
		wantError(t, "too many of one", check("acme"), sluice.RateLimited)
		_, err := w.Service.TestNotices(t.Context(), w.Admin, "acme")
		wantError(t, "a test notice beside them", err, sluice.RateLimited)
		begin("umbra", "umbra", "umbra", "umbra", "globex", "globex", "globex", "globex", "initech", "initech", "initech", "initech")
		wantError(t, "too many in all", check("hooli"), sluice.RateLimited)
		release()
		under.Wait()
		if err := check("acme"); err != nil {
			t.Errorf("when they have ended: %v", err)
		}
	})
}

func TestChecks(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		got, err := w.Service.CheckDraft(ctx, w.Admin, spec())
		if err != nil || !got.OK || len(got.Stages) != 2 {
			t.Errorf("draft: got %+v and error %v, want ok with 2 stages", got, err)
		}
		if n := len(w.Events("audit", "stream.check")); n != 1 {
			t.Errorf("%d events when the check was answered, want 1", n)
		}
		if len(streamsOf(w)) != 0 {
			t.Error("a check created something")
		}
		s := create(t, w)
		w.Kind.Refuse(&destination.Error{Class: destination.Misconfigured, Message: "wrong password"})
		got, err = w.Service.CheckStream(ctx, w.Admin, s.ID)
		if err != nil || got.OK || got.Stages[1].Message != "wrong password" {
			t.Errorf("stream: got %+v and error %v, want the refusal", got, err)
		}
		events := w.Events("audit", "stream.check")
		last := events[len(events)-1]
		if last.Details["ok"] != false || last.Details["failed_stage"] != "accept" || last.TargetID != float64(s.ID) {
			t.Errorf("event: got %s", last.Raw)
		}
		full := func(string) error { return eventlog.ErrFull }
		w.Blocks.Store(&full)
		_, err = w.Service.CheckStream(ctx, w.Admin, s.ID)
		wantError(t, "a check that cannot be recorded", err, sluice.NoSpace)
		w.Blocks.Store(nil)
	})
}

// TestCheckKnowsOfDeliveries: a check of a stream is one of the destination that
// it delivers to, which remembers that events were refused.
func TestCheckKnowsOfDeliveries(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		w.Kind.RefuseEvents(&destination.Error{Class: destination.Misconfigured, Status: 400, Message: "incorrect index"})
		if got, err := w.Service.CheckStream(t.Context(), w.Admin, s.ID); err != nil || !got.OK {
			t.Errorf("check before an event: got %+v and error %v, want ok", got, err)
		}
		if err := accept(w, "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if got, err := w.Service.CheckStream(t.Context(), w.Admin, s.ID); err != nil || got.OK || got.Stages[1].Message != "incorrect index" {
			t.Errorf("check of the held stream: got %+v and error %v, want the refusal", got, err)
		}
	})
}

func TestQuarantine(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		s := create(t, w, func(s *control.StreamSpec) { s.Filter.EventTypes = []string{"git.push"} })
		for what, do := range map[string]func() (int, error){
			"nothing to redeliver": func() (int, error) { return w.Service.Redeliver(ctx, w.Admin, s.ID, control.QuarantineChoice{}) },
			"nothing to drop":      func() (int, error) { return w.Service.Drop(ctx, w.Admin, s.ID, control.QuarantineChoice{}) },
		} {
			if n, err := do(); n != 0 || err != nil {
				t.Errorf("%s: got %d and error %v", what, n, err)
			}
		}
		_, err := w.Service.Drop(ctx, w.Admin, s.ID, control.QuarantineChoice{Events: []deliver.QuarantineKey{{Partition: "attic", Seq: 1}}})
		wantError(t, "unknown partition", err, sluice.Invalid)
		missing := []deliver.QuarantineKey{{Partition: "git", Seq: 999}}
		_, err = w.Service.Drop(ctx, w.Admin, s.ID, control.QuarantineChoice{Events: missing})
		wantError(t, "an event in an empty quarantine", err, sluice.NotFound)
		_, err = w.Service.Quarantine(ctx, w.Admin, s.ID, 1001)
		wantError(t, "limit", err, sluice.Invalid)
		w.Kind.Poison("e2")
		w.Kind.Poison("e4")
		w.Post("acme", "git.push", 5)
		time.Sleep(time.Hour)
		synctest.Wait()
		list, err := w.Service.Quarantine(ctx, w.Admin, s.ID, 0)
		if err != nil || len(list) != 2 || list[0].ID != "e2" {
			t.Fatalf("quarantine: got %+v and error %v, want e2 and e4", list, err)
		}
		_, err = w.Service.Redeliver(ctx, w.Admin, s.ID, control.QuarantineChoice{Events: missing})
		wantError(t, "an event that is not in quarantine", err, sluice.NotFound)
		if n, err := w.Service.Drop(ctx, w.Admin, s.ID, control.QuarantineChoice{Events: []deliver.QuarantineKey{{Partition: "git", Seq: list[0].Seq}, missing[0]}}); n != 1 || err != nil {
			t.Errorf("drop: got %d and error %v, want 1", n, err)
		}
		w.Kind.Poison("")
		for what, c := range map[string]struct {
			which control.QuarantineChoice
			want  sluice.Code
		}{
			"events beside a bound":       {control.QuarantineChoice{Events: missing, UpTo: missing}, sluice.Invalid},
			"a bound without a partition": {control.QuarantineChoice{UpTo: []control.QuarantineKey{{Seq: 4}}}, sluice.Invalid},
			"a bound of nothing":          {control.QuarantineChoice{UpTo: []control.QuarantineKey{{Partition: "git"}}}, sluice.Invalid},
			"too many bounds":             {control.QuarantineChoice{UpTo: slices.Repeat(missing, 3)}, sluice.Invalid},
		} {
			_, err := w.Service.Drop(ctx, w.Admin, s.ID, c.which)
			wantError(t, what, err, c.want)
		}
		for what, last := range map[string]control.QuarantineKey{"before it": {Partition: "git", Seq: list[1].Seq - 1}, "of another partition": {Partition: "audit", Seq: 999}} {
			if n, err := w.Service.Drop(ctx, w.Admin, s.ID, control.QuarantineChoice{UpTo: []control.QuarantineKey{last}}); n != 0 || err != nil {
				t.Errorf("drop up to one %s: got %d and error %v, want 0", what, n, err)
			}
		}
		if n, err := w.Service.Redeliver(ctx, w.Admin, s.ID, control.QuarantineChoice{}); n != 1 || err != nil {
			t.Errorf("redeliver: got %d and error %v, want 1", n, err)
		}
		time.Sleep(time.Minute)
		got, err := w.Service.Stream(ctx, w.Admin, s.ID)
		if err != nil || got.Ledger.Delivered != 4 || got.Ledger.Expired != 1 || got.Ledger.Quarantined != 0 {
			t.Errorf("ledger: got %+v and error %v, want 4 delivered and 1 expired", got.Ledger, err)
		}
		wantTypes(t, w, "quarantine.", "quarantine.redeliver", "quarantine.drop", "quarantine.drop", "quarantine.drop", "quarantine.redeliver")
	})
}

func TestEmit(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		n := deliver.Notice{ID: "gap-1", Type: "stream.gap", Namespace: "acme", Stream: s.ID, Title: "siem", Time: time.Now(), Fields: map[string]any{"first": 3, "last": 9}}
		for _, name := range []string{"other", "third", "siem"} { // what it is called meanwhile
			if err := w.Service.Emit(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Service.UpdateStream(t.Context(), w.Admin, s.ID, control.StreamPatch{Name: &name}); err != nil {
				t.Fatal(err)
			}
		}
		events := w.Events("audit", "stream.gap")
		if len(events) != 1 || events[0].ID != "gap-1" || events[0].TargetDetails != "siem" || events[0].Details["last"] != float64(9) || events[0].EntityPath != "acme" {
			t.Errorf("got %+v, want one event", events)
		}
	})
}

func TestFigures(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		create(t, w)
		w.Kind.Refuse(&destination.Error{Class: destination.Unavailable, Status: 503, Message: "down"})
		w.Post("acme", "git.push", 3)
		time.Sleep(time.Minute)
		figures := w.Service.StreamFigures(t.Context())
		if len(figures) != 1 || figures[0].State.Ledger.Pending < 3 || figures[0].Lag < 59*time.Second {
			t.Errorf("got %+v, want 3 pending for a minute", figures)
		}
		s := streamsOf(w)[0]
		if s.Status != sluice.StatusFailing || s.Health.LastError == nil || s.Health.LastError.Class != "unavailable" || s.Health.NextRetry == nil {
			b, _ := json.Marshal(s)
			t.Errorf("got %s, want a failing stream", b)
		}
	})
}
