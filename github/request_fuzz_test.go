package github_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
)

// FuzzRequest sends requests as they come to an API with a stream and events. No
// request may panic or answer 500.
func FuzzRequest(f *testing.F) {
	const splunk = `{"enabled":true,"stream_type":"Splunk","vendor_specific":{"domain":"splunk.example.com","port":8088,"key_id":"k","encrypted_token":"AAAA","ssl_verify":true}}`
	for _, seed := range [][2]string{
		{"GET /enterprises/acme/audit-log?phrase=action%3Arepo&include=all&order=asc&per_page=2&page=2", ""},
		{"GET /api/v3/orgs/web/audit-log?after=AAAA", ""},
		{"GET /enterprises/1/audit-log/stream-key", ""},
		{"GET /api/v3/enterprises/acme/audit-log/streams", ""},
		{"POST /enterprises/acme/audit-log/streams", splunk},
		{"PUT /enterprises/acme/audit-log/streams/1", splunk},
		{"POST /enterprises/acme/audit-log/streams", `{"enabled":false,"stream_type":"Amazon S3","vendor_specific":{"bucket":"b","region":"eu-west-1","authentication_type":"access_keys","encrypted_secret_key":"","encrypted_access_key_id":null}}`},
		{"POST /enterprises/acme/audit-log/streams", `{"enabled":true,"stream_type":"Azure Event Hubs","vendor_specific":[]}`},
		{"DELETE /enterprises/acme/audit-log/streams/1", ""},
		{"GET /meta", ""}, {"GET /rate_limit", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, line, body string) {
		method, target, ok := strings.Cut(line, " ")
		u, err := url.ParseRequestURI(target)
		if !ok || err != nil || u.Host != "" || method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return
		}
		simulate(t, func(w *world) {
			w.Post("acme/web", "repo.create", 2)
			synctest.Wait()
			r := httptest.NewRequestWithContext(w.t.Context(), method, "/", strings.NewReader(body))
			r.URL, r.RequestURI = u, target
			r.Header.Set("Authorization", "Bearer "+w.AdminToken)
			rec := httptest.NewRecorder()
			w.api.ServeHTTP(rec, r)
			if rec.Code == 500 {
				w.t.Errorf("%q with %q: got 500 with %s", line, body, rec.Body)
			}
		})
	})
}
