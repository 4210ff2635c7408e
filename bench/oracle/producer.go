package oracle

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/sluicelog/sluice/bench/server"
)

// maxRequest is the most events in a request.
const maxRequest = 200

// producer posts for one tenant, one request after another. A request without an
// answer is repeated until it has one, before the next: what a producer posts
// lies in the log in the order of its numbers, partition by partition.
type producer struct {
	index    int
	token    string
	rng      *rand.Rand
	books    *books
	journal  *journal
	findings *findings
	client   *http.Client

	open     []number // the request that has no answer yet
	body     []byte
	gzip     bool
	key      string
	attempts int
	requests int
}

// answer is what the server says about a stored request.
type answer struct {
	Accepted   int               `json:"accepted"`
	Duplicates int               `json:"duplicates"`
	Last       map[string]uint64 `json:"last"`
}

// errUnanswered: the events may be stored or not.
var errUnanswered = errors.New("no answer")

// run posts until ctx ends. A request under way is waited for.
func (p *producer) run(ctx context.Context, s *subject) {
	p.client = newClient()
	defer p.client.CloseIdleConnections()
	for ctx.Err() == nil {
		if p.open == nil {
			p.next()
		}
		if !p.complete(s) {
			server.Pause(ctx, 20*time.Millisecond)
			continue
		}
		server.Pause(ctx, time.Duration(p.rng.IntN(12))*time.Millisecond)
	}
}

// next makes the next request.
func (p *producer) next() {
	count := 1 + p.rng.IntN(maxRequest)
	if p.rng.IntN(3) == 0 {
		count = 1 + p.rng.IntN(4)
	}
	keyed := p.rng.IntN(5) == 0
	p.requests++
	p.attempts = 0
	p.open = p.books.issue(p.index, keyed, count)
	p.key = ""
	if keyed {
		p.key = "key-" + strconv.Itoa(p.index) + "-" + strconv.Itoa(p.requests)
	}
	p.body, p.gzip = p.encode(p.open)
}

// encode puts events into a body: lines, an array or a single object, packed or
// not.
func (p *producer) encode(list []number) ([]byte, bool) {
	array := p.rng.IntN(2) == 0
	var b []byte
	if array {
		b = append(b, '[')
	}
	for i, n := range list {
		if i > 0 && array {
			b = append(b, ',', '\n')
		} else if i > 0 {
			b = append(b, '\n')
		}
		id := ownID(n)
		if n.keyed() {
			id = ""
		}
		b = p.books.maker.appendEvent(b, n, id, true)
	}
	if array {
		b = append(b, ']')
	}
	if p.rng.IntN(4) != 0 {
		return b, false
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(b) // neither fails: it is memory
	_ = z.Close()
	return packed.Bytes(), true
}

// complete posts the open request once and reports whether it has an answer now.
func (p *producer) complete(s *subject) bool {
	p.attempts++
	before := p.books.marks()
	got, err := p.post(s)
	if errors.Is(err, errUnanswered) {
		return false
	}
	if err != nil {
		p.findings.add("request of %d events from %d on was refused: %v", len(p.open), p.open[0], err)
		return false
	}
	count := len(p.open)
	if got.Accepted+got.Duplicates != count || p.attempts == 1 && got.Duplicates > 0 {
		p.findings.add("request of %d events from %d on, attempt %d: got %d accepted and %d duplicates", count, p.open[0], p.attempts, got.Accepted, got.Duplicates)
	}
	if p.attempts == 1 {
		if wrong := p.books.advance(before, got.Last); wrong != "" {
			p.findings.add("request of %d events from %d on: %s", count, p.open[0], wrong)
		}
	}
	if err := p.journal.write(acknowledgement{p.open[0], count, got.Last}); err != nil {
		p.findings.add("%v", err)
		return false
	}
	p.books.acknowledge(p.open)
	if p.rng.IntN(20) == 0 {
		if again, err := p.post(s); err == nil && (again.Accepted != 0 || again.Duplicates != count) {
			p.findings.add("repeated request of %d events from %d on: got %d accepted and %d duplicates, want all duplicates", count, p.open[0], again.Accepted, again.Duplicates)
		}
	}
	p.open = nil
	return true
}

// post sends the open request.
func (p *producer) post(s *subject) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+"/api/v1/events", bytes.NewReader(p.body))
	if err != nil {
		return answer{}, err
	}
	r.GetBody = nil // net/http must not repeat it unseen
	r.Header.Set("Authorization", "Bearer "+p.token)
	if p.key != "" {
		r.Header.Set("Idempotency-Key", p.key)
	}
	if p.gzip {
		r.Header.Set("Content-Encoding", "gzip")
	}
	began := time.Now()
	resp, err := p.client.Do(r)
	if err != nil {
		return answer{}, errUnanswered
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	broken := resp.StatusCode == http.StatusInternalServerError && s.failed.Load()
	if err != nil || broken || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
		return answer{}, errUnanswered
	}
	if resp.StatusCode == http.StatusInsufficientStorage && s.mayRefuse(began) {
		s.refused.Add(1)
		return answer{}, errUnanswered
	}
	var a answer
	if resp.StatusCode != http.StatusOK {
		return a, fmt.Errorf("%s: %.300s", resp.Status, body)
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return a, fmt.Errorf("answer %.100q: %w", body, err)
	}
	return a, nil
}
