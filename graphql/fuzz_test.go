package graphql_test

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

// FuzzRequest sends bodies as they come, and as the variables of mutations. No
// request may panic, answer 500 or 503, or get an answer that is no JSON.
func FuzzRequest(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("got %d files and error %v, want some", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		query, _, _ := strings.Cut(string(content), answerMark)
		f.Add("application/graphql", query)
	}
	for _, body := range []string{group, "[" + group + "]", `{"query":7}`, `[null]`, `{"query":"{a","variables":[]}`, `{"groupPath":"my-group","category":"http","config":{"url":["x"],"headers":{"a":null}}}`,
		`{"query":"{ group(fullPath: \"my-group\") { ... on Query { __typename } ... on AmazonS3ConfigurationInterface { id } } }"}`,
		`{"groupPath":"my-group","category":"aws","config":null,"secretToken":"\u0000"}`} {
		f.Add("application/json", body)
	}
	f.Fuzz(func(t *testing.T, media, body string) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			c := newClient(t, w)
			c.fuzzed(media, body)
			var in any
			if json.Unmarshal([]byte(body), &in) != nil {
				in = body
			}
			for _, mutation := range []string{"groupAuditEventStreamingDestinationsCreate", "groupAuditEventStreamingDestinationsUpdate", "auditEventsStreamingHeadersUpdate"} {
				name := strings.ToUpper(mutation[:1]) + mutation[1:]
				sent, err := json.Marshal(map[string]any{"variables": map[string]any{"in": in},
					"query": "mutation M($in: " + name + "Input!) { " + mutation + "(input: $in) { errors } }"})
				if err == nil {
					c.fuzzed("application/json", string(sent))
				}
			}
			w.Stop()
		})
	})
}

func (c *client) fuzzed(media, body string) {
	c.t.Helper()
	r := httptest.NewRequestWithContext(c.t.Context(), "POST", "/api/graphql", strings.NewReader(body))
	r.Header.Set("Content-Type", media)
	rec := c.do(r)
	if rec.Code >= 500 {
		c.t.Errorf("got status %d with %s", rec.Code, rec.Body)
	}
	if !json.Valid(rec.Body.Bytes()) {
		c.t.Errorf("the answer %q is no JSON", rec.Body)
	}
	if logs := c.Logs(); strings.Contains(logs, "panicked") {
		c.t.Errorf("a resolver panicked: %s", logs)
	}
}
