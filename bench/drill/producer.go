package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
)

// producerToken is asked for; servers of long ago make one of their own.
const producerToken = "drill-producer-token-0123456789"

// Namespace is where the events of producers are.
const Namespace = "acme"

// Event returns event n as it is posted and as it has to arrive. Every fourth is a
// Git event. What fills it cannot be compressed to nothing.
func Event(n int) []byte {
	kind := "user.add"
	if n%4 == 3 {
		kind = "git.push"
	}
	b := fmt.Appendf(nil, `{"id":"drill-%d","event_type":%q,"entity_path":"acme/web","author_name":"someone","drill":%d,"text":"`, n, kind, n)
	x := uint64(n) + 1
	for range 48 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b = strconv.AppendUint(b, x, 36)
	}
	return append(b, `"}`...)
}

// Git reports whether event n is a Git event.
func Git(n int) bool { return n%4 == 3 }

// numberOf finds the number in an event; ok is false for those that the server
// wrote about itself.
func numberOf(payload []byte) (n int, ok bool) {
	_, rest, ok := bytes.Cut(payload, []byte(`,"drill":`))
	if !ok {
		return 0, false
	}
	digits, _, _ := bytes.Cut(rest, []byte{','})
	n, err := strconv.Atoi(string(digits))
	return n, err == nil
}

// A Producer posts events with ascending numbers from 0 on, and repeats a request
// until it is answered: everything that was issued is acknowledged in the end,
// once. One goroutine posts at a time.
type Producer struct {
	Token  string
	client *client.Client

	mu    sync.Mutex
	acked int      // events 0 to acked-1 are
	wrong []string // what was refused
}

// NewProducer makes a token and returns a producer. The server runs.
func NewProducer(t testing.TB, s *Server) *Producer {
	t.Helper()
	made, err := s.Admin.CreateToken(t.Context(), client.TokenSpec{Kind: client.Producer, Namespace: Namespace, Token: producerToken})
	if err != nil {
		t.Fatal(err)
	}
	if made.Token == "" {
		made.Token = producerToken
	}
	return &Producer{Token: made.Token, client: s.Client(made.Token)}
}

// Continue returns a producer that goes on behind events that another one has posted,
// with a token that is there.
func Continue(s *Server, token string, acked int) *Producer {
	return &Producer{Token: token, client: s.Client(token), acked: acked}
}

// Acked returns how many events were acknowledged: none by a producer that was not
// made yet.
func (p *Producer) Acked() int {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acked
}

// Wrong returns what was wrong with answers.
func (p *Producer) Wrong() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wrong
}

// Post posts so many events, in requests of at most 100, and returns when all are
// acknowledged or ctx ends.
func (p *Producer) Post(ctx context.Context, count int) {
	for end := p.Acked() + count; p.Acked() < end && ctx.Err() == nil; {
		first := p.Acked()
		p.request(ctx, first, min(100, end-first))
	}
}

// Run posts until ctx ends, with a short pause after each request. The last request
// is completed by the next Post or Run.
func (p *Producer) Run(ctx context.Context) {
	for ctx.Err() == nil {
		p.request(ctx, p.Acked(), 1+p.Acked()%60)
		server.Pause(ctx, 5*time.Millisecond)
	}
}

// request posts events until they are acknowledged or ctx ends.
func (p *Producer) request(ctx context.Context, first, count int) {
	var body []byte
	for n := first; n < first+count; n++ {
		body = append(append(body, Event(n)...), '\n')
	}
	for ctx.Err() == nil {
		got, err := p.client.PostEvents(ctx, body, "")
		var e *client.Error
		switch {
		case err == nil && got.Accepted+got.Duplicates == count:
			p.mu.Lock()
			p.acked += count
			p.mu.Unlock()
			return
		case err == nil:
			p.note("%d events from %d on: %d accepted and %d duplicates", count, first, got.Accepted, got.Duplicates)
			return
		case errors.As(err, &e) && e.Status != 0 && !e.Temporary() && !strings.Contains(err.Error(), "canceled"):
			p.note("%d events from %d on were refused: %v", count, first, err)
			return
		}
		server.Pause(ctx, 10*time.Millisecond)
	}
}

func (p *Producer) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrong = append(p.wrong, fmt.Sprintf(format, args...))
}
