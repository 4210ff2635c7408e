package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sluicelog/sluice"
)

// Attempt is one try of a stream to deliver.
type Attempt struct {
	Time      time.Time `json:"time"`
	MS        float64   `json:"ms"`
	Partition string    `json:"partition"`
	First     uint64    `json:"first_seq"`
	Last      uint64    `json:"last_seq"`
	Events    int       `json:"events"`
	Bytes     int       `json:"bytes"`
	Delivered int       `json:"delivered"`
	Outcome   string    `json:"outcome"` // "delivered", or the class of the failure
	Status    int       `json:"status,omitempty"`
	Message   string    `json:"message,omitempty"`
}

// Minute counts what a stream did in one minute.
type Minute struct {
	Time      time.Time `json:"time"`
	Delivered uint64    `json:"delivered"` // events
	Bytes     uint64    `json:"bytes"`
	Failures  uint64    `json:"failures"` // tries
}

// LagSample is what waited for a stream at one moment.
type LagSample struct {
	Time    time.Time `json:"time"` // the beginning of the ten minutes in which the moment lies
	Events  uint64    `json:"lag_events"`
	Seconds uint64    `json:"lag_seconds"` // age of the oldest pending event
}

// Hour counts the events that were accepted in one hour, by type or by namespace.
type Hour struct {
	Time       time.Time         `json:"time"`
	Events     uint64            `json:"events"`
	Types      map[string]uint64 `json:"types,omitempty"`
	Namespaces map[string]uint64 `json:"namespaces,omitempty"`
	// OtherNamespaces counts events of namespaces that are not counted by
	// themselves.
	OtherNamespaces uint64 `json:"other_namespaces,omitempty"`
}

// CountQuery says which counts are wanted: of a namespace and all below it, or
// with "" of the instance, in the last hours, 24 for 0; By is "type", as "", or
// "namespace".
type CountQuery struct {
	Namespace string
	Hours     int
	By        string
}

// Address is where notices go: Kind is "http" or "email".
type Address struct {
	Kind    string `json:"kind"`
	Address string `json:"address"`
}

// NoticeTest is the outcome of a test notice to one address.
type NoticeTest struct {
	Kind    string `json:"kind"`
	OK      bool   `json:"ok"`
	Message string `json:"message"`
}

// Info describes the server.
type Info struct {
	Version         string   `json:"version"`
	EgressAddresses []string `json:"egress_addresses"`
	Kinds           []struct {
		Name    string   `json:"name"`
		Secrets []string `json:"secrets"`
	} `json:"kinds"`
	Notices []string `json:"notices"`
}

// Attempts lists the last tries of a stream, the newest first, at most limit.
func (c *Client) Attempts(ctx context.Context, id sluice.StreamID, limit int) ([]Attempt, error) {
	l := list[Attempt]{name: "attempts"}
	err := c.do(ctx, request{method: http.MethodGet, path: streamPath(id, "/attempts"), query: number("limit", limit)}, &l)
	return l.items, err
}

// Activity lists the minutes in which a stream did something, of the last ones.
func (c *Client) Activity(ctx context.Context, id sluice.StreamID, minutes int) ([]Minute, error) {
	l := list[Minute]{name: "minutes"}
	err := c.do(ctx, request{method: http.MethodGet, path: streamPath(id, "/activity"), query: number("minutes", minutes)}, &l)
	return l.items, err
}

// Lag lists what waited for a stream in each ten minutes of the last hours, but
// for those in which nobody looked.
func (c *Client) Lag(ctx context.Context, id sluice.StreamID, hours int) ([]LagSample, error) {
	l := list[LagSample]{name: "samples"}
	err := c.do(ctx, request{method: http.MethodGet, path: streamPath(id, "/lag"), query: number("hours", hours)}, &l)
	return l.items, err
}

// Counts lists the hours, of the last ones, in which events were accepted.
func (c *Client) Counts(ctx context.Context, q CountQuery) ([]Hour, error) {
	l := list[Hour]{name: "hours"}
	query := number("hours", q.Hours)
	query.Set("namespace", q.Namespace)
	if q.By != "" {
		query.Set("by", q.By)
	}
	err := c.do(ctx, request{method: http.MethodGet, path: "/api/v1/counts", query: query}, &l)
	return l.items, err
}

func number(name string, n int) url.Values {
	if n == 0 {
		return url.Values{}
	}
	return url.Values{name: {strconv.Itoa(n)}}
}

// Notices returns who is told about the streams of a top-level namespace, or with
// "" of the instance.
func (c *Client) Notices(ctx context.Context, namespace string) ([]Address, error) {
	l := list[Address]{name: "addresses"}
	err := c.do(ctx, request{method: http.MethodGet, path: "/api/v1/notices", query: url.Values{"namespace": {namespace}}}, &l)
	return l.items, err
}

// SetNotices replaces who is told.
func (c *Client) SetNotices(ctx context.Context, namespace string, addresses []Address) ([]Address, error) {
	l := list[Address]{name: "addresses"}
	in := map[string][]Address{"addresses": append([]Address{}, addresses...)}
	err := c.do(ctx, request{method: http.MethodPut, path: "/api/v1/notices", query: url.Values{"namespace": {namespace}}, in: in}, &l)
	return l.items, err
}

// TestNotices sends a test notice to each address.
func (c *Client) TestNotices(ctx context.Context, namespace string) ([]NoticeTest, error) {
	l := list[NoticeTest]{name: "results"}
	err := c.do(ctx, request{method: http.MethodPost, path: "/api/v1/notices/test", query: url.Values{"namespace": {namespace}}}, &l)
	return l.items, err
}

// Info describes the server.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var out Info
	err := c.do(ctx, request{method: http.MethodGet, path: "/api/v1/info"}, &out)
	return out, err
}
