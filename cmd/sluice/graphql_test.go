package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestGraphQL has a destination made by GitLab's API receive events, also those
// that came while it was not active.
func TestGraphQL(t *testing.T) {
	var mu sync.Mutex
	var got []string
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var event struct {
			ID string `json:"id"`
		}
		if err != nil || json.Unmarshal(body, &event) != nil {
			t.Errorf("got %s with error %v", body, err)
		}
		if !slices.Contains([]string{"one", "two", "three"}, event.ID) {
			return // Sluice's own events come too, until there is a filter
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, event.ID+" "+r.Header.Get("X-Gitlab-Event-Streaming-Token")+" "+r.Header.Get("X-Ours"))
	}))
	defer sink.Close()
	received := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
	r := startServer(t, t.TempDir()+"/data", http.DefaultClient)
	ask := func(query string) {
		t.Helper()
		body, err := json.Marshal(map[string]string{"query": query})
		if err != nil {
			t.Fatal(err)
		}
		var answer json.RawMessage
		if status := r.call("POST", "/api/graphql", string(body), &answer); status != 200 || strings.Count(string(answer), `"errors":[]`) != 1 {
			t.Fatalf("%s: got %d with %s, want success", query, status, answer)
		}
	}
	post := func(id, eventType string) {
		t.Helper()
		if status := r.call("POST", "/api/v1/events", `{"id":"`+id+`","event_type":"`+eventType+`","entity_path":"acme/web"}`, nil); status != 200 {
			t.Fatalf("post %s: got status %d", id, status)
		}
	}
	const id = `"gid://gitlab/AuditEvents::ExternalAuditEventDestination/1"`
	ask(`mutation { externalAuditEventDestinationCreate(input: { groupPath: "acme", destinationUrl: "` + sink.URL + `", verificationToken: "a-token-of-our-own" }) { errors } }`)
	ask(`mutation { auditEventsStreamingHeadersCreate(input: { destinationId: ` + id + `, key: "X-Ours", value: "yes" }) { errors } }`)
	ask(`mutation { auditEventsStreamingDestinationEventsAdd(input: { destinationId: ` + id + `, eventTypeFilters: ["member_created"] }) { errors } }`)
	post("one", "member_created")
	post("two", "member_updated")
	wait(t, "the first event", func() bool { return len(received()) == 1 })
	ask(`mutation { externalAuditEventDestinationUpdate(input: { id: ` + id + `, active: false }) { errors } }`)
	post("three", "member_created")
	ask(`mutation { externalAuditEventDestinationUpdate(input: { id: ` + id + `, active: true }) { errors } }`)
	wait(t, "the event that came meanwhile", func() bool { return len(received()) == 2 })
	want := []string{"one a-token-of-our-own yes", "three a-token-of-our-own yes"}
	if got := received(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
