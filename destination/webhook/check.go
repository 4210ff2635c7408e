package webhook

import (
	"context"

	"github.com/sluicelog/sluice/destination"
)

// Check implements [destination.Destination]: the host is looked up, connected
// to and, for https, its certificate verified; then a test event is sent as a
// delivery would be, marked by its type and the header X-Sluice-Check.
func (e *Endpoint) Check(ctx context.Context, stage func(destination.Stage)) bool {
	p := destination.Probe{Dialer: e.env.Dialer, Host: e.url.Hostname(), Port: e.url.Port()}
	if p.Port == "" {
		p.Port = map[string]string{"http": "80", "https": "443"}[e.url.Scheme]
	}
	if e.url.Scheme == "https" {
		p.TLS = &destination.TLSOptions{SkipVerify: !e.config.SSLVerify}
	}
	defer p.Close()
	const hang = "the connection stands, but nobody answers the request with the test event: the receiver has to answer within 30 seconds, " +
		"as soon as it has stored the event; check also that the port is right"
	return destination.RunSteps(ctx, stage, append(p.Steps(), destination.Step{Name: "accept", Hang: hang, Run: func(ctx context.Context) (string, *destination.Error) {
		p.Close()
		return e.sendTestEvent(ctx)
	}})...)
}

func (e *Endpoint) sendTestEvent(ctx context.Context) (string, *destination.Error) {
	event := destination.MarkedEvent(e.now(), e.env.Namespace, "this endpoint")
	events := []destination.Event{event}
	r := request{id: messageID(events), check: true}
	switch e.config.Format {
	case FormatArray:
		r.body = array(events)
	case FormatNDJSON:
		r.body = lines(events)
	default:
		r.body, r.eventType = destination.NewBody(event.Payload), event.Type
	}
	if err := e.post(ctx, r); err != nil {
		return "", err
	}
	return "a test event was sent and accepted", nil
}
