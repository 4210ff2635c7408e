// Package notice tells people, by HTTP or e-mail, that a stream has changed its
// state: that it is failing or held, or has recovered.
//
// A [Sender] sends one notice to one address, once. Who is told, when, and how
// often it is tried again is decided by package control.
package notice

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Kinds of addresses.
const (
	HTTP  = "http"  // a URL that takes POST requests
	Email = "email" // an e-mail address
)

// Sender sends notices to addresses of one kind. Its methods may be called at
// once.
type Sender interface {
	// Check reports, as a *sluice.Error with code Invalid, what is wrong with an
	// address.
	Check(ctx context.Context, address string) error

	// Send sends a notice once and returns when the far side has taken it, at the
	// latest when ctx ends or after a time of its own. Its errors hold no part of
	// the address that may be a secret.
	Send(ctx context.Context, address string, n Notice) error
}

// Notice is what is told about a stream.
type Notice struct {
	// ID is the same in every try, and the id of the event in the audit log.
	ID string `json:"id"`
	// Type is "stream.failing", "stream.held", "stream.recovered",
	// "stream.check_failed", "stream.check_passed" or "stream.test".
	Type string    `json:"type"`
	Time time.Time `json:"time"` // when the state changed, or the check ended

	Stream Stream    `json:"stream"`
	Since  time.Time `json:"since,omitzero"` // of the first failure
	// Reason says why, in the destination's words where it has any.
	Reason string `json:"reason,omitempty"`
	// Advice says what to do.
	Advice     string  `json:"advice,omitempty"`
	LagEvents  uint64  `json:"lag_events"`
	LagSeconds float64 `json:"lag_seconds"` // age of the oldest pending event
}

// Stream names a stream.
type Stream struct {
	ID        int64  `json:"id"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"` // "" is the instance
	Kind      string `json:"kind"`
}

// title names the stream for people.
func (s Stream) title() string {
	owner := s.Namespace
	if owner == "" {
		owner = "the instance"
	}
	if s.Name == "" {
		return fmt.Sprintf("stream %d of %s", s.ID, owner)
	}
	return fmt.Sprintf("stream %d %q of %s", s.ID, s.Name, owner)
}

// Subject returns the notice in one line.
func (n *Notice) Subject() string {
	what := map[string]string{
		"stream.failing": "deliveries fail", "stream.held": "held: somebody has to act", "stream.recovered": "delivers again", "stream.test": "test of notices",
		"stream.check_failed": "its check fails", "stream.check_passed": "its check passes again",
	}[n.Type]
	if what == "" {
		what = n.Type
	}
	return fmt.Sprintf("Sluice: %s: %s", n.Stream.title(), what)
}

// Text returns the notice in plain words.
func (n *Notice) Text() string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	fmt.Fprintf(&b, "%s\n\n", n.Subject())
	line("Stream", fmt.Sprintf("%s (kind %s)", n.Stream.title(), n.Stream.Kind))
	line("At", stamp(n.Time))
	if !n.Since.IsZero() {
		line("Since", fmt.Sprintf("%s (%s)", stamp(n.Since), n.Time.Sub(n.Since).Round(time.Second)))
	}
	line("Why", n.Reason)
	line("What to do", n.Advice)
	if n.LagEvents > 0 {
		line("Waiting", fmt.Sprintf("%d events, the oldest for %s", n.LagEvents, time.Duration(n.LagSeconds*float64(time.Second)).Round(time.Second)))
	} else {
		line("Waiting", "nothing")
	}
	if n.Type != "stream.recovered" && n.Type != "stream.test" {
		b.WriteString("\nNothing is lost: events wait until the stream delivers again, at least seven days.\n")
	}
	return b.String()
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
