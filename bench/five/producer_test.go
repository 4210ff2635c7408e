package five

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
)

// workers post at once.
const workers = 4

// producer posts requests. One without an answer is repeated until it has one.
type producer struct {
	client *client.Client
	book   *book
}

// post posts the requests and returns when all are answered. It calls half when
// it has come to the middle.
func (p *producer) post(ctx context.Context, list []request, half func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel() // half may end the test
	left := make(chan request, len(list))
	for _, r := range list {
		left <- r
	}
	close(left)
	middle := make(chan struct{})
	for range workers {
		wg.Go(func() {
			for r := range left {
				if r.first == list[len(list)/2].first {
					close(middle)
				}
				p.complete(ctx, r)
			}
		})
	}
	<-middle
	half()
	wg.Wait()
}

func (p *producer) complete(ctx context.Context, r request) {
	body := r.body()
	for attempt := 1; ctx.Err() == nil; attempt++ {
		got, err := p.client.PostEvents(ctx, body, r.key)
		var e *client.Error
		if errors.As(err, &e) && e.Temporary() {
			server.Pause(ctx, max(e.RetryAfter, 20*time.Millisecond))
			continue
		}
		switch {
		case ctx.Err() != nil:
		case err != nil:
			p.book.find("the request with %d events from %d on was refused: %v", r.count, r.first, err)
		case got.Accepted+got.Duplicates != r.count, attempt == 1 && r.key == "" && got.Duplicates > 0:
			// Package net/http itself repeats requests that have an idempotency key.
			p.book.find("the request with %d events from %d on, attempt %d: got %d accepted and %d duplicates",
				r.count, r.first, attempt, got.Accepted, got.Duplicates)
		}
		if err == nil {
			p.book.acknowledge(r.count)
		}
		return
	}
}
