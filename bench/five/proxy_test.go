package five

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/sluicelog/sluice/bench/process"
)

// fault is how a destination behaves.
type fault int

const (
	pass   fault = iota
	refuse       // nobody listens
	hang         // accepts connections and never answers; what is under way gets no answer either
	die          // what was sent is taken, then the connection breaks in the middle of the answer
)

func (f fault) String() string { return [...]string{"pass", "refuse", "hang", "die"}[f] }

// proxy stands before a receiver on an address of its own and passes bytes on,
// or plays a fault. Its methods may be called at once.
type proxy struct {
	address string
	target  string
	tls     *tls.Config // nil for none; the receiver gets what is inside
	// greeting is how many bytes a sender needs before its first delivery: a
	// connection does not die before it has sent more.
	greeting int64
	port     *process.Port

	wg sync.WaitGroup

	mu       sync.Mutex // guards what follows
	fault    fault
	changed  chan struct{} // closed when fault changes
	hits     int           // connections that the fault has met
	listener net.Listener  // nil while nobody listens
	pipes    map[*pipe]bool
}

// newProxy starts a proxy before target, a host and port.
func newProxy(target string, config *tls.Config, greeting int64) (*proxy, error) {
	held, err := process.HoldPort()
	if err != nil {
		return nil, err
	}
	p := &proxy{address: held.Address, target: target, tls: config, greeting: greeting, port: held,
		changed: make(chan struct{}), pipes: map[*pipe]bool{}}
	if err := p.listen(); err != nil {
		return nil, errors.Join(err, held.Release())
	}
	return p, nil
}

// listen begins to listen. p is locked, or not used yet.
func (p *proxy) listen() error {
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		return fmt.Errorf("listen for a destination: %w", err)
	}
	p.listener = l
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			p.wg.Go(func() { p.serve(conn) })
		}
	})
	return nil
}

// set changes the fault. Hanging connections are reset when they need hang no
// more, and all of them when nobody is to listen.
func (p *proxy) set(f fault) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f == p.fault {
		return nil
	}
	if f == refuse || p.fault == hang {
		for pipe := range p.pipes {
			pipe.reset()
		}
	}
	p.fault, p.hits = f, 0
	close(p.changed)
	p.changed = make(chan struct{})
	switch {
	case f == refuse:
		err := p.listener.Close()
		p.listener = nil
		return err
	case p.listener == nil:
		return p.listen()
	}
	return nil
}

// felt returns how many connections the fault has met.
func (p *proxy) felt() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits
}

func (p *proxy) close() {
	_ = p.set(refuse) // it is over
	p.wg.Wait()
	_ = p.port.Release()
}

// pipe is a connection through a proxy.
type pipe struct {
	raw      *net.TCPConn // the sender's
	client   net.Conn     // raw, or TLS on it
	receiver net.Conn
	hit      bool // guarded by the proxy's mu

	mu   sync.Mutex
	sent int64 // by the sender
}

func (c *pipe) reset() {
	_ = c.raw.SetLinger(0) // it may be closed, as below
	c.close()
}

func (c *pipe) close() {
	_ = c.raw.Close() // without TLS's farewell, for which a peer may not wait
	_ = c.receiver.Close()
}

func (p *proxy) serve(conn net.Conn) {
	raw := conn.(*net.TCPConn) // the listener is one of TCP
	receiver, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = raw.Close()
		return
	}
	c := &pipe{raw: raw, client: raw, receiver: receiver}
	if p.tls != nil {
		c.client = tls.Server(raw, p.tls)
	}
	p.mu.Lock()
	p.pipes[c] = true
	if p.fault == refuse {
		c.reset() // it was accepted just before
	}
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, copy := range []func(*pipe) error{p.request, p.answer} {
		wg.Go(func() {
			if copy(c) != nil {
				c.reset()
			} else {
				c.close()
			}
		})
	}
	wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pipes, c)
}

var errFault = errors.New("the destination is to fail")

// now returns the fault in force and when it ends, and counts that it was met.
func (p *proxy) now(c *pipe, answering bool) (fault, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.fault
	if f == die && (!answering || c.total() <= p.greeting) {
		f = pass
	}
	if f != pass && !c.hit {
		c.hit = true
		p.hits++
	}
	return f, p.changed
}

func (c *pipe) total() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

// request passes on what the sender sends.
func (p *proxy) request(c *pipe) error {
	if f, changed := p.now(c, false); f == hang {
		<-changed // not even TLS begins
		return errFault
	}
	buffer := make([]byte, 64<<10)
	for {
		n, err := c.client.Read(buffer)
		if n > 0 {
			c.mu.Lock()
			c.sent += int64(n)
			c.mu.Unlock()
			if f, changed := p.now(c, false); f == hang {
				<-changed
				return errFault
			}
			if _, err := c.receiver.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return ended(err)
		}
	}
}

// answer passes on what the receiver sends.
func (p *proxy) answer(c *pipe) error {
	buffer := make([]byte, 64<<10)
	for {
		n, err := c.receiver.Read(buffer)
		if n > 0 {
			f, changed := p.now(c, true)
			switch f {
			case hang:
				<-changed
				return errFault
			case die:
				_, _ = c.client.Write(buffer[:n/2]) // it breaks anyway
				return errFault
			}
			if _, err := c.client.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return ended(err)
		}
	}
}

// ended returns nil for a connection that was closed in order.
func ended(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
