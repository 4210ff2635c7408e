package destination

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// deaf listens at 127.0.0.1 and takes no connection: dials wait there. It returns the
// port.
func deaf(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(name.(*syscall.SockaddrInet4).Port)
	for range 16 { // until its queue is full
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, 200*time.Millisecond)
		if err != nil {
			return port
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the queue of a listener with a backlog of 0 does not become full")
	return ""
}

// A name with many addresses, or whose lookup hangs, keeps no dial going for long:
// net/http lets it go on when the request has ended.
func TestDialOfManyAddressesEnds(t *testing.T) {
	port := deaf(t)
	dead := netip.MustParseAddr("127.0.0.1")
	many := make([]netip.Addr, 500)
	for i := range many {
		many[i] = dead
	}
	began := time.Now()
	d := NewDialer(DialerConfig{AllowPrivate: true, Timeout: 100 * time.Millisecond, Resolver: Hosts{"many.example": many}})
	conn, err := d.DialContext(context.Background(), "tcp", "many.example:"+port)
	if err == nil {
		_ = conn.Close()
		t.Error("it is connected to somebody who takes no connection")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("500 addresses: got an answer after %s, want it within 600 ms", took)
	}
	began = time.Now()
	d = NewDialer(DialerConfig{Timeout: 50 * time.Millisecond, Resolver: hangingResolver{}})
	if _, err := d.DialContext(context.Background(), "tcp", "hangs.example:443"); err == nil || Classify(err).Class != Unavailable {
		t.Errorf("a lookup that hangs: got %v, want it unavailable", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a lookup that hangs: got an answer after %s, want it within 300 ms", took)
	}
}

type hangingResolver struct{}

func (hangingResolver) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(10 * time.Second):
		return nil, context.DeadlineExceeded
	}
}

// Of several addresses the last one is reached, too, when all before it are dead.
func TestDialReachesTheLastAddress(t *testing.T) {
	port := deaf(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dead, alive := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	d := NewDialer(DialerConfig{AllowPrivate: true, Timeout: 300 * time.Millisecond,
		Resolver: Hosts{"eight.example": {dead, dead, dead, dead, dead, dead, dead, alive}}})
	conn, err := d.DialContext(t.Context(), "tcp", "eight.example:"+port)
	if err != nil {
		t.Fatalf("dial: got %v, want the eighth address", err)
	}
	_ = conn.Close()
}
