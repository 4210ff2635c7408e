package destination

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

var errReleased = errors.New("read request body: the request is over")

// Body is a request body made of slices that are sent as they are: over a
// connection of a [Dialer] without TLS by writev, without a copy.
//
// net/http may go on reading a body after RoundTrip returned, when the answer
// came early or the context ended. Release ends that, so that the slices can be
// used for something else.
type Body struct {
	parts  [][]byte
	length int64

	mu       sync.Mutex // held while a reader looks at parts' bytes
	released bool
}

// NewBody returns the body that is the concatenation of parts. It keeps parts
// and does not change them.
func NewBody(parts ...[]byte) *Body {
	b := &Body{parts: parts}
	for _, p := range parts {
		b.length += int64(len(p))
	}
	return b
}

// Len returns the length in bytes.
func (b *Body) Len() int64 { return b.length }

// WriteTo writes the whole body to w, for a signature for example.
func (b *Body) WriteTo(w io.Writer) (int64, error) {
	var n int64
	for _, p := range b.parts {
		m, err := w.Write(p)
		if n += int64(m); err != nil {
			return n, err
		}
	}
	return n, nil
}

// Reader returns a new reader of the whole body, for Request.Body and
// Request.GetBody.
func (b *Body) Reader() io.ReadCloser { return &bodyReader{body: b, rest: b.parts} }

// Release waits until no reader looks at the slices and makes every later read
// fail. Cancel the request first: a write to a receiver that does not read ends
// with its connection.
func (b *Body) Release() {
	b.mu.Lock()
	b.released = true
	b.mu.Unlock()
}

// bodyReader is used by one goroutine at a time.
type bodyReader struct {
	body     *Body
	rest     [][]byte // not yet read; the first one from offset on
	offset   int
	vectored bool // the end went to the connection as slices
}

func (r *bodyReader) Read(p []byte) (int, error) {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	if r.body.released {
		return 0, errReleased
	}
	n := 0
	for n < len(p) && len(r.rest) > 0 {
		m := copy(p[n:], r.rest[0][r.offset:])
		n += m
		if r.offset += m; r.offset == len(r.rest[0]) {
			r.rest, r.offset = r.rest[1:], 0
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Close does nothing: reading ends with [Body.Release].
func (r *bodyReader) Close() error { return nil }

// writeTo sends what is left with as few system calls as there can be.
func (r *bodyReader) writeTo(c *net.TCPConn) (int64, error) {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	if r.body.released {
		return 0, errReleased
	}
	vector := make(net.Buffers, 0, len(r.rest))
	for i, p := range r.rest {
		if i == 0 {
			p = p[r.offset:]
		}
		if len(p) > 0 {
			vector = append(vector, p)
		}
	}
	r.rest, r.offset, r.vectored = nil, 0, true
	return vector.WriteTo(c)
}

// patience is how long a failed write waits for an answer that has come already.
const patience = 300 * time.Millisecond

// conn is a connection that sends a [Body] without copying it, and whose failed
// writes wait for the reader. A receiver that refuses a request by its header alone,
// or an object that is there already, may answer and close the connection while the
// body is still being sent. The answer then races with the failure of the write, and
// would be lost more often than not.
type conn struct {
	*net.TCPConn
	once   sync.Once
	closed chan struct{}
}

func newConn(c *net.TCPConn) *conn { return &conn{TCPConn: c, closed: make(chan struct{})} }

// failed waits when a write failed, until the connection is closed or patience ends.
func (c *conn) failed(err error) {
	if err == nil {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.closed:
	}
}

// Write implements [net.Conn].
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p)
	c.failed(err)
	return n, err
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.TCPConn.Close()
}

// ReadFrom is what net/http calls to send what did not fit into its write
// buffer together with the header; the body then comes in an io.LimitedReader
// of its exact length.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.readFrom(r)
	c.failed(err)
	return n, err
}

func (c *conn) readFrom(r io.Reader) (int64, error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		return c.TCPConn.ReadFrom(r)
	}
	body, ok := limited.R.(*bodyReader)
	if !ok {
		return c.TCPConn.ReadFrom(r)
	}
	n, err := body.writeTo(c.TCPConn)
	limited.N -= n
	return n, err
}
