// Package eventlog is the durable record of accepted events: blocks of events in
// partitions, written by group commit, read by anybody who knows a sequence
// number.
//
// A [Log] turns batches of events into blocks, numbers them, finds duplicates and
// keeps the running totals by which ledgers are exact; an [Engine] stores the
// blocks. One commit is in flight in a partition while the next block fills:
// the more producers there are, the larger the blocks become, without a timer.
// Append returns only when the block that holds the events is durable.
//
// Numbers are never used twice. Where a log was cut, restored or damaged, the
// numbers that may have been given out are skipped, the first block after them
// names the range, and readers see that a block starts beyond what they asked
// for.
package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicelog/sluice/failpoint"
)

// Options say how a log is opened.
type Options struct {
	// ID is the identity of the log.
	ID LogID
	// Earlier are those that it had before it was restored from backups: blocks
	// keep the one that they were written with.
	Earlier []LogID
	// Partitions to open; by default one for each class.
	Partitions []string
	// Anchors are the newest known positions, kept apart from the log.
	Anchors map[string]Anchor
	// SaveAnchor makes an anchor durable; Run calls it once a second for each
	// partition that grew. Nil: anchors are not kept.
	SaveAnchor func(ctx context.Context, partition string, a Anchor) error
	// Floors are what others know to have been stored: see [Floor].
	Floors map[string]Floor
	// Codec compresses frames, S2 or Zstd; S2 by default.
	Codec Codec
	// CacheBytes bounds the decoded blocks kept for readers, over all partitions:
	// half for the newest blocks, half for others that were read. 16 MiB by
	// default. One block of each kind is kept however small it is. An eighth more
	// is used for outlines.
	CacheBytes int
	// Now is the wall clock.
	Now    func() time.Time
	Logger *slog.Logger

	// Tests make these small.
	recentEvents  int   // RecentEvents by default
	snapshotEvery int64 // snapshotEvery by default
	trimStep      int64 // trimStep by default
}

// Anchor is a position of a partition and the chain up to it. It alone tells a
// log that was cut from one that is shorter.
type Anchor struct {
	Seq   uint64 `json:"seq"`
	Chain []byte `json:"chain"`
}

// Floor is what is known of a partition from elsewhere, from cursors above all:
// numbers and totals never fall below it, even if the log's end is lost.
type Floor struct {
	Seq    uint64            // highest sequence number seen
	Total  uint64            // highest count of all events seen
	Totals map[string]uint64 // highest count seen, by folded top-level namespace
}

// Log is the log of all partitions. All methods may be called at once.
type Log struct {
	opts     Options
	engine   Engine
	parts    map[string]*partition
	names    []string
	cache    *cache
	outlines *outlines
	failed   chan struct{}
	fail     func(error)
	cause    error // set before failed is closed
}

// Open opens the log that engine stores. It reads the end of each partition; the
// numbers by which duplicates are found are read by Run, and Append waits for
// them. The caller runs Run until it is done with the log, then calls Close.
func Open(ctx context.Context, engine Engine, opts Options) (*Log, error) {
	opts.complete()
	l := &Log{opts: opts, engine: engine, parts: map[string]*partition{}, names: opts.Partitions,
		cache: newCache(opts.CacheBytes / 2), outlines: &outlines{limit: opts.CacheBytes / 8}, failed: make(chan struct{})}
	l.fail = onceError(&l.cause, l.failed)
	for _, name := range opts.Partitions {
		p, err := openPartition(ctx, l, name)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open partition %q: %w", name, err), l.Close())
		}
		l.parts[name] = p
	}
	return l, nil
}

// complete fills in what was left out.
func (opts *Options) complete() {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Partitions == nil {
		opts.Partitions = []string{"audit", "git"}
	}
	if opts.CacheBytes == 0 {
		opts.CacheBytes = 16 << 20
	}
	if opts.Codec == Raw {
		opts.Codec = S2
	}
	if opts.recentEvents == 0 {
		opts.recentEvents = RecentEvents
	}
	if opts.snapshotEvery == 0 {
		opts.snapshotEvery = snapshotEvery
	}
	if opts.trimStep == 0 {
		opts.trimStep = trimStep
	}
}

// ID returns the log's identity.
func (l *Log) ID() LogID { return l.opts.ID }

// Partitions returns the names of the partitions, in a fixed order.
func (l *Log) Partitions() []string { return l.names }

// Failed is closed when a write or a sync failed: nothing more can be stored and
// the process should end. Cause then says why.
func (l *Log) Failed() <-chan struct{} { return l.failed }

// Cause returns the error behind Failed, nil before.
func (l *Log) Cause() error {
	select {
	case <-l.failed:
		return l.cause
	default:
		return nil
	}
}

// Run commits what is appended until ctx ends; then it stores what was accepted
// for commit, saves the anchors and returns nil. When a partition fails, it ends
// the others in the same way and returns the error.
func (l *Log) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, len(l.parts))
	for _, p := range l.parts {
		go func() { done <- p.run(ctx) }()
	}
	var anchors <-chan time.Time
	if l.opts.SaveAnchor != nil {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		anchors = ticker.C
	}
	var err error
	for running := len(l.parts); running > 0; {
		select {
		case e := <-done:
			if running--; e != nil {
				err = errors.Join(err, e)
				stop()
			}
		case <-anchors:
			l.saveAnchors(ctx)
		}
	}
	l.saveAnchors(context.WithoutCancel(ctx))
	return err
}

// saveAnchors stores the position of each partition that grew. Failing is worth
// a warning only: an old anchor still protects what lies before it.
func (l *Log) saveAnchors(ctx context.Context) {
	if l.opts.SaveAnchor == nil {
		return
	}
	for _, name := range l.names {
		p := l.parts[name]
		a, grown := p.anchor()
		if !grown {
			continue
		}
		failpoint.Here(failpoint.AnchorWriting)
		if err := l.opts.SaveAnchor(ctx, name, a); err != nil {
			l.opts.Logger.WarnContext(ctx, "anchor not saved", "partition", name, "err", err)
			continue
		}
		failpoint.Here(failpoint.AnchorWritten)
		p.anchored(a)
	}
}

// Close closes the partitions and the engine. Run has returned.
func (l *Log) Close() error {
	var errs []error
	for _, p := range l.parts {
		errs = append(errs, p.store.Close())
	}
	return errors.Join(append(errs, l.engine.Close())...)
}

// partition returns the named partition; asking for another is a programming
// error.
func (l *Log) partition(name string) *partition {
	p := l.parts[name]
	if p == nil {
		panic(fmt.Sprintf("eventlog: no partition %q", name))
	}
	return p
}

// Last returns the highest stored sequence number of the partition, or the
// highest that is known to have been given out, 0 when there is none.
func (l *Log) Last(partition string) uint64 {
	p := l.partition(partition)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// Stats describes a partition at this moment.
type Stats struct {
	State
	Events  uint64 // stored since the beginning, Floor included
	Blocks  uint64 // appended since the start
	Raw     uint64 // bytes of events appended since the start
	Stored  uint64 // bytes of blocks appended since the start
	Dup     uint64 // duplicates found since the start
	Clashes uint64 // events stored although another one has the same id
	Skipped uint64 // numbers that the start skipped, as what had them is lost
	Ready   bool   // duplicates can be found: Append no longer waits
}

// Stats returns the figures of a partition.
func (l *Log) Stats(partition string) Stats {
	p := l.partition(partition)
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.State, s.Events = p.store.State(), p.total
	select {
	case <-p.ready:
		s.Ready = true
	default:
	}
	return s
}
