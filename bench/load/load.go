// Package load is the producer of the benchmark. It speaks HTTP/1.1 over plain
// connections, so that it takes little of the machine from the server under
// test, and it knows which events were acknowledged.
//
// Closed loop: each connection sends its next request when the last one is
// answered. Open loop (Rate above 0): requests have a time at which they are due,
// and an event that could not leave then because its connection was still waiting
// counts as sent when it was due, so that a stalled server cannot hide its delay.
//
// Servers that take lines over plain TCP answer nothing (Config.Lines): an event
// counts as accepted once the system has taken it for them, which promises little.
package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/bench/histogram"
)

// MaxUnknown is how many ranges of unacknowledged events a [Result] lists.
const MaxUnknown = 10_000

// Config says what to send.
type Config struct {
	Address  string        // host:port
	Token    string        // sent as a bearer token
	Path     string        // to post to; "" is Sluice's
	Lines    bool          // plain TCP, no requests and no answers
	Flow                   // the load
	Beside   []Flow        // more of it at the same time, numbered together
	Duration time.Duration // of sending; answers are awaited after it
	Events   uint64        // stop after about so many; 0: only Duration counts
	First    uint64        // number of the first event
	Corpus   corpus.Spec
}

// A Flow is what a number of like connections send.
type Flow struct {
	Connections int // at once
	PerRequest  int // events in each request
	Rate        int // events each second; 0: closed loop
}

// check refuses a load that cannot be sent.
func (c *Config) check() error {
	connections := 0
	for _, f := range c.flows() {
		connections += f.Connections
		if f.Connections < 1 || connections > corpus.MaxConnections || f.PerRequest < 1 || f.Rate < 0 {
			return fmt.Errorf("run load: %d connections, %d events a request, rate %d: out of range",
				f.Connections, f.PerRequest, f.Rate)
		}
	}
	return nil
}

func (c *Config) flows() []Flow { return append([]Flow{c.Flow}, c.Beside...) }

// A Range is a run of event numbers, To exclusive.
type Range struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// Result says what happened. Times are in nanoseconds.
type Result struct {
	First uint64 `json:"first"` // number of the first event
	Next  uint64 `json:"next"`  // 1 + number of the last one
	Acked uint64 `json:"acked"` // events answered with a 2xx
	Bytes uint64 `json:"bytes"` // of the acknowledged events
	// Refused counts answers other than 2xx; such a request is sent again after
	// a pause. Errors counts broken connections.
	Refused   uint64 `json:"refused"`
	Errors    uint64 `json:"errors"`
	LastError string `json:"last_error,omitempty"`
	// Unknown lists the events that were sent and never answered.
	Unknown []Range `json:"unknown,omitempty"`
	Start   int64   `json:"start"` // since 1970
	End     int64   `json:"end"`   // since 1970: the last answer
	P50     int64   `json:"p50"`   // of a request
	P99     int64   `json:"p99"`
	Max     int64   `json:"max"`
}

// A run is what the connections of one run share.
type run struct {
	config Config
	next   atomic.Uint64
	start  time.Time
	stop   time.Time

	mu      sync.Mutex
	result  Result // guarded by mu
	latency histogram.Histogram
}

// Run sends until the duration is over, all events are sent or ctx ends, and
// waits for the answers.
func Run(ctx context.Context, config Config) (Result, error) {
	if err := config.check(); err != nil {
		return Result{}, err
	}
	events, err := corpus.New(config.Corpus)
	if err != nil {
		return Result{}, err
	}
	start := time.Now()
	r := &run{config: config, start: start, stop: start.Add(config.Duration)}
	r.next.Store(config.First)
	var wg sync.WaitGroup
	connection := 0
	for _, flow := range config.flows() {
		for turn := range flow.Connections {
			p := newProducer(r, flow, turn, events.Generator(connection))
			connection++
			wg.Go(func() { p.run(ctx) })
		}
	}
	wg.Wait()
	r.result.First, r.result.Next = config.First, r.next.Load()
	r.result.Start, r.result.End = start.UnixNano(), max(r.result.End, start.UnixNano())
	r.result.P50, r.result.P99, r.result.Max = r.latency.Quantile(0.5), r.latency.Quantile(0.99), r.latency.Quantile(1)
	return r.result, nil
}

// take reserves the numbers of one request of n events; ok is false when the run is over.
func (r *run) take(ctx context.Context, now time.Time, n uint64) (first uint64, ok bool) {
	if ctx.Err() != nil || !now.Before(r.stop) {
		return 0, false
	}
	if r.config.Events > 0 && r.next.Load() >= r.config.First+r.config.Events {
		return 0, false
	}
	return r.next.Add(n) - n, true
}

// add puts what one connection saw into the result.
func (r *run) add(p *producer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latency.Merge(&p.latency)
	t := &r.result
	t.Acked += p.seen.Acked
	t.Bytes += p.seen.Bytes
	t.Refused += p.seen.Refused
	t.Errors += p.seen.Errors
	t.End = max(t.End, p.seen.End)
	if p.seen.LastError != "" {
		t.LastError = p.seen.LastError
	}
	t.Unknown = append(t.Unknown, p.seen.Unknown[:min(len(p.seen.Unknown), MaxUnknown-len(t.Unknown))]...)
}
