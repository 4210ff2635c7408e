package s3

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// patience is how long a failed write waits for an answer that has come already.
const patience = 300 * time.Millisecond

// newTransport returns a transport for objects. A server that refuses one by its
// header alone, because it is there already for example, may answer and close the
// connection while the content is still being sent. The answer then races with the
// failure of the write, and would be lost half of the time: so the server is asked
// first, where it understands that, and writes fail slowly.
func newTransport(env destination.Env) *http.Transport {
	t := destination.NewTransport(env, destination.TLSOptions{})
	t.ExpectContinueTimeout = time.Second
	t.MaxIdleConnsPerHost, t.IdleConnTimeout = 4, 10*time.Second // an object a minute does not need one kept
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &patient{Conn: c, closed: make(chan struct{})}, nil
	}
	return t
}

// patient is a connection whose failed writes wait for the reader.
type patient struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

// Write implements [net.Conn].
func (c *patient) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.closed:
		}
	}
	return n, err
}

// Close implements [net.Conn].
func (c *patient) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
