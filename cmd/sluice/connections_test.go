//go:build unix

package main

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
)

// pipes is a listener to which somebody connects whenever it accepts.
type pipes struct{ net.Listener }

func (pipes) Accept() (net.Conn, error) {
	c, _ := net.Pipe()
	return c, nil
}

func (pipes) Close() error { return nil }

// A connection beyond the share is taken when another one is closed, and not before.
func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, err := descriptors()
		if err != nil {
			t.Fatal(err)
		}
		const most = 2
		l, err := bounded(pipes{}, all/most)
		if err != nil {
			t.Fatal(err)
		}
		accepted := make(chan net.Conn, 2*most)
		go func() {
			for range most + 1 {
				c, err := l.Accept()
				if err != nil {
					t.Error(err)
				}
				accepted <- c
			}
		}()
		synctest.Wait()
		if n := len(accepted); n != most {
			t.Fatalf("%d connections are open, want %d", n, most)
		}
		if err := (<-accepted).Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := len(accepted); n != most {
			t.Errorf("%d connections are open when one was closed, want %d", n, most)
		}
	})
}

// A connection tells of which it is, and one that waits for a place ends with the
// listener.
func TestBoundedConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, err := descriptors()
		if err != nil {
			t.Fatal(err)
		}
		l, err := bounded(pipes{}, all)
		if err != nil {
			t.Fatal(err)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if inner, ok := c.(interface{ NetConn() net.Conn }); !ok || inner.NetConn() == nil {
			t.Error("got a connection that does not tell of which it is")
		}
		ended := make(chan error, 1)
		go func() {
			_, err := l.Accept()
			ended <- err
		}()
		synctest.Wait()
		for range 2 {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("waiting for a place: got %v, want %v", err, net.ErrClosed)
		}
		for range 2 {
			_ = c.Close() // gives its place back once
		}
	})
}
