package control_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/search"
)

// searching runs f in a world that has a search index.
func searching(t *testing.T, f func(t *testing.T, w *controltest.World)) {
	t.Helper()
	searchingWith(t, func(*control.Config) {}, f)
}

func searchingWith(t *testing.T, configure func(*control.Config), f func(t *testing.T, w *controltest.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var s *search.Service
		w := controltest.New(t, func(c *control.Config) {
			s = search.New(search.Config{Log: c.Log, Engine: index.NewMemory()})
			c.Search = s
			configure(c)
		})
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Run(ctx) })
		f(t, w)
		stop()
		wg.Wait()
		w.Stop()
	})
}

func bound(namespace string) control.Principal {
	return control.Principal{ID: "t9", Kind: control.KindAdmin, Namespace: namespace}
}

// Two tenants see their own events, whatever they try.
func TestTenantsSearch(t *testing.T) {
	searching(t, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		w.Post("acme/web", "git.push", 4)
		w.Post("umbra/secret", "user.login", 3)
		synctest.Wait()
		acme, producer := bound("acme"), control.Principal{ID: "t8", Kind: control.KindProducer, Namespace: "acme"}
		for query, want := range map[control.EventQuery]int{
			{}:                               4,
			{Namespace: "ACME/Web"}:          4,
			{Namespace: "acme/we"}:           0,
			{Phrase: "namespace:umbra"}:      0,
			{Phrase: "-namespace:acme"}:      0,
			{Phrase: "NOT type:nothing"}:     4,
			{Phrase: "action:user.login"}:    0,
			{Phrase: "type:git.push"}:        4,
			{Namespace: "acme/not/existing"}: 0,
		} {
			got, err := w.Service.Events(ctx, acme, query)
			if err != nil || len(got.Events) != want || got.LagSeconds != 0 || got.Missing != 0 || got.Incomplete {
				t.Errorf("%+v: got %d events and error %v, want %d", query, len(got.Events), err, want)
			}
			n, err := w.Service.CountEvents(ctx, acme, query.Namespace, query.Phrase, "type")
			if err != nil || n.Events != uint64(want) {
				t.Errorf("count %+v: got %d and error %v, want %d", query, n.Events, err, want)
			}
		}
		for class, want := range map[string]int{"": 4, "audit": 0, "git": 4} {
			if got, err := w.Service.Events(ctx, acme, control.EventQuery{Class: class}); err != nil || len(got.Events) != want {
				t.Errorf("class %q: got %d events and error %v, want %d", class, len(got.Events), err, want)
			}
		}
		_, err := w.Service.Events(ctx, acme, control.EventQuery{Class: "other"})
		wantError(t, "a class that is none", err, sluice.Invalid)
		_, there := w.Service.Events(ctx, acme, control.EventQuery{Namespace: "umbra"})
		_, absent := w.Service.Events(ctx, acme, control.EventQuery{Namespace: "nobody"})
		wantError(t, "another tenant", there, sluice.NotFound)
		if there.Error() != absent.Error() {
			t.Errorf("an existing tenant: got %q, an absent one %q: want no difference", there, absent)
		}
		_, err = w.Service.CountEvents(ctx, acme, "umbra/secret", "", "")
		wantError(t, "counts of another tenant", err, sluice.NotFound)
		_, err = w.Service.Events(ctx, producer, control.EventQuery{})
		wantError(t, "a producer", err, sluice.Forbidden)
		_, err = w.Service.IndexStatus(ctx, acme)
		wantError(t, "figures of the installation", err, sluice.NotFound)

		mine, err := w.Service.Events(ctx, acme, control.EventQuery{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Service.Events(ctx, bound("umbra"), control.EventQuery{Limit: 1, After: mine.Next})
		wantError(t, "a cursor of another tenant", err, sluice.Invalid)

		all, err := w.Service.Events(ctx, w.Admin, control.EventQuery{Order: "asc", Limit: 1000, Phrase: "namespace:acme OR namespace:umbra"})
		if err != nil || len(all.Events) != 7 || all.More {
			t.Errorf("an administrator: got %d events and error %v, want 7", len(all.Events), err)
		}
	})
}

func TestEventsAsTheyAre(t *testing.T) {
	searching(t, func(t *testing.T, w *controltest.World) {
		w.Post("acme/web", "git.push", 1)
		create(t, w)
		synctest.Wait()
		got, err := w.Service.Events(t.Context(), w.Admin, control.EventQuery{Namespace: "acme", Phrase: "type:stream.create"})
		if err != nil || len(got.Events) != 1 || got.Events[0].Source != "sluice" || got.Events[0].Partition != "audit" {
			t.Fatalf("own events: got %+v and error %v", got, err)
		}
		stored := w.Events("audit", "stream.create")[0].Raw
		if string(got.Events[0].Event) != string(stored) {
			t.Errorf("got %s, want %s", got.Events[0].Event, stored)
		}
		if text, err := json.Marshal(got); err != nil || !json.Valid(text) {
			t.Errorf("got %s and error %v", text, err)
		}
	})
}

func TestBadEventQueries(t *testing.T) {
	searching(t, func(t *testing.T, w *controltest.World) {
		synctest.Wait()
		for name, q := range map[string]control.EventQuery{
			"order":     {Order: "sideways"},
			"limit":     {Limit: 1001},
			"no number": {Limit: -1},
			"phrase":    {Phrase: `actor:"mona`},
			"range":     {Phrase: "created:2026-02-01..2026-01-01"},
			"namespace": {Namespace: "acme//web"},
			"cursor":    {After: "x"},
			"both":      {After: "x", Before: "x"},
		} {
			_, err := w.Service.Events(t.Context(), w.Admin, q)
			wantError(t, name, err, sluice.Invalid)
		}
		_, err := w.Service.CountEvents(t.Context(), w.Admin, "", "", "hour")
		wantError(t, "by", err, sluice.Invalid)
		figures, err := w.Service.IndexStatus(t.Context(), w.Admin)
		if err != nil || len(figures) != 2 || figures[0].State != "following" {
			t.Errorf("status: got %+v and error %v", figures, err)
		}
	})
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		_, err := w.Service.Events(t.Context(), w.Admin, control.EventQuery{})
		wantError(t, "without an index", err, sluice.Unsupported)
		if list := w.Service.Indexes(t.Context()); len(list) != 0 {
			t.Errorf("without an index: got figures %+v", list)
		}
	})
}
