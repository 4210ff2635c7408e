package control_test

import (
	"testing"
	"testing/synctest"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
)

// Two tenants follow their own events, whatever they try.
func TestTenantsFollow(t *testing.T) {
	searching(t, func(t *testing.T, w *controltest.World) {
		synctest.Wait()
		follow := func(p control.Principal, namespace, phrase, after string) *control.Live {
			t.Helper()
			l, err := w.Service.Follow(t.Context(), p, namespace, phrase, "", after)
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		count := func(l *control.Live) (n int) {
			t.Helper()
			for {
				e, _, err := l.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if e == nil {
					return n
				}
				n++
			}
		}
		acme := bound("acme")
		all, web, nothing, not := follow(acme, "", "", ""), follow(acme, "ACME/Web", "", ""), follow(acme, "", "namespace:umbra", ""), follow(acme, "", "-namespace:acme", "")
		w.Post("acme/web", "git.push", 4)
		w.Post("umbra/secret", "user.login", 3)
		w.Post("acme/webs", "user.login", 2)
		for name, c := range map[string]struct {
			l    *control.Live
			want int
		}{"all": {all, 6}, "below": {web, 4}, "another tenant's": {nothing, 0}, "all but its own": {not, 0}} {
			if got := count(c.l); got < c.want || got > c.want && name != "all" {
				t.Errorf("%s: got %d events, want %d", name, got, c.want)
			}
			c.l.Close()
		}
		_, there := w.Service.Follow(t.Context(), acme, "umbra", "", "", "")
		_, absent := w.Service.Follow(t.Context(), acme, "nobody", "", "", "")
		wantError(t, "another tenant", there, sluice.NotFound)
		if there.Error() != absent.Error() {
			t.Errorf("an existing tenant: got %q, an absent one %q: want no difference", there, absent)
		}
		_, err := w.Service.Follow(t.Context(), control.Principal{ID: "t8", Kind: control.KindProducer, Namespace: "acme"}, "", "", "", "")
		wantError(t, "a producer", err, sluice.Forbidden)
		_, err = w.Service.Follow(t.Context(), bound("umbra"), "", "", "", all.Cursor())
		wantError(t, "a cursor of another tenant", err, sluice.Invalid)
		_, err = w.Service.Follow(t.Context(), acme, "", `actor:"`, "", "")
		wantError(t, "a broken phrase", err, sluice.Invalid)

		var open []*control.Live
		for range 16 {
			open = append(open, follow(w.Admin, "acme/web", "", ""))
		}
		_, err = w.Service.Follow(t.Context(), w.Admin, "acme", "", "", "")
		wantError(t, "too many of one", err, sluice.RateLimited)
		follow(w.Admin, "umbra", "", "").Close()
		for _, l := range open {
			l.Close()
			l.Close()
		}
		follow(w.Admin, "acme", "", "").Close()
	})
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		_, err := w.Service.Follow(t.Context(), w.Admin, "", "", "", "")
		wantError(t, "without an index", err, sluice.Unsupported)
	})
}
