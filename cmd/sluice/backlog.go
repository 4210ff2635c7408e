package main

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// An answer is in memory until its client has taken it, which may be as slow as
// writeTimeout allows. Few clients must not fill the memory with answers that they
// do not read.
const (
	maxBacklog = 128 << 20 // bytes of large answers that wait for their clients
	// largeAnswer is the size from which an answer counts. Exports and live readers
	// send pieces that are smaller.
	largeAnswer = 256 << 10
	leastWait   = time.Second // that each client gets in any case
)

// backlog are the large answers that are being sent. When they are too much
// together, those are cut off whose clients have had the longest time for them.
type backlog struct {
	most int // bytes

	mu      sync.Mutex
	bytes   int
	answers []*sending // the oldest first
}

// sending is a large answer that is being sent.
type sending struct {
	bytes int
	since time.Time
	cut   func() // makes the sending fail; mu is held
}

// bound counts the large answers of h.
func (b *backlog) bound(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(&counted{w, b}, r) })
}

// begin counts an answer; end is called when it was sent, or failed.
func (b *backlog) begin(bytes int, cut func()) (end func()) {
	s := &sending{bytes, time.Now(), cut}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes, b.answers = b.bytes+bytes, append(b.answers, s)
	for b.bytes > b.most && s.since.Sub(b.answers[0].since) >= leastWait {
		b.answers[0].cut()
		b.remove(b.answers[0])
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.remove(s)
	}
}

// remove counts an answer no longer; mu is held.
func (b *backlog) remove(s *sending) {
	if i := slices.Index(b.answers, s); i >= 0 {
		b.bytes, b.answers = b.bytes-s.bytes, slices.Delete(b.answers, i, i+1)
	}
}

// counted writes an answer that is counted if it is large.
type counted struct {
	http.ResponseWriter
	of *backlog
}

func (w *counted) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *counted) Write(p []byte) (int, error) {
	if len(p) >= largeAnswer {
		defer w.of.begin(len(p), w.cut)()
	}
	return w.ResponseWriter.Write(p)
}

func (w *counted) cut() {
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Unix(1, 0)) // connections without deadlines are those of tests
}
