package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sluicelog/sluice"
)

// StreamSpec is the configuration of a stream as it is created.
type StreamSpec struct {
	Namespace string            `json:"namespace"` // "" is the instance
	Name      string            `json:"name,omitempty"`
	Kind      string            `json:"kind"`
	Config    json.RawMessage   `json:"config,omitempty"`
	Secrets   map[string]string `json:"secrets,omitempty"`
	Filter    *sluice.Filter    `json:"filter,omitempty"`
	Start     string            `json:"start,omitempty"` // "now", "earliest" or a time
	Until     string            `json:"until,omitempty"`
	Strict    bool              `json:"strict,omitempty"`
	Active    *bool             `json:"active,omitempty"` // nil is true
	// CopyOf is a stream whose namespace, destination, secrets and filter this one
	// takes over; of the other fields only Name, Start, Until and Active are sent then.
	CopyOf sluice.StreamID `json:"copy_of,omitempty"`
}

// Stream is a stream as the server shows it.
type Stream struct {
	ID        sluice.StreamID `json:"id"`
	Namespace string          `json:"namespace"`
	Name      string          `json:"name"`
	Kind      string          `json:"kind"`
	Config    json.RawMessage `json:"config"`
	// Secrets says "set" for each secret that is there.
	Secrets map[string]string `json:"secrets"`
	Filter  sluice.Filter     `json:"filter"`
	Start   string            `json:"start"` // "now", "earliest" or a time
	Until   string            `json:"until"` // a time; "" is never
	Strict  bool              `json:"strict"`
	Active  bool              `json:"active"`
	Status  sluice.Status     `json:"status"`
	Ledger  sluice.Ledger     `json:"ledger"`
	// Version grows by one with each change of what is configured.
	Version uint64 `json:"version"`
	// VerificationToken is what an http receiver compares; "" for others.
	VerificationToken string `json:"verification_token"`
	// Health holds the last success, the last error, the next try and the lag.
	Health json.RawMessage `json:"health"`
	// Raw is the server's whole answer about the stream.
	Raw json.RawMessage `json:"-"`
}

// UnmarshalJSON also keeps the text in Raw.
func (s *Stream) UnmarshalJSON(b []byte) error {
	type plain Stream
	if err := json.Unmarshal(b, (*plain)(s)); err != nil {
		return err
	}
	s.Raw = append(json.RawMessage(nil), b...)
	return nil
}

// Stage is one step of a check.
type Stage struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	MS      float64 `json:"ms"`
	Message string  `json:"message"`
}

// CheckResult is the outcome of a check.
type CheckResult struct {
	OK     bool    `json:"ok"`
	Stages []Stage `json:"stages"`
	// EgressAddresses are the networks that deliveries come from, when the
	// operator says so.
	EgressAddresses []string `json:"egress_addresses,omitempty"`
}

func streamPath(id sluice.StreamID, rest string) string {
	return fmt.Sprintf("/api/v1/streams/%d%s", id, rest)
}

// CreateStream creates a stream.
func (c *Client) CreateStream(ctx context.Context, spec StreamSpec) (Stream, error) {
	var s Stream
	err := c.do(ctx, request{method: http.MethodPost, path: "/api/v1/streams", in: spec}, &s)
	return s, err
}

// Streams lists the streams of a namespace, all that the token may see when
// namespace is nil.
func (c *Client) Streams(ctx context.Context, namespace *string) ([]Stream, error) {
	query := url.Values{}
	if namespace != nil {
		query.Set("namespace", *namespace)
	}
	l := list[Stream]{name: "streams"}
	err := c.do(ctx, request{method: http.MethodGet, path: "/api/v1/streams", query: query}, &l)
	return l.items, err
}

// Stream returns one stream.
func (c *Client) Stream(ctx context.Context, id sluice.StreamID) (Stream, error) {
	var s Stream
	err := c.do(ctx, request{method: http.MethodGet, path: streamPath(id, "")}, &s)
	return s, err
}

// UpdateStream changes the fields of a stream that patch, a JSON object, names.
func (c *Client) UpdateStream(ctx context.Context, id sluice.StreamID, patch json.RawMessage) (Stream, error) {
	var s Stream
	err := c.do(ctx, request{method: http.MethodPatch, path: streamPath(id, ""), in: patch}, &s)
	return s, err
}

// DeleteStream stops a stream at once and destroys its secrets.
func (c *Client) DeleteStream(ctx context.Context, id sluice.StreamID) error {
	return c.do(ctx, request{method: http.MethodDelete, path: streamPath(id, "")}, nil)
}

// CheckStream checks the destination of a stream.
func (c *Client) CheckStream(ctx context.Context, id sluice.StreamID) (CheckResult, error) {
	var r CheckResult
	err := c.do(ctx, request{method: http.MethodPost, path: streamPath(id, "/check")}, &r)
	return r, err
}

// CheckSpec checks the destination of a stream before it is created.
func (c *Client) CheckSpec(ctx context.Context, spec StreamSpec) (CheckResult, error) {
	var r CheckResult
	err := c.do(ctx, request{method: http.MethodPost, path: "/api/v1/streams/check", in: spec}, &r)
	return r, err
}

// CheckChange checks the destination that a stream would have after a change, as
// UpdateStream takes it; the change is not made.
func (c *Client) CheckChange(ctx context.Context, id sluice.StreamID, patch json.RawMessage) (CheckResult, error) {
	var r CheckResult
	err := c.do(ctx, request{method: http.MethodPost, path: streamPath(id, "/check"), in: patch}, &r)
	return r, err
}

// Preview is what a stream would have done with the events of the last seven days.
type Preview struct {
	From time.Time `json:"from"` // of acceptance
	To   time.Time `json:"to"`
	PreviewCounts
	Days []struct { // the newest first
		Day string `json:"day"`
		PreviewCounts
	} `json:"days"`
	Types []struct { // those of which most would be delivered first
		Type string `json:"type"`
		PreviewCounts
	} `json:"types"`
	LagSeconds float64 `json:"lag_seconds"` // what was accepted since is not counted yet
	Incomplete bool    `json:"incomplete"`  // a part of the index cannot be read
}

// PreviewCounts counts events of a stream's scope.
type PreviewCounts struct {
	Delivered uint64 `json:"delivered"` // what the filter lets pass
	Filtered  uint64 `json:"filtered"`
}

// PreviewStream counts what a stream would have delivered and filtered. Of the
// specification only namespace and filter matter.
func (c *Client) PreviewStream(ctx context.Context, spec StreamSpec) (Preview, error) {
	var p Preview
	err := c.do(ctx, request{method: http.MethodPost, path: "/api/v1/streams/preview", in: spec}, &p)
	return p, err
}

// PauseStream pauses a stream; nothing is dropped meanwhile.
func (c *Client) PauseStream(ctx context.Context, id sluice.StreamID) error {
	return c.do(ctx, request{method: http.MethodPost, path: streamPath(id, "/pause")}, nil)
}

// ResumeStream lets a paused stream go on from where it stood.
func (c *Client) ResumeStream(ctx context.Context, id sluice.StreamID) error {
	return c.do(ctx, request{method: http.MethodPost, path: streamPath(id, "/resume")}, nil)
}

// Retried says whether a stream was tried at once, and if not, why.
type Retried struct {
	Retried bool   `json:"retried"`
	Message string `json:"message"`
}

// RetryStream tries a stream now that waits for its next try. One that does not
// wait, or failed less than a second ago, stays as it is.
func (c *Client) RetryStream(ctx context.Context, id sluice.StreamID) (Retried, error) {
	var r Retried
	err := c.do(ctx, request{method: http.MethodPost, path: streamPath(id, "/retry")}, &r)
	return r, err
}

// EventRef names an event by its place in the log.
type EventRef struct {
	Partition string `json:"partition"`
	Seq       uint64 `json:"seq"`
}

// Quarantined is an event that a destination refused as such.
type Quarantined struct {
	EventRef
	ID     string `json:"id"`
	Type   string `json:"type"`
	Reason string `json:"reason"`
	At     string `json:"quarantined_at"`
	// Raw is the server's whole answer about the event.
	Raw json.RawMessage `json:"-"`
}

// UnmarshalJSON also keeps the text in Raw.
func (q *Quarantined) UnmarshalJSON(b []byte) error {
	type plain Quarantined
	if err := json.Unmarshal(b, (*plain)(q)); err != nil {
		return err
	}
	q.Raw = append(json.RawMessage(nil), b...)
	return nil
}

// QuarantineAct chooses events of a quarantine: those named, or all; with UpTo
// only those that were there when the lanes of the stream had these cursors. One
// that chooses nothing is an error, not all.
type QuarantineAct struct {
	All    bool       `json:"all,omitempty"`
	Events []EventRef `json:"events,omitempty"`
	UpTo   []EventRef `json:"up_to,omitempty"`
}

// Quarantine lists the oldest quarantined events of a stream, at most limit, as
// many as the server likes when limit is 0.
func (c *Client) Quarantine(ctx context.Context, id sluice.StreamID, limit int) ([]Quarantined, error) {
	query := url.Values{}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	l := list[Quarantined]{name: "events"}
	err := c.do(ctx, request{method: http.MethodGet, path: streamPath(id, "/quarantine"), query: query}, &l)
	return l.items, err
}

// Redeliver makes quarantined events pending again and returns how many.
func (c *Client) Redeliver(ctx context.Context, id sluice.StreamID, act QuarantineAct) (int, error) {
	return c.quarantineAct(ctx, streamPath(id, "/quarantine/redeliver"), act)
}

// Drop gives quarantined events up, which the ledger counts as expired, and
// returns how many.
func (c *Client) Drop(ctx context.Context, id sluice.StreamID, act QuarantineAct) (int, error) {
	return c.quarantineAct(ctx, streamPath(id, "/quarantine/drop"), act)
}

func (c *Client) quarantineAct(ctx context.Context, path string, act QuarantineAct) (int, error) {
	if !act.All && len(act.Events) == 0 && len(act.UpTo) == 0 {
		return 0, errors.New("choose events of the quarantine, or all of them")
	}
	var answer struct {
		Count int `json:"count"`
	}
	err := c.do(ctx, request{method: http.MethodPost, path: path, in: act}, &answer)
	return answer.Count, err
}
