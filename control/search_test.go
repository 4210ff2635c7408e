package control_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
		synctest.Wait() // Sluice's own events of the start are in the log
		f(t, w)
		stop()
		wg.Wait()
		w.Stop()
	})
}

func bound(namespace string) control.Principal {
	return control.Principal{ID: "t9", Kind: control.KindAdmin, Namespace: namespace}
}

// Who has roles in several namespaces sees the events of all of them, and of no
// other, without naming one.
func TestSearchInSeveralNamespaces(t *testing.T) {
	searching(t, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		addUser(t, w, "jane", "acme", control.Auditor)
		if _, err := w.Service.SetMember(ctx, w.Admin, control.MemberSpec{Namespace: "Zeta", User: "jane", Role: control.Owner}); err != nil {
			t.Fatal(err)
		}
		w.Post("acme/web", "git.push", 2)
		w.Post("zeta/api", "git.push", 3)
		w.Post("umbra/secret", "git.push", 4)
		synctest.Wait()
		_, jane := signIn(t, w, "jane")
		for phrase, want := range map[string]int{
			"type:git.push": 5, "namespace:zeta type:git.push": 3, "namespace:umbra": 0, "type:git.push -namespace:acme": 3,
		} {
			got, err := w.Service.Events(ctx, jane, control.EventQuery{Phrase: phrase})
			if err != nil || len(got.Events) != want {
				t.Errorf("%s: got %d events and error %v, want %d", phrase, len(got.Events), err, want)
			}
			n, err := w.Service.CountEvents(ctx, jane, control.EventCountQuery{Namespace: "", Phrase: phrase, By: "type"})
			if err != nil || n.Events != uint64(want) {
				t.Errorf("count %s: got %d and error %v, want %d", phrase, n.Events, err, want)
			}
		}
		l, err := w.Service.Follow(ctx, jane, "", "type:git.push", "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		w.Post("umbra/secret", "git.push", 1)
		w.Post("zeta/api", "git.push", 1)
		synctest.Wait()
		e, _, err := l.Next(ctx)
		if err != nil || e == nil || e.Namespace != "zeta/api" {
			t.Errorf("next event: got %+v and error %v, want the one of zeta/api", e, err)
		}
		if e, _, err := l.Next(ctx); e != nil || err != nil {
			t.Errorf("event behind it: got %+v and error %v, want none", e, err)
		}
		_, err = w.Service.Export(ctx, jane, control.ExportQuery{})
		wantError(t, "export without a namespace", err, sluice.Invalid)
	})
}

// Two tenants see their own events, whatever they try.
func TestTenantsSearch(t *testing.T) {
	searching(t, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		w.Post("acme/web", "git.push", 4)
		w.Post("umbra/secret", "user.login", 3)
		synctest.Wait()
		acme, producer := bound("acme"), control.Principal{ID: "t8", Kind: control.KindProducer, Namespace: "acme"}
		for _, c := range []struct {
			control.EventQuery
			want int
		}{
			{control.EventQuery{}, 4},
			{control.EventQuery{Namespace: "ACME/Web"}, 4},
			{control.EventQuery{Namespace: "acme/we"}, 0},
			{control.EventQuery{Phrase: "namespace:umbra"}, 0},
			{control.EventQuery{Phrase: "-namespace:acme"}, 0},
			{control.EventQuery{Phrase: "NOT type:nothing"}, 4},
			{control.EventQuery{Phrase: "action:user.login"}, 0},
			{control.EventQuery{Phrase: "type:git.push"}, 4},
			{control.EventQuery{Namespace: "acme/not/existing"}, 0},
		} {
			query, want := c.EventQuery, c.want
			got, err := w.Service.Events(ctx, acme, query)
			if err != nil || len(got.Events) != want || got.LagSeconds != 0 || got.Missing != 0 || got.Incomplete {
				t.Errorf("%+v: got %d events and error %v, want %d", query, len(got.Events), err, want)
			}
			n, err := w.Service.CountEvents(ctx, acme, control.EventCountQuery{Namespace: query.Namespace, Phrase: query.Phrase, By: "type"})
			if err != nil || n.Events != uint64(want) {
				t.Errorf("count %+v: got %d and error %v, want %d", query, n.Events, err, want)
			}
		}
		for class, want := range map[string]int{"": 4, "audit": 0, "git": 4} {
			if got, err := w.Service.Events(ctx, acme, control.EventQuery{Class: class}); err != nil || len(got.Events) != want {
				t.Errorf("class %q: got %d events and error %v, want %d", class, len(got.Events), err, want)
			}
			if n, err := w.Service.CountEvents(ctx, acme, control.EventCountQuery{Class: class}); err != nil || n.Events != uint64(want) {
				t.Errorf("count of class %q: got %d and error %v, want %d", class, n.Events, err, want)
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
		_, err = w.Service.CountEvents(ctx, acme, control.EventCountQuery{Namespace: "umbra/secret", Phrase: "", By: ""})
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
		_, err := w.Service.CountEvents(t.Context(), w.Admin, control.EventCountQuery{Namespace: "", Phrase: "", By: "hour"})
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

// Conditions beside the phrase, and single events, as other APIs ask for them.
func TestEventsByEntity(t *testing.T) {
	searching(t, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		w.PostRaw(
			`{"id":"1","event_type":"group_created","entity_type":"Group","entity_id":7,"entity_path":"acme","created_at":"2026-03-01T10:00:00Z"}`,
			`{"id":"2","event_type":"group_created","entity_type":"Group","entity_id":8,"entity_path":"acme/platform","created_at":"2026-03-02T10:00:00Z"}`,
			`{"id":"3","event_type":"project_created","entity_type":"Project","entity_id":7,"entity_path":"acme/platform/api","created_at":"2026-03-03T10:00:00Z"}`,
			`{"id":"4","event_type":"group_created","entity_type":"Group","entity_id":7,"entity_path":"umbra","created_at":"2026-03-04T10:00:00Z"}`)
		synctest.Wait()
		acme := bound("acme")
		day := func(n int) time.Time { return time.Date(2026, time.March, n, 10, 0, 0, 0, time.UTC) }
		for _, c := range []struct {
			control.EventQuery
			want string
		}{
			{control.EventQuery{}, "321"},
			{control.EventQuery{Kind: sluice.KindGroup}, "21"},
			{control.EventQuery{Namespace: "acme/platform/api", Also: []string{"Acme/Platform"}}, "32"},
			{control.EventQuery{Kind: "group", Entity: "7"}, "1"},
			{control.EventQuery{Kind: "Project", Entity: "7"}, "3"},
			{control.EventQuery{Namespace: "acme", Exact: true}, "1"},
			{control.EventQuery{Namespace: "ACME/Platform"}, "32"},
			{control.EventQuery{Namespace: "acme/Platform", Exact: true}, "2"},
			{control.EventQuery{From: day(2)}, "32"},
			{control.EventQuery{To: day(2)}, "1"},
			{control.EventQuery{From: day(2), To: day(3)}, "2"},
			{control.EventQuery{From: day(3), To: day(2)}, ""},
			{control.EventQuery{Skip: 1}, "21"},
			{control.EventQuery{Skip: 3}, ""},
			{control.EventQuery{Skip: 1, Limit: 1}, "2"},
			{control.EventQuery{Kind: "Group", Phrase: "namespace:acme/platform"}, "2"},
		} {
			query, want := c.EventQuery, c.want
			found, err := w.Service.Events(ctx, acme, query)
			if got := idsIn(t, found.Events...); err != nil || got != want {
				t.Errorf("%+v: got events %q and error %v, want %q", query, got, err, want)
			}
		}
		for _, query := range []control.EventQuery{{Entity: "7"}, {Skip: -1}, {Skip: search.MaxSkip + 1}} {
			_, err := w.Service.Events(ctx, acme, query)
			wantError(t, "a wrong condition", err, sluice.Invalid)
		}
		_, err := w.Service.Events(ctx, bound(""), control.EventQuery{Exact: true})
		wantError(t, "exactly everything", err, sluice.Invalid)
		_, err = w.Service.Events(ctx, acme, control.EventQuery{Namespace: "acme", Also: []string{"umbra"}})
		wantError(t, "a foreign namespace beside the own", err, sluice.NotFound)

		all, err := w.Service.Events(ctx, bound(""), control.EventQuery{Phrase: "-source:sluice"})
		if err != nil || len(all.Events) != 4 {
			t.Errorf("all: got %d events and error %v, want 4", len(all.Events), err)
		}
		for _, e := range all.Events {
			got, err := w.Service.EventAt(ctx, bound(""), "", e.Partition, e.Seq)
			if err != nil || string(got.Event) != string(e.Event) {
				t.Errorf("event %s %d: got %s and error %v, want %s", e.Partition, e.Seq, got.Event, err, e.Event)
			}
			if _, err = w.Service.EventAt(ctx, acme, "", e.Partition, e.Seq); idsIn(t, e) == "4" {
				wantError(t, "an event of others", err, sluice.NotFound)
			} else if err != nil {
				t.Errorf("event %s %d of the tenant: %v", e.Partition, e.Seq, err)
			}
		}
		_, err = w.Service.EventAt(ctx, acme, "", "audit", 99)
		wantError(t, "an event that is not there", err, sluice.NotFound)
		_, err = w.Service.EventAt(ctx, acme, "umbra", "audit", 1)
		wantError(t, "within others", err, sluice.NotFound)
	})
}

// idsIn returns the ids of events one behind the other.
func idsIn(t *testing.T, events ...control.FoundEvent) (ids string) {
	t.Helper()
	for _, e := range events {
		var fields struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(e.Event, &fields); err != nil {
			t.Fatal(err)
		}
		ids += fields.ID
	}
	return ids
}
