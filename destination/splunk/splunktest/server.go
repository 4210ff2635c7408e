// Package splunktest is an HTTP Event Collector for tests and benchmarks. It
// does what Splunk's own does as far as senders can tell: it decides object by
// object, keeps those before the one that it refuses, and tells an
// acknowledgement once.
package splunktest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
)

// Token is what a server accepts when [Options] name none.
const Token = "0e9a5c5e-6f3b-4b8e-9a55-1d0b7c2f4a10"

// Options say what kind of collector a server is. The zero Options are a healthy
// one over TLS that accepts [Token] and any index.
type Options struct {
	// Token is the one that is accepted; "" for [Token].
	Token string
	// Disabled makes the token a disabled one.
	Disabled bool
	// Indexes are those that the token may write to; nil for any. The first is
	// used for events that name none.
	Indexes []string
	// Ack switches indexer acknowledgement on: requests need a channel and get an
	// id, ids are asked about at /services/collector/ack.
	Ack bool
	// Indexed decides whether a request is indexed when it is asked about; asked
	// counts from 1. Nil means at once. It is called under the server's lock.
	Indexed func(channel string, id uint64, asked int) bool
	// Refuse returns the code with which an event is refused: 6, 12, 13 or 15; 0
	// accepts. It is called under the server's lock. Nil accepts all.
	Refuse func(e Event) int
	// WholeBatch makes the server one that is not Splunk's: it stores nothing of
	// a request that it refuses, and does not call itself Splunkd.
	WholeBatch bool
	// NoHealth leaves out /services/collector/health.
	NoHealth bool
	// MaxBytes bounds a request, unpacked; 0 means 800 MiB, as Splunk has it.
	MaxBytes int64
	// Received gets the events of each request that were accepted, instead of
	// [Server.Events] keeping them. It may be called by several goroutines at
	// once, and must not keep the slices.
	Received func([]Event)
	// Wrap stands before the collector, to hang, reset or answer otherwise. It may
	// be nil.
	Wrap func(http.Handler) http.Handler
	// Plain leaves out TLS.
	Plain bool
}

// Event is one object that was accepted.
type Event struct {
	Time       string // as it was written
	Host       string
	Source     string
	SourceType string
	Index      string
	Payload    []byte // the value of "event", byte for byte
	Channel    string // of the request, "" for none
}

// Server is a collector.
type Server struct {
	*httptest.Server // nil for one of [New]

	options Options

	mu       sync.Mutex // guards what follows
	events   []Event
	requests []Request
	channels map[string]*channel
}

// Request is what is remembered of a request.
type Request struct {
	Method, Path string
	Header       http.Header
	Body         []byte // unpacked; nil for requests with events when Received is set
	Status, Code int    // of the answer
}

// channel holds the ids of a channel that were not answered with true.
type channel struct {
	next  uint64
	asked map[uint64]int
}

// New returns a server that does not listen, for its Handler.
func New(o Options) *Server {
	if o.Token == "" {
		o.Token = Token
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 800 << 20
	}
	return &Server{options: o, channels: map[string]*channel{}}
}

// Start returns a running server on loopback. The caller closes it. Over TLS its
// certificate is one of httptest's, which nobody trusts without
// Server.Certificate.
func Start(o Options) *Server {
	s := New(o)
	s.Server = httptest.NewUnstartedServer(s.Handler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are wanted
	if o.Plain {
		s.Server.Start()
	} else {
		s.StartTLS()
	}
	return s
}

// Port returns where the server listens.
func (s *Server) Port() int {
	u, err := url.Parse(s.URL)
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return 0
	}
	return port
}

// Events returns what was accepted so far, in order. The payloads are the
// server's.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event(nil), s.events...)
}

// Requests returns the requests so far, in the order of their answers. With
// [Options.Received] there are none.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Forget makes the server forget all acknowledgement ids, as a restart does. New
// ones begin with 0.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.channels)
}
