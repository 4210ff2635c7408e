package splunk

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice/destination"
)

const stageTimeout = 10 * time.Second

// CheckType is the event type of test events.
const CheckType = "sluice.check"

// Check implements [destination.Destination]. An empty request proves the token:
// the collector answers that there is no data. Then the collector is asked for its
// health and, when acknowledgements are required, for those. A marked test event
// is written only where nothing else proves that events are accepted: when the
// last ones were not accepted, or when an index is set and none was accepted yet.
func (c *Collector) Check(ctx context.Context, stage func(destination.Stage)) bool {
	k := &check{c: c, l: newLane(c.config.IndexerAck)}
	defer k.close()
	type step struct {
		name string
		run  func(context.Context) (string, *destination.Error)
	}
	steps := []step{{"resolve", k.resolve}, {"connect", k.connect}, {"tls", k.tls}, {"authenticate", k.authenticate}, {"accept", k.accept}}
	for _, s := range steps {
		if s.name == "tls" && c.wire.scheme != "https" {
			continue
		}
		start := time.Now()
		message, err := s.run(ctx)
		if err != nil {
			message = err.Message
		}
		stage(destination.Stage{Name: s.name, OK: err == nil, Took: time.Since(start), Message: message})
		if err != nil {
			return false
		}
	}
	return true
}

// check is a check under way. It opens a connection of its own, so that each
// stage can be told apart, and has a channel of its own.
type check struct {
	c    *Collector
	l    *lane
	conn net.Conn // nil before connect
}

func (k *check) close() {
	if k.conn != nil {
		k.conn.Close()
		k.conn = nil
	}
}

func (k *check) resolve(ctx context.Context) (string, *destination.Error) {
	ctx, cancel := context.WithTimeout(ctx, stageTimeout)
	defer cancel()
	addrs, err := k.c.env.Dialer.Lookup(ctx, k.c.config.Domain)
	if err != nil {
		return "", destination.Classify(err)
	}
	list := make([]string, len(addrs))
	for i, a := range addrs {
		list[i] = a.String()
	}
	return "the domain is at " + strings.Join(list, ", "), nil
}

func (k *check) connect(ctx context.Context) (string, *destination.Error) {
	ctx, cancel := context.WithTimeout(ctx, stageTimeout)
	defer cancel()
	conn, err := k.c.env.Dialer.DialContext(ctx, "tcp", net.JoinHostPort(k.c.config.Domain, strconv.Itoa(k.c.config.Port)))
	if err != nil {
		return "", destination.Classify(err)
	}
	k.conn = conn
	return "connected to " + conn.RemoteAddr().String(), nil
}

func (k *check) tls(ctx context.Context) (string, *destination.Error) {
	ctx, cancel := context.WithTimeout(ctx, stageTimeout)
	defer cancel()
	config := k.c.wire.tls.Config()
	config.ServerName = k.c.config.Domain
	conn := tls.Client(k.conn, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return "", destination.Classify(err)
	}
	state := conn.ConnectionState()
	version := tls.VersionName(state.Version)
	if config.InsecureSkipVerify {
		return version + "; the connection is encrypted, but the certificate was not verified because ssl_verify is off", nil
	}
	return fmt.Sprintf("%s; the certificate is valid until %s", version, state.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly)), nil
}

// authenticate posts nothing at all.
func (k *check) authenticate(ctx context.Context) (string, *destination.Error) {
	k.close() // a receiver may serve one connection at a time
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
	event := destination.Event{Time: k.c.now(), Payload: testPayload(k.c.now(), k.c.env.Namespace)}
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

// testPayload returns a marked event; every one has an id of its own.
func testPayload(now time.Time, namespace string) []byte {
	out, _ := json.Marshal(struct { // strings always have a JSON form
		ID         string `json:"id"`
		EventType  string `json:"event_type"`
		CreatedAt  string `json:"created_at"`
		EntityPath string `json:"entity_path,omitempty"`
		Message    string `json:"message"`
	}{"check-" + rand.Text(), CheckType, now.UTC().Format(time.RFC3339Nano), namespace,
		"A test event: Sluice checks that this index accepts events. It is not part of the audit log."})
	return out
}
