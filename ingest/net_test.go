package ingest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// dial connects to a server.
func dial(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", newServer(t, h).Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// receive reads an answer from the connection.
func receive(t *testing.T, r *bufio.Reader) *reply {
	t.Helper()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	return decodeReply(t, res.StatusCode, res.Header, res.Body)
}

const postHead = "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + acmeToken + "\r\n"

// pipes is a listener whose connections lie in memory, for simulated time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// dialSimulated connects to a server of a bubble.
func dialSimulated(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	l := &pipes{make(chan net.Conn), make(chan struct{})}
	srv := &http.Server{Handler: h}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) }) // until it is closed
	near, far := net.Pipe()
	t.Cleanup(func() {
		_ = near.Close()
		_ = srv.Close()
		wg.Wait()
	})
	l.conns <- far
	return near
}

func TestSlowBodies(t *testing.T) {
	tests := []struct{ name, text string }{
		{"head only", "Content-Length: 100\r\n\r\n"},
		{"chunked and silent", "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"},
		{"gzip and silent", "Content-Encoding: gzip\r\nContent-Length: 100\r\n\r\n\x1f\x8b"},
		{"zstd and silent", "Content-Encoding: zstd\r\nContent-Length: 100\r\n\r\n\x28"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDoor(t)
				conn := dialSimulated(t, New(d, Options{}))
				send(t, conn, postHead+tt.text)
				r := receive(t, bufio.NewReader(conn))
				if r.status != http.StatusRequestTimeout || r.Error.Code != "too_slow" || d.calls.Load() != 0 {
					t.Errorf("got %d %s, want 408 too_slow and nothing appended", r.status, r.text)
				}
			})
		})
	}
}

func TestTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A byte each time the last one was sent: always alive, never fast enough.
		conn := dialSimulated(t, New(newDoor(t), Options{Timeout: time.Hour}))
		send(t, conn, postHead+"Transfer-Encoding: chunked\r\n\r\n")
		var wg sync.WaitGroup
		wg.Go(func() {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for {
				<-tick.C
				if _, err := io.WriteString(conn, "1\r\n \r\n"); err != nil {
					return // closed
				}
			}
		})
		r := receive(t, bufio.NewReader(conn))
		_ = conn.Close()
		wg.Wait()
		if r.status != http.StatusRequestTimeout {
			t.Errorf("got %d %s, want 408", r.status, r.text)
		}
	})
}

func TestDeadlineIsLiftedWhileTheLogIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.before = func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Hour):
				return nil
			}
		}
		conn := dialSimulated(t, New(d, Options{}))
		br := bufio.NewReader(conn)
		for range 2 { // the connection is used again
			send(t, conn, postHead+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(good), good))
			if r := receive(t, br); r.status != http.StatusOK {
				t.Errorf("got %d %s, want 200", r.status, r.text)
			}
		}
	})
}

func TestConnectionIsUsedAgainAfterARefusal(t *testing.T) {
	conn := dial(t, New(newDoor(t), Options{}))
	br := bufio.NewReader(conn)
	for _, body := range []string{typeles, good} {
		send(t, conn, postHead+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body))
		if r, want := receive(t, br), map[bool]int{true: 200, false: 400}[body == good]; r.status != want {
			t.Errorf("got %d %s, want %d", r.status, r.text, want)
		}
	}
}

func TestTruncatedBodies(t *testing.T) {
	for _, text := range []string{
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(good)+1, good),
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s\n%s", 2*len(good), good, typeles),
		fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(good), good),
		fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\nzz\r\n", len(good), good),
	} {
		d := newDoor(t)
		conn := dial(t, New(d, Options{}))
		send(t, conn, postHead+text)
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		r := receive(t, bufio.NewReader(conn))
		if r.status != http.StatusBadRequest || r.Error.Code != "truncated_body" || d.calls.Load() != 0 {
			t.Errorf("got %d %s for %q, want 400 truncated_body and nothing appended", r.status, r.text, text)
		}
	}
}

func TestLyingContentLengthReadsNoFurther(t *testing.T) {
	d := newDoor(t)
	conn := dial(t, New(d, Options{}))
	br := bufio.NewReader(conn)
	// What lies beyond the announced length is the next request, not an event.
	send(t, conn, postHead+fmt.Sprintf("Content-Length: %d\r\n\r\n%s\n%s", len(good), good, goodGit))
	if r := receive(t, br); r.Accepted != 1 {
		t.Errorf("got %d %s, want 1 accepted", r.status, r.text)
	}
	if got := len(d.stored(t, "git")); got != 0 {
		t.Errorf("got %d git events, want none", got)
	}
}

func TestExpectContinue(t *testing.T) {
	conn := dial(t, New(newDoor(t), Options{}))
	br := bufio.NewReader(conn)
	send(t, conn, postHead+fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(good)))
	if line, err := br.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("got %q, %v, want 100 Continue", line, err)
	}
	if _, err := br.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	send(t, conn, good)
	if r := receive(t, br); r.Accepted != 1 {
		t.Errorf("got %d %s, want 1 accepted", r.status, r.text)
	}
}

func TestExpectContinueRefused(t *testing.T) {
	for _, head := range []string{
		"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n",
		postHead + "Expect: 100-continue\r\nContent-Length: 100000000\r\n\r\n",
	} {
		conn := dial(t, New(newDoor(t), Options{}))
		send(t, conn, head)
		if r := receive(t, bufio.NewReader(conn)); r.status != http.StatusUnauthorized && r.status != http.StatusRequestEntityTooLarge {
			t.Errorf("got %d %s, want 401 or 413 without 100", r.status, r.text)
		}
	}
}

func TestProducersAtOnce(t *testing.T) {
	const producers, requests, events = 16, 20, 10
	d := newDoor(t)
	h := New(d, Options{Parsers: 2})
	srv := newServer(t, h)
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for q := range requests {
				var body strings.Builder
				for e := range events {
					fmt.Fprintf(&body, `{"event_type":"git.push","entity_path":"acme/p%d","n":%d}`+"\n", p, q*events+e)
				}
				text, header := body.String(), http.Header{"Authorization": {"Bearer " + acmeToken}, "Idempotency-Key": {fmt.Sprintf("%d-%d", p, q/2)}}
				if q%3 == 0 {
					text = gzipped(t, text)
					header.Set("Content-Encoding", "gzip")
				}
				req, err := http.NewRequest(http.MethodPost, srv.URL, strings.NewReader(text))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header = header
				res, err := srv.Client().Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				if r := decodeReply(t, res.StatusCode, res.Header, res.Body); r.Accepted != events {
					t.Errorf("got %d %s, want %d accepted", r.status, r.text, events)
				}
				_ = res.Body.Close()
			}
		})
	}
	wg.Wait()
	if got, want := d.count(), producers*requests*events; got != want {
		t.Errorf("got %d events, want %d", got, want)
	}
	if s := h.Stats(); s.Memory != 0 || s.Requests["2xx"] != producers*requests {
		t.Errorf("got %+v, want no memory held and %d answers", s, producers*requests)
	}
}
