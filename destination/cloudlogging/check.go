package cloudlogging

import (
	"context"
	"net"
	"net/url"
	"strings"

	"github.com/sluicelog/sluice/destination"
)

// Check implements [destination.Destination]. The API and the token endpoint are
// looked up, connected to and their certificates verified; then an access token
// is fetched, and a marked entry is sent with dryRun: Google judges it as any
// other and writes nothing.
func (w *Writer) Check(ctx context.Context, stage func(destination.Stage)) bool {
	c := newCheck(w)
	defer c.close()
	return destination.RunSteps(ctx, stage, append(c.connecting(),
		destination.Step{Name: "authenticate", Run: c.authenticate, Hang: "the connection stands, but nobody grants an access token: " +
			"check whether a proxy in between holds requests to it back"},
		destination.Step{Name: "accept", Run: c.accept})...)
}

// check is a check under way.
type check struct {
	writer *Writer
	peers  []*destination.Probe // the API and the token endpoint
	token  token
}

func newCheck(w *Writer) *check {
	c := &check{writer: w}
	for _, raw := range []string{w.config.endpoint(), w.config.tokenURL()} {
		u, err := url.Parse(raw)
		if err != nil {
			continue // it was checked
		}
		p := &destination.Probe{Dialer: w.env.Dialer, Host: u.Hostname(), Port: u.Port()}
		if p.Port == "" {
			p.Port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		if u.Scheme == "https" {
			p.TLS = &destination.TLSOptions{}
		}
		if len(c.peers) == 0 || p.Host != c.peers[0].Host || p.Port != c.peers[0].Port {
			c.peers = append(c.peers, p)
		}
	}
	return c
}

func (c *check) close() {
	for _, p := range c.peers {
		p.Close()
	}
}

func (c *check) secure() bool {
	for _, p := range c.peers {
		if p.TLS != nil {
			return true
		}
	}
	return false
}

// connecting returns the stages of all peers, joined by name.
func (c *check) connecting() []destination.Step {
	var joined []destination.Step
	for _, name := range []string{"resolve", "connect", "tls"} {
		if name != "tls" || c.secure() {
			joined = append(joined, destination.Step{Name: name, Run: func(ctx context.Context) (string, *destination.Error) { return c.each(ctx, name) }})
		}
	}
	return joined
}

// each runs the stage of that name for every peer that has it, until one fails.
func (c *check) each(ctx context.Context, name string) (string, *destination.Error) {
	var said []string
	for i, p := range c.peers {
		if name == "resolve" && i > 0 && p.Host == c.peers[0].Host {
			continue // once is enough
		}
		for _, s := range p.Steps() {
			if s.Name != name {
				continue
			}
			message, err := s.Run(ctx)
			if err != nil {
				e := *err
				e.Message = c.called(p, name, e.Message)
				return "", &e
			}
			said = append(said, c.called(p, name, message))
		}
	}
	return strings.Join(said, "; "), nil
}

// called says which peer a message is about, where that is not clear. A lookup
// names the host by itself.
func (c *check) called(p *destination.Probe, name, message string) string {
	switch {
	case len(c.peers) == 1 || name == "resolve" && strings.Contains(message, p.Host):
		return message
	case c.peers[0].Host == c.peers[1].Host:
		return net.JoinHostPort(p.Host, p.Port) + ": " + message
	}
	return p.Host + ": " + message
}

func (c *check) authenticate(ctx context.Context) (string, *destination.Error) {
	c.close()
	t, err := c.writer.tokens.fetch(ctx)
	if err != nil {
		return "", err
	}
	c.token = t
	return "an access token was granted to " + c.writer.config.ClientEmail, nil
}

func (c *check) accept(ctx context.Context) (string, *destination.Error) {
	w := c.writer
	event := destination.MarkedEvent(w.env.Now(), w.env.Namespace, "this log")
	p, _ := w.pack(head(w.config.logName(), true), []destination.Event{event}, 0, func(int, string) {})
	if _, err := w.post(ctx, p, c.token); err != nil {
		return "", err
	}
	return "a test entry for " + w.config.logName() + " would be accepted; it was sent as a dry run, so that nothing was written", nil
}
