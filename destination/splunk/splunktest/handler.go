package splunktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// reply is an answer.
type reply struct {
	status  int
	code    int
	text    string
	invalid int // invalid-event-number, -1 for none
	ack     *uint64
	acks    map[string]bool
}

func say(status, code int, text string) reply {
	return reply{status: status, code: code, text: text, invalid: -1}
}

func (r reply) body() []byte {
	m := map[string]any{"text": r.text, "code": r.code}
	if r.acks != nil {
		m = map[string]any{"acks": r.acks}
	}
	if r.invalid >= 0 {
		m["invalid-event-number"] = r.invalid
	}
	if r.ack != nil {
		m["ackId"] = *r.ack
	}
	out, _ := json.Marshal(m)
	return out
}

// Handler returns the collector itself, for a server of the caller's.
func (s *Server) Handler() http.Handler {
	var h http.Handler = http.HandlerFunc(s.serve)
	if s.options.Wrap != nil {
		h = s.options.Wrap(h)
	}
	return h
}

func (s *Server) serve(w http.ResponseWriter, q *http.Request) {
	body, r := s.read(q)
	if r.status == 0 {
		r = s.answer(q, body)
	}
	if s.options.Received == nil {
		s.mu.Lock()
		s.requests = append(s.requests, Request{Method: q.Method, Path: q.URL.Path, Header: q.Header.Clone(), Body: body, Status: r.status, Code: r.code})
		s.mu.Unlock()
	}
	if !s.options.WholeBatch {
		w.Header().Set("Server", "Splunkd")
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(r.status)
	w.Write(r.body())
}

// read returns the unpacked body, or a refusal.
func (s *Server) read(q *http.Request) ([]byte, reply) {
	in := io.Reader(q.Body)
	switch q.Header.Get("Content-Encoding") {
	case "":
	case "gzip":
		unzip, err := gzip.NewReader(in)
		if err != nil {
			return nil, say(http.StatusBadRequest, 6, "Invalid data format")
		}
		in = unzip
	default:
		return nil, say(http.StatusUnsupportedMediaType, 415, "Unsupported Media Type")
	}
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(in, s.options.MaxBytes+1))
	switch {
	case err != nil:
		return nil, say(http.StatusBadRequest, 6, "Invalid data format")
	case n > s.options.MaxBytes:
		return nil, say(http.StatusRequestEntityTooLarge, 413, "Content-Length of "+strconv.FormatInt(n, 10)+" too large")
	}
	return b.Bytes(), reply{}
}

func (s *Server) answer(q *http.Request, body []byte) reply {
	switch q.URL.Path {
	case "/services/collector/health", "/services/collector/health/1.0":
		if !s.options.NoHealth {
			return say(http.StatusOK, 17, "HEC is healthy")
		}
	case "/services/collector", "/services/collector/event", "/services/collector/event/1.0":
		if r := s.authorize(q); r.status != 0 {
			return r
		}
		return s.take(q, body)
	case "/services/collector/ack":
		if r := s.authorize(q); r.status != 0 {
			return r
		}
		return s.tell(q, body)
	}
	return say(http.StatusNotFound, 404, "The requested URL was not found on this server.")
}

func (s *Server) authorize(q *http.Request) reply {
	scheme, token, _ := strings.Cut(q.Header.Get("Authorization"), " ")
	switch {
	case q.Method != http.MethodPost:
		return say(http.StatusMethodNotAllowed, 405, "The requested method is not allowed")
	case q.URL.Query().Has("token"):
		return say(http.StatusBadRequest, 16, "Query string authorization is not enabled")
	case scheme == "":
		return say(http.StatusUnauthorized, 2, "Token is required")
	case scheme != "Splunk" || token == "":
		return say(http.StatusUnauthorized, 3, "Invalid authorization")
	case token != s.options.Token:
		return say(http.StatusForbidden, 4, "Invalid token")
	case s.options.Disabled:
		return say(http.StatusForbidden, 1, "Token disabled")
	}
	return reply{}
}

var guid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// channelOf returns the channel that a request names.
func (s *Server) channelOf(q *http.Request) (string, reply) {
	name := q.Header.Get("X-Splunk-Request-Channel")
	if name == "" {
		name = q.URL.Query().Get("channel")
	}
	switch {
	case name == "" && s.options.Ack:
		return "", say(http.StatusBadRequest, 10, "Data channel is missing")
	case name != "" && !guid.MatchString(name):
		return "", say(http.StatusBadRequest, 11, "Invalid data channel")
	}
	return strings.ToUpper(name), reply{}
}

// take stores the objects of a request, up to the first that it refuses.
func (s *Server) take(q *http.Request, body []byte) reply {
	name, problem := s.channelOf(q)
	if problem.status != 0 {
		return problem
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return say(http.StatusBadRequest, 5, "No data")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list, r := s.objects(body, name)
	if r.status == 0 || !s.options.WholeBatch {
		s.store(list)
	}
	if r.status != 0 {
		return r
	}
	r = say(http.StatusOK, 0, "Success")
	if s.options.Ack {
		id := s.channel(name).give()
		r.ack = &id
	}
	return r
}

func (s *Server) store(list []Event) {
	switch {
	case len(list) == 0:
	case s.options.Received != nil:
		s.options.Received(list)
	default:
		s.events = append(s.events, list...)
	}
}

// tell answers for acknowledgements; what it tells to be indexed it forgets.
func (s *Server) tell(q *http.Request, body []byte) reply {
	if !s.options.Ack {
		return say(http.StatusBadRequest, 14, "ACK is disabled")
	}
	name, problem := s.channelOf(q)
	if problem.status != 0 {
		return problem
	}
	var in struct {
		Acks []uint64 `json:"acks"`
	}
	if err := json.Unmarshal(body, &in); err != nil || len(in.Acks) == 0 {
		return say(http.StatusBadRequest, 6, "Invalid data format")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channel(name)
	acks := map[string]bool{}
	for _, id := range in.Acks {
		asked, known := c.asked[id]
		yes := known && (s.options.Indexed == nil || s.options.Indexed(name, id, asked+1))
		if acks[fmt.Sprint(id)] = yes; yes {
			delete(c.asked, id)
		} else if known {
			c.asked[id]++
		}
	}
	return reply{status: http.StatusOK, invalid: -1, acks: acks}
}

func (s *Server) channel(name string) *channel {
	c := s.channels[name]
	if c == nil {
		c = &channel{asked: map[uint64]int{}}
		s.channels[name] = c
	}
	return c
}

func (c *channel) give() uint64 {
	id := c.next
	c.next++
	c.asked[id] = 0
	return id
}
