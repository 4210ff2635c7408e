package rest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice"
)

const (
	// writeTimeout is the longest that a reader may take for what fits into the
	// buffers between it and us.
	writeTimeout = 30 * time.Second
	// lastWrites is how long it may take for all that is still to be written when
	// the server stops.
	lastWrites = time.Second
)

// errStopping ends answers that take long when the server stops.
var errStopping = errors.New("the server stops")

// transfers are answers of one kind that take long, and their figures since the
// start.
type transfers struct {
	running atomic.Int64
	ended   [resultCount]atomic.Uint64
	events  atomic.Uint64
	bytes   atomic.Uint64 // that clients have taken, as they were sent
}

// result is how such an answer ended.
type result uint8

const (
	resultOK      result = iota // it was whole
	resultClient                // the client went, or did not read
	resultRefused               // its token is good no more
	resultStopped               // the server stopped
	resultFailed
	resultCount
)

func (r result) String() string {
	return [...]string{"ok", "client", "refused", "stopped", "failed"}[r]
}

// transfer serves an answer that takes long: send writes it, until its context
// ends. Its error says why that was not all.
func (a *API) transfer(of *transfers, w http.ResponseWriter, r *http.Request, send func(context.Context, *patient) error) error {
	to := &patient{ResponseWriter: w, control: http.NewResponseController(w), taken: &of.bytes}
	ctx, cancel := context.WithCancelCause(r.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	wg.Go(func() {
		select {
		case <-a.stopping:
			to.hurry()
			cancel(errStopping)
		case <-ctx.Done():
		}
	})
	of.running.Add(1)
	defer of.running.Add(-1)
	err := send(ctx, to)
	of.ended[resultOf(ctx, err)].Add(1)
	return err
}

// resultOf says how an answer ended.
func resultOf(ctx context.Context, err error) result {
	known, ok := errors.AsType[*sluice.Error](err)
	_, unsent := errors.AsType[*unsentError](err)
	switch {
	case err == nil:
		return resultOK
	case errors.Is(context.Cause(ctx), errStopping):
		return resultStopped
	case unsent, ctx.Err() != nil:
		return resultClient
	case ok && slices.Contains([]sluice.Code{sluice.Unauthorized, sluice.Forbidden, sluice.NotFound}, known.Code):
		return resultRefused
	}
	return resultFailed
}

// patient writes to a client, but does not wait for it for ever.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	taken   *atomic.Uint64 // bytes

	mu  sync.Mutex
	end time.Time // when the last write has to be done; zero: not known yet
}

// unsentError says that a client did not take what was written.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error { return e.error }

func (p *patient) Write(b []byte) (int, error) {
	if err := p.wait(); err != nil {
		return 0, err
	}
	n, err := p.ResponseWriter.Write(b)
	p.taken.Add(uint64(n))
	if err != nil {
		return n, &unsentError{err}
	}
	return n, nil
}

func (p *patient) flush() error {
	if err := p.wait(); err != nil {
		return err
	}
	if err := p.control.Flush(); err != nil {
		return &unsentError{err}
	}
	return nil
}

// wait gives the next write its time.
func (p *patient) wait() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	end := p.end
	if end.IsZero() {
		end = time.Now().Add(writeTimeout)
	}
	err := p.control.SetWriteDeadline(end)
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// hurry leaves a moment for all further writes, and for one that is under way.
func (p *patient) hurry() {
	p.mu.Lock()
	p.end = time.Now().Add(lastWrites)
	p.mu.Unlock()
	_ = p.wait() // a connection without deadlines has nothing to wait for
}

// reset ends an answer that is not whole where the panic that cuts it off would not
// show: in HTTP/1.0, which some proxies speak, an answer ends with its connection,
// unless that is reset.
func reset(w http.ResponseWriter, r *http.Request) {
	if r.ProtoAtLeast(1, 1) {
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }() // whoever counts connections is told
	inner := conn
	for {
		outer, ok := inner.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		inner = outer.NetConn()
	}
	if tcp, ok := inner.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = inner.Close() // first: the end of an encrypted one would be a proper one, too
}

// transferMetrics tells of exports and live readers.
func (a *API) transferMetrics(m *exposition) {
	for _, f := range []struct {
		of              *transfers
		noun, name, now string
		results         []result
	}{
		{&a.exports, "export", "sluice_exports", "Exports under way.", []result{resultOK, resultClient, resultRefused, resultStopped, resultFailed}},
		{&a.readers, "live", "sluice_live_readers", "Readers that follow the log.", []result{resultClient, resultRefused, resultStopped, resultFailed}},
	} {
		m.one(f.name, "gauge", f.now, float64(f.of.running.Load()))
		total := f.name + "_total"
		m.family(total, "counter", "Those that ended, since the start, by how.")
		for _, r := range f.results {
			m.sample(total, float64(f.of.ended[r].Load()), "result", r.String())
		}
		m.one("sluice_"+f.noun+"_events_total", "counter", "Events that were sent to them, since the start.", float64(f.of.events.Load()))
		m.one("sluice_"+f.noun+"_bytes_total", "counter", "Bytes that were sent to them, since the start; of compressed answers as they were sent.", float64(f.of.bytes.Load()))
	}
}
