package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Codes of Splunk's HTTP Event Collector, as far as they are used here.
const (
	hecSuccess      = 0
	hecNoToken      = 2
	hecNoScheme     = 3
	hecWrongToken   = 4
	hecWrongData    = 6
	hecInternal     = 8
	hecBusy         = 9
	hecNoEvent      = 12
	hecBlankEvent   = 13
	hecHealthy      = 17
	hecUnknownPath  = 404
	hecTooLarge     = 27
	collectorPrefix = "/services/collector"
)

// Collector serves Splunk's HTTP Event Collector in front of the same door, for
// streams that GitHub and others send to one: at /services/collector, .../event,
// .../event/1.0 and .../health. A request is objects one behind the other, each
// with the event in its member event; what else they hold is not kept. It answers
// only after every event is durable. A request without a body is answered as a
// success, by which GitHub checks its destination.
//
// Source: Splunk's documentation, "HTTP Event Collector REST API endpoints".
func (h *Handler) Collector() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"", "/event", "/event/1.0"} {
		mux.HandleFunc(collectorPrefix+path, h.collect)
	}
	for _, path := range []string{"/health", "/health/1.0"} {
		mux.HandleFunc("GET "+collectorPrefix+path, func(w http.ResponseWriter, _ *http.Request) {
			writeCollector(w, http.StatusOK, collectorAnswer{Text: "HEC is healthy", Code: hecHealthy})
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeCollector(w, http.StatusNotFound, collectorAnswer{Text: "The requested URL was not found on this server.", Code: hecUnknownPath})
	})
	return mux
}

// collectorAnswer is the body of every answer.
type collectorAnswer struct {
	Text    string `json:"text"`
	Code    int    `json:"code"`
	Invalid *int   `json:"invalid-event-number,omitempty"`
	// Details is of ours: why an event was refused, or what to do.
	Details string `json:"details,omitempty"`
}

func writeCollector(w http.ResponseWriter, status int, a collectorAnswer) {
	b, err := json.Marshal(a)
	if err != nil {
		panic("ingest: encode answer: " + err.Error()) // it holds strings and numbers only
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b) // nobody is left to be told
}

// collect takes one request in.
func (h *Handler) collect(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	status := http.StatusOK
	if err := h.serveCollector(w, r, began); err != nil {
		status = h.refuseCollector(w, r, err)
	} else {
		writeCollector(w, http.StatusOK, collectorAnswer{Text: "Success", Code: hecSuccess})
	}
	h.stats.request(status, time.Since(began))
}

func (h *Handler) serveCollector(w http.ResponseWriter, r *http.Request, began time.Time) error {
	token, err := collectorToken(r)
	if err != nil {
		return err
	}
	r = r.Clone(r.Context())
	r.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Encoding": r.Header["Content-Encoding"]}
	hd, err := h.head(r)
	if err != nil {
		return err
	}
	in := h.intakes.get()
	defer h.putIntake(in)
	if err := h.read(w, r, &hd, in, began); err != nil {
		return err
	}
	if len(bytes.TrimSpace(in.body.bytes())) == 0 {
		return nil // a check
	}
	if err := h.unwrap(r.Context(), in.share, in.body.block); err != nil {
		return err
	}
	return h.store(silent{}, r, &hd, in)
}

// silent is where the answer of the native surface goes.
type silent struct{}

func (silent) Header() http.Header         { return http.Header{} }
func (silent) Write(b []byte) (int, error) { return len(b), nil }
func (silent) WriteHeader(int)             {}

// collectorError is an answer of the collector.
type collectorError struct {
	status int
	answer collectorAnswer
}

func (e *collectorError) Error() string { return e.answer.Text }

// collectorToken reads the token, of the scheme Splunk or as the password of
// basic authentication.
func collectorToken(r *http.Request) (string, error) {
	if _, password, ok := r.BasicAuth(); ok && validToken(password) {
		return password, nil
	}
	value := r.Header.Get("Authorization")
	if value == "" {
		return "", &collectorError{http.StatusUnauthorized, collectorAnswer{Text: "Token is required", Code: hecNoToken}}
	}
	scheme, token, _ := strings.Cut(value, " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Splunk") || !validToken(token) {
		return "", &collectorError{http.StatusUnauthorized, collectorAnswer{Text: "Invalid authorization", Code: hecNoScheme}}
	}
	return token, nil
}

// unwrap replaces the body by its events, a line each. An event is shorter than
// what it comes in, so that what is written never reaches what was not read.
func (h *Handler) unwrap(ctx context.Context, of *share, b *block) error {
	if err := h.turns.takeOf(ctx, of.turns, 1); err != nil {
		return err
	}
	defer h.turns.giveOf(of.turns, 1)
	dec := json.NewDecoder(bytes.NewReader(b.b))
	out := b.b[:0]
	for n := 0; ; n++ {
		var envelope struct {
			Event json.RawMessage `json:"event"`
		}
		err := dec.Decode(&envelope)
		if errors.Is(err, io.EOF) {
			b.b = out
			return nil
		}
		event, wrong := eventIn(envelope.Event)
		if err != nil {
			wrong = &collectorAnswer{Text: "Invalid data format", Code: hecWrongData}
		}
		if wrong != nil {
			wrong.Invalid = &n
			return &collectorError{http.StatusBadRequest, *wrong}
		}
		out = append(append(out, event...), '\n')
	}
}

// eventIn returns the event of an envelope, an object or the text of one.
func eventIn(raw json.RawMessage) (event []byte, wrong *collectorAnswer) {
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil, &collectorAnswer{Text: "Event field is required", Code: hecNoEvent}
	case raw[0] == '{':
		return raw, nil
	case raw[0] != '"':
		return nil, &collectorAnswer{Text: "Invalid data format", Code: hecWrongData, Details: "the event is not an object"}
	}
	if !utf8.Valid(raw) {
		// Unmarshal would put three bytes in the place of one.
		return nil, &collectorAnswer{Text: "Invalid data format", Code: hecWrongData, Details: "the event is not UTF-8"}
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, &collectorAnswer{Text: "Invalid data format", Code: hecWrongData}
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, &collectorAnswer{Text: "Event field cannot be blank", Code: hecBlankEvent}
	}
	if text[0] != '{' || strings.ContainsAny(text, "\n\r") {
		return nil, &collectorAnswer{Text: "Invalid data format", Code: hecWrongData, Details: "the event is not an object on one line"}
	}
	return []byte(text), nil
}

// refuseCollector answers with an error and returns its status.
func (h *Handler) refuseCollector(w http.ResponseWriter, r *http.Request, err error) int {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(maxWait)) // see refuse
	if e, ok := errors.AsType[*collectorError](err); ok {
		writeCollector(w, e.status, e.answer)
		return e.status
	}
	no := h.asRefusal(r.Context(), err)
	status, a := no.status, collectorAnswer{Text: "Internal server error", Code: hecInternal, Details: no.message}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		status, a = http.StatusForbidden, collectorAnswer{Text: "Invalid token", Code: hecWrongToken}
	case http.StatusBadRequest, http.StatusUnsupportedMediaType, http.StatusMethodNotAllowed, http.StatusRequestTimeout:
		a.Text, a.Code = "Invalid data format", hecWrongData
		if len(no.events) > 0 {
			a.Invalid, a.Details = &no.events[0].Index, no.events[0].Message
		}
	case http.StatusRequestEntityTooLarge:
		a.Text, a.Code = "Request entity too large", hecTooLarge
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		status, a.Text, a.Code = http.StatusServiceUnavailable, "Server is busy", hecBusy
	}
	if wait := max(no.wait, 0); status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.FormatInt(max(1, int64((wait+time.Second-1)/time.Second)), 10))
	}
	writeCollector(w, status, a)
	return status
}
