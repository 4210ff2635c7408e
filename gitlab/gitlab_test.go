package gitlab_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	client "gitlab.com/gitlab-org/api/client-go"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/gitlab"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/search"
)

// world is a server that has events and an index, without a network.
type world struct {
	*controltest.World
	t   *testing.T
	api *gitlab.API
}

func simulate(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var s *search.Service
		cw := controltest.New(t, func(c *control.Config) {
			s = search.New(search.Config{Log: c.Log, Engine: index.NewMemory()})
			c.Search = s
		})
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Run(ctx) })
		f(&world{cw, t, gitlab.New(gitlab.Config{Service: cw.Service, Logger: cw.Logger()})})
		stop()
		wg.Wait()
		cw.Stop()
	})
}

// RoundTrip answers a client's request.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	out := rec.Result()
	out.Request = r
	return out, nil
}

func (w *world) client(token string) *client.Client {
	c, err := client.NewClient(token, client.WithBaseURL("https://sluice.example/api/v4"), client.WithoutRetries(),
		client.WithHTTPClient(&http.Client{Transport: w}), client.WithCustomLimiter(free{}))
	if err != nil {
		w.t.Error(err)
	}
	return c
}

// free is a limiter that never waits.
type free struct{}

func (free) Wait(context.Context) error { return nil }

// fill posts events of a group and a project in both vocabularies, and of others.
func (w *world) fill() {
	var events []string
	for i := range 45 {
		at := time.Date(2026, time.March, 1+i/15, 8, i, 0, 0, time.UTC).Format(time.RFC3339)
		events = append(events,
			fmt.Sprintf(`{"id":%d,"event_type":"group_name_updated","author_id":7,"author_name":"Ada","entity_type":"Group","entity_id":22,"entity_path":"acme","created_at":%q,"target_id":22,"target_type":"Group","target_details":"acme","details":{"change":"name","from":"a","to":%d,"custom_message":{"protocol":"ssh"}},"ip_address":"10.0.0.1"}`, 1000+i, at, i),
			fmt.Sprintf(`{"id":"p%d","event_type":"project_created","author_id":-1,"author_name":"Bo","entity_type":"Project","entity_id":23,"entity_path":"acme/platform/api","created_at":%q,"details":{"custom_message":"made"}}`, i, at))
	}
	events = append(events,
		`{"_document_id":"gh1","action":"repo.create","actor":"mona","actor_id":99,"business":"acme","org":"web","repo":"web/site","repo_id":501,"created_at":1772500000000,"actor_ip":"192.0.2.9"}`,
		`{"id":"clone","event_type":"repository_git_operation","author_name":"Ada","entity_type":"Project","entity_path":"acme/platform/api"}`,
		`{"id":"theirs","event_type":"group_created","entity_type":"Group","entity_id":30,"entity_path":"umbra","author_id":1}`)
	for part := range slices.Chunk(events, 20) {
		w.PostRaw(part...)
		time.Sleep(time.Second)
	}
	synctest.Wait()
}

type lister func(client.PaginationOptionFunc) ([]*client.AuditEvent, *client.Response, error)

// The client walks over all pages of each list, by number and by cursor.
func TestListsWithTheOfficialClient(t *testing.T) {
	simulate(t, func(w *world) {
		t := w.t // of the simulation
		w.fill()
		api := w.client(w.AdminToken).AuditEvents
		day2 := time.Date(2026, time.March, 2, 0, 0, 0, 0, time.UTC)
		for _, page := range []client.ListOptions{{PerPage: 10}, {}, {PerPage: 100}, {PerPage: 7, Pagination: "keyset", OrderBy: "id", Sort: "desc"}} {
			all := &client.ListAuditEventsOptions{ListOptions: page}
			early := &client.ListAuditEventsOptions{ListOptions: page, CreatedBefore: &day2}
			for _, c := range []struct {
				name string
				list lister
				want int
			}{
				{"group by path", func(p client.PaginationOptionFunc) ([]*client.AuditEvent, *client.Response, error) {
					return api.ListGroupAuditEvents("Acme", all, p)
				}, 45},
				{"group by number", func(p client.PaginationOptionFunc) ([]*client.AuditEvent, *client.Response, error) {
					return api.ListGroupAuditEvents(22, all, p)
				}, 45},
				{"group, a day", func(p client.PaginationOptionFunc) ([]*client.AuditEvent, *client.Response, error) {
					return api.ListGroupAuditEvents("acme", early, p)
				}, 15},
				{"project", func(p client.PaginationOptionFunc) ([]*client.AuditEvent, *client.Response, error) {
					return api.ListProjectAuditEvents("acme/platform/api", all, p)
				}, 45},
				{"project by number", func(p client.PaginationOptionFunc) ([]*client.AuditEvent, *client.Response, error) {
					return api.ListProjectAuditEvents(501, all, p)
				}, 1},
				{"group without events of its own", func(p client.PaginationOptionFunc) ([]*client.AuditEvent, *client.Response, error) {
					return api.ListGroupAuditEvents("acme/platform", all, p)
				}, 0},
			} {
				got, err := client.ScanAndCollect(c.list)
				if err != nil || len(got) != c.want {
					t.Errorf("%s, %+v: got %d events and error %v, want %d", c.name, page, len(got), err, c.want)
				}
				for i := 1; i < len(got); i++ {
					if got[i].ID >= got[i-1].ID {
						t.Errorf("%s, %+v: id %d behind %d, want falling ones", c.name, page, got[i].ID, got[i-1].ID)
					}
				}
			}
			mine, err := client.ScanAndCollect(func(p client.PaginationOptionFunc) ([]*client.AuditEvent, *client.Response, error) {
				return api.ListInstanceAuditEvents(all, p)
			})
			mine = slices.DeleteFunc(mine, func(e *client.AuditEvent) bool { return e.EventName == "token.create" })
			if err != nil || len(mine) != 92 {
				t.Errorf("instance, %+v: got %d events and error %v, want 92", page, len(mine), err)
			}
		}
	})
}

// Pages by number miss nothing although less fits into an answer of the search, and
// one that cannot be put together is refused.
func TestPagesOfLargeEvents(t *testing.T) {
	simulate(t, func(w *world) {
		t := w.t // of the simulation
		const events = 20
		text := strings.Repeat("x", 1020<<10)
		for i := range events {
			w.PostRaw(fmt.Sprintf(`{"id":"large%d","event_type":"group_name_updated","entity_type":"Group","entity_path":"acme","details":{"change":%q}}`, i, text))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		list := func(page client.ListOptions) ([]*client.AuditEvent, error) {
			return client.ScanAndCollect(func(p client.PaginationOptionFunc) ([]*client.AuditEvent, *client.Response, error) {
				return w.client(w.AdminToken).AuditEvents.ListGroupAuditEvents("acme", &client.ListAuditEventsOptions{ListOptions: page}, p)
			})
		}
		if got, err := list(client.ListOptions{PerPage: 10}); err != nil || len(got) != events {
			t.Errorf("10 on a page: got %d events and error %v, want %d", len(got), err, events)
		}
		_, err := list(client.ListOptions{PerPage: 100})
		e, ok := errors.AsType[*client.ErrorResponse](err)
		if !ok || e.Response.StatusCode != http.StatusBadRequest || !strings.Contains(e.Message, "ask for fewer on a page") {
			t.Errorf("all on one page: got error %v, want it refused", e)
		}
	})
}

// Behind a proxy links lead to where clients reach it, since they follow them with
// their tokens.
func TestLinksBehindAProxy(t *testing.T) {
	simulate(t, func(w *world) {
		t := w.t // of the simulation
		w.fill()
		for external, want := range map[string]string{"": "http://upstream:8080", "https://sluice.example": "https://sluice.example"} {
			api := gitlab.New(gitlab.Config{Service: w.Service, External: external})
			for _, query := range []string{"per_page=1", "per_page=1&pagination=keyset"} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v4/projects/acme%2Fplatform%2Fapi/audit_events?"+query, nil)
				r.Host = "upstream:8080"
				r.Header.Set("PRIVATE-TOKEN", w.AdminToken)
				rec := httptest.NewRecorder()
				api.ServeHTTP(rec, r)
				if got := rec.Header().Get("Link"); !strings.HasPrefix(got, "<"+want+"/api/v4/projects/acme%2Fplatform%2Fapi/audit_events?") || strings.Contains(got, "upstream") != (external == "") {
					t.Errorf("%q, %s: got status %d and links %q, want %s", external, query, rec.Code, got, want)
				}
			}
		}
	})
}

// The cursors of both directions lead over the same pages.
func TestCursorsThereAndBack(t *testing.T) {
	simulate(t, func(w *world) {
		t := w.t // of the simulation
		w.fill()
		page := func(cursor string) (body string, h http.Header) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v4/groups/acme/audit_events?pagination=keyset&per_page=10&cursor="+cursor, nil)
			r.Header.Set("PRIVATE-TOKEN", w.AdminToken)
			rec := httptest.NewRecorder()
			w.api.ServeHTTP(rec, r)
			if rec.Code != http.StatusOK {
				t.Errorf("cursor %q: got status %d with %s", cursor, rec.Code, rec.Body)
			}
			return rec.Body.String(), rec.Header()
		}
		var there, back []string
		var h http.Header
		for cursor := ""; cursor != "" || there == nil; cursor = h.Get("X-Next-Cursor") {
			var body string
			body, h = page(cursor)
			there = append(there, body)
		}
		back = append(back, there[len(there)-1])
		for range len(there) {
			cursor := h.Get("X-Prev-Cursor")
			if cursor == "" {
				break
			}
			var body string
			body, h = page(cursor)
			back = append(back, body)
			if h.Get("X-Next-Cursor") == "" || h.Get("Link") == "" {
				t.Errorf("page %d from the end: nothing leads on", len(back))
			}
		}
		slices.Reverse(back)
		if len(there) != 5 || !slices.Equal(there, back) {
			t.Errorf("got %d pages there and %d back, want the same five", len(there), len(back))
		}
	})
}

// Events of both vocabularies decode, and single ones are those of the lists.
func TestEventsWithTheOfficialClient(t *testing.T) {
	simulate(t, func(w *world) {
		t := w.t // of the simulation
		w.fill()
		api := w.client(w.AdminToken).AuditEvents
		group, _, err := api.ListGroupAuditEvents("acme", &client.ListAuditEventsOptions{ListOptions: client.ListOptions{PerPage: 1}})
		if err != nil || len(group) != 1 {
			t.Errorf("list: got %d events and error %v, want 1", len(group), err)
			return
		}
		e := group[0]
		d := e.Details
		if e.AuthorID != 7 || e.EntityID != 22 || e.EntityType != "Group" || e.EventName != "group_name_updated" || d.AuthorName != "Ada" || d.Change != "name" ||
			d.From != "a" || d.To != "44" || d.CustomMessage != `{"protocol":"ssh"}` || d.IPAddress != "10.0.0.1" || d.EntityPath != "acme" || d.TargetDetails != "acme" {
			t.Errorf("event: got %+v", e)
		}
		one, _, err := api.GetGroupAuditEvent("acme", e.ID)
		if err != nil || fmt.Sprint(one) != fmt.Sprint(e) {
			t.Errorf("single: got %+v and error %v, want %+v", one, err, e)
		}
		if one, _, err = api.GetInstanceAuditEvent(e.ID); err != nil || fmt.Sprint(one) != fmt.Sprint(e) {
			t.Errorf("single of the instance: got %+v and error %v, want %+v", one, err, e)
		}
		theirs, _, err := api.ListProjectAuditEvents("acme/web/site", nil)
		if err != nil || len(theirs) != 1 {
			t.Errorf("GitHub's: got %d events and error %v, want 1", len(theirs), err)
			return
		}
		if e := theirs[0]; e.AuthorID != 99 || e.EntityID != 501 || e.EntityType != "Project" || e.EventName != "repo.create" || e.Details.AuthorName != "mona" ||
			e.Details.EntityPath != "acme/web/site" || e.Details.IPAddress != "192.0.2.9" {
			t.Errorf("GitHub's: got %+v", e)
		}
		for what, get := range map[string]func() error{
			"of another group":   func() error { _, _, err := api.GetGroupAuditEvent("umbra", e.ID); return err },
			"of a project":       func() error { _, _, err := api.GetProjectAuditEvent("acme/platform/api", e.ID); return err },
			"that is not there":  func() error { _, _, err := api.GetInstanceAuditEvent(1 << 40); return err },
			"of no partition":    func() error { _, _, err := api.GetInstanceAuditEvent(e.ID + 1); return err },
			"of a missing group": func() error { _, _, err := api.GetGroupAuditEvent("nobody", e.ID); return err },
		} {
			if err := get(); !errors.Is(err, client.ErrNotFound) {
				t.Errorf("an event %s: got error %v, want not found", what, err)
			}
		}
	})
}

// What cannot be answered is refused in GitLab's form, and a tenant learns nothing
// of others.
func TestRefusals(t *testing.T) {
	simulate(t, func(w *world) {
		t := w.t // of the simulation
		w.fill()
		tenant, err := w.Service.CreateToken(t.Context(), w.Admin, control.TokenSpec{Namespace: "acme"})
		if err != nil {
			t.Error(err)
		}
		get := func(token, path string) (int, string) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v4"+path, nil)
			r.Header.Set("PRIVATE-TOKEN", token)
			rec := httptest.NewRecorder()
			w.api.ServeHTTP(rec, r)
			return rec.Code, strings.TrimSpace(rec.Body.String())
		}
		for _, c := range []struct {
			token, path string
			status      int
			body        string
		}{
			{"", "/audit_events", 401, `{"message":"401 Unauthorized"}`},
			{"wrong", "/groups/acme/audit_events", 401, `{"message":"401 Unauthorized"}`},
			{tenant.Text, "/audit_events", 403, `{"message":"403 Forbidden"}`},
			{tenant.Text, "/audit_events/4096", 403, `{"message":"403 Forbidden"}`},
			{tenant.Text, "/groups/acme/audit_events", 403, `{"message":"403 Forbidden"}`}, // producers only post
			{w.AdminToken, "/groups/nobody/audit_events", 404, `{"message":"404 Group Not Found"}`},
			{w.AdminToken, "/groups/31/audit_events", 404, `{"message":"404 Group Not Found"}`},
			{w.AdminToken, "/projects/umbra%2Fx/audit_events", 404, `{"message":"404 Project Not Found"}`},
			{w.AdminToken, "/groups/30/audit_events/abc", 400, `{"error":"audit_event_id is invalid"}`},
			{w.AdminToken, "/users/1/audit_events", 404, `{"message":"404 Not Found"}`},
			{w.AdminToken, "/audit_events?per_page=0", 400, `{"error":"per_page does not have a valid value"}`},
			{w.AdminToken, "/audit_events?page=x", 400, `{"error":"page is invalid"}`},
			{w.AdminToken, "/audit_events?entity_type=Nothing", 400, `{"error":"entity_type does not have a valid value"}`},
			{w.AdminToken, "/audit_events?entity_id=1", 400, `{"error":"entity_type is missing"}`},
			{w.AdminToken, "/audit_events?created_after=yesterday", 400, `{"error":"created_after is invalid"}`},
			{w.AdminToken, "/audit_events?pagination=keyset&order_by=created_at", 405, `{"error":"Keyset pagination is not yet available for this type of request"}`},
		} {
			if status, body := get(c.token, c.path); status != c.status || body != c.body {
				t.Errorf("%s: got %d %s, want %d %s", c.path, status, body, c.status, c.body)
			}
		}
		for _, path := range []string{"/audit_events?pagination=keyset&cursor=abc", "/audit_events?page=1000000"} {
			if status, body := get(w.AdminToken, path); status/100 != 4 || !json.Valid([]byte(body)) {
				t.Errorf("%s: got %d %s, want an error that says so", path, status, body)
			}
		}
	})
}

// Members read what is theirs, and learn nothing of others.
func TestMembers(t *testing.T) {
	simulate(t, func(w *world) {
		t := w.t
		w.fill()
		for _, token := range []string{w.member("acme", control.Owner, "read_api"), w.member("acme", control.Auditor, "read_api")} {
			api := w.client(token).AuditEvents
			if got, _, err := api.ListGroupAuditEvents("acme", nil); err != nil || len(got) != 20 {
				t.Errorf("their group: got %d events and error %v, want 20", len(got), err)
			}
			if got, _, err := api.ListGroupAuditEvents(22, nil); err != nil || len(got) != 20 {
				t.Errorf("their group by number: got %d events and error %v, want 20", len(got), err)
			}
			for what, err := range map[string]error{
				"another group":             refusal(api.ListGroupAuditEvents("umbra", nil)),
				"another group by number":   refusal(api.ListGroupAuditEvents(30, nil)),
				"a group that is not there": refusal(api.ListGroupAuditEvents("nobody", nil)),
			} {
				if !errors.Is(err, client.ErrNotFound) {
					t.Errorf("%s: got error %v, want not found", what, err)
				}
			}
			e, ok := errors.AsType[*client.ErrorResponse](refusal(api.ListInstanceAuditEvents(nil)))
			if !ok || e.Response.StatusCode != http.StatusForbidden {
				t.Errorf("the installation: got error %v, want forbidden", e)
			}
		}
	})
}

func refusal(_ []*client.AuditEvent, _ *client.Response, err error) error { return err }

// member returns a token of a user with a role in a top-level namespace.
func (w *world) member(namespace string, role control.Role, scopes ...string) string {
	w.t.Helper()
	ctx := w.t.Context()
	u, err := w.Service.CreateUser(ctx, w.Admin, control.UserSpec{Name: string(role) + "." + namespace, Password: "a password of some length"})
	if err == nil {
		_, err = w.Service.SetMember(ctx, w.Admin, control.MemberSpec{Namespace: namespace, User: u.ID, Role: role})
	}
	var tok control.Token
	if err == nil {
		tok, err = w.Service.CreateToken(ctx, w.Admin, control.TokenSpec{Kind: control.KindPersonal, User: u.ID, Scopes: scopes})
	}
	if err != nil {
		w.t.Errorf("a member of %s: %v", namespace, err)
	}
	return tok.Text
}
