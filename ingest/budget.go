package ingest

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/sluicelog/sluice"
)

// A budget is an amount that all requests share: bytes, or turns. Requests that
// wait for it are served in the order in which they came.
type budget struct {
	free *semaphore.Weighted
	held atomic.Int64
}

func newBudget(n int) *budget { return &budget{free: semaphore.NewWeighted(int64(n))} }

// take takes n of the budget and waits for it at most maxWait. The error says
// that the server is busy; so it does when ctx ends, because the server stops.
func (b *budget) take(ctx context.Context, n int) error {
	if !b.free.TryAcquire(int64(n)) {
		waiting, cancel := context.WithTimeout(ctx, maxWait)
		defer cancel()
		if err := b.free.Acquire(waiting, int64(n)); err != nil {
			return busy()
		}
	}
	b.held.Add(int64(n))
	return nil
}

// wait is take for as long as ctx allows.
func (b *budget) wait(ctx context.Context, n int) error {
	if b.free.Acquire(ctx, int64(n)) != nil {
		return busy()
	}
	b.held.Add(int64(n))
	return nil
}

// give gives n back.
func (b *budget) give(n int) {
	b.held.Add(-int64(n))
	b.free.Release(int64(n))
}

func busy() error {
	return &refusal{
		status: http.StatusServiceUnavailable, code: string(sluice.Busy), wait: maxWait,
		message: "the server is taking in as much as it can",
		hint:    "send the same request again as Retry-After says",
	}
}

// takeOf takes n of a part of the budget and of the whole. Who waits for its own part
// keeps nobody else waiting.
func (b *budget) takeOf(ctx context.Context, part *budget, n int) error {
	return b.both(ctx, part, n, (*budget).take)
}

// waitOf is takeOf for as long as ctx allows.
func (b *budget) waitOf(ctx context.Context, part *budget, n int) error {
	return b.both(ctx, part, n, (*budget).wait)
}

func (b *budget) both(ctx context.Context, part *budget, n int, take func(*budget, context.Context, int) error) error {
	if err := take(part, ctx, n); err != nil {
		return err
	}
	err := take(b, ctx, n)
	if err != nil {
		part.give(n)
	}
	return err
}

// giveOf gives back what takeOf took.
func (b *budget) giveOf(part *budget, n int) {
	b.give(n)
	part.give(n)
}

// shares are what each tenant may hold of the budgets. Bodies are taken in as they
// come, and may unpack to a thousand times their size: without shares, those of one
// tenant would keep all others from posting.
type shares struct {
	bodies, work, turns int // of each

	mu  sync.RWMutex
	all map[string]*share // by the producers' namespace
}

// share is one tenant's part of each budget.
type share struct{ bodies, work, turns *budget }

// of returns the share of a producer's tenant.
func (s *shares) of(p *Producer) *share {
	s.mu.RLock()
	own := s.all[p.Namespace]
	s.mu.RUnlock()
	if own != nil {
		return own
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if own = s.all[p.Namespace]; own == nil {
		own = &share{newBudget(s.bodies), newBudget(s.work), newBudget(s.turns)}
		s.all[p.Namespace] = own
	}
	return own
}
