package control_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
