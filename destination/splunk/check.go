package splunk

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// Check implements [destination.Destination]. An empty request proves the token:
// the collector answers that there is no data. Then the collector is asked for its
// health and, when acknowledgements are required, for those. A marked test event
// is written only where nothing else proves that events are accepted: when the
// last ones were not accepted, or when an index is set and none was accepted yet.
func (c *Collector) Check(ctx context.Context, stage func(destination.Stage)) bool {
	k := &check{c: c, l: newLane(c.config.IndexerAck)}
	k.probe = destination.Probe{Dialer: c.env.Dialer, Host: c.config.Domain, Port: strconv.Itoa(c.config.Port)}
	if c.wire.scheme == "https" {
		k.probe.TLS = &c.wire.tls
	}
	defer k.probe.Close()
	return destination.RunSteps(ctx, stage, append(k.probe.Steps(),
		destination.Step{Name: "authenticate", Run: k.authenticate, Hang: "the connection stands, but nobody answers an empty request: " +
			"check that the port is that of the HTTP Event Collector (443 or 8088), and whether the collector, or a load balancer in front of it, is stuck"},
		destination.Step{Name: "accept", Run: k.accept})...)
}

// check is a check under way. It has a channel of its own.
type check struct {
	c     *Collector
	l     *lane
	probe destination.Probe
}

// authenticate posts nothing at all.
func (k *check) authenticate(ctx context.Context) (string, *destination.Error) {
	k.probe.Close()
	q := call{method: http.MethodPost, url: k.c.events, lane: k.l, header: http.Header{"Content-Type": {"application/json"}}}
	a, err := k.c.do(ctx, q)
	if err == nil && k.l.adapt(a) {
		a, err = k.c.do(ctx, q)
	}
	switch {
	case err != nil:
		return "", err
	case a.is(codeNoData), a.is(codeSuccess) && a.success():
		return "the collector accepts the token", nil
	}
	return "", k.c.judge(a)
}

func (k *check) accept(ctx context.Context) (string, *destination.Error) {
	var said []string
	message, err := k.health(ctx)
	if err != nil {
		return "", err
	}
	said = append(said, message)
	if k.c.config.IndexerAck == AckRequire {
		if err := k.c.requireAck(ctx, k.l); err != nil {
			return "", err
		}
		said = append(said, "it answers for acknowledgements")
	}
	if message, err = k.testEvent(ctx); err != nil {
		return "", err
	}
	return strings.Join(append(said, message), "; "), nil
}

// health asks without the token. Not every receiver has this path.
func (k *check) health(ctx context.Context) (string, *destination.Error) {
	a, err := k.c.do(ctx, call{method: http.MethodGet, url: k.c.health})
	if err != nil {
		return "", err
	}
	if a.success() && a.is(codeSuccess, codeHealthy) {
		return "the collector says that it is healthy", nil
	}
	if err := k.c.judge(a); err != nil && err.Class == destination.Unavailable {
		return "", err
	}
	return fmt.Sprintf("the collector does not tell its health (it answered %d at %s), which is no harm", a.status, k.c.health.Path), nil
}

// ackPatience is how long the acknowledgement of a test event is waited for: a
// check as a whole may have 30 seconds.
const ackPatience = 20 * time.Second

// testEvent writes a test event when nothing else proves that events are accepted.
// When the last ones were not, its acknowledgement is waited for, too.
func (k *check) testEvent(ctx context.Context) (string, *destination.Error) {
	proof := k.c.proof.Load()
	switch {
	case proof == accepted:
		return "it accepts the stream's events", nil
	case proof == unproved && k.c.config.Index == "":
		return "no test event was written", nil
	}
	event := destination.MarkedEvent(k.c.now(), k.c.env.Namespace, "this index")
	s := &sending{c: k.c, l: k.l, events: []destination.Event{event}, outcomes: make([]destination.Outcome, 1)}
	n, size := k.c.frame.next(s.events)
	if err := s.post(ctx, 0, n, size); err != nil {
		return "", err
	}
	if proof == refused {
		if err := k.await(ctx, s); err != nil {
			return "", err
		}
	}
	k.c.proof.Store(accepted)
	if k.c.config.Index != "" {
		return "it accepted a test event for the index " + k.c.config.Index, nil
	}
	return "it accepted a test event", nil
}

// await waits for the acknowledgement of a test event, if there is one to wait for.
func (k *check) await(ctx context.Context, s *sending) *destination.Error {
	patient, cancel := context.WithTimeout(ctx, ackPatience)
	defer cancel()
	err := s.await(patient)
	if err != nil && patient.Err() != nil && ctx.Err() == nil {
		return unavailable(0, "the collector accepted a test event and did not say within "+ackPatience.String()+
			" that it is indexed: look at the indexers")
	}
	return err
}
