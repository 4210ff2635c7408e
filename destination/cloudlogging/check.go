package cloudlogging

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/sluicelog/sluice/destination"
)

const stageTimeout = 10 * time.Second

// CheckType is the event type of test entries.
const CheckType = "sluice.check"

// Check implements [destination.Destination]. The API and the token endpoint are
// looked up, connected to and their certificates verified; then an access token
// is fetched, and a marked entry is sent with dryRun: Google judges it as any
// other and writes nothing.
func (w *Writer) Check(ctx context.Context, stage func(destination.Stage)) bool {
	c := newCheck(w)
	defer c.close()
	type step struct {
		name string
		run  func(context.Context) (string, *destination.Error)
	}
	steps := []step{
		{"resolve", c.each(c.resolve)}, {"connect", c.each(c.connect)}, {"tls", c.each(c.tls)},
		{"authenticate", c.authenticate}, {"accept", c.accept},
	}
	for _, s := range steps {
		if s.name == "tls" && !c.secure() {
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

// check is a check under way. It opens connections of its own, so that each
// stage can be told apart.
type check struct {
	writer *Writer
	peers  []*peer
	token  token
}

// peer is a server that takes part: the API or the token endpoint.
type peer struct {
	host, port string
	secure     bool
	conn       net.Conn // nil before connect
}

func newCheck(w *Writer) *check {
	c := &check{writer: w}
	for _, raw := range []string{w.config.endpoint(), w.config.tokenURL()} {
		u, err := url.Parse(raw)
		if err != nil {
			continue // it was checked
		}
		p := peer{host: u.Hostname(), port: u.Port(), secure: u.Scheme == "https"}
		if p.port == "" {
			p.port = map[bool]string{false: "80", true: "443"}[p.secure]
		}
		if len(c.peers) == 0 || p != *c.peers[0] {
			c.peers = append(c.peers, &p)
		}
	}
	return c
}

func (c *check) close() {
	for _, p := range c.peers {
		if p.conn != nil {
			p.conn.Close()
		}
	}
}

func (c *check) secure() bool {
	for _, p := range c.peers {
		if p.secure {
			return true
		}
	}
	return false
}

// each runs a stage for every peer, until one fails.
func (c *check) each(run func(context.Context, *peer) (string, error)) func(context.Context) (string, *destination.Error) {
	return func(ctx context.Context) (string, *destination.Error) {
		ctx, cancel := context.WithTimeout(ctx, stageTimeout)
		defer cancel()
		var said []string
		for _, p := range c.peers {
			message, err := run(ctx, p)
			if err != nil {
				e := *destination.Classify(err)
				e.Message = p.host + ": " + e.Message
				return "", &e
			}
			if message != "" {
				said = append(said, p.host+": "+message)
			}
		}
		return strings.Join(said, "; "), nil
	}
}

func (c *check) resolve(ctx context.Context, p *peer) (string, error) {
	addrs, err := c.writer.env.Dialer.Lookup(ctx, p.host)
	if err != nil {
		return "", err
	}
	list := make([]string, 0, 4)
	for i, a := range addrs {
		if i == cap(list) {
			list = append(list[:i-1], fmt.Sprintf("%d more", len(addrs)-i+1))
			break
		}
		list = append(list, a.String())
	}
	return strings.Join(list, ", "), nil
}

func (c *check) connect(ctx context.Context, p *peer) (string, error) {
	conn, err := c.writer.env.Dialer.DialContext(ctx, "tcp", net.JoinHostPort(p.host, p.port))
	if err != nil {
		return "", err
	}
	p.conn = conn
	return "connected to " + conn.RemoteAddr().String(), nil
}

func (c *check) tls(ctx context.Context, p *peer) (string, error) {
	if !p.secure {
		return "", nil
	}
	config := destination.TLSOptions{}.Config()
	config.ServerName = p.host
	conn := tls.Client(p.conn, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return "", err
	}
	state := conn.ConnectionState()
	expiry := state.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly)
	return fmt.Sprintf("%s, certificate valid until %s", tls.VersionName(state.Version), expiry), nil
}

func (c *check) authenticate(ctx context.Context) (string, *destination.Error) {
	c.close() // a server may serve one connection at a time
	t, err := c.writer.tokens.fetch(ctx)
	if err != nil {
		return "", err
	}
	c.token = t
	return "an access token was granted to " + c.writer.config.ClientEmail, nil
}

func (c *check) accept(ctx context.Context) (string, *destination.Error) {
	w := c.writer
	event, err := testEvent(w.env.Now(), w.env.Namespace)
	if err != nil {
		return "", destination.Classify(err)
	}
	p, _ := w.pack(head(w.config.logName(), true), []destination.Event{event}, 0, func(int, string) {})
	if _, err := w.post(ctx, p, c.token); err != nil {
		return "", err
	}
	return "a test entry for " + w.config.logName() + " would be accepted; it was sent as a dry run, so that nothing was written", nil
}

// testEvent returns a marked event; every one has an id of its own.
func testEvent(now time.Time, namespace string) (destination.Event, error) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails, see its documentation
	id := fmt.Sprintf("check-%x", random)
	payload, err := json.Marshal(struct {
		ID         string `json:"id"`
		EventType  string `json:"event_type"`
		CreatedAt  string `json:"created_at"`
		EntityPath string `json:"entity_path,omitempty"`
		Message    string `json:"message"`
	}{id, CheckType, now.UTC().Format(time.RFC3339Nano), namespace,
		"A test entry: Sluice checks that this log accepts events. It is not part of the audit log."})
	return destination.Event{ID: []byte(id), Type: CheckType, Time: now, Namespace: namespace, Payload: payload}, err
}
