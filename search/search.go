// Package search finds events in the log. For each partition an indexer follows
// the log, behind ingest and delivery, and keeps an [index.Partition] of sealed
// chunks and an [index.Head] of the newest events; queries go over all of them,
// and read the events themselves from the log.
//
// Nothing here is precious: what the index says is judged again by the event
// that the log has, and an index that does not fit the log is made anew. A head
// is never stored; after a start it is read from the log again. So there is
// neither a hole nor a duplicate, whenever the process ends.
//
// Pages are cut between events. A cut is a sequence number for each partition:
// what lies below it, and what does not. A cursor holds a cut and goes on there,
// so that pages neither repeat nor leave out an event, whatever arrives
// meanwhile, and however late.
package search

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/quota"
)

// Limits of queries.
const (
	DefaultLimit = 50   // events of a page
	MaxLimit     = 1000 // events of a page
	MaxSkip      = 50_000
	MaxPageBytes = 8 << 20
	maxQueries   = 8               // under way at once; others wait
	grace        = 2 * time.Second // for what is left to do when a query ran out of time
	// maxTenantQueries are those of one tenant: slow ones leave places to others.
	maxTenantQueries = 6
)

// Config says what a Service works with. Log and Engine are required.
type Config struct {
	Log    *eventlog.Log
	Engine index.Engine
	// Retention is how long the events of a partition are shown, counted from
	// acceptance. Those of a partition that is missing are shown as long as the log
	// has them.
	Retention map[string]time.Duration
	// Pace is called before each block is indexed; it waits, not for long, while
	// ingest and delivery need the processors more. Nil does not wait.
	Pace func(context.Context)
	// Busy reports whether the processors have more to do than they can; the index
	// falls behind then, while producers post. Nil means that they never have.
	Busy func() bool
	// Crowded reports whether memory is needed elsewhere; heads take half of what
	// they may then. Nil means that it never is.
	Crowded func() bool
	// Timeout bounds a query; 10 s by default.
	Timeout time.Duration
	// CacheBytes bounds the decoded pages of the index that are kept; 16 MiB by
	// default.
	CacheBytes int
	// ChunkEvents is how many events a chunk has; [index.ChunkEvents] by default.
	ChunkEvents int
	// Now is the wall clock; time.Now by default.
	Now    func() time.Time
	Logger *slog.Logger

	// Tests make these small.
	backlog uint64 // maxBacklog by default
	heads   int64  // maxHeads by default
}

// Service indexes the log and answers queries. All methods may be called at once.
type Service struct {
	cfg     Config
	log     *eventlog.Log
	shelves []*shelf // by name
	cache   *index.Cache
	slots   *quota.Places // one for each query under way, shared by tenants
	sealing chan struct{} // holds a sign while a chunk is made and stored
}

// New returns a service. It does nothing until Run.
func New(cfg Config) *Service {
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 16 << 20
	}
	if cfg.ChunkEvents == 0 {
		cfg.ChunkEvents = index.ChunkEvents
	}
	if cfg.backlog == 0 {
		cfg.backlog = maxBacklog
	}
	if cfg.heads == 0 {
		cfg.heads = maxHeads
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{cfg: cfg, log: cfg.Log, cache: index.NewCache(cfg.CacheBytes), slots: quota.NewPlaces(maxQueries, maxTenantQueries), sealing: make(chan struct{}, 1)}
	for _, name := range cfg.Log.Partitions() {
		s.shelves = append(s.shelves, newShelf(name))
	}
	slices.SortFunc(s.shelves, func(a, b *shelf) int { return strings.Compare(a.name, b.name) })
	return s
}

// Run indexes every partition until ctx ends; then it returns nil. What cannot be
// indexed for a while is tried again: ingest and delivery never fail because of
// the index.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, sh := range s.shelves {
		wg.Go(func() { s.keepIndexing(ctx, sh) })
	}
	wg.Wait()
	return nil
}

// begin takes part in what queries share. The caller calls done when the query
// is answered.
func (s *Service) begin(ctx context.Context, q *index.Query) (_ context.Context, done func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.Timeout, errSlow)
	leave, err := s.slots.Enter(ctx, tenantOf(q))
	if err != nil {
		cancel()
		return nil, nil, err
	}
	return ctx, func() { leave(); cancel() }, nil
}

// tenantOf names whose share a query takes: of several top-level namespaces the
// first one's.
func tenantOf(q *index.Query) string {
	if tops := topsOf(q.Scope); len(tops) > 0 {
		return tops[0]
	}
	return sluice.Instance
}

// errSlow ends a query that took too long.
var errSlow = errors.New("the query takes too long")

// late reports whether err comes from a query that took too long.
func late(ctx context.Context, err error) bool {
	return errors.Is(err, errSlow) || ctx != nil && errors.Is(context.Cause(ctx), errSlow)
}

// explain turns an error into what a caller may see, where that helps.
func (s *Service) explain(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case late(ctx, err):
		return sluice.Errorf(sluice.Busy, "the search took longer than %s and was given up", s.cfg.Timeout).
			WithHint("search within a namespace or a shorter time, or for something rarer")
	case errors.Is(err, index.ErrClosed), errors.Is(err, errNotOpen):
		return sluice.Errorf(sluice.Busy, "the search index is being opened").WithHint("try again in a moment")
	case errors.Is(err, errBehind):
		return sluice.Errorf(sluice.Busy, "the search index has not got as far as the cursor").
			WithHint("try again in a moment, or begin without a cursor at the newest event that can be found")
	}
	return err
}
