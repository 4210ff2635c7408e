package destination

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"time"
)

const (
	// StageTimeout bounds each of the stages that a [Probe] makes.
	StageTimeout = 10 * time.Second
	// CheckType is the event type of test events.
	CheckType = "sluice.check"
	// maxNamed is how many addresses of a host a stage names.
	maxNamed = 8
)

// Step is one step of a check: a stage before it has run.
type Step struct {
	Name string
	Run  func(ctx context.Context) (message string, err *Error)
	// Hang says what to look at when nobody answers in time; what is usual for a
	// stage of this name when it is empty.
	Hang string
}

// hangs are what is usually wrong when nobody answers, by stage.
var hangs = map[string]string{
	"resolve": "the name servers that this server asks do not answer; its operator can look at them",
	"connect": "check the address and the port, and let in the addresses that deliveries come from",
	"tls": "the port takes connections, but nobody begins TLS there: check that it is the one for TLS, " +
		"and whether a firewall or proxy in between holds the traffic back",
	"authenticate": "the connection stands, but nobody answers a request on it: check that address and port are those of this service, " +
		"and whether it, or a proxy in front of it, is stuck",
	"accept": "the credentials were accepted, but not the request after them: check whether the service, or a proxy in front of it, is overloaded or stuck",
}

// hang returns what to look at when nobody answered the step in time.
func (s *Step) hang() string {
	if s.Hang != "" {
		return s.Hang
	}
	return hangs[s.Name]
}

// RunSteps runs the steps of a check in order and calls stage after each. It
// stops after the first that fails, and returns whether all passed. When nobody
// answered in time the message says what to look at.
func RunSteps(ctx context.Context, stage func(Stage), steps ...Step) bool {
	for _, s := range steps {
		start := time.Now()
		message, err := s.Run(ctx)
		if err != nil {
			message = err.Message
			if hang := s.hang(); err.TimedOut && hang != "" {
				message += "; " + hang
			}
		}
		stage(Stage{Name: s.Name, OK: err == nil, Took: time.Since(start), Message: message})
		if err != nil {
			return false
		}
	}
	return true
}

// Probe connects to a server in the stages that every check begins with. It has a
// connection of its own, so that each stage can be told apart, and is used by one
// goroutine.
type Probe struct {
	Dialer     *Dialer
	Host, Port string
	// TLS is nil for a server that is spoken to without it.
	TLS *TLSOptions

	conn net.Conn // nil before Connect
}

// Steps returns the stages "resolve", "connect" and, with TLS, "tls". Close ends
// the connection that they leave.
func (p *Probe) Steps() []Step {
	steps := []Step{{Name: "resolve", Run: p.Resolve}, {Name: "connect", Run: p.Connect}}
	if p.TLS != nil {
		steps = append(steps, Step{Name: "tls", Run: p.Handshake})
	}
	return steps
}

// Resolve looks up the host.
func (p *Probe) Resolve(ctx context.Context) (string, *Error) {
	ctx, cancel := context.WithTimeout(ctx, StageTimeout)
	defer cancel()
	addrs, err := p.Dialer.Lookup(ctx, p.Host)
	if err != nil {
		return "", Classify(err)
	}
	var list []string
	for i, a := range addrs {
		if i == maxNamed {
			list = append(list, fmt.Sprintf("%d more", len(addrs)-i))
			break
		}
		list = append(list, a.String())
	}
	if len(list) == 1 && list[0] == strings.Trim(p.Host, "[]") {
		return p.Host + " is an address: there is nothing to look up", nil
	}
	return p.Host + " is at " + strings.Join(list, ", "), nil
}

// Connect opens the connection.
func (p *Probe) Connect(ctx context.Context) (string, *Error) {
	ctx, cancel := context.WithTimeout(ctx, StageTimeout)
	defer cancel()
	conn, err := p.Dialer.DialContext(ctx, "tcp", net.JoinHostPort(p.Host, p.Port))
	if err != nil {
		return "", Classify(err)
	}
	p.conn = conn
	return "connected to " + conn.RemoteAddr().String(), nil
}

// Handshake begins TLS on the connection that Connect opened.
func (p *Probe) Handshake(ctx context.Context) (string, *Error) {
	ctx, cancel := context.WithTimeout(ctx, StageTimeout)
	defer cancel()
	config := p.TLS.Config()
	config.ServerName = p.Host
	conn := tls.Client(p.conn, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return "", Classify(err)
	}
	state := conn.ConnectionState()
	version := tls.VersionName(state.Version)
	if p.TLS.SkipVerify {
		return version + "; the connection is encrypted, but the certificate was not verified, because SSL verification is off", nil
	}
	return version + "; the certificate is valid until " + state.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly), nil
}

// Close closes the connection, if there is one: a receiver may serve one at a
// time. It may be called again.
func (p *Probe) Close() {
	if p.conn != nil {
		_ = p.conn.Close() // nothing was sent that could be lost
		p.conn = nil
	}
}

// MarkedEvent returns a test event: of the type [CheckType], and with an id that
// no other one has. Its message says that it checks whether what, "this index" for
// example, accepts events.
func MarkedEvent(now time.Time, namespace, what string) Event {
	var random [16]byte
	rand.Read(random[:]) // never fails, see its documentation
	id := "check-" + hex.EncodeToString(random[:])
	payload, _ := json.Marshal(struct { // strings always have a JSON form
		ID         string `json:"id"`
		EventType  string `json:"event_type"`
		CreatedAt  string `json:"created_at"`
		EntityPath string `json:"entity_path,omitempty"`
		Message    string `json:"message"`
	}{id, CheckType, now.UTC().Format(time.RFC3339Nano), namespace,
		"A test event: Sluice checks that " + what + " accepts events. It is not part of the audit log."})
	return Event{ID: []byte(id), Hash: binary.BigEndian.Uint64(random[:]), Type: CheckType, Time: now, Accepted: now,
		Namespace: namespace, Payload: payload}
}
