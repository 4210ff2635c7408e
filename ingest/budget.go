package ingest

import (
	"context"
	"net/http"
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
