package control_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/store"
)

// counted sums the counts of a type, or of all with "".
func counted(t *testing.T, w *controltest.World, namespace, eventType string, hours int) (sum uint64, in int) {
	t.Helper()
	synctest.Wait()
	list, err := w.Service.Counts(t.Context(), w.Admin, control.CountQuery{Namespace: namespace, Hours: hours})
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
			}{{"acme", "user.add", 3}, {"ACME", "git.push", 2}, {"acme", "", 5}, {"acme/web", "", 3}, {"acme/WEB", "user.add", 3}, {"acme/we", "", 0}, {"umbra", "", 4}, {"", "user.add", 7}, {"nobody", "", 0}} {
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
		list, err := w.Service.Counts(t.Context(), w.Admin, control.CountQuery{Namespace: "acme", Hours: 168})
		if err != nil || len(list) == 0 {
			t.Fatalf("got %v, error %v", list, err)
		}
		if n := len(list[0].Types); n > 65 || list[0].Events != 200 || list[0].Types["other"] == 0 {
			t.Errorf("got %d events of %d types, want 200 of 65 at most", list[0].Events, n)
		}
		_, err = w.Service.Counts(t.Context(), w.Admin, control.CountQuery{Namespace: "acme", Hours: 169})
		wantError(t, "more than a week", err, sluice.Invalid)
		_, err = w.Service.Counts(t.Context(), w.Admin, control.CountQuery{By: "namespace"})
		wantError(t, "the instance by namespace", err, sluice.Invalid)
		_, err = w.Service.Counts(t.Context(), w.Admin, control.CountQuery{Namespace: "acme", By: "day"})
		wantError(t, "by day", err, sluice.Invalid)
		for _, namespace := range []string{"acme", "acme/web", "umbrage"} {
			_, err = w.Service.Counts(t.Context(), control.Principal{Kind: control.KindAdmin, Namespace: "umbra"}, control.CountQuery{Namespace: namespace})
			wantError(t, "somebody else's", err, sluice.NotFound)
		}
	})
}

// Both counts are those that each has alone.
func TestCountsByBoth(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		w.Post("acme/web", "user.add", 2)
		w.Post("acme/api", "git.push", 3)
		time.Sleep(2 * time.Minute)
		count := func(q control.CountQuery) control.HourCounts {
			t.Helper()
			q.Namespace = "acme"
			list, err := w.Service.Counts(t.Context(), w.Admin, q)
			if err != nil || len(list) != 1 {
				t.Fatalf("got %v, error %v, want one hour", list, err)
			}
			return list[0]
		}
		both, types, namespaces := count(control.CountQuery{Both: true}), count(control.CountQuery{}), count(control.CountQuery{By: "namespace"})
		if both.Events != 5 || !maps.Equal(both.Types, types.Types) || !maps.Equal(both.Namespaces, namespaces.Namespaces) {
			t.Errorf("got %+v, want what %+v and %+v have", both, types, namespaces)
		}
		_, err := w.Service.Counts(t.Context(), w.Admin, control.CountQuery{Both: true})
		wantError(t, "the instance by both", err, sluice.Invalid)
	})
}

// Namespaces beyond the bound are summed, and sums are exact.
func TestCountsOfManyNamespaces(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		for i := range 1500 {
			w.Post(fmt.Sprint("acme/team", i), "user.add", 1)
		}
		time.Sleep(2 * time.Minute)
		list, err := w.Service.Counts(t.Context(), w.Admin, control.CountQuery{Namespace: "acme", By: "namespace"})
		if err != nil || len(list) != 1 {
			t.Fatalf("got %v, error %v", list, err)
		}
		h, sum := list[0], list[0].OtherNamespaces
		for _, n := range h.Namespaces {
			sum += n
		}
		if h.Events != 1500 || sum != 1500 || len(h.Namespaces) < 900 || len(h.Namespaces) > 1000 {
			t.Errorf("by namespace: got %d events, a sum of %d, %d namespaces, want 1500 of about 1000", h.Events, sum, len(h.Namespaces))
		}
		list, err = w.Service.Counts(t.Context(), w.Admin, control.CountQuery{Namespace: "acme/team1499"})
		if err != nil || len(list) != 1 || list[0].Events != 0 || list[0].OtherNamespaces != h.OtherNamespaces {
			t.Errorf("one beyond the bound: got %v, error %v", list, err)
		}
		if got, _ := counted(t, w, "acme", "user.add", 24); got != 1500 {
			t.Errorf("by type: got %d, want 1500", got)
		}
	})
}

// pairOfHour is what the counts tell apart.
type pairOfHour struct {
	hour            time.Time
	namespace, name string
}

// wantCounts compares the counts of every namespace with what was posted.
func wantCounts(t *testing.T, w *controltest.World, when string, posted map[pairOfHour]uint64) {
	t.Helper()
	want := map[pairOfHour]uint64{}
	for p, n := range posted {
		scope := p.namespace
		for scope != "" {
			want[pairOfHour{p.hour, scope, p.name}] += n
			at := max(0, strings.LastIndexByte(scope, '/'))
			scope = scope[:at]
		}
		want[pairOfHour{p.hour, "", p.name}] += n
	}
	scopes := map[string]bool{}
	for p := range want {
		scopes[p.namespace] = true
	}
	got := map[pairOfHour]uint64{}
	for scope := range scopes {
		list, err := w.Service.Counts(t.Context(), w.Admin, control.CountQuery{Namespace: scope, Hours: 168})
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		for _, h := range list {
			for name, n := range h.Types { // without what Sluice itself records
				if strings.HasPrefix(name, "posted.") || strings.HasPrefix(name, "git.") {
					got[pairOfHour{h.Time, scope, name}] = n
				}
			}
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("%s: got %d pairs %v\nwant %d pairs %v", when, len(got), got, len(want), want)
	}
}

// Counts are those of a plain map, whatever happens: writes that fail and writes
// that are carried out but fail, restarts, and crashes in the middle of storing.
func TestCountsAreExact(t *testing.T) {
	for seed := range uint64(20) {
		simulate(t, nil, func(t *testing.T, w *controltest.World) {
			r := rand.New(rand.NewPCG(seed, 3))
			namespaces := []string{"acme", "acme/web", "acme/web/shop", "acme/website", "umbra/x", "umbra/x/y/z", "zeta"}
			types := []string{"posted.a", "posted.b", "posted.c", "git.push", "git.clone"}
			posted := map[pairOfHour]uint64{}
			faults := func() {
				failing := func(seed uint64) func(store.Change) error {
					var mu sync.Mutex
					r := rand.New(rand.NewPCG(seed, 4))
					return func(c store.Change) error {
						mu.Lock()
						defer mu.Unlock()
						if strings.HasPrefix(c.Key, "counts/") && r.IntN(3) == 0 {
							return errors.New("injected")
						}
						return nil
					}
				}
				w.Store.SetBefore(failing(r.Uint64()))
				w.Store.SetAfter(failing(r.Uint64()))
			}
			for step := 0; step < 60 && !t.Failed(); step++ {
				switch r.IntN(12) {
				case 0:
					w.Restart()
				case 1:
					w.Crash()
				case 2:
					faults()
				case 3:
					time.Sleep(time.Duration(r.Int64N(int64(2 * time.Hour))))
				case 4, 5:
					time.Sleep(time.Duration(r.Int64N(int64(2 * time.Minute))))
				case 6:
					synctest.Wait()
					wantCounts(t, w, fmt.Sprintf("seed %d, step %d", seed, step), posted)
				default:
					namespace, name, n := namespaces[r.IntN(len(namespaces))], types[r.IntN(len(types))], r.IntN(5)+1
					posted[pairOfHour{time.Now().UTC().Truncate(time.Hour), namespace, name}] += uint64(n)
					w.Post(namespace, name, n)
				}
			}
			synctest.Wait()
			wantCounts(t, w, fmt.Sprintf("seed %d, at the end", seed), posted)
		})
	}
}
