package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxMessage bounds a live event, in bytes: more than any server sends.
const maxMessage = 34 << 20

// LiveQuery asks for the events that are accepted from now on.
type LiveQuery struct {
	Namespace string // "" is everything that the token may see
	Phrase    string // "" asks for all
	Class     string // "audit" or "git"; "" is both
	After     string // the Position of an earlier reader, or the Next of a page with the oldest first
}

// Gap is a part of the log that a live reader has not seen.
type Gap struct {
	Partition string `json:"partition"`
	First     uint64 `json:"first_seq"`
	Last      uint64 `json:"last_seq"`
	Events    uint64 `json:"events"` // of the top-level namespace; the phrase may have found fewer
	Reason    string `json:"reason"` // "behind" or "expired"
	Before    string `json:"before"` // what EventQuery.After takes to look at it, with Oldest
}

// Live is a reader that follows the log. It is not safe for use by several
// goroutines.
type Live struct {
	body     io.ReadCloser
	in       *bufio.Reader
	position string
}

// Follow begins to follow. It is not bounded by Config.Timeout. The caller closes
// the reader.
func (c *Client) Follow(ctx context.Context, q LiveQuery) (*Live, error) {
	query := url.Values{}
	for name, value := range map[string]string{"namespace": q.Namespace, "phrase": q.Phrase, "class": q.Class} {
		if value != "" {
			query.Set(name, value)
		}
	}
	r := request{method: http.MethodGet, path: "/api/v1/events/live", query: query, header: http.Header{"Accept-Encoding": {"identity"}}}
	if q.After != "" {
		r.header.Set("Last-Event-ID", q.After)
	}
	res, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	return &Live{body: res.Body, in: bufio.NewReaderSize(res.Body, 64<<10), position: q.After}, nil
}

// Position returns where the reader is: LiveQuery.After goes on there.
func (l *Live) Position() string { return l.position }

// Close ends the reader.
func (l *Live) Close() { _ = l.body.Close() } // nothing is left to be read

// Next waits for the next event or gap; one of both is nil. After an error, which
// is io.EOF when the server ended the answer, another reader goes on at Position.
func (l *Live) Next() (*FoundEvent, *Gap, error) {
	var event, id string
	var data []byte
	for {
		line, err := l.line()
		if err != nil {
			return nil, nil, err
		}
		if len(line) == 0 {
			if id != "" {
				l.position = id
			}
			if len(data) > 0 {
				return decodeLive(event, data)
			}
			event, id = "", ""
			continue
		}
		name, value, _ := strings.Cut(string(line), ":")
		switch value = strings.TrimPrefix(value, " "); name {
		case "event":
			event = value
		case "id":
			id = value
		case "data":
			data = append(data, value...)
		}
	}
}

func decodeLive(event string, data []byte) (*FoundEvent, *Gap, error) {
	var err error
	switch event {
	case "":
		e := &FoundEvent{}
		if err = json.Unmarshal(data, e); err == nil {
			return e, nil, nil
		}
	case "gap":
		g := &Gap{}
		if err = json.Unmarshal(data, g); err == nil {
			return nil, g, nil
		}
	default:
		err = fmt.Errorf("an event called %.20q", event)
	}
	return nil, nil, &Error{Code: CodeBadAnswer, Message: fmt.Sprintf("the server sends what Sluice does not send: %v", err)}
}

// line returns the next line, without its end.
func (l *Live) line() ([]byte, error) {
	var line []byte
	for {
		part, err := l.in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case err != bufio.ErrBufferFull:
			return nil, err
		case len(line) > maxMessage:
			return nil, &Error{Code: CodeBadAnswer, Message: "the server sends a line without an end"}
		}
	}
}
