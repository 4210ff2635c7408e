package quota

import (
	"context"
	"sync"
)

// Places bounds what is under way at once: so much in all, and less of each who
// asks, so that whoever has much to do leaves places to others. It may be used by
// several goroutines at once.
type Places struct {
	all  chan struct{} // holds a sign for each place that is taken
	each int

	mu     sync.Mutex
	shares map[string]*share // of those who have a place or wait for one
}

// share is what one has of the places.
type share struct {
	taken chan struct{} // as all
	users int           // that have a place or wait for one
}

// NewPlaces returns places, all in number, of which one has each at most.
func NewPlaces(all, each int) *Places {
	return &Places{all: make(chan struct{}, all), each: each, shares: map[string]*share{}}
}

// Enter waits for a place until ctx ends, whose cause it returns then. leave gives
// the place back.
func (p *Places) Enter(ctx context.Context, key string) (leave func(), err error) {
	own := p.join(key)
	if err := enter(ctx, own.taken); err != nil {
		p.part(key)
		return nil, err
	}
	if err := enter(ctx, p.all); err != nil {
		<-own.taken
		p.part(key)
		return nil, err
	}
	return func() { <-p.all; <-own.taken; p.part(key) }, nil
}

func enter(ctx context.Context, taken chan<- struct{}) error {
	select {
	case taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *Places) join(key string) *share {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.shares[key]
	if own == nil {
		own = &share{taken: make(chan struct{}, p.each)}
		p.shares[key] = own
	}
	own.users++
	return own
}

func (p *Places) part(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shares[key].users--; p.shares[key].users == 0 {
		delete(p.shares, key)
	}
}
