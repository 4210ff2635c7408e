package eventhubs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"math"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/sluicelog/sluice/destination"
)

// Times of a session.
const (
	openTimeout  = 20 * time.Second // connection, TLS, token and link
	tlsTimeout   = 10 * time.Second
	closeTimeout = time.Second // to take leave of the far side
	cutTimeout   = time.Second // for a call to return whose context has ended
)

// session is a client of the library with the connection below it. It is made
// without connecting and may be used by several goroutines at once.
type session struct {
	target  connection
	env     destination.Env
	roots   *x509.CertPool // nil: the system's
	client  *azeventhubs.ProducerClient
	redact  *destination.Redactor
	expires time.Time // when another session takes over

	users int         // guarded by Hub.mu
	spent bool        // guarded by Hub.mu: nobody else may begin to use it
	idle  *time.Timer // guarded by Hub.mu: runs while nobody uses it

	opening chan struct{} // holds a value while the link is opened for the first time
	limit   uint64        // guarded by opening: bytes of a message, once it is opened
	opened  bool          // guarded by opening

	mu       sync.Mutex
	prepared net.Conn // a connection that a check has made, for the first dial
	wire     *wire    // nil before the first dial
	lost     error    // why the wire before this one broke, until somebody asks
	closed   bool
}

func newSession(c Config, target connection, env destination.Env, roots *x509.CertPool, now time.Time) (*session, *destination.Error) {
	token := target.token(c.Name, now)
	if s, err := parseSignature(token); err == nil && !now.Before(s.expiry) {
		return nil, &destination.Error{Class: destination.Misconfigured,
			Message: "the shared access signature expired on " + s.expiry.UTC().Format(time.RFC3339) + ": enter a new connection string"}
	}
	s := &session{
		target: target, env: env, roots: roots, expires: now.Add(sessionLife),
		redact: destination.NewRedactor(target.secrets(token)...), opening: make(chan struct{}, 1),
	}
	client, err := azeventhubs.NewProducerClientFromConnectionString(target.clientString(c.Name, now), c.Name, &azeventhubs.ProducerClientOptions{
		ApplicationID:    env.UserAgent,
		NewWebSocketConn: s.dial,
		RetryOptions:     azeventhubs.RetryOptions{MaxRetries: -1},
	})
	if err != nil {
		return nil, &destination.Error{Class: destination.Misconfigured, Message: "the connection string cannot be used: " + s.redact.Text(err.Error())}
	}
	s.client = client
	return s, nil
}

// dial makes a connection for the library, which speaks AMQP over it as it is.
func (s *session) dial(ctx context.Context, _ azeventhubs.WebSocketConnParams) (net.Conn, error) {
	s.mu.Lock()
	conn := s.prepared
	s.prepared = nil
	s.mu.Unlock()
	if conn == nil {
		var err *destination.Error
		if conn, err = s.connect(ctx); err != nil {
			return nil, dialError{err}
		}
	}
	w := &wire{Conn: conn}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return nil, dialError{&destination.Error{Class: destination.Unavailable, Message: "the delivery was interrupted"}}
	}
	if s.wire != nil {
		s.lost = s.wire.broken()
		s.wire.Close()
	}
	s.wire = w
	return w, nil
}

func (s *session) connect(ctx context.Context) (net.Conn, *destination.Error) {
	conn, err := s.dialTCP(ctx)
	if err != nil || s.target.emulator {
		return conn, err
	}
	return s.secure(ctx, conn)
}

// dialTCP connects. An emulator gets no further than this machine and private
// networks, because tokens and events would travel in the clear.
func (s *session) dialTCP(ctx context.Context) (net.Conn, *destination.Error) {
	conn, err := s.env.Dialer.DialContext(ctx, "tcp", net.JoinHostPort(s.target.Host, s.target.Port))
	if err != nil {
		return nil, destination.Classify(err)
	}
	if s.target.emulator && !private(conn.RemoteAddr()) {
		conn.Close()
		return nil, &destination.Error{Class: destination.Misconfigured,
			Message: "the emulator is at a public address, and it speaks without encryption: only loopback and private addresses are used"}
	}
	return conn, nil
}

func private(addr net.Addr) bool {
	ap, err := netip.ParseAddrPort(addr.String())
	return err == nil && (ap.Addr().Unmap().IsLoopback() || ap.Addr().Unmap().IsPrivate())
}

// secure puts TLS on a connection, which it closes when that fails.
func (s *session) secure(ctx context.Context, conn net.Conn) (*tls.Conn, *destination.Error) {
	ctx, cancel := context.WithTimeout(ctx, tlsTimeout)
	defer cancel()
	config := destination.TLSOptions{RootCAs: s.roots}.Config()
	config.ServerName = s.target.Host
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, destination.Classify(err)
	}
	return secured, nil
}

// linkLimit is how the library says that more than the link's limit was asked for.
var linkLimit = regexp.MustCompile(`allowed by link \((\d+)\)`)

// open connects, puts the token and opens the link to the hub, once, and returns
// the link's limit of a message in bytes.
//
// The library does not tell the limit. It does when it is asked for a batch that
// is larger: then the link is open, too.
func (s *session) open(ctx context.Context) (uint64, *destination.Error) {
	select {
	case s.opening <- struct{}{}:
		defer func() { <-s.opening }()
	case <-ctx.Done():
		return 0, destination.Classify(ctx.Err())
	}
	if s.opened {
		return s.limit, nil
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	_, err := s.client.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{MaxBytes: math.MaxUint64})
	if err == nil {
		s.limit = math.MaxUint64
	} else {
		m := linkLimit.FindStringSubmatch(err.Error())
		if m == nil {
			e := s.judge(ctx, err)
			if e.Class == destination.RejectedBatch {
				e.Class = destination.Misconfigured // there was no event yet to refuse
			}
			return 0, e
		}
		s.limit, _ = strconv.ParseUint(m[1], 10, 64) // digits of a uint64
	}
	if s.limit == 0 {
		return 0, &destination.Error{Class: destination.Misconfigured,
			Message: "the destination does not say how large a message may be, which every event hub does: check the Endpoint"}
	}
	s.opened = true
	return s.limit, nil
}

// fault returns why the connection is broken, nil when it is good or was never
// made.
func (s *session) fault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire == nil {
		return nil
	}
	return s.wire.broken()
}

// cause returns why the connection broke that a delivery was under way on. The
// library makes another one before it reports the failure.
func (s *session) cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.lost
	s.lost = nil
	if err == nil && s.wire != nil {
		err = s.wire.broken()
	}
	return err
}

func (s *session) claimed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wire != nil && s.wire.claimed()
}

// stopIdle ends the waiting for the end of an unused session. Hub.mu is held, or
// the session is no longer the Hub's.
func (s *session) stopIdle() {
	if s.idle != nil {
		s.idle.Stop()
	}
}

// close ends everything that the session has started. It takes leave of a far
// side that answers soon.
func (s *session) close() {
	timer := time.AfterFunc(closeTimeout, s.cut)
	defer timer.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = s.client.Close(ctx) // what it says is about leave-taking only
	s.cut()
}

// watch cuts the session when the context has ended and the caller still has not
// called stop: the library waits for a far side that reads nothing.
func (s *session) watch(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	forget := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(cutTimeout)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			s.cut()
		}
	})
	return func() {
		forget()
		close(done)
	}
}

// cut closes the sockets: nothing waits for the far side any more.
func (s *session) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.wire != nil {
		s.wire.Close()
	}
	if s.prepared != nil {
		s.prepared.Close()
	}
}
