package webhook

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/sluicelog/sluice/destination"
)

const stageTimeout = 10 * time.Second

// CheckType is the event type of test events.
const CheckType = "sluice.check"

// Check implements [destination.Destination]: the host is looked up, connected
// to and, for https, its certificate verified; then a test event is sent as a
// delivery would be, marked by its type and the header X-Sluice-Check.
func (e *Endpoint) Check(ctx context.Context, stage func(destination.Stage)) bool {
	c := &check{endpoint: e}
	defer c.close()
	type step struct {
		name string
		run  func(context.Context) (string, *destination.Error)
	}
	steps := []step{{"resolve", c.resolve}, {"connect", c.connect}, {"tls", c.tls}, {"accept", c.accept}}
	for _, s := range steps {
		if s.name == "tls" && e.url.Scheme != "https" {
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
// stage can be told apart.
type check struct {
	endpoint *Endpoint
	conn     net.Conn // nil before connect
}

func (c *check) close() {
	if c.conn != nil {
		c.conn.Close()
	}
}

func (c *check) resolve(ctx context.Context) (string, *destination.Error) {
	ctx, cancel := context.WithTimeout(ctx, stageTimeout)
	defer cancel()
	addrs, err := c.endpoint.env.Dialer.Lookup(ctx, c.endpoint.url.Hostname())
	if err != nil {
		return "", destination.Classify(err)
	}
	list := make([]string, len(addrs))
	for i, a := range addrs {
		list[i] = a.String()
	}
	return "the host is at " + strings.Join(list, ", "), nil
}

func (c *check) connect(ctx context.Context) (string, *destination.Error) {
	u := c.endpoint.url
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	ctx, cancel := context.WithTimeout(ctx, stageTimeout)
	defer cancel()
	conn, err := c.endpoint.env.Dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return "", destination.Classify(err)
	}
	c.conn = conn
	return "connected to " + conn.RemoteAddr().String(), nil
}

func (c *check) tls(ctx context.Context) (string, *destination.Error) {
	ctx, cancel := context.WithTimeout(ctx, stageTimeout)
	defer cancel()
	config := destination.TLSOptions{SkipVerify: !c.endpoint.config.SSLVerify}.Config()
	config.ServerName = c.endpoint.url.Hostname()
	conn := tls.Client(c.conn, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return "", destination.Classify(err)
	}
	state := conn.ConnectionState()
	expiry := state.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly)
	if config.InsecureSkipVerify {
		return fmt.Sprintf("%s; the certificate was not verified because ssl_verify is off", tls.VersionName(state.Version)), nil
	}
	return fmt.Sprintf("%s; the certificate is valid until %s", tls.VersionName(state.Version), expiry), nil
}

func (c *check) accept(ctx context.Context) (string, *destination.Error) {
	c.close() // a receiver may serve one connection at a time
	payload := testEvent(c.endpoint.now(), c.endpoint.env.Namespace)
	event := destination.Event{Hash: binary.BigEndian.Uint64(payload.id[:]), Type: CheckType, Payload: payload.json}
	events := []destination.Event{event}
	r := request{id: messageID(events), check: true}
	switch c.endpoint.config.Format {
	case FormatArray:
		r.body = array(events)
	case FormatNDJSON:
		r.body = lines(events)
	default:
		r.body, r.eventType = destination.NewBody(event.Payload), event.Type
	}
	if err := c.endpoint.post(ctx, r); err != nil {
		return "", err
	}
	return "a test event was sent and accepted", nil
}

// marked is a test event; every one has an id of its own.
type marked struct {
	id   [16]byte
	json []byte
}

func testEvent(now time.Time, namespace string) marked {
	var m marked
	rand.Read(m.id[:]) // never fails, see its documentation
	m.json, _ = json.Marshal(struct {
		ID         string `json:"id"`
		EventType  string `json:"event_type"`
		CreatedAt  string `json:"created_at"`
		EntityPath string `json:"entity_path,omitempty"`
		Message    string `json:"message"`
	}{fmt.Sprintf("check-%x", m.id), CheckType, now.UTC().Format(time.RFC3339Nano), namespace,
		"A test event: Sluice checks that this endpoint accepts events. It is not part of the audit log."})
	return m
}
