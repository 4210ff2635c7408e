// Package sink is the destination of the benchmark: an HTTP/1.1 server with as
// little in it as can be, so that it costs the machine little, which accounts for
// every event that it is sent.
//
// Any POST is counted under its path, a compressed one (gzip) as what it holds. A
// query delay=N makes the answer wait N milliseconds, and leaves what comes there
// out of the times from end to end, with delay=0 as well. GET /stats answers with [Stats] as JSON; its query upto=N asks
// which events below N never came. POST /reset forgets everything.
package sink

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/sluicelog/sluice/bench/histogram"
)

// Stats is everything that a sink has counted.
type Stats struct {
	Paths map[string]PathStats `json:"paths"`
	// Time from an event's sending to the end of the request that brought it
	// first, in nanoseconds, over all paths without a delay.
	P50 int64 `json:"e2e_p50"`
	P99 int64 `json:"e2e_p99"`
}

// A Sink counts. The zero value is ready.
type Sink struct {
	// Reply returns the body of the answer to a POST, for receivers that say more
	// than a status; nil means none. It does not change while the sink is used.
	Reply func(path string) string
	// Spool is a file where the bodies of requests are kept, as they are, until
	// somebody asks for the counts; nil counts at once. With it a receiver that
	// unpacks takes nothing from the server under test: it stands for another
	// machine. It does not change while the sink is used.
	Spool *os.File

	spool spool
	mu    sync.Mutex
	paths map[string]*path // guarded by mu
}

// Serve answers on ln until ctx ends, then closes ln and every connection and
// returns nil; it returns sooner when ln fails.
func (s *Sink) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			cancel()
			return fmt.Errorf("accept connection: %w", err)
		}
		wg.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			s.converse(ctx, conn)
		})
	}
}

// converse answers the requests of one connection until it breaks.
func (s *Sink) converse(ctx context.Context, conn net.Conn) {
	r := bufio.NewReaderSize(conn, 64<<10)
	var req request
	for {
		if err := req.read(r, conn); err != nil {
			return
		}
		answer := s.answer(ctx, &req, time.Now().UnixNano())
		if _, err := conn.Write(answer); err != nil || req.close {
			return
		}
	}
}

func (s *Sink) answer(ctx context.Context, req *request, now int64) []byte {
	u, err := url.ParseRequestURI(req.target)
	if err != nil {
		return []byte(badRequest)
	}
	switch u.Path {
	case "/stats":
		upto, _ := strconv.ParseUint(u.Query().Get("upto"), 10, 64)
		body, _ := json.Marshal(s.Stats(upto))
		return found(string(body))
	case "/reset":
		s.Reset()
	default:
		query := u.Query()
		delay, _ := strconv.Atoi(query.Get("delay"))
		if err := s.take(u.Path, query.Has("delay"), req, now); err != nil {
			return []byte(badRequest)
		}
		if delay > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(delay) * time.Millisecond):
			}
		}
		if s.Reply != nil {
			return found(s.Reply(u.Path))
		}
	}
	return []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
}

const badRequest = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"

func found(body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// Count counts the events of a body that was complete at now, as if it had been
// posted to the path: for what comes by other ways than a request.
func (s *Sink) Count(path string, body []byte, now time.Time) {
	s.path(path, false).count(body, now.UnixNano())
}

// take counts a request, now or when somebody asks.
func (s *Sink) take(path string, delayed bool, req *request, now int64) error {
	if s.Spool != nil {
		return s.spool.keep(s.Spool, path, req, now)
	}
	body, err := req.content()
	if err == nil {
		s.path(path, delayed).count(body, now)
	}
	return err
}

func (s *Sink) path(name string, delayed bool) *path {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.paths == nil {
		s.paths = map[string]*path{}
	}
	p := s.paths[name]
	if p == nil {
		p = &path{delayed: delayed}
		s.paths[name] = p
	}
	return p
}

// Stats returns what was counted; with upto it says which of the events below
// that number are missing.
func (s *Sink) Stats(upto uint64) Stats {
	if s.Spool != nil {
		s.spool.count(s.Spool, func(path string, body []byte, at int64) { s.path(path, false).count(body, at) })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var e2e histogram.Histogram
	stats := Stats{Paths: make(map[string]PathStats, len(s.paths))}
	for name, p := range s.paths {
		stats.Paths[name] = p.snapshot(upto, &e2e)
	}
	stats.P50, stats.P99 = e2e.Quantile(0.5), e2e.Quantile(0.99)
	return stats
}

// Reset forgets everything counted so far.
func (s *Sink) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paths = nil
}
