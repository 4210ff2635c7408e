package oracle

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/sluicelog/sluice/bench/server"
)

// conns counts the connections of a receiver.
type conns struct {
	mu     sync.Mutex
	open   map[net.Conn]bool
	closed chan struct{} // closed when a connection was closed
}

func (c *conns) init() { c.open, c.closed = map[net.Conn]bool{}, make(chan struct{}) }

// note is called by net/http, for new connections in the order in which they were
// made.
func (c *conns) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.open[conn] = true
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
		close(c.closed)
		c.closed = make(chan struct{})
	case http.StateActive, http.StateIdle:
	}
}

// quiet waits until every request of a server that is dead has been answered, as
// far as it had been sent: the kernel goes on handing over what the dead had
// written. A connection of our own comes after all of its connections; each of
// those is closed when its last request was dealt with.
func (r *receiver) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, server.Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.server.URL, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("reach receiver %s: %w", r.spec.Name, err)
	}
	_ = resp.Body.Close()
	for {
		r.conns.mu.Lock()
		open, closed := len(r.conns.open), r.conns.closed
		r.conns.mu.Unlock()
		if open == 0 {
			return nil
		}
		select {
		case <-closed:
		case <-ctx.Done():
			return fmt.Errorf("receiver %s still has %d connections of a dead server", r.spec.Name, open)
		}
	}
}
