package controltest

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// Kind is the destination kind "memory": it keeps what it gets.
type Kind struct {
	mu sync.Mutex
	// received holds the ids of the events, by target.
	received map[string][]string
	opened   []destination.Secrets
	configs  []string
	refuse   *destination.Error
	open     bool // checks pass although sends are refused, but for a sink that refused one
	poison   map[string]bool
	hang     chan struct{} // sends wait until it is closed; nil: they do not
	checks   int           // so far
	panics   bool          // sends and checks panic with their secrets
	sent     []string      // passwords of the destinations that took a batch, in order
}

var (
	_ destination.Kind   = (*Kind)(nil)
	_ destination.Hosted = (*Kind)(nil)
)

// Name returns "memory".
func (*Kind) Name() string { return "memory" }

// SecretNames lists the secrets, those of rotation included.
func (*Kind) SecretNames() []string {
	return []string{"verification_token", "signing_secret", "previous_signing_secret", "previous_signing_secret_until", "password"}
}

// Check knows the fields host, a string, level, 1 by default, and headers.
func (*Kind) Check(config json.RawMessage, secrets destination.Secrets, _ destination.Rules) (json.RawMessage, error) {
	f, err := destination.ReadFields("config", config, "host", "level", "headers")
	if err != nil {
		return nil, err
	}
	c := struct {
		Host    string            `json:"host"`
		Level   int               `json:"level"`
		Headers []json.RawMessage `json:"headers"`
	}{Level: 1, Headers: []json.RawMessage{}}
	if err := f.ReadAll(destination.Member{Name: "host", Into: &c.Host}, destination.Member{Name: "level", Into: &c.Level},
		destination.Member{Name: "headers", Into: &c.Headers}); err != nil {
		return nil, err
	}
	if c.Host == "" {
		return nil, sluice.Errorf(sluice.Invalid, "config.host is required").WithHint("for example sink.example")
	}
	if len(secrets["verification_token"]) < 16 {
		return nil, sluice.Errorf(sluice.Invalid, "secrets.verification_token must have 16 to 24 characters")
	}
	return json.Marshal(c)
}

// Hosts returns the field host.
func (*Kind) Hosts(config json.RawMessage) []string {
	var c struct{ Host string }
	if json.Unmarshal(config, &c) != nil {
		return nil
	}
	return []string{c.Host}
}

// Open implements [destination.Kind].
func (k *Kind) Open(config json.RawMessage, secrets destination.Secrets, _ destination.Env) (destination.Destination, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.opened, k.configs = append(k.opened, secrets), append(k.configs, string(config))
	hosts := k.Hosts(config)
	if len(hosts) == 0 {
		return nil, errors.New("no host")
	}
	return &sink{k: k, host: hosts[0], password: secrets["password"]}, nil
}

// Refuse has every send fail with err, none with nil; checks fail with it.
func (k *Kind) Refuse(err *destination.Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refuse = err
}

// RefuseEvents is Refuse for events: a check notices it only at the destination
// that refused some.
func (k *Kind) RefuseEvents(err *destination.Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refuse, k.open = err, true
}

// Poison has the event with that id refused as such; "" heals all.
func (k *Kind) Poison(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if id == "" {
		k.poison = nil
		return
	}
	if k.poison == nil {
		k.poison = map[string]bool{}
	}
	k.poison[id] = true
}

// Hang has sends and checks wait until release is called.
func (k *Kind) Hang() (release func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	hang := make(chan struct{})
	k.hang = hang
	return func() {
		k.mu.Lock()
		k.hang = nil
		k.mu.Unlock()
		close(hang)
	}
}

// wait waits while sends and checks hang, and reports whether ctx goes on.
func (k *Kind) wait(ctx context.Context) bool {
	k.mu.Lock()
	hang := k.hang
	k.mu.Unlock()
	if hang == nil {
		return true
	}
	select {
	case <-hang:
		return true
	case <-ctx.Done():
		return false
	}
}

// Panic has every send and check panic with the secrets in its value.
func (k *Kind) Panic() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.panics = true
}

// explode panics when the kind was told to.
func (s *sink) explode() {
	s.k.mu.Lock()
	panics := s.k.panics
	s.k.mu.Unlock()
	if panics {
		panic("no idea what to do with " + s.password)
	}
}

// Checks returns how many checks there were.
func (k *Kind) Checks() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.checks
}

// Passwords returns the secret "password" of the destination of each batch that
// was taken, in order.
func (k *Kind) Passwords() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.sent...)
}

// Received returns the ids of the events that a host got.
func (k *Kind) Received(host string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.received[host]...)
}

// Opened returns configuration and secrets of the destination opened last.
func (k *Kind) Opened() (config string, secrets destination.Secrets) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := len(k.opened); n > 0 {
		return k.configs[n-1], k.opened[n-1]
	}
	return "", nil
}

type sink struct {
	k              *Kind
	host, password string
	refused        bool // guarded by the kind's lock
}

func (s *sink) Send(ctx context.Context, b *destination.Batch) destination.Result {
	s.explode()
	if !s.k.wait(ctx) {
		return destination.Result{Err: &destination.Error{Class: destination.Unavailable, Message: "cut off"}}
	}
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if s.k.refuse != nil {
		s.refused = true
		return destination.Result{Err: s.k.refuse}
	}
	for _, e := range b.Events {
		if s.k.poison[string(e.ID)] {
			return destination.Result{Err: &destination.Error{Class: destination.RejectedBatch, Status: 422, Message: "poison"}}
		}
	}
	s.k.sent = append(s.k.sent, s.password)
	if s.k.received == nil {
		s.k.received = map[string][]string{}
	}
	for _, e := range b.Events {
		s.k.received[s.host] = append(s.k.received[s.host], string(e.ID))
	}
	return destination.Result{}
}

func (s *sink) Check(ctx context.Context, stage func(destination.Stage)) bool {
	s.explode()
	if !s.k.wait(ctx) {
		return false
	}
	s.k.mu.Lock()
	err := s.k.refuse
	if s.k.open && !s.refused {
		err = nil
	}
	s.k.checks++
	s.k.mu.Unlock()
	stage(destination.Stage{Name: "resolve", OK: true, Took: time.Millisecond})
	if err != nil {
		stage(destination.Stage{Name: "accept", Message: err.Message})
		return false
	}
	stage(destination.Stage{Name: "accept", OK: true, Took: time.Millisecond})
	return true
}

func (s *sink) Limits() destination.Limits {
	return destination.Limits{Events: 100, Bytes: 1 << 20, Timeout: 30 * time.Second}
}

func (s *sink) Close() error { return nil }
