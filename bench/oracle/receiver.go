package oracle

import (
	"bytes"
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
	bucket  *bucket       // of a stream to Amazon S3; nil for others
	doubt   chan struct{} // the next object is stored, and the answer lost; closed then; nil when none is
	numbers [2]uint64     // the last one of the objects in it, by class

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

func newReceiver(sp spec, seed uint64, b *books, f *findings, t *trace, all *bucket) *receiver {
	r := &receiver{spec: sp, books: b, findings: f, rng: rand.New(rand.NewPCG(seed, mix(uint64(len(sp.Name))))),
		changed: make(chan struct{}), own: map[string]int{}, refused: map[number]bool{}, trace: t, ends: map[int]int64{}}
	if sp.Kind == kindS3 {
		r.bucket = all
	}
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

// Answers that are no status.
const (
	reset = 0  // the connection breaks
	hung  = -1 // none, until the mode changes
)

// delivery is a request that brings events, or a check.
type delivery struct {
	check  bool
	events [][]byte
	object *object // that they are in; nil for none
}

// ServeHTTP takes a delivery.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var d *delivery
	switch {
	case r.bucket != nil && req.Method == http.MethodPut:
		d = r.readObject(req)
	case r.bucket != nil:
		answerObject(w, http.StatusForbidden, false) // from a check, which may look and delete elsewhere, or from quiet
		return
	case req.Method == http.MethodPost:
		d = r.readEvents(req)
	}
	if d == nil {
		return // from quiet, or the server was killed
	}
	status, proxied, changed := r.receive(d)
	if status == hung {
		select {
		case <-changed:
		case <-req.Context().Done():
		}
		status = http.StatusServiceUnavailable
	}
	switch {
	case status == reset:
		panic(http.ErrAbortHandler)
	case r.bucket != nil:
		answerObject(w, status, proxied)
	default:
		w.WriteHeader(status)
	}
}

// readEvents reads a request that posts events; it returns nil when the server was
// killed while it sent it.
func (r *receiver) readEvents(req *http.Request) *delivery {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil
	}
	if req.Header.Get("X-Sluice-Check") != "" {
		return &delivery{check: true}
	}
	return &delivery{events: r.split(body)}
}

// receive stores what came, or does not, and returns the answer, whether a proxy
// gives it, and what is closed when the mode changes.
func (r *receiver) receive(d *delivery) (status int, proxied bool, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	store, status := false, 0
	if r.bucket != nil {
		store, status, proxied = r.fateOfObject()
	} else {
		store, status = r.fate()
	}
	if d.check {
		store = false
	}
	if (status == http.StatusOK || store) && r.poisoned(d.events) {
		store, status = false, http.StatusBadRequest
	}
	good := status == http.StatusOK
	if d.object != nil {
		store, status = r.keep(d, store, status)
		good = good && status != reset // the answer may be lost for the sake of a change
	}
	if store {
		r.take(d.events, good)
	}
	r.trace.request(r, d.events, store, status)
	r.note(d.events, good)
	return status, proxied, r.changed
}

// fate decides whether a request's events are stored and what the answer is: a
// status, reset or hung. The receiver is locked.
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
			return r.rng.IntN(2) == 0, hung
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
	if r.counts[i] > 0 && r.bucket != nil {
		r.findings.add("%s: event %d is in the bucket twice", r.spec.Name, n)
	} else if r.counts[i] > 0 {
		r.again(r.sure[i] != 0)
		if end := r.ends[int(r.sure[i])]; end != 0 && r.spec.PoisonRate == 0 && !r.spec.changes() {
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
	if !r.spec.ordered(&t) || alone && r.bucket == nil && r.failed[t.class()] {
		return
	}
	last := &r.last[n.producer()][t.class()]
	if *last > n {
		r.findings.add("%s: event %d came first after event %d of the same producer and class", r.spec.Name, n, *last)
		return
	}
	*last = n
}
