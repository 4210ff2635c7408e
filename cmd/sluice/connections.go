//go:build unix

package main

import (
	"errors"
	"math"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// Shares of the files and connections that the process may have open at once. What is
// left is for the log, control state, the index and deliveries: a flood of
// connections must not keep the log from its next file.
const (
	mainShare    = 2  // one in so many
	metricsShare = 16 // likewise
)

// bounded returns a listener that has no more connections open at once than one in
// so many of what the process may open; others wait until one of them is closed.
func bounded(l net.Listener, share int) (net.Listener, error) {
	n, err := descriptors()
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &boundedListener{Listener: l, slots: make(chan struct{}, max(1, n/share)), done: make(chan struct{})}, nil
}

// boundedListener is what golang.org/x/net/netutil has as LimitListener, whose
// connections hide what they are of: exports that are cut off have to reset theirs.
type boundedListener struct {
	net.Listener
	slots  chan struct{} // holds a sign for each connection that is open
	done   chan struct{} // closed with the listener
	closed sync.Once
}

// Accept implements [net.Listener].
func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &boundedConn{Conn: c, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close implements [net.Listener].
func (l *boundedListener) Close() error {
	l.closed.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type boundedConn struct {
	net.Conn
	free func()
}

// NetConn returns the connection that c is of, as that of [crypto/tls.Conn] does.
func (c *boundedConn) NetConn() net.Conn { return c.Conn }

// Close implements [net.Conn].
func (c *boundedConn) Close() error {
	defer c.free()
	return c.Conn.Close()
}

// descriptors returns how many files and connections the process may have open. The
// runtime has raised that as far as it may.
func descriptors() (int, error) {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	return int(min(uint64(limit.Cur), math.MaxInt32)), err
}
