package client

import (
	"context"
	"net/http"
)

// EventsResult says what became of a post of events.
type EventsResult struct {
	// Accepted counts events that are stored now; Duplicates those that were
	// stored before. All are on disk.
	Accepted   int `json:"accepted"`
	Duplicates int `json:"duplicates"`
	// Last is the sequence number of the last event stored, by partition.
	Last map[string]uint64 `json:"last"`
}

// PostEvents posts events as NDJSON, one JSON object, or an array. Events
// without an id get one that is derived from the token, idempotencyKey and their
// place, so that the same post with the same key adds nothing; with an empty key
// they get a new one. A post is refused as a whole: see [Error.Events].
func (c *Client) PostEvents(ctx context.Context, events []byte, idempotencyKey string) (EventsResult, error) {
	header := http.Header{"Content-Type": {"application/x-ndjson"}}
	if idempotencyKey != "" {
		header.Set("Idempotency-Key", idempotencyKey)
	}
	var res EventsResult
	err := c.do(ctx, request{method: http.MethodPost, path: "/api/v1/events", body: events, header: header}, &res)
	return res, err
}
