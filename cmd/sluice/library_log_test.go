package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnsolicitedAnswersStayOutOfTheLog has a receiver that goes on talking after
// its answer: net/http tells about that by itself.
func TestUnsolicitedAnswersStayOutOfTheLog(t *testing.T) {
	const hidden = "what-nobody-asked-for"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	met := make(chan error, 1)
	go func() { met <- talkOn(l, hidden) }()
	s := startServer(t, filepath.Join(t.TempDir(), "data"), http.DefaultClient, "--log-level", "debug")
	body := fmt.Sprintf(`{"namespace":"acme","kind":"http","config":{"url":"http://%s/in"}}`, l.Addr())
	if code := s.call("POST", "/api/v1/streams", body, nil); code != http.StatusCreated {
		t.Fatalf("create: got status %d, want %d", code, http.StatusCreated)
	}
	if code := s.call("POST", "/api/v1/events", `{"event_type":"a","entity_path":"acme"}`, nil); code != http.StatusOK {
		t.Fatalf("post: got status %d, want %d", code, http.StatusOK)
	}
	if err := <-met; err != nil {
		t.Fatal(err)
	}
	got := s.stop().stderr
	if strings.Contains(got, hidden) {
		t.Errorf("log: got %q, want nothing of what the receiver sent", got)
	}
	if want := `"Unsolicited response received on idle HTTP channel starting with"`; !strings.Contains(got, want) {
		t.Errorf("log: got %q, want %q in it", got, want)
	}
}

// talkOn answers one request and says more, until the connection is closed.
func talkOn(l net.Listener, more string) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		r := bufio.NewReader(conn)
		req, err := http.ReadRequest(r)
		if err != nil {
			conn.Close()
			continue
		}
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		_, _ = io.WriteString(conn, "HTTP/1.1 500 "+more+"\r\n\r\n")
		_, _ = r.ReadByte() // until the other side has had enough
		conn.Close()
		return nil
	}
}
