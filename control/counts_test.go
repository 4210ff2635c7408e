package control_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
)

// counted sums the counts of a type, or of all with "".
func counted(t *testing.T, w *controltest.World, namespace, eventType string, hours int) (sum uint64, in int) {
	t.Helper()
	synctest.Wait()
	list, err := w.Service.Counts(t.Context(), w.Admin, namespace, hours)
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range list {
		if i > 0 && !h.Time.After(list[i-1].Time) {
			t.Errorf("hours: got %s after %s", h.Time, list[i-1].Time)
		}
		if eventType == "" {
			sum += h.Events
		} else {
			sum += h.Types[eventType]
		}
	}
	return sum, len(list)
}

func TestCounts(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		w.Post("Acme/web", "user.add", 3)
		w.Post("acme", "git.push", 2)
		w.Post("umbra", "user.add", 4)
		check := func(when string) {
			t.Helper()
			for _, c := range []struct {
				namespace, eventType string
				want                 uint64
			}{{"acme", "user.add", 3}, {"ACME", "git.push", 2}, {"acme", "", 5}, {"umbra", "", 4}, {"", "user.add", 7}, {"nobody", "", 0}} {
				if got, _ := counted(t, w, c.namespace, c.eventType, 24); got != c.want {
					t.Errorf("%s: %q of %q: got %d, want %d", when, c.eventType, c.namespace, got, c.want)
				}
			}
		}
		time.Sleep(time.Second)
		check("at once")
		time.Sleep(2 * time.Minute)
		check("stored")
		w.Restart()
		check("after a restart")
		w.Crash()
		check("after a crash")
		time.Sleep(3 * time.Hour)
		w.Post("acme", "user.add", 1)
		time.Sleep(time.Second)
		if got, hours := counted(t, w, "acme", "user.add", 24); got != 4 || hours != 2 {
			t.Errorf("later: got %d in %d hours, want 4 in 2", got, hours)
		}
		if got, _ := counted(t, w, "acme", "", 1); got != 1 {
			t.Errorf("the last hour: got %d, want 1", got)
		}
	})
}

func TestCountsAreBounded(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		for i := range 200 {
			w.Post("acme", fmt.Sprint("type", i), 1)
		}
		time.Sleep(2 * time.Minute)
		list, err := w.Service.Counts(t.Context(), w.Admin, "acme", 168)
		if err != nil || len(list) == 0 {
			t.Fatalf("got %v, error %v", list, err)
		}
		if n := len(list[0].Types); n > 65 || list[0].Events != 200 || list[0].Types["other"] == 0 {
			t.Errorf("got %d events of %d types, want 200 of 65 at most", list[0].Events, n)
		}
		_, err = w.Service.Counts(t.Context(), w.Admin, "acme", 169)
		wantError(t, "more than a week", err, sluice.Invalid)
		_, err = w.Service.Counts(t.Context(), control.Principal{Kind: control.KindAdmin, Namespace: "umbra"}, "acme", 1)
		wantError(t, "somebody else's", err, sluice.NotFound)
	})
}
