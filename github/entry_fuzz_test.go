package github

import (
	"encoding/json"
	"testing"
	"time"

	client "github.com/google/go-github/v89/github"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// FuzzPresent: whatever an event holds, the official client can read it.
func FuzzPresent(f *testing.F) {
	for _, seed := range []string{
		`{"_document_id":"a","action":"repo.create","actor":["mona"],"actor_id":"7","org":["web",null],"org_id":[1,"2"],"data":[],"created_at":1772500000000}`,
		`{"id":1,"event_type":"x","entity_type":"Group","entity_path":"acme/web","author_name":"Ada","created_at":"2026-03-01T10:00:00Z","Actor":7,"USER":[]}`,
		`{"id":"a","actor_location":"here","business":{"a":1},"token_scopes":5,"hashed_token":null,"org":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		scanner := sluice.Scanner{NewID: func(dst []byte) []byte { return append(dst, "made"...) }}
		payload, _, _, err := scanner.Scan(nil, src)
		if err != nil {
			return // it would not be in the log
		}
		b, err := json.Marshal(present(&control.FoundEvent{Event: payload, AcceptedAt: time.Unix(1772500000, 0)}))
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		var e client.AuditEntry
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatalf("the client cannot read %s: %v", b, err)
		}
	})
}
