package gitlab

import (
	"encoding/json"
	"net/url"
	"testing"

	client "gitlab.com/gitlab-org/api/client-go"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// FuzzPresent: whatever an event holds, the official client can read it.
func FuzzPresent(f *testing.F) {
	for _, seed := range []string{
		`{"id":1,"event_type":"x","entity_type":"Group","entity_id":"7","entity_path":"acme","author_id":-1,"details":{"from":null,"to":true,"target_id":{"a":1},"custom_message":[1]}}`,
		`{"_document_id":"a","action":"repo.create","actor":["mona"],"org":["web"],"repo":"web/site","repo_id":1e3,"created_at":1772500000000}`,
		`{"id":"a","details":"text","author_id":99999999999999999999,"target_id":"7","ip_address":7}`,
		`{"id":"a","details":{"author_name":null,"entity_path":{"b":[]},"as":1.5}}`,
	} {
		f.Add([]byte(seed), uint64(7))
	}
	f.Fuzz(func(t *testing.T, src []byte, seq uint64) {
		scanner := sluice.Scanner{NewID: func(dst []byte) []byte { return append(dst, "made"...) }}
		payload, _, _, err := scanner.Scan(nil, src)
		if err != nil {
			return // it would not be in the log
		}
		seq = seq%(1<<50) + 1
		out := present(&control.FoundEvent{Event: payload, Seq: seq})
		b, err := json.Marshal(out)
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		var event client.AuditEvent
		if err := json.Unmarshal(b, &event); err != nil {
			t.Fatalf("the client cannot read %s: %v", b, err)
		}
		if got, err := seqOf(jsonID(t, b)); err != nil || got != seq {
			t.Errorf("seq: got %d and error %v, want %d", got, err, seq)
		}
	})
}

func jsonID(t *testing.T, b []byte) string {
	t.Helper()
	var fields struct {
		ID json.Number `json:"id"`
	}
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatal(err)
	}
	return fields.ID.String()
}

// FuzzPaging: no query panics, and what is accepted is within limits.
func FuzzPaging(f *testing.F) {
	f.Add("page=2&per_page=100&created_after=2026-01-01&sort=created_asc")
	f.Add("page=1700000000000000000")
	f.Add("pagination=keyset&order_by=id&cursor=abc&created_before=2026-01-01T00:00:00Z")
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		p, err := readPaging(values)
		if err != nil {
			return
		}
		var q control.EventQuery
		p.narrow(&q)
		if q.Limit < 1 || q.Limit > maxPerPage || q.Skip < 0 || q.Skip > maxOffset {
			t.Errorf("%q: limit %d, skip %d", query, q.Limit, q.Skip)
		}
	})
}
