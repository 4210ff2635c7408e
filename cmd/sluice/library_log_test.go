package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestUnsolicitedAnswersStayOutOfTheLog has a receiver that goes on talking after
// its answers: net/http tells about that by itself, unless it sent a request just
// then, which has the words as its answer. So events are posted until it has told.
func TestUnsolicitedAnswersStayOutOfTheLog(t *testing.T) {
	const hidden = "what-nobody-asked-for"
	url := chatter(t, hidden)
	s := startServer(t, filepath.Join(t.TempDir(), "data"), http.DefaultClient, "--log-level", "debug")
	body := fmt.Sprintf(`{"namespace":"acme","kind":"http","config":{"url":%q}}`, url)
	if code := s.call("POST", "/api/v1/streams", body, nil); code != http.StatusCreated {
		t.Fatalf("create: got status %d, want %d", code, http.StatusCreated)
	}
	const told = `"Unsolicited response received on idle HTTP channel starting with"`
	wait(t, "the log to tell "+told, func() bool {
		if code := s.call("POST", "/api/v1/events", `{"event_type":"a","entity_path":"acme"}`, nil); code != http.StatusOK {
			t.Fatalf("post: got status %d, want %d", code, http.StatusOK)
		}
		return strings.Contains(s.output.String(), told)
	})
	if got := s.stop().stderr; strings.Contains(got, hidden) {
		t.Errorf("log: got %q, want nothing of what the receiver sent", got)
	}
}

// chatter is a receiver that answers each request and says more. It returns its
// address.
func chatter(t *testing.T, more string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait() // the server, which has the other ends, was stopped before
	})
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			wg.Go(func() { talk(conn, more) })
		}
	})
	return "http://" + l.Addr().String() + "/in"
}

// talk answers requests and says more, until the other side has had enough.
func talk(conn net.Conn, more string) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body) // an end too soon shows at the next request
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"+"HTTP/1.1 500 "+more+"\r\n\r\n"); err != nil {
			return
		}
	}
}
