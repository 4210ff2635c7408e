package control_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
)

// A stream has samples from when it was made on, whoever was looked at before.
func TestLag(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		time.Sleep(25 * time.Minute) // from midnight
		s := create(t, w)
		w.Kind.Refuse(errDown)
		w.Post("acme", "user.add", 3)
		time.Sleep(20 * time.Minute)
		list, err := w.Service.Lag(t.Context(), w.Admin, s.ID, 0)
		if err != nil || len(list) != 2 || list[0].Time.Format("15:04") != "00:30" || list[0].Events < 3 || list[1].Seconds != list[0].Seconds+600 {
			t.Errorf("got %+v and error %v, want samples of 00:30 and 00:40 with 3 events or more, the oldest the same", list, err)
		}
		for _, hours := range []int{-1, 7*24 + 1} {
			_, err := w.Service.Lag(t.Context(), w.Admin, s.ID, hours)
			wantError(t, fmt.Sprint("hours ", hours), err, sluice.Invalid)
		}
		time.Sleep(2 * time.Hour)
		if list, err := w.Service.Lag(t.Context(), w.Admin, s.ID, 1); err != nil || len(list) != 6 {
			t.Errorf("one hour: got %+v and error %v, want six samples", list, err)
		}
		other := control.Principal{ID: "t9", Kind: control.KindAdmin, Namespace: "umbra"}
		_, err = w.Service.Lag(t.Context(), other, s.ID, 1)
		wantError(t, "somebody else's lag", err, sluice.NotFound)
	})
}
