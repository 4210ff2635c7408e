package control_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
)

// A preview counts what a stream with the filter delivers, by day and by type.
func TestPreview(t *testing.T) {
	var ahead atomic.Int64 // nanoseconds that control's clock is ahead: what is old to it need not be
	configure := func(c *control.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	}
	searchingWith(t, configure, func(t *testing.T, w *controltest.World) {
		for day := range 3 {
			w.Post("umbra/web", "git.push", 10*(day+1))
			w.Post("umbra/api", "user.add", 2)
			w.Post("initech", "user.add", 5)
			if day < 2 {
				time.Sleep(24 * time.Hour)
			}
		}
		ahead.Store(int64(5 * 24 * time.Hour)) // the first day is the eighth from the last
		synctest.Wait()
		for name, c := range map[string]struct {
			f                   sluice.Filter
			delivered, filtered uint64
			newest              control.PreviewCounts // of the days with events
			types               string
		}{
			"everything": {sluice.Filter{}, 54, 0, control.PreviewCounts{Delivered: 32}, "[{git.push {50 0}} {user.add {4 0}}]"},
			"a type":     {sluice.Filter{EventTypes: []string{"git.push"}}, 50, 4, control.PreviewCounts{Delivered: 30, Filtered: 2}, "[{git.push {50 0}} {user.add {0 4}}]"},
			"not a type": {sluice.Filter{ExcludedEventTypes: []string{"git.push"}}, 4, 50, control.PreviewCounts{Delivered: 2, Filtered: 30}, "[{user.add {4 0}} {git.push {0 50}}]"},
			"a project":  {sluice.Filter{Namespaces: []string{"umbra/api", "umbra/none"}}, 4, 50, control.PreviewCounts{Delivered: 2, Filtered: 30}, "[{user.add {4 0}} {git.push {0 50}}]"},
			"nothing":    {sluice.Filter{Namespaces: []string{"umbra/api"}, EventTypes: []string{"git.push"}}, 0, 54, control.PreviewCounts{Filtered: 32}, "[{git.push {0 50}} {user.add {0 4}}]"},
		} {
			got, err := w.Service.PreviewStream(t.Context(), bound("umbra"), control.StreamSpec{Namespace: "Umbra", Filter: c.f})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got.Delivered != c.delivered || got.Filtered != c.filtered || len(got.Days) != 7 || got.Days[5].PreviewCounts != c.newest || fmt.Sprint(got.Types) != c.types {
				t.Errorf("%s: got %+v", name, got)
			}
		}
		whole, err := w.Service.PreviewStream(t.Context(), w.Admin, control.StreamSpec{Filter: sluice.Filter{EventTypes: []string{"user.add"}}})
		if err != nil || whole.Delivered != 14 {
			t.Errorf("the instance: got %+v and error %v, want 14 delivered", whole, err)
		}
		_, there := w.Service.PreviewStream(t.Context(), bound("umbra"), control.StreamSpec{Namespace: "initech"})
		_, absent := w.Service.PreviewStream(t.Context(), bound("umbra"), control.StreamSpec{Namespace: "nobody"})
		wantError(t, "another tenant", there, sluice.NotFound)
		if there.Error() != absent.Error() {
			t.Errorf("an existing tenant: got %q, an absent one %q: want no difference", there, absent)
		}
		_, err = w.Service.PreviewStream(t.Context(), bound("umbra"), control.StreamSpec{})
		wantError(t, "the instance, for a tenant", err, sluice.NotFound)
		for name, spec := range map[string]control.StreamSpec{
			"below": {Namespace: "umbra/web"}, "filter": {Namespace: "umbra", Filter: sluice.Filter{Namespaces: []string{"initech"}}},
		} {
			_, err := w.Service.PreviewStream(t.Context(), w.Admin, spec)
			wantError(t, name, err, sluice.Invalid)
		}
	})
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		_, err := w.Service.PreviewStream(t.Context(), w.Admin, control.StreamSpec{Namespace: "acme"})
		wantError(t, "without an index", err, sluice.Unsupported)
	})
}
