// Package control holds the use cases, and who may do what: every surface goes
// through it and nothing else changes streams, tokens and namespaces.
//
// Each thing is one record, changed by compare-and-set. What a change has to say
// about itself in the audit log lives in the outbox of the changed record, with
// its id fixed there, until it is appended; a repeat is a duplicate, so that
// every change is told exactly once, whenever the process ends. What has to be
// unique or bounded is held by claims.
//
// What requests need at once (tokens, namespaces, streams) is also kept in
// memory and follows each durable change.
package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/deliver"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/notice"
	"github.com/sluicelog/sluice/search"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/store"
)

// Limits that are not settable.
const (
	maxOutbox     = 100  // events a record may hold before it refuses changes
	maxNameLength = 255  // characters of a token's name
	learnBatch    = 1024 // namespaces stored with one sync
	checkTimeout  = 30 * time.Second
	lookupTimeout = 5 * time.Second
	// claimTimeout is the time in which a claim's owner must be stored.
	claimTimeout = time.Minute
	// rotation is how long a replaced signing secret goes on signing.
	rotation = 24 * time.Hour
)

// DefaultStreamLimit is the limit of streams that a Config without one has.
const DefaultStreamLimit = 100

// Config says what a Service works with. Log, Store, Deliver, Kinds and Ring are
// required.
type Config struct {
	Log     *eventlog.Log
	Store   store.Store
	Deliver *deliver.Deliverer
	// Kinds are the destination kinds on offer.
	Kinds []destination.Kind
	// Ring seals secrets and header values.
	Ring *secret.Ring
	// Env is what destinations get; its Dialer, by default one that allows public
	// addresses only, judges hosts when a stream is saved. Its Namespace is set
	// for each stream.
	Env destination.Env
	// Rules are the operator's; Administrator is set for each caller.
	Rules  destination.Rules
	Logger *slog.Logger
	// Senders send notices, by kind of address; see package notice. A kind that
	// is missing is not on offer.
	Senders map[string]notice.Sender
	// EgressAddresses are the networks that deliveries come from, as far as the
	// operator says.
	EgressAddresses []netip.Prefix
	// Now is the wall clock; time.Now by default.
	Now func() time.Time

	// Search finds events; nil: this server finds none.
	Search *search.Service

	// FreeSpace returns the free bytes of the data folder; nil: space is not
	// watched. Below Floor, 64 MiB by default, producers are refused.
	FreeSpace func() (uint64, error)
	Floor     uint64

	// PasswordMemory is what a digest of a password costs, in KiB; 19 MiB by
	// default. Tests take less.
	PasswordMemory uint32

	// RateLimit is how many events a second a token without a limit of its own may
	// post; 0 is no limit.
	RateLimit int
	// StreamLimit bounds the streams of a namespace, and the namespaces that a filter
	// names; 100 by default.
	StreamLimit int
	// MaxLearned bounds the namespaces below one top-level namespace, learned from
	// events or declared; 100,000 by default. Of events further ones are counted, not
	// stored.
	MaxLearned int
	// TokenLimit bounds the tokens of producers of a top-level namespace; 10,000 by
	// default. The instance, whose tokens administrators make, has no limit.
	TokenLimit int
}

// Service carries out the use cases. All methods may be called at once, after
// Open. Errors that a caller can do something about are *[sluice.Error]; all
// others are faults of the server and hold nothing for its callers.
type Service struct {
	cfg      Config
	log      *eventlog.Log
	store    store.Store
	logger   *slog.Logger
	now      func() time.Time
	kinds    map[string]destination.Kind
	kindList []string // in the order of Config.Kinds

	tokens     tokens
	people     people
	sessions   sessions
	hasher     *hasher
	throttle   *throttle // of signing in
	signIns    signIns
	uses       uses
	namespaces namespaces
	streams    streams
	space      space
	outboxes   pump
	doubts     doubts
	intake     intake
	keys       keys
	health     healthFigures
	notices    notices
	counters   []*counter // one for each partition
	checks     *turnstile
	exports    *turnstile
	readers    *turnstile // that follow the log
}

// New returns a service. It does nothing until Open.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Floor == 0 {
		cfg.Floor = 64 << 20
	}
	if cfg.PasswordMemory == 0 {
		cfg.PasswordMemory = passwordMemory
	}
	if cfg.StreamLimit == 0 {
		cfg.StreamLimit = DefaultStreamLimit
	}
	if cfg.MaxLearned == 0 {
		cfg.MaxLearned = 100_000
	}
	if cfg.TokenLimit == 0 {
		cfg.TokenLimit = 10_000
	}
	if cfg.Env.Dialer == nil {
		cfg.Env.Dialer = destination.NewDialer(destination.DialerConfig{})
	}
	s := &Service{
		cfg: cfg, log: cfg.Log, store: cfg.Store, logger: cfg.Logger, now: cfg.Now,
		kinds:  map[string]destination.Kind{},
		hasher: newHasher(cfg.PasswordMemory), throttle: newThrottle(),
		checks:  newTurnstile("checks", maxChecks, maxTenantChecks),
		exports: newTurnstile("exports", maxExports, maxTenantExports),
		readers: newTurnstile("live readers", maxLive, maxTenantLive),
	}
	for _, k := range cfg.Kinds {
		s.kinds[k.Name()] = k
		s.kindList = append(s.kindList, k.Name())
	}
	s.tokens.init()
	s.people.init()
	s.sessions.init()
	s.uses.init()
	s.namespaces.init()
	s.streams.init()
	s.outboxes.init()
	s.keys.init()
	s.notices.init(s)
	return s
}

// Open loads tokens, namespaces and streams and hands every stream to delivery.
// It is called once, before anything else: after Load of the Deliverer and before
// its Run, which takes streams that it was not given for deleted.
func (s *Service) Open(ctx context.Context) error {
	s.watchSpace(ctx)
	for _, p := range s.log.Partitions() {
		c := newCounter(s, p)
		if err := c.load(ctx); err != nil {
			return fmt.Errorf("load counts: %w", err)
		}
		s.counters = append(s.counters, c)
	}
	if err := s.loadUsers(ctx); err != nil {
		return fmt.Errorf("load users: %w", err)
	}
	if err := s.loadSessions(ctx); err != nil {
		return fmt.Errorf("load sessions: %w", err)
	}
	if err := s.loadTokens(ctx); err != nil {
		return fmt.Errorf("load tokens: %w", err)
	}
	if err := s.loadNamespaces(ctx); err != nil {
		return fmt.Errorf("load namespaces: %w", err)
	}
	if err := s.loadStreams(ctx); err != nil {
		return fmt.Errorf("load streams: %w", err)
	}
	if err := s.loadNotices(ctx); err != nil {
		return fmt.Errorf("load notices: %w", err)
	}
	return nil
}

// Run appends what the outboxes hold, learns namespaces from the log, watches
// the free space, seals with the current key what an older one sealed, checks
// streams, tells how they fare, and finishes what a failure left half done, until
// ctx ends. It then returns nil; what is left in outboxes is appended after the next start.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.runOutboxes(ctx) })
	wg.Go(func() { s.runRepairs(ctx) })
	wg.Go(func() { s.runSpace(ctx) })
	wg.Go(func() { s.runReseal(ctx) })
	wg.Go(func() { s.runHealth(ctx) })
	wg.Go(func() { s.runNotices(ctx) })
	wg.Go(func() { s.runUses(ctx) })
	wg.Go(func() { s.runSessions(ctx) })
	for _, p := range s.log.Partitions() {
		wg.Go(func() { s.runLearner(ctx, p) })
	}
	for _, c := range s.counters {
		wg.Go(func() { c.run(ctx) })
		wg.Go(func() { c.runStore(ctx) })
	}
	<-ctx.Done()
	return nil
}

// Ready returns nil when events are taken, and else why not: a *[sluice.Error]
// with code Busy, NoSpace or Internal.
func (s *Service) Ready() error {
	if s.log.Cause() != nil {
		return sluice.Errorf(sluice.Internal, "the log has failed").WithHint("see the server's log; the process ends")
	}
	for _, p := range s.log.Partitions() {
		if !s.log.Stats(p).Ready {
			return sluice.Errorf(sluice.Busy, "the log is recovering").WithHint("the server is ready in a moment")
		}
	}
	if s.space.short() {
		return errNoSpace()
	}
	return nil
}

// every calls f at once and then each period until ctx ends.
func every(ctx context.Context, period time.Duration, f func(context.Context)) {
	t := time.NewTicker(period)
	defer t.Stop()
	for {
		f(ctx)
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// storeError turns an error of the store into one that a caller may see where
// that helps.
func storeError(what string, err error) error {
	if e, ok := errors.AsType[*sluice.Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, store.ErrFull):
		return errNoSpace()
	case errors.Is(err, store.ErrBusy):
		return sluice.Errorf(sluice.Busy, "another program writes to the server's control state").WithHint("try again when it is done")
	case errors.Is(err, store.ErrConflict):
		return sluice.Errorf(sluice.Conflict, "somebody else changed it at the same time").WithHint("read it again and repeat the change")
	}
	return fmt.Errorf("%s: %w", what, err)
}
