package github_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	client "github.com/google/go-github/v89/github"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/github"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/search"
)

// world is a server that has events and an index, without a network.
type world struct {
	*controltest.World
	t   *testing.T
	api *github.API
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
		f(&world{cw, t, github.New(github.Config{Service: cw.Service, Logger: cw.Logger()})})
		stop()
		wg.Wait()
		cw.Stop()
	})
}

// RoundTrip answers a client's request.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, in)
	out := rec.Result()
	out.Request = r
	return out, nil
}

// client returns GitHub's client with a token; its address is below /api/v3.
func (w *world) client(token string) *client.Client {
	c, err := client.NewClient(client.WithHTTPClient(&http.Client{Transport: w}), client.WithAuthToken(token),
		client.WithEnterpriseURLs("https://sluice.example/", "https://sluice.example/"))
	if err != nil {
		w.t.Error(err)
	}
	return c
}

func (w *world) fill() {
	var events []string
	for i := range 40 {
		at := time.Date(2026, time.March, 1, 8, i, 0, 0, time.UTC)
		events = append(events, fmt.Sprintf(`{"_document_id":"w%02d","action":"repo.create","actor":"mona","actor_id":99,"business":"acme","org":["web"],"org_id":[7],"repo":"web/site","created_at":%d,"@timestamp":%d,"repository_public":true,"data":{"a":1}}`, i, at.UnixMilli(), at.UnixMilli()))
		if i%4 == 0 {
			events = append(events, fmt.Sprintf(`{"_document_id":"g%02d","action":"git.clone","actor":"","business":"acme","org":"web","repo":"web/site","@timestamp":%d}`, i, at.UnixMilli()))
		}
	}
	events = append(events,
		`{"id":77,"event_type":"member_destroyed","author_id":3,"author_name":"Ada","entity_type":"Project","entity_id":5,"entity_path":"acme/web/site","created_at":"2026-03-01T09:00:00Z","details":{"remove":"user_access"}}`,
		`{"_document_id":"odd","action":"org.odd","actor":["ada","bo"],"actor_id":"text","business":"acme","org":"web","org_id":"x","data":"none","user":7,"token_id":1.5,"created_at":1772355600000}`,
		`{"_document_id":"theirs","action":"repo.create","actor":"eve","business":"umbra","org":"dark","created_at":1772355600000}`)
	for part := range slices.Chunk(events, 20) {
		w.PostRaw(part...)
		time.Sleep(time.Second)
	}
	synctest.Wait()
}

type pages func(*client.GetAuditLogOptions) ([]*client.AuditEntry, *client.Response, error)

// walk reads all pages.
func walk(list pages, o client.GetAuditLogOptions) (ids []string, err error) {
	for {
		entries, resp, err := list(&o)
		if err != nil {
			return ids, err
		}
		for _, e := range entries {
			ids = append(ids, e.GetDocumentID())
		}
		if resp.After == "" {
			return ids, nil
		}
		o.After = resp.After
	}
}

// The client walks over all pages of both logs.
func TestLogsWithTheOfficialClient(t *testing.T) {
	simulate(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		w.fill()
		c := w.client(w.AdminToken)
		enterprise := func(o *client.GetAuditLogOptions) ([]*client.AuditEntry, *client.Response, error) {
			return c.Enterprise.GetAuditLog(ctx, "ACME", o)
		}
		org := func(o *client.GetAuditLogOptions) ([]*client.AuditEntry, *client.Response, error) {
			return c.Organizations.GetAuditLog(ctx, "web", o)
		}
		for name, list := range map[string]pages{"enterprise": enterprise, "organization": org} {
			for _, per := range []int{0, 7, 100, 500} {
				for include, want := range map[string]int{"": 42, "web": 42, "git": 10, "all": 52} {
					got, err := walk(list, client.GetAuditLogOptions{Include: &include, ListCursorOptions: client.ListCursorOptions{PerPage: per}})
					unique := slices.Compact(slices.Sorted(slices.Values(got)))
					if err != nil || len(got) != want || len(unique) != want {
						t.Errorf("%s, include %q, %d a page: got %d events (%d different) and error %v, want %d", name, include, per, len(got), len(unique), err, want)
					}
				}
			}
			up, asc := "action:repo created:2026-03-01T08:10:00+00:00..2026-03-01T08:12:59+00:00", "asc"
			got, err := walk(list, client.GetAuditLogOptions{Phrase: &up, Order: &asc, ListCursorOptions: client.ListCursorOptions{PerPage: 2}})
			if want := []string{"w10", "w11", "w12"}; err != nil || !slices.Equal(got, want) {
				t.Errorf("%s, a phrase: got %v and error %v, want %v", name, got, err, want)
			}
		}
	})
}

// Events of both vocabularies are read by the client, odd ones too.
func TestEntriesWithTheOfficialClient(t *testing.T) {
	simulate(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		w.fill()
		c := w.client(w.AdminToken)
		entries, resp, err := c.Enterprise.GetAuditLog(ctx, "acme", &client.GetAuditLogOptions{ListCursorOptions: client.ListCursorOptions{PerPage: 3}})
		if err != nil || len(entries) != 3 || resp.Rate.Remaining == 0 {
			t.Errorf("got %d entries, %d calls left and error %v, want 3", len(entries), resp.Rate.Remaining, err)
			return
		}
		byID := map[string]*client.AuditEntry{}
		for _, e := range entries {
			byID[e.GetDocumentID()] = e
		}
		if e := byID["77"]; e == nil || e.GetAction() != "member_destroyed" || e.GetActor() != "Ada" || e.GetBusiness() != "acme" || e.GetOrg() != "web" ||
			e.AdditionalFields["repo"] != "web/site" || !e.GetTimestamp().Equal(client.Timestamp{Time: time.Date(2026, time.March, 1, 9, 0, 0, 0, time.UTC)}) {
			t.Errorf("an event of GitLab: got %+v", e)
		}
		if e := byID["odd"]; e == nil || e.GetActor() != "ada" || e.ActorID != nil || e.GetOrg() != "web" || e.GetCreatedAt().UnixMilli() != 1772355600000 {
			t.Errorf("an odd event: got %+v", e)
		}
		if e := byID["w39"]; e == nil || e.GetOrgID() != 7 || e.GetActorID() != 99 || e.AdditionalFields["repository_public"] != true {
			t.Errorf("an event: got %+v", e)
		}
		older, resp, err := c.Enterprise.GetAuditLog(ctx, "acme", &client.GetAuditLogOptions{ListCursorOptions: client.ListCursorOptions{PerPage: 3, After: resp.After}})
		if err != nil || len(older) != 3 {
			t.Errorf("second page: got %d entries and error %v, want 3", len(older), err)
			return
		}
		again, _, err := c.Enterprise.GetAuditLog(ctx, "acme", &client.GetAuditLogOptions{ListCursorOptions: client.ListCursorOptions{PerPage: 3, Before: resp.Before}})
		if err != nil || len(again) != 3 || again[0].GetDocumentID() != entries[0].GetDocumentID() {
			t.Errorf("back: got %d entries and error %v, want those of the first page", len(again), err)
		}
	})
}

// What cannot be answered is refused in GitHub's form.
func TestRefusals(t *testing.T) {
	simulate(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		w.fill()
		producer, err := w.Service.CreateToken(ctx, w.Admin, control.TokenSpec{Namespace: "acme"})
		if err != nil {
			t.Error(err)
		}
		for _, c := range []struct {
			token, enterprise string
			options           client.GetAuditLogOptions
			status            int
		}{
			{"wrong", "acme", client.GetAuditLogOptions{}, 401},
			{producer.Text, "acme", client.GetAuditLogOptions{}, 403},
			{w.AdminToken, "nobody", client.GetAuditLogOptions{}, 404},
			{w.AdminToken, "web", client.GetAuditLogOptions{}, 404}, // an organization
			{w.AdminToken, "acme", client.GetAuditLogOptions{Phrase: client.Ptr("created:never")}, 422},
			{w.AdminToken, "acme", client.GetAuditLogOptions{Include: client.Ptr("some")}, 422},
			{w.AdminToken, "acme", client.GetAuditLogOptions{Order: client.Ptr("up")}, 422},
			{w.AdminToken, "acme", client.GetAuditLogOptions{ListCursorOptions: client.ListCursorOptions{After: "abc"}}, 422},
		} {
			_, _, err := w.client(c.token).Enterprise.GetAuditLog(ctx, c.enterprise, &c.options)
			e, ok := errors.AsType[*client.ErrorResponse](err)
			if !ok || e.Response.StatusCode != c.status || e.Message == "" || c.status == 422 && len(e.Errors) != 1 {
				t.Errorf("%s, %+v: got error %v, want status %d", c.enterprise, c.options, err, c.status)
			}
		}
	})
}

// The API lies at the root as well, and links lead to where one came from.
func TestRoots(t *testing.T) {
	simulate(t, func(w *world) {
		t := w.t
		w.fill()
		for _, root := range []string{"", github.Prefix} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, root+"/enterprises/acme/audit-log?per_page=5&phrase=action%3Arepo", nil)
			r.SetBasicAuth("anyone", w.AdminToken)
			rec := httptest.NewRecorder()
			w.api.ServeHTTP(rec, r)
			first, _, _ := strings.Cut(rec.Header().Get("Link"), ">")
			to, err := url.Parse(strings.TrimPrefix(first, "<"))
			if rec.Code != http.StatusOK || err != nil || to.Path != root+"/enterprises/acme/audit-log" || to.Query().Get("phrase") != "action:repo" ||
				to.Query().Get("after") == "" || rec.Header().Get("X-RateLimit-Remaining") == "0" {
				t.Errorf("%q: got status %d and links %q", root, rec.Code, rec.Header().Get("Link"))
			}
			for _, path := range []string{"/meta", "/rate_limit"} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, root+path, nil)
				r.Header.Set("Authorization", "token "+w.AdminToken)
				rec := httptest.NewRecorder()
				w.api.ServeHTTP(rec, r)
				if rec.Code != http.StatusOK {
					t.Errorf("%s%s: got status %d", root, path, rec.Code)
				}
			}
		}
	})
}
