package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// MaxFound is the highest Limit of an EventQuery.
const MaxFound = 1000

// EventQuery asks for events.
type EventQuery struct {
	Namespace string // "" is everything that the token may see
	Phrase    string // "" asks for all
	Class     string // "audit" or "git"; "" is both
	Oldest    bool   // the oldest first, not the newest
	Limit     int    // 1 to MaxFound; 0 leaves it to the server
	// After and Before are the Next and Previous of an answer, or "".
	After, Before string
}

// FoundEvent is an event that was found.
type FoundEvent struct {
	Event      json.RawMessage `json:"event"` // as it was accepted
	Partition  string          `json:"partition"`
	Seq        uint64          `json:"seq"`
	AcceptedAt time.Time       `json:"accepted_at"`
	Source     string          `json:"source"`
	Namespace  string          `json:"namespace"` // the path where it lies, "" for the instance
}

// FoundEvents is a page of events.
type FoundEvents struct {
	Events     []FoundEvent `json:"events"`
	Next       string       `json:"next"`
	Previous   string       `json:"previous"`
	More       bool         `json:"more"`
	LagSeconds float64      `json:"lag_seconds"` // age of the oldest event that cannot be found yet
	Missing    int          `json:"missing"`     // found, and not in the log
	Incomplete bool         `json:"incomplete"`  // a part of the index cannot be read
}

// FindEvents returns a page of events.
func (c *Client) FindEvents(ctx context.Context, q EventQuery) (FoundEvents, error) {
	query := url.Values{}
	for name, value := range map[string]string{"namespace": q.Namespace, "phrase": q.Phrase, "class": q.Class, "after": q.After, "before": q.Before} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if q.Oldest {
		query.Set("order", "asc")
	}
	if q.Limit != 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	var page FoundEvents
	err := c.do(ctx, request{method: http.MethodGet, path: "/api/v1/events", query: query}, &page)
	return page, err
}
