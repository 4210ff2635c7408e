package control_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/notice"
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
