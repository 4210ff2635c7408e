package oracle

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicelog/sluice/bench/server"
)

// all returns the streams that there are now.
func (o *oracle) all() []*stream {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.streams // it is only added to
}

// add adds a stream, whose receiver is to know in which life of the server it is.
func (o *oracle) add(s *stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s.receiver.begin(o.restarts)
	o.streams = append(o.streams, s)
}

// life returns in which of its lives the server is, or was last.
func (o *oracle) life() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.restarts
}

// killEarly kills the server while it starts, or as soon as it is ready.
func (o *oracle) killEarly(ctx context.Context) error {
	if o.rng.IntN(2) == 0 {
		o.begin()
		if err := o.server.launch(ctx); err != nil {
			return err
		}
		server.Pause(ctx, time.Duration(o.rng.IntN(80))*time.Millisecond)
		return o.kill(ctx)
	}
	if err := o.start(ctx); err != nil {
		return err
	}
	return o.kill(ctx)
}

// begin notes that another life of the server begins.
func (o *oracle) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.restarts++
	for _, s := range o.streams {
		s.receiver.begin(o.restarts)
	}
}

// kill kills the server and waits until every request that it had sent has been
// judged: those that come later are of another life.
func (o *oracle) kill(ctx context.Context) error {
	at := o.books.now()
	if err := o.server.kill(); err != nil {
		return err
	}
	o.ended(at)
	return o.quiet(ctx)
}

// ended notes when the server was killed.
func (o *oracle) ended(at int64) {
	for _, s := range o.all() {
		s.receiver.end(at)
	}
}

func (o *oracle) quiet(ctx context.Context) error {
	var g errgroup.Group
	o.mu.Lock()
	for _, s := range o.streams {
		if !s.deleted {
			g.Go(func() error { return s.receiver.quiet(ctx) })
		}
	}
	o.mu.Unlock()
	return g.Wait()
}

// start starts the server and waits until it is ready.
func (o *oracle) start(ctx context.Context) error {
	o.begin()
	begin := time.Now()
	if err := o.server.start(ctx); err != nil {
		return err
	}
	o.slowest = max(o.slowest, time.Since(begin))
	return nil
}
