package target

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// PageSize is how many events a page has at most.
const PageSize = 50

// A Question asks for events.
type Question struct {
	Namespace string // "" for all
	Phrase    string
	After     string // the Next of a page; pages only
}

func (q Question) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"namespace": q.Namespace, "phrase": q.Phrase, "after": q.After} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// An Answer is what came, and how long that took until its last byte.
type Answer[T any] struct {
	Body T
	Took time.Duration
}

// A Page is what was found.
type Page struct {
	Events     []json.RawMessage `json:"events"`
	Next       string            `json:"next"`
	More       bool              `json:"more"`
	Missing    int               `json:"missing"`
	Incomplete bool              `json:"incomplete"`
}

// Page asks for the newest events, or those after a page.
func (s *Sluice) Page(ctx context.Context, q Question) (Answer[Page], error) {
	v := q.values()
	v.Set("limit", strconv.Itoa(PageSize))
	return ask[Page](ctx, s, "/api/v1/events?"+v.Encode())
}

// Counts is how many events there are a day.
type Counts struct {
	Events uint64            `json:"events"`
	Days   []json.RawMessage `json:"counts"`
}

// Count asks for the number of events a day.
func (s *Sluice) Count(ctx context.Context, q Question) (Answer[Counts], error) {
	return ask[Counts](ctx, s, "/api/v1/events/counts?"+q.values().Encode())
}

// ask asks as administrator. What it takes to decode the answer does not count.
func ask[T any](ctx context.Context, s *Sluice, path string) (a Answer[T], err error) {
	r, err := s.request(ctx, "GET", path, nil)
	if err != nil {
		return a, err
	}
	began := time.Now()
	answer, err := s.do(r)
	a.Took = time.Since(began)
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(answer, &a.Body)
}

// An Index is how far the search index is, over all partitions.
type Index struct {
	Events  uint64
	Chunks  int
	Bytes   uint64 // without what is in memory
	Lag     uint64 // events that cannot be found yet
	Ready   bool   // it follows the log
	Problem string // why it does not go on
}

// Index asks how far the search index is.
func (s *Sluice) Index(ctx context.Context) (x Index, err error) {
	var body struct {
		Partitions []struct {
			State, Problem string
			Events, Bytes  uint64
			Chunks         int
			Lag            uint64 `json:"lag_events"`
		}
	}
	err = s.call(ctx, "GET", "/api/v1/events/index", nil, &body)
	x.Ready = len(body.Partitions) > 0
	for _, p := range body.Partitions {
		x.Events += p.Events
		x.Bytes += p.Bytes
		x.Chunks += p.Chunks
		x.Lag += p.Lag
		x.Ready = x.Ready && p.State == "following"
		x.Problem += p.Problem
	}
	return x, err
}

// An ExportRequest says what to export, as lines.
type ExportRequest struct {
	Question
	From, To time.Time // of acceptance; the zero time is open
	Gzip     bool
}

// An Export is what an export was.
type Export struct {
	Events uint64 // as the server says
	Lines  uint64 // that came; not counted when they are compressed
	Bytes  uint64 // that came
	Took   time.Duration
}

// Export reads an export to its end and throws it away.
func (s *Sluice) Export(ctx context.Context, e ExportRequest) (x Export, err error) {
	v := e.values()
	for name, at := range map[string]time.Time{"from": e.From, "to": e.To} {
		if !at.IsZero() {
			v.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	r, err := s.request(ctx, "GET", "/api/v1/events/export?"+v.Encode(), nil)
	if err != nil {
		return x, err
	}
	if e.Gzip {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	began := time.Now()
	resp, err := s.client.Transport.RoundTrip(r) // the client's own limit is for short answers
	if err != nil {
		return x, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return x, fmt.Errorf("export events: %s", resp.Status)
	}
	if got := resp.Header.Get("Content-Encoding") == "gzip"; got != e.Gzip {
		return x, fmt.Errorf("export events: compressed %v, asked for %v", got, e.Gzip)
	}
	if err := x.read(resp.Body, !e.Gzip); err != nil {
		return x, err
	}
	x.Took = time.Since(began)
	x.Events, err = strconv.ParseUint(resp.Trailer.Get("Sluice-Events"), 10, 64)
	return x, err
}

// read counts what comes.
func (x *Export) read(from io.Reader, lines bool) error {
	buf := make([]byte, 256<<10)
	for {
		n, err := from.Read(buf)
		x.Bytes += uint64(n)
		if lines {
			x.Lines += uint64(bytes.Count(buf[:n], []byte{'\n'}))
		}
		switch err {
		case nil:
		case io.EOF:
			return nil
		default:
			return fmt.Errorf("export events: %w", err)
		}
	}
}

// Metrics returns the server's metrics, those with labels summed under their name.
func (s *Sluice) Metrics(ctx context.Context) (map[string]float64, error) {
	r, err := s.request(ctx, "GET", "/metrics", nil)
	if err != nil {
		return nil, err
	}
	text, err := s.do(r)
	if err != nil {
		return nil, err
	}
	sums := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ') // labels may have spaces
		if at < 0 || line[0] == '#' {
			continue
		}
		name, _, _ := strings.Cut(line[:at], "{")
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("read metric %q: %w", line, err)
		}
		sums[name] += v
	}
	return sums, nil
}
