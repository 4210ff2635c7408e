package client

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
)

// ExportQuery asks for all events that a phrase finds. What is "" is left out.
type ExportQuery struct {
	Namespace string // everything that the token may see
	Phrase    string
	Class     string // "audit" or "git"
	From, To  string // of acceptance: days or times
	Format    string // "ndjson", "json" or "csv"
	After     string // the Cursor of an export to go on behind
	AfterID   string // the id of an event to go on behind
}

// Export is an export that is being read. It is not safe for use by several
// goroutines.
type Export struct {
	// Body is the export as it was asked for. A read that fails with another error
	// than io.EOF leaves a part, never a whole.
	Body io.ReadCloser
	// Estimate is about how many events there are, 0 when that is not known.
	Estimate uint64
	res      *http.Response
}

// Cursor returns what After takes to get what comes later, Missing how many events
// were found and could not be read. Both are known when Body has ended.
func (e *Export) Cursor() string { return e.res.Trailer.Get("Sluice-Cursor") }

// Missing is described at Cursor.
func (e *Export) Missing() int {
	n, _ := strconv.Atoi(e.res.Trailer.Get("Sluice-Missing")) // none says none
	return n
}

// Export begins an export. It is not bounded by Config.Timeout: it takes as long as
// it takes, until ctx ends. The caller closes Body.
func (c *Client) Export(ctx context.Context, q ExportQuery) (*Export, error) {
	query := url.Values{}
	for name, value := range map[string]string{
		"namespace": q.Namespace, "phrase": q.Phrase, "class": q.Class, "from": q.From, "to": q.To, "format": q.Format, "after": q.After, "after_id": q.AfterID,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	r := request{method: http.MethodGet, path: "/api/v1/events/export", query: query}
	if c.near() {
		r.header = http.Header{"Accept-Encoding": {"identity"}} // the wire is cheaper than the processors
	}
	res, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	estimate, _ := strconv.ParseUint(res.Header.Get("Sluice-Estimate"), 10, 64)
	return &Export{Body: res.Body, Estimate: estimate, res: res}, nil
}

// open sends r and returns the answer, of which the caller reads and closes the
// body, if it is 2xx.
func (c *Client) open(ctx context.Context, r request) (*http.Response, error) {
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	endless := *c.http
	endless.Timeout = 0
	res, err := endless.Do(req)
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	if res.StatusCode >= 200 && res.StatusCode <= 299 {
		return res, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	return nil, parseError(res, body)
}

// near reports whether the server is on this machine.
func (c *Client) near() bool {
	host := c.base.Hostname()
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
