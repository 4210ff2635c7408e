package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
)

// stream is a stream with its receiver, as the play wants it.
type stream struct {
	spec client.StreamSpec
	id   sluice.StreamID // 0 until it is created
	gone bool
	w    *world
	// dropped are events that somebody gave up, and lost how many the log lost.
	dropped map[string]bool
	lost    int
	// refresh reads what has arrived; nil when that is known at any time.
	refresh func(context.Context) error
	once    bool // every event is to arrive once

	mu       sync.Mutex
	tolerant map[string]bool // bad events that are taken all the same
	arrived  map[string]int  // how often, by id
	own      []own           // of those, what Sluice wrote, in order of first arrival
	last     [2]int          // number of the last event, by class
}

// own is an event that Sluice wrote.
type own struct {
	ID     string          `json:"id"`
	Type   string          `json:"event_type"`
	Path   string          `json:"entity_path"`
	Target json.RawMessage `json:"target_id"`

	Details struct {
		Ledger *sluice.Ledger `json:"ledger"` // the last one of a stream that was deleted
	} `json:"details"`
}

func newStream(w *world, name, namespace string) *stream {
	return &stream{spec: client.StreamSpec{Namespace: namespace, Name: name, Start: "earliest"}, w: w, last: [2]int{-1, -1},
		dropped: map[string]bool{}, tolerant: map[string]bool{}, arrived: map[string]int{}}
}

// http makes a stream to a receiver that takes lines.
func (w *world) http(name, namespace string) *stream {
	s := newStream(w, name, namespace)
	server := httptest.NewServer(s)
	w.Cleanup(server.Close)
	s.spec.Kind, s.spec.Config = "http", json.RawMessage(`{"url":"`+server.URL+`","format":"ndjson"}`)
	return s
}

// ServeHTTP takes a delivery. Bad events are refused.
func (s *stream) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("X-Sluice-Check") != "" {
		return // the sender died, or tries
	}
	if s.refuses(lines(body)) {
		http.Error(rw, "it is refused", http.StatusBadRequest)
		return
	}
	for _, line := range lines(body) {
		s.take(line)
	}
}

func (s *stream) refuses(list [][]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range list {
		if id, _, _, _ := s.w.book.check(line); bytes.Contains(line, []byte(badMark)) && s.spec.Namespace != "" && !s.tolerant[id] {
			return true
		}
	}
	return false
}

// take counts an event that arrived.
func (s *stream) take(payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, e, isOwn, wrong := s.w.book.check(payload)
	if wrong != "" {
		s.w.Errorf("%s: %s", s.spec.Name, wrong)
		return
	}
	s.arrived[id]++
	if s.arrived[id] > 1 {
		if s.once {
			s.w.Errorf("%s: event %s is there %d times", s.spec.Name, id, s.arrived[id])
		}
		return
	}
	if isOwn {
		var o own
		_ = json.Unmarshal(payload, &o) // check did so
		s.own = append(s.own, o)
		return
	}
	class := 0
	if e.git {
		class = 1
	}
	switch {
	case s.spec.Namespace != "" && e.top != s.spec.Namespace:
		s.w.Errorf("%s: event %s of %s arrived, which is not of this stream", s.spec.Name, id, e.top)
	case e.number < s.last[class] && len(s.tolerant) == 0:
		s.w.Errorf("%s: event %d came first after event %d of the same class", s.spec.Name, e.number, s.last[class])
	}
	s.last[class] = max(s.last[class], e.number)
}

// some waits for the first delivery.
func (s *stream) some() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.arrived) == 0 {
		return notYetf("%s: nothing has arrived", s.spec.Name)
	}
	return nil
}

// create creates a stream and finds out, after a crash, whether it is there.
func (w *world) create(s *stream) {
	w.Helper()
	w.do("create "+s.spec.Name, func(ctx context.Context) error {
		list, err := w.Admin.Streams(ctx, nil)
		if err != nil {
			return err
		}
		for i := range list {
			if list[i].Name == s.spec.Name {
				s.id = list[i].ID
				return nil
			}
		}
		made, err := w.Admin.CreateStream(ctx, s.spec)
		s.id = made.ID
		return err
	})
	w.streams = append(w.streams, s)
}

// rename gives a stream another name.
func (w *world) rename(s *stream, name string) {
	w.Helper()
	s.spec.Name = name
	w.do("rename to "+name, func(ctx context.Context) error {
		_, err := w.Admin.UpdateStream(ctx, s.id, json.RawMessage(`{"name":"`+name+`"}`))
		return err
	})
}

// remove deletes a stream.
func (w *world) remove(s *stream) {
	w.Helper()
	w.do("delete "+s.spec.Name, func(ctx context.Context) error {
		err := w.Admin.DeleteStream(ctx, s.id)
		if isStatus(err, http.StatusNotFound) {
			return nil // the answer was lost
		}
		return err
	})
	s.gone = true
}
