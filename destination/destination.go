// Package destination is the port to the external systems that events are
// delivered to.
//
// A [Kind] knows one type of destination: what its configuration looks like and
// how to open it. A [Destination] sends batches and reports, for each event,
// what became of it. It never retries, never follows redirects, never reads
// ambient configuration, and opens every socket through the [Dialer] it was
// given. Everything that decides when, what and how often to send is package
// deliver.
package destination

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Kind is a type of destination, "http" for example. It holds no state. Those on
// offer also implement [Described], and [Hosted], [Bearing] or [HostedBySecret].
type Kind interface {
	// Name is the kind's name in the API.
	Name() string

	// Check reports what is wrong with a configuration, in words an owner can
	// act on, as a *sluice.Error with code Invalid. Unknown fields are wrong. It
	// returns the configuration in its canonical form, defaults filled in, and
	// does not open a connection.
	Check(config json.RawMessage, secrets Secrets, rules Rules) (json.RawMessage, error)

	// SecretNames lists the secrets that the kind knows.
	SecretNames() []string

	// Open makes a destination of a checked configuration. It does not connect.
	Open(config json.RawMessage, secrets Secrets, env Env) (Destination, error)
}

// Secrets are the plain values of a stream's secrets, by name. They live in
// memory only and are never logged.
type Secrets map[string]string

// Format prints the names only, whatever the verb.
func (s Secrets) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "secrets%v", slices.Sorted(maps.Keys(s)))
}

// Rules are the operator's rules that a configuration is checked against.
type Rules struct {
	// AllowInsecure permits plain http where a kind otherwise insists on https.
	AllowInsecure bool
	// Administrator says that an administrator configures the stream, or that what
	// only administrators may set stays as one has set it.
	Administrator bool
}

// Env is what a destination gets from its host.
type Env struct {
	// Dialer opens every socket.
	Dialer *Dialer
	// UserAgent identifies Sluice and its version.
	UserAgent string
	// Now is the clock, for signatures and time stamps.
	Now func() time.Time
	// Namespace is the stream's, "" for the instance: test events carry it.
	Namespace string
}

// Destination delivers to one external system. Send is called by one goroutine
// at a time for each lane, so by several at once for a stream of several lanes.
type Destination interface {
	// Send delivers the batch and waits for the outcome of every event in it. It
	// does not retry. The context carries the deadline; when it ends, Send
	// returns soon. Send does not keep the batch after it returned, and does not
	// change it. A nil Err in the result promises that the far side accepted
	// every event (never merely that they were sent).
	Send(ctx context.Context, b *Batch) Result

	// Check proves, stage by stage, that the destination is reached,
	// authenticates and accepts, with a marked test event where nothing else
	// proves it. It calls stage after each stage, in order, and stops after the
	// first that fails. It returns whether all passed.
	Check(ctx context.Context, stage func(Stage)) bool

	// Limits bounds the batches that Send takes.
	Limits() Limits

	// Close frees connections. No Send is under way.
	Close() error
}

// Limits bounds a batch.
type Limits struct {
	Events int // most events
	Bytes  int // most payload bytes; a single larger event may be sent alone
	// Timeout bounds one Send.
	Timeout time.Duration
}

// Batch is a run of events of one partition, in log order, for one stream.
type Batch struct {
	Stream    int64
	Partition string
	Events    []Event
}

// Event is one event of a batch. Its slices belong to the caller.
type Event struct {
	Seq      uint64
	ID       []byte // as in the payload, without quotes
	Hash     uint64 // of the id and the top-level namespace; the same in every attempt
	Type     string
	Time     time.Time // when it happened, or was accepted when the payload does not say
	Accepted time.Time
	// Namespace is the path the event belongs to, "" for the instance.
	Namespace string
	Payload   []byte // the stored JSON object; one '\n' follows it in memory
}

// Stage is one step of a check.
type Stage struct {
	Name    string        `json:"name"` // "resolve", "connect", "tls", "authenticate", "accept"
	OK      bool          `json:"ok"`
	Took    time.Duration `json:"-"`
	Message string        `json:"message"` // for an owner; never a secret
}

// Result says what became of a batch.
type Result struct {
	// Err is nil when every event was delivered.
	Err *Error
	// Events is nil when all events of the batch share one fate: delivered when
	// Err is nil, not delivered when it is not. Otherwise it has an outcome for
	// each event.
	Events []Outcome
	// Reasons holds the destination's words for rejected events, by index in the
	// batch. It may be nil.
	Reasons map[int]string
}

// Outcome is what became of one event of a batch.
type Outcome uint8

const (
	// Unsent: not sent, or not known to be accepted; it will be sent again.
	Unsent Outcome = iota
	// Delivered: the far side accepted it.
	Delivered
	// Rejected: the far side refused this event as such.
	Rejected
)
