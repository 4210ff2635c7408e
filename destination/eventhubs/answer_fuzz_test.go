package eventhubs

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// played is a connection to a service that says the same whatever it hears, and
// then nothing, or hangs up.
type played struct {
	net.Conn // not used but for its addresses
	in       *bytes.Reader
	hangUp   bool
	once     sync.Once
	closed   chan struct{}
}

func (p *played) Read(b []byte) (int, error) {
	if p.in.Len() > 0 {
		return p.in.Read(b)
	}
	if p.hangUp {
		return 0, io.EOF
	}
	<-p.closed
	return 0, net.ErrClosed
}

func (p *played) Write(b []byte) (int, error) {
	select {
	case <-p.closed:
		return 0, net.ErrClosed
	default:
		return len(b), nil
	}
}

func (p *played) Close() error                     { p.once.Do(func() { close(p.closed) }); return nil }
func (*played) LocalAddr() net.Addr                { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (*played) RemoteAddr() net.Addr               { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5672} }
func (*played) SetDeadline(_ time.Time) error      { return nil }
func (*played) SetReadDeadline(_ time.Time) error  { return nil }
func (*played) SetWriteDeadline(_ time.Time) error { return nil }

// FuzzAnswer has a service whose frames are anything at all. A session opens, or
// says in time why it does not, in words without our key; and it ends.
func FuzzAnswer(f *testing.F) {
	sasl := []byte{'A', 'M', 'Q', 'P', 3, 1, 0, 0}
	mechanisms := frame(0x00, 0x53, 0x40, 0xc0, 0x0c, 0x01, 0xa3, 0x09, 'A', 'N', 'O', 'N', 'Y', 'M', 'O', 'U', 'S')
	mechanisms[5] = 1
	outcome := frame(0x00, 0x53, 0x44, 0xc0, 0x03, 0x01, 0x50, 0x00)
	outcome[5] = 1
	open := frame(0x00, 0x53, 0x10, 0xc0, 0x04, 0x01, 0xa1, 0x01, 'x')
	begin := frame(0x00, 0x53, 0x11, 0xc0, 0x08, 0x04, 0x60, 0, 0, 0x43, 0x52, 1, 0x52, 1)
	closing := frame(0x00, 0x53, 0x18, 0x45)
	for _, seed := range [][]byte{nil, sasl, bytes.Join([][]byte{sasl, mechanisms, outcome, header, open, begin}, nil), bytes.Join([][]byte{header, open, begin, begin}, nil),
		bytes.Join([][]byte{sasl, mechanisms, outcome, header, open, closing}, nil), bytes.Join([][]byte{header, open, disposition(0x00, 0x53, 0x24, 0x45)}, nil), []byte("HTTP/1.1 400 Bad Request\r\n\r\n")} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	target, err := parseConnection("Endpoint=sb://hub.test;SharedAccessKeyName=send;SharedAccessKey="+fuzzedKey+";UseDevelopmentEmulator=true", "hub")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte, hangUp bool) {
		synctest.Test(t, func(t *testing.T) {
			nowhere := destination.NewDialer(destination.DialerConfig{Resolver: destination.Hosts{}})
			s, fault := newSession(Config{Name: "hub"}, target, destination.Env{Now: time.Now, Dialer: nowhere}, nil, time.Now())
			if fault != nil {
				t.Fatal(fault)
			}
			s.prepared = &played{in: bytes.NewReader(in), hangUp: hangUp, closed: make(chan struct{})}
			began := time.Now()
			limit, fault := s.open(t.Context())
			if took := time.Since(began); took > openTimeout+closeTimeout+cutTimeout {
				t.Errorf("open: took %v", took)
			}
			if (fault == nil) != (limit > 0) {
				t.Errorf("open: got limit %d and %v", limit, fault)
			}
			if fault != nil && (strings.Contains(fault.Message, fuzzedKey) || fault.Class == destination.RejectedBatch || fault.Message == "") {
				t.Errorf("open: got %+v", fault)
			}
			s.close()
			synctest.Wait()
		})
	})
}

const fuzzedKey = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA=="

// FuzzCondition reads what the library prints of the service's errors: the words
// come out redacted, and the wait is within bounds.
func FuzzCondition(f *testing.F) {
	for _, text := range []string{
		"*Error{Condition: com.microsoft:server-busy, Description: The request was terminated, Info: map[]}",
		"(auth): rpc: failed, status code 401 and description: InvalidSignature: " + fuzzedKey, "status code 404 and description: ", "*Error{Condition: amqp:not-found, Description: x, Info: ",
		"status code 999 and description: \xff", "read tcp 127.0.0.1:1->127.0.0.1:2: EOF", "",
	} {
		f.Add(text)
	}
	s := &session{redact: destination.NewRedactor(fuzzedKey)}
	f.Fuzz(func(t *testing.T, text string) {
		e := s.judge(t.Context(), errors.New(text))
		if e == nil || e.Message == "" || e.Class < destination.Unavailable || e.Class > destination.RejectedBatch {
			t.Fatalf("%q: got %+v", text, e)
		}
		if e.RetryAfter < 0 || e.RetryAfter > destination.MaxRetryAfter || strings.Contains(e.Message, fuzzedKey) || len(e.Message) > 2*destination.MaxWords {
			t.Errorf("%q: got %+v", text, e)
		}
	})
}

// FuzzSignature: a token is read only when it says until when it is good.
func FuzzSignature(f *testing.F) {
	for _, token := range []string{signaturePrefix + "sr=a&sig=b%2F&se=1772366400&skn=c", signaturePrefix + "sr=a&sig=b&se=-9223372036854775808", signaturePrefix + "sig=&se=1", "x"} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		s, err := parseSignature(token)
		if err == nil && (s.plain == "" || !strings.HasPrefix(token, signaturePrefix) || s.expiry.IsZero()) {
			t.Errorf("%q: got %+v", token, s)
		}
	})
}
