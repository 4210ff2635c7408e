//go:build unix

package main

import (
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
