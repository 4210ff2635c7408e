package eventhubs

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/eventhubs/eventhubstest"
)

// stalling is a connection whose peer reads no more after so many bytes.
type stalling struct {
	net.Conn
	left    int
	once    sync.Once
	stalled chan struct{} // closed when a write waits
	closed  chan struct{}
}

func (c *stalling) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left > 0 {
		return c.Conn.Write(p)
	}
	close(c.stalled)
	<-c.closed
	return 0, net.ErrClosed
}

func (c *stalling) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// TestStalledPeer cancels a Send to a peer that does not read, and closes.
func TestStalledPeer(t *testing.T) {
	b := startBroker(t)
	l := listen(t, b, eventhubstest.ListenOptions{})
	h := openHub(t, named("hub"), withKey(l.Host(), eventhubstest.KeyName, eventhubstest.Key)+emulated, testEnv())
	s, fault := h.acquire()
	if fault != nil {
		t.Fatalf("acquire: got %v, want a session", fault)
	}
	conn, fault := s.connect(t.Context())
	if fault != nil {
		t.Fatalf("connect: got %v, want a connection", fault)
	}
	slow := &stalling{Conn: conn, left: 10_000, stalled: make(chan struct{}), closed: make(chan struct{})}
	s.prepared = slow
	h.release(s, false)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan destination.Result)
	go func() { done <- h.Send(ctx, padded(100, 1000)) }()
	<-slow.stalled
	cancel()
	if res := <-done; res.Err == nil || res.Err.Class != destination.Unavailable {
		t.Errorf("Send: got %v, want unavailable", res.Err)
	}
	if err := h.Close(); err != nil {
		t.Errorf("Close: got %v, want nil", err)
	}
}

// breaking is a connection that fails to write after so many bytes.
type breaking struct {
	net.Conn
	left int
}

func (c *breaking) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left > 0 {
		return c.Conn.Write(p)
	}
	return 0, &net.OpError{Op: "write", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: syscall.EPIPE}
}

// TestLostConnectionsAreTold wants what happened, and nothing of our own sockets.
func TestLostConnectionsAreTold(t *testing.T) {
	b := startBroker(t)
	l := listen(t, b, eventhubstest.ListenOptions{})
	h := openHub(t, named("hub"), withKey(l.Host(), eventhubstest.KeyName, eventhubstest.Key)+emulated, testEnv())
	defer h.Close()
	s, fault := h.acquire()
	if fault != nil {
		t.Fatalf("acquire: got %v, want a session", fault)
	}
	conn, fault := s.connect(t.Context())
	if fault != nil {
		t.Fatalf("connect: got %v, want a connection", fault)
	}
	s.prepared = &breaking{Conn: conn, left: 10_000}
	h.release(s, false)
	if res, want := h.Send(t.Context(), padded(100, 1000)), "the destination reset the connection before it answered"; res.Err == nil || res.Err.Message != want {
		t.Errorf("Send over a connection that breaks: got %v, want %q", res.Err, want)
	}
	for text, want := range map[string]string{
		"(connlost): write tcp 127.0.0.1:41234->127.0.0.1:5671: write: broken pipe":               "the connection was lost before the service answered (write: broken pipe)",
		"(connlost): read tcp [::1]:41234->[2001:db8::1]:5671: i/o timeout":                       "the connection was lost before the service answered (i/o timeout)",
		"(connlost): write tcp 127.0.0.1:41234->127.0.0.1:5671: use of closed network connection": "the connection was lost before the service answered",
		"amqp: link closed": "the connection was lost before the service answered (amqp: link closed)",
	} {
		if got := s.judge(t.Context(), errors.New(text)); got == nil || got.Message != want || got.Class != destination.Unavailable {
			t.Errorf("%s: got %v, want %q", text, got, want)
		}
	}
}

// TestCheckOfASilentPeer has one that takes connections and speaks no AMQP.
func TestCheckOfASilentPeer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h := openHub(t, named("hub"), withKey(l.Addr().String(), eventhubstest.KeyName, eventhubstest.Key)+emulated, testEnv())
	defer h.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var last destination.Stage
	ok := h.Check(ctx, func(s destination.Stage) { last = s })
	if want := "no answer in time; the connection stands, but nobody speaks AMQP on it"; ok || last.Name != "authenticate" || !strings.HasPrefix(last.Message, want) {
		t.Errorf("Check: got %s with %q, want authenticate with %q", last.Name, last.Message, want)
	}
}

// TestEmulatorStaysNear wants tokens and events in the clear on this machine and
// in private networks alone.
func TestEmulatorStaysNear(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:5672": true, "[::1]:5672": true, "10.1.2.3:5672": true, "192.168.0.9:5672": true, "[fd00::1]:5672": true,
		"8.8.8.8:5672": false, "[2606:4700::1]:5672": false, "100.64.0.1:5672": false,
	} {
		if got := private(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))); got != want {
			t.Errorf("%s is near: got %t, want %t", address, got, want)
		}
	}
}
