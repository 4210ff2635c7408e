package drill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
)

// A Receiver is the destination of one stream of the kind http, in the format
// ndjson. Its methods may be called at once.
type Receiver struct {
	Name string
	ID   sluice.StreamID

	t      testing.TB
	server *httptest.Server

	mu       sync.Mutex
	mode     Mode
	changed  chan struct{}     // closed when mode changes
	poison   []byte            // requests with it are answered with 400; nil for none
	header   string            // what requests have to have, as "Name: value"; "" for nothing
	counts   map[int]int       // arrivals that were answered with 200, by number
	own      map[string]int    // events that the server wrote about itself, by id
	stories  []json.RawMessage // those, as they arrived first
	refused  int               // requests that lacked the header
	waiting  int               // requests that hang now
	wrong    []string
	arrivals int // of events, repeated ones included
	last     time.Time
	highest  [2]int  // one more than the number of the highest event, by class
	failed   [2]bool // the last request with events of a class was not answered with 200
	loose    bool    // Git events may come late
}

// A Mode is how a receiver behaves.
type Mode struct {
	Status int           // of each answer; 0 is 200
	Delay  time.Duration // before each answer
	Hang   bool          // no answer before the mode changes, then none at all
	Dead   bool          // breaks each connection at once
}

// NewReceiver starts a receiver that takes everything.
func NewReceiver(t testing.TB, name string) *Receiver {
	r := &Receiver{Name: name, t: t, changed: make(chan struct{}), counts: map[int]int{}, own: map[string]int{}}
	r.server = httptest.NewServer(r)
	t.Cleanup(func() {
		r.Set(Mode{})
		r.server.Close()
	})
	return r
}

// URL returns where it listens.
func (r *Receiver) URL() string { return r.server.URL + "/" + r.Name }

// Create makes its stream. Members of config are added to its own.
func (r *Receiver) Create(s *Server, spec client.StreamSpec, config map[string]any) {
	r.t.Helper()
	all := map[string]any{"url": r.URL(), "format": "ndjson"}
	for k, v := range config {
		all[k] = v
	}
	var err error
	if spec.Config, err = json.Marshal(all); err != nil {
		r.t.Fatal(err)
	}
	spec.Kind, spec.Name = "http", r.Name
	made, err := s.Admin.CreateStream(r.t.Context(), spec)
	if err != nil {
		r.t.Fatalf("create %s: %v", r.Name, err)
	}
	r.ID = made.ID
}

// Set changes the mode.
func (r *Receiver) Set(m Mode) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mode = m
	close(r.changed)
	r.changed = make(chan struct{})
}

// Demand has requests without a header answered with 403.
func (r *Receiver) Demand(header string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.header = header
}

// Refuse has every request with event n answered with 400.
func (r *Receiver) Refuse(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.poison = fmt.Appendf(nil, `,"drill":%d,`, n)
}

// ServeHTTP takes a delivery.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the server was killed
	}
	r.mu.Lock()
	mode, changed := r.mode, r.changed
	status := max(mode.Status, http.StatusOK)
	if r.header != "" && !has(req.Header, r.header) {
		r.refused++
		status = http.StatusForbidden
	}
	if r.poison != nil && bytes.Contains(body, r.poison) {
		status = http.StatusBadRequest
	}
	r.waiting++
	if mode.Dead {
		mode.Hang = true
	}
	r.mu.Unlock()
	if (mode.Delay > 0 || mode.Hang) && !mode.Dead {
		var late <-chan time.Time
		if mode.Delay > 0 {
			timer := time.NewTimer(mode.Delay)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-late:
		case <-changed:
		case <-req.Context().Done():
		}
	}
	r.mu.Lock()
	r.waiting--
	good := status == http.StatusOK && !mode.Hang
	check := req.Header.Get("X-Sluice-Check") != ""
	if good && !check {
		r.take(body)
	}
	r.note(body, check, good)
	r.mu.Unlock()
	if mode.Hang {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
}

func has(h http.Header, line string) bool {
	for name, values := range h {
		for _, v := range values {
			if name+": "+v == line {
				return true
			}
		}
	}
	return false
}

// take counts events. The receiver is locked.
func (r *Receiver) take(body []byte) {
	r.last = time.Now()
	alone := bytes.Count(body, []byte("\n")) <= 1
	for line := range bytes.Lines(body) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		r.arrivals++
		n, ok := numberOf(line)
		if !ok {
			r.takeOwn(line)
			continue
		}
		if want := Event(n); !bytes.Equal(line, want) {
			r.wrong = append(r.wrong, fmt.Sprintf("%s: event %d has changed bytes: got %q, want %q", r.Name, n, line, want))
		}
		if r.counts[n] == 0 {
			r.inOrder(n, alone)
		}
		r.counts[n]++
	}
}

// class returns 1 for Git events, 0 for others.
func class(n int) int {
	if Git(n) {
		return 1
	}
	return 0
}

// inOrder looks whether the first arrival of an event comes in the order of the
// log, which is that of the numbers, class by class. One event alone may overtake
// straight after a failure: so the server finds out whether the one before it is to
// blame.
func (r *Receiver) inOrder(n int, alone bool) {
	c := class(n)
	if alone && r.failed[c] || c == 1 && r.loose {
		return
	}
	if n < r.highest[c] {
		r.wrong = append(r.wrong, fmt.Sprintf("%s: event %d came first after event %d of the same class", r.Name, n, r.highest[c]-1))
	}
	r.highest[c] = max(r.highest[c], n+1)
}

// note remembers how a request ended: a check, or one with events of the server
// alone, speaks for either class.
func (r *Receiver) note(body []byte, check, good bool) {
	line, _, _ := bytes.Cut(body, []byte("\n"))
	n, ok := numberOf(line)
	for c := range r.failed {
		switch {
		case check || !ok:
			r.failed[c] = r.failed[c] || !good
		case class(n) == c:
			r.failed[c] = !good
		}
	}
}

// Loosen says that Git events may come late: those that a filter leaves out for a
// while are sent late when a kill takes the cursor back.
func (r *Receiver) Loosen() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loose = true
}

func (r *Receiver) takeOwn(line []byte) {
	var e struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(line, &e); err != nil || e.ID == "" {
		r.wrong = append(r.wrong, fmt.Sprintf("%s: got what nobody issued: %.200q", r.Name, line))
		return
	}
	if r.own[e.ID] == 0 {
		r.stories = append(r.stories, bytes.Clone(line))
	}
	r.own[e.ID]++
}

// Held is what a receiver has at one moment.
type Held struct {
	Events   int // different ones that were posted
	Own      int // different ones that the server wrote about itself
	Arrivals int // of both, repeated ones included
	Refused  int // requests that lacked the header
	Waiting  int // requests without an answer now
	Last     time.Time
}

// Held returns what arrived.
func (r *Receiver) Held() Held {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Held{len(r.counts), len(r.own), r.arrivals, r.refused, r.waiting, r.last}
}

// Has reports whether event n has arrived.
func (r *Receiver) Has(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[n] > 0
}

// Stories returns the events that the server wrote about itself, in their order.
func (r *Receiver) Stories() []json.RawMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]json.RawMessage(nil), r.stories...)
}

// Wrong returns what was wrong with what arrived.
func (r *Receiver) Wrong() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.wrong...)
}

// Missing lists events of from to to-1 that have not arrived, at most ten.
func (r *Receiver) Missing(from, to int) (list []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := from; n < to && len(list) < 10; n++ {
		if r.counts[n] == 0 {
			list = append(list, n)
		}
	}
	return list
}
