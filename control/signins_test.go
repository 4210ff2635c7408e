package control_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
)

func TestSignInsAreCounted(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		if w.Service.AnyUsers() {
			t.Error("there are users before the first is made")
		}
		addUser(t, w, "jane", "", "")
		if !w.Service.AnyUsers() {
			t.Error("there is no user after the first was made")
		}
		cookie, _ := signIn(t, w, "jane")
		signIn(t, w, "jane")
		for range 6 {
			_, _ = w.Service.SignIn(t.Context(), "jane", "a wrong password", netip.Addr{})
		}
		want := control.SignIns{Succeeded: 2, Refused: 5, Delayed: 1}
		if got := w.Service.SignIns(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if got := w.Service.LiveSessions(); got != 2 {
			t.Errorf("got %d sessions, want 2", got)
		}
		if err := w.Service.SignOut(t.Context(), cookie); err != nil {
			t.Fatal(err)
		}
		if got := w.Service.LiveSessions(); got != 1 {
			t.Errorf("after one signed out: got %d sessions, want 1", got)
		}
		time.Sleep(control.SessionIdle)
		if got := w.Service.LiveSessions(); got != 0 {
			t.Errorf("after a long rest: got %d sessions, want 0", got)
		}
	})
}
