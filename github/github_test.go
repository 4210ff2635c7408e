package github_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
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
	"golang.org/x/crypto/nacl/box"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/destination/eventhubs"
	"github.com/sluicelog/sluice/destination/s3"
	"github.com/sluicelog/sluice/destination/splunk"
	"github.com/sluicelog/sluice/destination/webhook"
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
			c.Kinds = append(c.Kinds, splunk.New(), s3.Kind{}, eventhubs.Kind{}, webhook.Kind{})
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

// A page that is asked for by its number has as many events as were asked for,
// although less fits into an answer of the search: the next one begins behind so many.
func TestPageOfLargeEvents(t *testing.T) {
	simulate(t, func(w *world) {
		t := w.t // of the simulation
		for i := range 10 {
			w.PostRaw(fmt.Sprintf(`{"_document_id":"large%d","action":"repo.create","repo":"acme/web","note":%q}`, i, strings.Repeat("x", 1020<<10)))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		for query, want := range map[string]int{"per_page=10&page=1": 10, "per_page=10&page=2": 0, "per_page=4&page=3": 2} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/enterprises/acme/audit-log?phrase=action:repo.create&"+query, nil)
			r.Header.Set("Authorization", "Bearer "+w.AdminToken)
			rec := httptest.NewRecorder()
			w.api.ServeHTTP(rec, r)
			if got := strings.Count(rec.Body.String(), `"_document_id":"large`); got != want {
				t.Errorf("%s: got %d events, want %d", query, got, want)
			}
		}
	})
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
		w.PostRaw(`{"_document_id":"group","event_type":"group_created","entity_type":"Group","entity_path":"acme/web","entity_id":1,"created_at":"2026-03-01T09:00:01Z"}`)
		synctest.Wait()
		one, _, err := c.Enterprise.GetAuditLog(ctx, "acme", &client.GetAuditLogOptions{ListCursorOptions: client.ListCursorOptions{PerPage: 1}})
		if err != nil || len(one) != 1 || one[0].GetBusiness() != "acme" || one[0].GetOrg() != "web" || one[0].AdditionalFields["repo"] != nil {
			t.Errorf("an event of an organization: got %+v and error %v", one, err)
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

// A name wins over a number: an enterprise may be called like the number of another.
func TestNumbers(t *testing.T) {
	simulate(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		w.fill()
		known, err := w.Service.Namespaces(ctx, w.Admin, "umbra")
		if err != nil || len(known) == 0 {
			t.Errorf("namespaces: got %d and error %v", len(known), err)
			return
		}
		number := fmt.Sprint(known[0].ID)
		for _, want := range []string{"umbra", number} {
			entries, _, err := w.client(w.AdminToken).Enterprise.GetAuditLog(ctx, number, nil)
			if err != nil || len(entries) != 1 || entries[0].GetBusiness() != want {
				t.Errorf("enterprise %s: got %d entries and error %v, want one of %s", number, len(entries), err, want)
			}
			w.PostRaw(fmt.Sprintf(`{"_document_id":"n","action":"repo.create","business":"%s"}`, number))
			synctest.Wait()
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

// Behind a proxy links lead to where clients reach it, since they follow them with
// their tokens; and to the same path, however it was written.
func TestLinksBehindAProxy(t *testing.T) {
	simulate(t, func(w *world) {
		t := w.t
		w.fill()
		for external, want := range map[string]string{"": "http://upstream:8080", "https://sluice.example": "https://sluice.example"} {
			api := github.New(github.Config{Service: w.Service, External: external})
			for _, path := range []string{"/enterprises/acme/audit-log", "/api/v3/enterprises/%61cme/audit-log"} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path+"?per_page=1", nil)
				r.Host = "upstream:8080"
				r.Header.Set("Authorization", "Bearer "+w.AdminToken)
				rec := httptest.NewRecorder()
				api.ServeHTTP(rec, r)
				if got := rec.Header().Get("Link"); !strings.HasPrefix(got, "<"+want+path+"?after=") {
					t.Errorf("%q, %s: got status %d and links %q, want %s", external, path, rec.Code, got, want)
				}
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

// Streams are made, listed, changed and deleted by the client, with sealed secrets.
func TestStreamsWithTheOfficialClient(t *testing.T) {
	simulate(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		w.fill()
		api := w.client(w.AdminToken).Enterprise
		key, _, err := api.GetAuditLogStreamKey(ctx, "acme")
		if err != nil {
			t.Errorf("stream key: %v", err)
			return
		}
		seal := func(text string) string { return sealFor(t, key.Key, text) }
		var first int64
		for _, c := range []struct {
			config  *client.AuditLogStreamConfig
			details string
		}{
			{client.NewSplunkStreamConfig(true, &client.SplunkConfig{Domain: "splunk.example.com", Port: 8088, KeyID: key.KeyID, EncryptedToken: seal("f3a1"), SSLVerify: true}), "splunk.example.com:8088"},
			{client.NewHecStreamConfig(false, &client.HecConfig{Domain: "hec.example.com", Port: 443, KeyID: key.KeyID, EncryptedToken: seal("f3a2"), Path: "/hec/event", SSLVerify: true}), "hec.example.com:443"},
			{client.NewAzureHubStreamConfig(true, &client.AzureHubConfig{Name: "audit", KeyID: key.KeyID, EncryptedConnstring: seal("Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")}), "audit"},
			{client.NewAmazonS3AccessKeysStreamConfig(true, &client.AmazonS3AccessKeysConfig{Bucket: "acme-audit", Region: "eu-central-1", KeyID: key.KeyID, AuthenticationType: "access_keys",
				EncryptedSecretKey: seal("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), EncryptedAccessKeyID: seal("AKIAIOSFODNN7EXAMPLE")}), "acme-audit"},
		} {
			made, _, err := api.CreateAuditLogStream(ctx, "acme", *c.config)
			if err != nil || made.StreamType != c.config.StreamType || made.StreamDetails != c.details || made.Enabled != c.config.Enabled || (made.PausedAt == nil) != made.Enabled {
				t.Errorf("%s: got %+v and error %v, want a stream to %s", c.config.StreamType, made, err, c.details)
				continue
			}
			got, _, err := api.GetAuditLogStream(ctx, "acme", made.ID)
			if err != nil || got.ID != made.ID || got.StreamDetails != c.details {
				t.Errorf("%s: got %+v and error %v, want the one that was made", c.config.StreamType, got, err)
			}
			if first == 0 {
				first = made.ID
			}
		}
		change := client.NewSplunkStreamConfig(false, &client.SplunkConfig{Domain: "other.example.com", Port: 8088, KeyID: key.KeyID, EncryptedToken: seal("f3a3")})
		if got, _, err := api.UpdateAuditLogStream(ctx, "acme", first, *change); err != nil || got.Enabled || got.StreamDetails != "other.example.com:8088" {
			t.Errorf("change: got %+v and error %v, want a paused stream elsewhere", got, err)
		}
		if list, _, err := api.ListAuditLogStreams(ctx, "acme"); err != nil || len(list) != 4 {
			t.Errorf("list: got %d streams and error %v, want 4", len(list), err)
		}
		if list, _, err := api.ListAuditLogStreams(ctx, "umbra"); err != nil || len(list) != 0 {
			t.Errorf("list of another enterprise: got %d streams and error %v, want none", len(list), err)
		}
		other := seal("f3a4")
		refused := func(what string, status int, err error) {
			t.Helper()
			if e, ok := errors.AsType[*client.ErrorResponse](err); !ok || e.Response.StatusCode != status || e.Message == "" {
				t.Errorf("%s: got error %v, want status %d", what, err, status)
			}
		}
		_, _, err = api.UpdateAuditLogStream(ctx, "umbra", first, *change)
		refused("change as another enterprise", 404, err)
		_, _, err = api.UpdateAuditLogStream(ctx, "acme", first, *client.NewAzureHubStreamConfig(true, &client.AzureHubConfig{Name: "a", KeyID: key.KeyID, EncryptedConnstring: other}))
		refused("change of the type", 422, err)
		for what, c := range map[string]*client.AuditLogStreamConfig{
			"a box for another key": client.NewSplunkStreamConfig(true, &client.SplunkConfig{Domain: "a.example.com", Port: 1, KeyID: "v1", EncryptedToken: other}),
			"no box":                client.NewSplunkStreamConfig(true, &client.SplunkConfig{Domain: "a.example.com", Port: 1, KeyID: key.KeyID, EncryptedToken: "token in plain"}),
			"a wrong domain":        client.NewSplunkStreamConfig(true, &client.SplunkConfig{Domain: "https://a.example.com", Port: 1, KeyID: key.KeyID, EncryptedToken: other}),
			"Datadog":               client.NewDatadogStreamConfig(true, &client.DatadogConfig{EncryptedToken: other, Site: "US", KeyID: key.KeyID}),
			"Azure Blob":            client.NewAzureBlobStreamConfig(true, &client.AzureBlobConfig{KeyID: key.KeyID, EncryptedSASURL: other, Container: "c"}),
			"Google Cloud Storage":  client.NewGoogleCloudStreamConfig(true, &client.GoogleCloudConfig{Bucket: "b", KeyID: key.KeyID, EncryptedJSONCredentials: other}),
			"OpenID Connect":        client.NewAmazonS3OIDCStreamConfig(true, &client.AmazonS3OIDCConfig{Bucket: "b", KeyID: key.KeyID, AuthenticationType: "oidc", ArnRole: "arn"}),
		} {
			_, _, err := api.CreateAuditLogStream(ctx, "acme", *c)
			refused(what, 422, err)
		}
		_, err = api.DeleteAuditLogStream(ctx, "umbra", first)
		refused("delete as another enterprise", 404, err)
		if _, err := api.DeleteAuditLogStream(ctx, "acme", first); err != nil {
			t.Errorf("delete: %v", err)
		}
		_, _, err = api.GetAuditLogStream(ctx, "acme", first)
		refused("a deleted stream", 404, err)
		if list, _, err := api.ListAuditLogStreams(ctx, "acme"); err != nil || len(list) != 3 {
			t.Errorf("list at the end: got %d streams and error %v, want 3", len(list), err)
		}
	})
}

// sealFor seals a text as libsodium does.
func sealFor(t *testing.T, key, text string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(raw) != 32 {
		t.Errorf("key %q: %d bytes and error %v, want 32", key, len(raw), err)
		return ""
	}
	public := [32]byte(raw)
	sealed, err := box.SealAnonymous(nil, []byte(text), &public, rand.Reader)
	if err != nil {
		t.Error(err)
	}
	return base64.StdEncoding.EncodeToString(sealed)
}

// Bodies that are none are refused.
func TestBodies(t *testing.T) {
	simulate(t, func(w *world) {
		t := w.t
		w.fill()
		for body, want := range map[string]int{
			"": 400, "{": 400, "[]": 400, "{}": 422, `{"enabled":true}`: 422, `{"enabled":"yes","stream_type":"Splunk","vendor_specific":{}}`: 400,
			`{"enabled":true,"stream_type":"Splunk","vendor_specific":[]}`: 422, `{"enabled":true,"stream_type":"Splunk","vendor_specific":{"port":"x"}}`: 422,
			strings.Repeat(" ", 300<<10) + "{}": 413,
		} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/enterprises/acme/audit-log/streams", strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+w.AdminToken)
			rec := httptest.NewRecorder()
			w.api.ServeHTTP(rec, r)
			if rec.Code != want {
				t.Errorf("%.60q: got status %d with %s, want %d", body, rec.Code, rec.Body, want)
			}
		}
	})
}

// Members read and manage what is theirs, as far as role and scopes go, and learn
// nothing of others.
func TestMembers(t *testing.T) {
	simulate(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		w.fill()
		owner, auditor := w.member("acme", control.Owner, "admin:enterprise"), w.member("acme", control.Auditor, "read:audit_log")
		for _, token := range []string{owner, auditor} {
			api := w.client(token)
			if got, _, err := api.Enterprise.GetAuditLog(ctx, "acme", nil); err != nil || len(got) != 30 {
				t.Errorf("their enterprise: got %d events and error %v, want 30", len(got), err)
			}
			for what, err := range map[string]error{
				"another enterprise":              second(api.Enterprise.GetAuditLog(ctx, "umbra", nil)),
				"another organization":            second(api.Organizations.GetAuditLog(ctx, "dark", nil)),
				"streams of another enterprise":   second(api.Enterprise.ListAuditLogStreams(ctx, "umbra")),
				"the key of another enterprise":   second(api.Enterprise.GetAuditLogStreamKey(ctx, "umbra")),
				"an enterprise that is not there": second(api.Enterprise.GetAuditLogStreamKey(ctx, "nobody")),
			} {
				if e, ok := errors.AsType[*client.ErrorResponse](err); !ok || e.Response.StatusCode != http.StatusNotFound {
					t.Errorf("%s: got error %v, want not found", what, err)
				}
			}
		}
		if _, _, err := w.client(owner).Enterprise.GetAuditLogStreamKey(ctx, "acme"); err != nil {
			t.Errorf("the owner's stream key: %v", err)
		}
		e, ok := errors.AsType[*client.ErrorResponse](second(w.client(auditor).Enterprise.GetAuditLogStreamKey(ctx, "acme")))
		if !ok || e.Response.StatusCode != http.StatusForbidden {
			t.Errorf("an auditor's stream key: got error %v, want forbidden", e)
		}
	})
}

func second[T any](_ T, _ *client.Response, err error) error { return err }

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
