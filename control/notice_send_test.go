package control_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/notice"
	"github.com/sluicelog/sluice/store"
)

// noticed sends notices about streams of acme to one address.
func noticed(t *testing.T, w *controltest.World) {
	t.Helper()
	if _, err := w.Service.SetNotices(t.Context(), w.Admin, "acme", []control.Address{{Kind: notice.HTTP, Address: "https://hooks.example/1"}}); err != nil {
		t.Fatal(err)
	}
}

// A notice that is on its way is not sent again because there is another one.
func TestNoticesBehindOneThatHangs(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		noticed(t, w)
		release := w.Sender.Hang()
		w.Kind.Refuse(errDenied)
		w.Post("acme", "user.add", 1)
		time.Sleep(time.Minute)
		w.Kind.Refuse(nil)
		if _, err := w.Service.RetryStream(t.Context(), w.Admin, s.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		wantStates(t, w, "well again", "held", "recovered")
		if got := w.Sender.Tries(); got != 1 {
			t.Errorf("while the first notice hangs: got %d tries, want 1", got)
		}
		release()
		time.Sleep(time.Minute)
		synctest.Wait()
		got := w.Sender.Got()
		if len(got) != 2 || got[0].Type != "stream.held" || got[1].Type != "stream.recovered" {
			t.Errorf("got notices %+v, want one about each state, in order", got)
		}
	})
}

// A notice that arrived is not sent again because the control state takes no record
// of it; one that failed is tried again at its times.
func TestNoticesWhileNothingCanBeStored(t *testing.T) {
	for _, fails := range []error{nil, errors.New("gone")} {
		simulate(t, nil, func(t *testing.T, w *controltest.World) {
			create(t, w)
			noticed(t, w)
			release := w.Sender.Hang()
			w.Sender.Fail(fails)
			w.Kind.Refuse(errDenied)
			w.Post("acme", "user.add", 1)
			time.Sleep(time.Minute)
			w.Store.SetBefore(func(c store.Change) error {
				if strings.HasPrefix(c.Key, "stream/") {
					return store.ErrFull
				}
				return nil
			})
			release()
			time.Sleep(time.Minute)
			if got := w.Sender.Tries(); fails == nil && got != 1 || got > 3 {
				t.Errorf("sends end with %v, and nothing can be stored for a minute: got %d tries", fails, got)
			}
			w.Store.SetBefore(nil)
			w.Sender.Fail(nil)
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			if got := w.Sender.Got(); len(got) != 1 || strings.Contains(w.Records(), `"notices"`) {
				t.Errorf("sends end with %v: got notices %+v, want one, and nothing left to send", fails, got)
			}
		})
	}
}

// An owner can name anybody's address: tests are bounded, and take nothing from what
// streams tell.
func TestTestsOfNoticesAreBounded(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		create(t, w)
		var list []control.Address
		for i := range 10 {
			list = append(list, control.Address{Kind: notice.Email, Address: fmt.Sprintf("p%d@elsewhere.example", i)})
		}
		if _, err := w.Service.SetNotices(t.Context(), w.Admin, "acme", list); err != nil {
			t.Fatal(err)
		}
		test := func() error {
			_, err := w.Service.TestNotices(t.Context(), w.Admin, "ACME")
			return err
		}
		for range 3 {
			if err := test(); err != nil {
				t.Fatal(err)
			}
		}
		err := test()
		wantError(t, "a fourth test of ten addresses", err, sluice.RateLimited)
		if got := w.Sender.Tries(); got != 30 {
			t.Errorf("got %d notices, want 30", got)
		}
		w.Kind.Refuse(errDenied)
		w.Post("acme", "user.add", 1)
		time.Sleep(time.Minute)
		if got := w.Sender.Tries(); got != 40 {
			t.Errorf("a stream is held: got %d notices, want ten more", got)
		}
		if e, ok := errors.AsType[*sluice.Error](err); ok {
			time.Sleep(e.Wait)
		}
		if err := test(); err != nil {
			t.Errorf("as late as the refusal said: %v", err)
		}
	})
}
