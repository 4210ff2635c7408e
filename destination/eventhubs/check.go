package eventhubs

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/sluicelog/sluice/destination"
)

// Check implements [destination.Destination]: the host is looked up, connected to
// and its certificate verified, the token is put, and the link to the event hub
// is opened, which proves that the hub exists and may be sent to. Nothing is
// written, unless the last events were not accepted: then only a marked test event
// can tell whether the hub accepts.
func (h *Hub) Check(ctx context.Context, stage func(destination.Stage)) bool {
	s, fault := newSession(h.config, h.target, h.env, h.roots, h.now())
	if fault != nil { // the connection string cannot be used at all
		return destination.RunSteps(ctx, stage, destination.Step{Name: "authenticate",
			Run: func(context.Context) (string, *destination.Error) { return "", fault }})
	}
	defer s.close()
	defer s.watch(ctx)()
	c := &check{hub: h, session: s}
	probe := destination.Probe{Dialer: h.env.Dialer, Host: h.target.Host, Port: h.target.Port}
	steps := []destination.Step{{Name: "resolve", Run: probe.Resolve}, {Name: "connect", Run: c.connect}}
	if !h.target.emulator {
		steps = append(steps, destination.Step{Name: "tls", Run: c.tls})
	}
	return destination.RunSteps(ctx, stage, append(steps,
		destination.Step{Name: "authenticate", Run: c.authenticate, Hang: "the connection stands, but nobody speaks AMQP on it: " +
			"a firewall or proxy in between may let only HTTP pass, which port " + h.target.Port + " does not use; check the Endpoint, too"},
		destination.Step{Name: "accept", Run: c.accept})...)
}

// check is a check under way, with a session of its own.
type check struct {
	hub     *Hub
	session *session
	conn    net.Conn // between the stages, until the session has it
	fault   *destination.Error
}

func (c *check) connect(ctx context.Context) (string, *destination.Error) {
	ctx, cancel := context.WithTimeout(ctx, destination.StageTimeout)
	defer cancel()
	conn, err := c.session.dialTCP(ctx)
	if err != nil {
		return "", err
	}
	c.keep(conn)
	return "connected to " + conn.RemoteAddr().String(), nil
}

func (c *check) tls(ctx context.Context) (string, *destination.Error) {
	conn, err := c.session.secure(ctx, c.conn)
	if err != nil {
		return "", err
	}
	c.keep(conn)
	state := conn.ConnectionState()
	return fmt.Sprintf("%s; the certificate is valid until %s", tls.VersionName(state.Version),
		state.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly)), nil
}

// keep gives the connection to the session, which closes it in the end.
func (c *check) keep(conn net.Conn) {
	c.conn = conn
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	c.session.prepared = conn
}

// authenticate puts the token and opens the link at once, as the library does. A
// failure after the token was accepted belongs to the next stage, unless it says
// that the rights do not suffice.
func (c *check) authenticate(ctx context.Context) (string, *destination.Error) {
	_, err := c.session.open(ctx)
	switch {
	case err == nil:
	case c.session.claimed() && !unauthorized(err):
		c.fault = err
	default:
		return "", err
	}
	return "the credentials were accepted", nil
}

func unauthorized(err *destination.Error) bool {
	return strings.Contains(err.Message, conditions["amqp:unauthorized-access"].words) || strings.Contains(err.Message, barredWords)
}

func (c *check) accept(ctx context.Context) (string, *destination.Error) {
	if c.fault != nil {
		return "", c.fault
	}
	limit, err := c.session.open(ctx)
	if err != nil {
		return "", err
	}
	open := fmt.Sprintf("the event hub %s is open for sending, up to %d bytes a message", c.hub.config.Name, limit)
	if !c.hub.unproved.Load() {
		return open + "; nothing was written", nil
	}
	if err := c.send(ctx); err != nil {
		return "", err
	}
	c.hub.unproved.Store(false)
	return open + "; a test event was sent and accepted", nil
}

// send sends a test event.
func (c *check) send(ctx context.Context) *destination.Error {
	event := destination.MarkedEvent(c.hub.now(), c.hub.env.Namespace, "this event hub")
	batch, err := c.session.client.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{})
	if err == nil {
		err = batch.AddEventData(eventData(string(event.ID), event.Payload), nil)
	}
	if err == nil {
		err = c.session.client.SendEventDataBatch(ctx, batch, nil)
	}
	return c.session.judge(ctx, err)
}
