package oracle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
)

// mode is how a receiver behaves.
type mode int

const (
	healthy   mode = iota
	down           // 503
	lossy          // stores, and the answer is lost, now and then
	hanging        // no answer now and then, stored or not
	flaky          // 500 now and then
	forbidden      // 403
	refusing       // 400 to everything; begins and ends only while the server is dead
)

// receiver is the destination of one stream. It lives as long as the oracle.
type receiver struct {
	spec     spec
	books    *books
	findings *findings
	server   *httptest.Server

	mu      sync.Mutex
	rng     *rand.Rand
	mode    mode
	changed chan struct{} // closed when mode changes
	life    int           // of the server
	silent  int64         // instant from which on nothing should arrive; 0 for none
	counts  []uint8       // arrivals, by serial number
	sure    []uint16      // the life in which it was answered with 200, by serial number
	sureAt  []int64       // and when
	ends    map[int]int64 // when lives ended
	own     map[string]int
	order   []ownEvent // own events in the order of their first arrival
	last    [maxProducers][2]number
	failed  [2]bool // the last request with events of that class, or a check since, was not answered with 200
	first   int     // first arrivals
	repeats repeats
	scratch []byte
	refused map[number]bool // poison that was here
	trace   *trace

	conns conns
}

// repeats counts what arrived again.
type repeats struct {
	unanswered int // the answer before was lost
	killed     int // it was answered with 200 in an earlier life of the server
	// reach is how long before a kill something was answered that came again, in
	// microseconds at most, where nothing but the cursor keeps count.
	reach int64
}

func (r *repeats) add(o repeats) {
	r.unanswered += o.unanswered
	r.killed += o.killed
	r.reach = max(r.reach, o.reach)
}

// ownEvent is an event that Sluice wrote about itself.
type ownEvent struct {
	ID      string          `json:"id"`
	Type    string          `json:"event_type"`
	Path    string          `json:"entity_path"`
	Target  json.RawMessage `json:"target_id"`
	Details struct {
		Ledger *ledger `json:"ledger"`
	} `json:"details"`
}

func newReceiver(sp spec, seed uint64, b *books, f *findings, t *trace) *receiver {
	r := &receiver{spec: sp, books: b, findings: f, rng: rand.New(rand.NewPCG(seed, mix(uint64(len(sp.Name))))),
		changed: make(chan struct{}), own: map[string]int{}, refused: map[number]bool{}, trace: t, ends: map[int]int64{}}
	r.conns.init()
	r.server = httptest.NewUnstartedServer(r)
	r.server.Config.ConnState = r.conns.note
	r.server.Start()
	return r
}

func (r *receiver) close() {
	r.set(healthy) // lets go of those that hang
	r.server.Close()
}

// retire ends the receiver of a stream that is gone and was judged.
func (r *receiver) retire() {
	r.close()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts, r.sure, r.sureAt = nil, nil, nil
}

// set changes the mode.
func (r *receiver) set(m mode) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mode != m {
		r.mode = m
		close(r.changed)
		r.changed = make(chan struct{})
	}
}

func (r *receiver) behaves() mode {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mode
}

// begin notes that another life of the server begins.
func (r *receiver) begin(life int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.life = life
}

// end notes that the server was killed at an instant.
func (r *receiver) end(at int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends[r.life] = at
}

// silence is after how many microseconds nothing should arrive any more: what was
// on its way may still come, late where the machine does much else.
const silence = 5_000_000

// expectSilence says that nothing should arrive from now on, or that it may again.
func (r *receiver) expectSilence(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silent = 0
	if on {
		r.silent = r.books.now() + silence
	}
}

func (r *receiver) repeated() repeats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.repeats
}

// had returns how many events have arrived, and how many were refused for good.
func (r *receiver) had() (arrived, refused int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first + len(r.order), len(r.refused)
}

// ownCount returns how many own events have arrived.
func (r *receiver) ownCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.order)
}

// reset breaks the connection.
const reset = 0

// ServeHTTP takes a delivery.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		return // from quiet
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the server was killed
	}
	check := req.Header.Get("X-Sluice-Check") != ""
	var events [][]byte
	if !check {
		events = r.split(body)
	}
	r.mu.Lock()
	store, status := r.fate()
	if check {
		store = false
	}
	var poison bool
	if status == http.StatusOK || store {
		poison = r.poisoned(events)
	}
	if poison {
		store, status = false, http.StatusBadRequest
	}
	hang := status < 0
	if store {
		r.take(events, status == http.StatusOK)
	}
	r.trace.request(r, events, store, status)
	r.note(events, status == http.StatusOK)
	changed := r.changed
	r.mu.Unlock()

	if hang {
		select {
		case <-changed:
		case <-req.Context().Done():
		}
		status = http.StatusServiceUnavailable
	}
	if status == reset {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
}

// fate decides whether a request's events are stored and what the answer is: a
// status, reset, or -1 for none. The receiver is locked.
func (r *receiver) fate() (store bool, status int) {
	switch r.mode {
	case down:
		return false, http.StatusServiceUnavailable
	case forbidden:
		return false, http.StatusForbidden
	case refusing:
		return false, http.StatusBadRequest
	case flaky:
		if r.rng.IntN(8) == 0 {
			return false, http.StatusInternalServerError
		}
	case lossy:
		if r.rng.IntN(3) == 0 {
			return true, reset
		}
	case hanging:
		if r.rng.IntN(6) == 0 {
			return r.rng.IntN(2) == 0, -1
		}
	}
	return true, http.StatusOK
}

// split takes a body apart.
func (r *receiver) split(body []byte) [][]byte {
	switch r.spec.Format {
	case "ndjson":
		return bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
	case "array":
		return r.elements(body)
	}
	return [][]byte{body}
}

// between is what lies between two elements of an array of events, and in no event
// that there is: one that were torn would be found to have changed bytes.
var between = []byte("},{")

// elements takes an array apart.
func (r *receiver) elements(body []byte) [][]byte {
	if len(body) < 4 || body[0] != '[' || body[len(body)-1] != ']' {
		r.findings.add("%s: got a body that is no array of events: %.80q", r.spec.Name, body)
		return nil
	}
	body = body[1 : len(body)-1]
	var out [][]byte
	for {
		i := bytes.Index(body, between)
		if i < 0 {
			return append(out, body)
		}
		out = append(out, body[:i+1])
		body = body[i+2:]
	}
}

// poisoned reports whether one of the events is one that this receiver always
// refuses. The receiver is locked.
func (r *receiver) poisoned(events [][]byte) bool {
	bad := false
	for _, e := range events {
		if n, ok := numberOf(e); ok && r.spec.poison(r.books.maker, n) {
			r.refused[n] = true
			bad = true
		}
	}
	return bad
}

// note remembers how a request ended, for the order of what follows.
func (r *receiver) note(events [][]byte, good bool) {
	for c := range r.failed {
		switch {
		case len(events) == 0: // a check for either class: the other may be looking for who is to blame
			r.failed[c] = r.failed[c] || !good
		case r.classOf(events[0]) == c:
			r.failed[c] = !good
		}
	}
}

func (r *receiver) classOf(payload []byte) int {
	n, ok := numberOf(payload)
	if !ok {
		return 0
	}
	t := r.books.maker.traits(n)
	return t.class()
}

// take stores events. sure says that the answer is 200. The receiver is locked.
func (r *receiver) take(events [][]byte, sure bool) {
	if r.silent != 0 && r.books.now() > r.silent {
		r.findings.add("%s: got %d events when nothing should come any more, the first is %.80q", r.spec.Name, len(events), events[0])
	}
	for _, e := range events {
		n, ok := numberOf(e)
		if !ok {
			r.takeOwn(e)
			continue
		}
		var wrong string
		if wrong, r.scratch = r.books.check(n, e, r.scratch); wrong != "" {
			r.findings.add("%s: event %d %s", r.spec.Name, n, wrong)
			continue
		}
		r.count(n, sure, len(events) == 1)
	}
}

// count counts an arrival and looks whether it is in order and may be repeated.
func (r *receiver) count(n number, sure, alone bool) {
	i := n.serial()
	for uint64(len(r.counts)) <= i {
		r.counts, r.sure, r.sureAt = append(r.counts, 0), append(r.sure, 0), append(r.sureAt, 0)
	}
	life := uint16(r.life)
	if r.counts[i] > 0 {
		r.again(r.sure[i] != 0)
		if end := r.ends[int(r.sure[i])]; end != 0 && r.spec.PoisonRate == 0 && r.spec.Name != changing {
			r.repeats.reach = max(r.repeats.reach, end-r.sureAt[i])
		}
		if r.sure[i] == life {
			r.findings.add("%s: event %d came again although it was answered with 200 in the same life %d of the server", r.spec.Name, n, life)
		}
	} else {
		r.first++
		r.inOrder(n, alone)
	}
	if r.counts[i] < 255 {
		r.counts[i]++
	}
	if sure {
		r.sure[i], r.sureAt[i] = life, r.books.now()
	}
}

func (r *receiver) again(answered bool) {
	if answered {
		r.repeats.killed++
	} else {
		r.repeats.unanswered++
	}
}

// inOrder looks whether the first arrival of n comes in the order in which its
// producer posted. One event alone may overtake, straight after a failure: that
// is how Sluice finds out whether the one before it is to blame.
func (r *receiver) inOrder(n number, alone bool) {
	t := r.books.maker.traits(n)
	if !r.spec.ordered(&t) || alone && r.failed[t.class()] {
		return
	}
	last := &r.last[n.producer()][t.class()]
	if *last > n {
		r.findings.add("%s: event %d came first after event %d of the same producer and class", r.spec.Name, n, *last)
		return
	}
	*last = n
}

// takeOwn counts an event that the oracle did not issue.
func (r *receiver) takeOwn(payload []byte) {
	var e ownEvent
	if err := json.Unmarshal(payload, &e); err != nil || !ownType(e.Type) || e.ID == "" {
		r.findings.add("%s: got what nobody issued: %.200q", r.spec.Name, payload)
		return
	}
	if r.own[e.ID] == 0 {
		r.order = append(r.order, e)
	} else {
		r.again(true)
	}
	r.own[e.ID]++
}

// ownType reports whether Sluice may write events of a type about what the oracle
// does.
func ownType(t string) bool {
	switch t {
	case "stream.create", "stream.update", "stream.pause", "stream.resume", "stream.delete",
		"stream.failing", "stream.held", "stream.recovered", "stream.check", "token.create", "namespace.create", "secrets.rotate", "secrets.prune":
		return true
	}
	return false
}

// shelf is what a receiver holds, at one moment.
type shelf struct {
	counts  []uint8
	own     []ownEvent
	refused map[number]bool
}

// arrived reports whether an event has arrived.
func (s *shelf) arrived(n number) bool {
	return n.serial() < uint64(len(s.counts)) && s.counts[n.serial()] > 0
}

// distinct returns how many events have arrived.
func (s *shelf) distinct() int {
	total := len(s.own)
	for _, c := range s.counts {
		if c > 0 {
			total++
		}
	}
	return total
}

func (r *receiver) shelf() shelf {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := shelf{counts: append([]uint8(nil), r.counts...), own: append([]ownEvent(nil), r.order...), refused: map[number]bool{}}
	for n := range r.refused {
		s.refused[n] = true
	}
	return s
}

func (e *ownEvent) about(stream int64) bool { return string(e.Target) == fmt.Sprint(stream) }
