package load

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/bench/histogram"
)

const (
	// pause is how long a connection waits after a refusal or an error.
	pause = 50 * time.Millisecond
	// headRoom is kept free before the body, for the request's head.
	headRoom = 1024
)

// A producer is one connection's worth of load.
type producer struct {
	shared    *run
	flow      Flow
	turn      int // among the connections of the flow
	generator *corpus.Generator
	conn      client
	buf       []byte // head room, then the body
	seen      Result // of this connection
	latency   histogram.Histogram
	requests  int       // sent so far
	free      time.Time // when the last one was answered
}

func newProducer(r *run, flow Flow, turn int, g *corpus.Generator) *producer {
	return &producer{shared: r, flow: flow, turn: turn, generator: g, conn: client{address: r.config.Address}, buf: make([]byte, headRoom)}
}

// run sends until the run is over.
func (p *producer) run(ctx context.Context) {
	defer p.shared.add(p)
	defer p.conn.close()
	for {
		due := p.due()
		if due.After(p.shared.stop) || !wait(ctx, due) {
			return
		}
		sent := time.Now()
		first, ok := p.shared.take(ctx, sent, uint64(p.flow.PerRequest))
		if !ok {
			return
		}
		if p.flow.Rate > 0 && p.free.After(due) {
			sent = due // it was late for the server's sake
		}
		p.send(ctx, first, sent)
		p.requests++
		p.free = time.Now()
	}
}

// due returns when the next request is to be sent: in a closed loop now, else the
// connections take turns.
func (p *producer) due() time.Time {
	if p.flow.Rate == 0 {
		return p.shared.start
	}
	turn := p.requests*p.flow.Connections + p.turn
	return p.shared.start.Add(time.Duration(float64(turn) * float64(p.flow.PerRequest) / float64(p.flow.Rate) * float64(time.Second)))
}

// send posts the events from number first on until they are accepted or the
// connection breaks.
func (p *producer) send(ctx context.Context, first uint64, sent time.Time) {
	n := uint64(p.flow.PerRequest)
	p.buf = p.buf[:headRoom]
	for i := range n {
		p.buf = p.generator.Append(p.buf, first+i, sent.UnixNano())
	}
	request := p.request()
	for ctx.Err() == nil {
		status, err := p.post(ctx, request)
		if err == nil && status/100 == 2 {
			p.accepted(n, sent)
			return
		}
		if err != nil {
			p.seen.Errors++
			p.seen.LastError = err.Error()
			break
		}
		p.seen.Refused++
		p.seen.LastError = fmt.Sprintf("status %d: %.300s", status, p.conn.body)
		wait(ctx, time.Now().Add(pause))
	}
	if len(p.seen.Unknown) < MaxUnknown {
		p.seen.Unknown = append(p.seen.Unknown, Range{first, first + n})
	}
	wait(ctx, time.Now().Add(pause))
}

// post sends a request and returns the status of its answer; lines have none and
// count as accepted.
func (p *producer) post(ctx context.Context, request []byte) (status int, err error) {
	if p.shared.config.Lines {
		return 200, p.conn.write(ctx, p.buf[headRoom:])
	}
	return p.conn.do(ctx, request)
}

func (p *producer) accepted(n uint64, sent time.Time) {
	end := time.Now()
	p.seen.Acked += n
	p.seen.Bytes += uint64(len(p.buf) - headRoom)
	p.seen.End = end.UnixNano()
	p.latency.Record(int64(end.Sub(sent)))
}

// request puts the request's head right before the body.
func (p *producer) request() []byte {
	c := &p.shared.config
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n",
		cmp.Or(c.Path, "/api/v1/events"), c.Address, c.Token, len(p.buf)-headRoom)
	start := headRoom - len(head)
	copy(p.buf[start:], head)
	return p.buf[start:]
}

// wait returns true at the given time, false when ctx ends before.
func wait(ctx context.Context, until time.Time) bool {
	d := time.Until(until)
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
