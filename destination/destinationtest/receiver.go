package destinationtest

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Act is what a receiver does with a request.
type Act uint8

const (
	// Accept stores the request and says so.
	Accept Act = iota
	// Refuse says that the content is refused.
	Refuse
	// Answer answers with the step's status.
	Answer
	// Hang never answers.
	Hang
	// ResetBefore resets the connection without having stored the request.
	ResetBefore
	// ResetAfter stores the request and resets the connection.
	ResetAfter
	// AcceptThenDie stores the request, says so, and resets the connection in
	// the middle of the answer's body.
	AcceptThenDie
	// Endless answers with the step's status and a body without end.
	Endless
	// Switch answers 101 as if the sender had asked for another protocol, and then
	// says nothing.
	Switch
	// Trickle accepts and then sends a body of one byte now and then.
	Trickle
)

// Step is what a receiver does with one request.
type Step struct {
	Act    Act
	Status int         // for Answer and Endless
	Header http.Header // of the answer
	// Echo makes the answer repeat the request's line, headers and body.
	Echo bool
}

// Request is what arrived.
type Request struct {
	Method string
	URL    string
	Header http.Header
	Length int64 // as announced, -1 when it was not
	Body   []byte
	Stored bool // the receiver kept it, whatever it answered
}

// Script decides about a request; n counts from 0. It is called by one
// goroutine at a time.
type Script func(n int, r Request) Step

// Always is the script that does the same with every request.
func Always(s Step) Script { return func(int, Request) Step { return s } }

// Receiver is a far side that follows a script.
type Receiver struct {
	// URL is where it listens.
	URL string
	// Arrived gets a value for each request, before it is answered, as long as
	// there is room.
	Arrived chan struct{}

	endless  atomic.Int64 // bytes of endless answers that could be written
	script   Script
	mu       sync.Mutex // guards requests; held while the script decides
	requests []Request
}

// NewReceiver returns a receiver for a listener of another protocol than HTTP,
// which calls Take for each request and does what it says.
func NewReceiver(url string, script Script) *Receiver {
	return &Receiver{URL: url, Arrived: make(chan struct{}, 1024), script: script}
}

// Take records a request and returns what to do with it.
func (r *Receiver) Take(q Request) Step {
	r.mu.Lock()
	s := r.script(len(r.requests), q)
	switch s.Act {
	case Accept, ResetAfter, AcceptThenDie, Trickle:
		q.Stored = true
	case Endless:
		q.Stored = s.Status >= 200 && s.Status <= 299
	}
	r.requests = append(r.requests, q)
	r.mu.Unlock()
	select {
	case r.Arrived <- struct{}{}:
	default:
	}
	return s
}

// Requests returns what arrived so far, in order.
func (r *Receiver) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// listen starts a receiver that speaks HTTP on loopback until the test ends.
func (h Harness) listen(t *testing.T, script Script, secure bool) *Receiver {
	t.Helper()
	if h.Listen != nil {
		return h.Listen(t, script, secure)
	}
	r := NewReceiver("", script)
	stop := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if h.Aside != nil && h.Aside(w, q) {
			return
		}
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return // the sender gave up
		}
		request := Request{Method: q.Method, URL: q.URL.String(), Header: q.Header.Clone(), Length: q.ContentLength, Body: body}
		(&exchange{h: h, r: r, w: w, q: q, stop: stop, request: request}).do(r.Take(request))
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are wanted here
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(func() {
		close(stop)
		server.CloseClientConnections()
		server.Close()
	})
	r.URL = server.URL
	return r
}

// deadURL returns the URL of a receiver that does not exist. Its port belongs to
// the near end of a connection until the test ends, so that no receiver of
// another test can get it.
func (h Harness) deadURL(t *testing.T) string {
	t.Helper()
	r := h.listen(t, Always(Step{Act: Accept}), false)
	u, err := url.Parse(r.URL)
	if err != nil {
		t.Fatalf("parse receiver's URL: got %v, want nil", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: got %v, want nil", err)
	}
	t.Cleanup(func() { l.Close() })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("dial: got %v, want nil", err)
	}
	t.Cleanup(func() { c.Close() })
	u.Host = c.LocalAddr().String()
	return u.String()
}

// exchange is one request being answered.
type exchange struct {
	h       Harness
	r       *Receiver
	w       http.ResponseWriter
	q       *http.Request
	stop    chan struct{} // closed when the test ends
	request Request
}

func (x *exchange) do(s Step) {
	for name, values := range s.Header {
		x.w.Header()[name] = values
	}
	switch s.Act {
	case Accept:
		x.accept()
	case Refuse:
		x.answer(http.StatusBadRequest, true)
	case Answer:
		x.answer(s.Status, s.Echo)
	case Hang:
		x.wait()
	case ResetBefore, ResetAfter:
		x.reset()
	case AcceptThenDie:
		x.w.Header().Set("Content-Length", "1000")
		io.WriteString(x.w, "{")
		http.NewResponseController(x.w).Flush()
		x.reset()
	case Endless:
		x.w.WriteHeader(s.Status)
		for chunk := []byte(strings.Repeat("no end ", 1000)); ; {
			n, err := x.w.Write(chunk)
			x.r.endless.Add(int64(n))
			if err != nil {
				return
			}
		}
	case Switch:
		x.switchProtocols()
	case Trickle:
		x.w.WriteHeader(http.StatusOK)
		io.WriteString(x.w, " ")
		http.NewResponseController(x.w).Flush()
		x.wait()
	}
}

func (x *exchange) accept() {
	if x.h.Accept != nil {
		x.h.Accept(x.w, x.request)
		return
	}
	x.w.WriteHeader(http.StatusOK)
}

func (x *exchange) answer(status int, echo bool) {
	x.w.WriteHeader(status)
	if !echo {
		io.WriteString(x.w, "as the script says")
		return
	}
	io.WriteString(x.w, "refused: "+x.q.URL.String()+"\r\n")
	x.q.Header.Write(x.w)
	x.w.Write(x.request.Body)
}

// wait returns when the sender or the test is gone.
func (x *exchange) wait() {
	select {
	case <-x.q.Context().Done():
	case <-x.stop:
	}
}

// switchProtocols leaves the connection open until the sender or the test is gone.
func (x *exchange) switchProtocols() {
	c, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
	end := make(chan struct{})
	go func() {
		defer close(end)
		io.Copy(io.Discard, c)
	}()
	select {
	case <-end:
	case <-x.stop:
	}
}

// reset closes the connection so that the sender gets a reset.
func (x *exchange) reset() {
	c, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}
