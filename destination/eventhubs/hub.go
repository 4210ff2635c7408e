package eventhubs

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// Limits of a Send: several batches of a standard hub, whose messages have up to
// 1 MiB.
const (
	maxEvents   = 4000
	maxBytes    = 4 << 20
	sendTimeout = time.Minute
)

// idleTime is how long a connection is kept that nobody uses: the service drops it
// after some more, and each holds memory for a message.
const idleTime = 2 * time.Minute

// Hub delivers to one event hub. It implements [destination.Destination].
type Hub struct {
	config Config
	target connection
	env    destination.Env
	roots  *x509.CertPool // nil: the system's

	// unproved says that the last events were not accepted, for whatever reason but
	// their size: then an open link does not prove that the hub accepts.
	unproved atomic.Bool

	mu      sync.Mutex
	current *session       // nil until it is needed
	closing sync.WaitGroup // sessions that are closed because nobody used them
}

var _ destination.Destination = (*Hub)(nil)

// Limits bounds batches.
func (h *Hub) Limits() destination.Limits {
	return destination.Limits{Events: maxEvents, Bytes: maxBytes, Timeout: sendTimeout}
}

// Send delivers the batch: the parts of different partition keys at once, at most
// eight of them, each part in batches as large as the link takes, one after
// another. The result has an outcome for each event unless all share one fate.
// An event that is too large for the link is rejected, and so is one that the
// hub refuses; a refused batch is sent again in halves to find it. After 20
// refusals in a row without an acceptance, and after any other failure, nothing
// new is begun. Err is then that failure, or the first refusal when there is none.
func (h *Hub) Send(ctx context.Context, b *destination.Batch) destination.Result {
	if len(b.Events) == 0 {
		return destination.Result{}
	}
	s, err := h.acquire()
	if err != nil {
		return destination.Result{Err: err}
	}
	defer s.watch(ctx)()
	limit, err := s.open(ctx)
	if err != nil {
		h.release(s, true)
		return destination.Result{Err: err}
	}
	d := &delivery{session: s, limit: limit, unproved: &h.unproved, events: b.Events, outcomes: make([]destination.Outcome, len(b.Events))}
	for _, parts := range split(h.config.PartitionBy, b.Events) {
		if !d.run(ctx, parts) {
			break
		}
	}
	h.release(s, ctx.Err() != nil || d.failure != nil && d.failure.Class == destination.Misconfigured)
	return d.result()
}

// Close implements [destination.Destination]. It is called once.
func (h *Hub) Close() error {
	h.mu.Lock()
	s := h.current
	h.current = nil
	h.mu.Unlock()
	if s != nil {
		s.stopIdle()
		s.close()
	}
	h.closing.Wait()
	return nil
}

// retire closes a session that nobody uses.
func (h *Hub) retire(s *session) {
	h.mu.Lock()
	if h.current != s || s.users > 0 {
		h.mu.Unlock()
		return
	}
	h.current = nil
	h.closing.Add(1)
	h.mu.Unlock()
	defer h.closing.Done()
	s.close()
}

// acquire returns the session, a new one when there is none that can be used.
// The caller releases it.
func (h *Hub) acquire() (*session, *destination.Error) {
	now := h.now()
	h.mu.Lock()
	old := h.current
	if old != nil && (now.After(old.expires) || old.fault() != nil) {
		old.spent, h.current = true, nil
	} else {
		old = nil
	}
	s := h.current
	var err *destination.Error
	if s == nil {
		s, err = newSession(h.config, h.target, h.env, h.roots, now)
		h.current = s
	}
	if s != nil {
		s.users++
		s.stopIdle()
	}
	unused := old != nil && old.users == 0
	h.mu.Unlock()
	if unused {
		old.stopIdle()
		old.close()
	}
	return s, err
}

// release gives the session up. A spent one is closed by the last user.
func (h *Hub) release(s *session, spent bool) {
	h.mu.Lock()
	s.users--
	s.spent = s.spent || spent
	if s.spent && h.current == s {
		h.current = nil
	}
	last := s.spent && s.users == 0
	if s.users == 0 && !s.spent {
		s.idle = time.AfterFunc(idleTime, func() { h.retire(s) })
	}
	h.mu.Unlock()
	if last {
		s.close()
	}
}

func (h *Hub) now() time.Time {
	if h.env.Now == nil {
		return time.Now()
	}
	return h.env.Now()
}

// Format prints the name alone: the fields below hold secrets.
func (h *Hub) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "event hub "+h.config.Name) }
