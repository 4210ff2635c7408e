package search

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/index"
)

// ahead reads the log for an indexer, a batch ahead: while the indexer adds one to
// its head, a goroutine reads the next.
type ahead struct {
	s         *Service
	partition string
	work      *sync.WaitGroup // has the goroutine that reads
	reader    *eventlog.Reader
	block     *eventlog.Block // read last
	event     index.Event
	pending   chan *lookahead // what is being read; nil when nothing is
	spare     *lookahead
}

// lookahead is what was read of a partition: events, or why there are none.
type lookahead struct {
	from  uint64 // it begins behind this number
	last  uint64 // every event up to this one is in batch, or can never be read
	batch index.Batch
	cost  time.Duration // that reading took, waiting for others left out
	err   error         // io.EOF at the end of the log
}

// yieldEvents is after how many events an indexer lets others go first: whoever is
// in the way of a producer's answer waits for a tenth of a millisecond at most.
const yieldEvents = 32

// begin starts reading the events behind a number. Nothing is being read.
func (a *ahead) begin(ctx context.Context, from uint64) {
	l := a.spare
	if a.spare = nil; l == nil {
		l = &lookahead{}
	}
	l.batch.Reset()
	l.from, l.last, l.cost, l.err = from, from, 0, nil
	pending := make(chan *lookahead, 1)
	a.pending = pending
	a.work.Go(func() {
		l.err = a.read(ctx, l)
		pending <- l
	})
}

// next returns the events behind a number and starts reading those that follow.
// The caller hands it to done when they are added.
func (a *ahead) next(ctx context.Context, from uint64) *lookahead {
	l := a.end()
	if l == nil || l.from != from || l.err != nil {
		a.done(l) // there may be more by now
		a.begin(ctx, from)
		l = a.end()
	}
	if l.err == nil {
		a.begin(ctx, l.last)
	}
	return l
}

// done takes back the memory of what was read.
func (a *ahead) done(l *lookahead) {
	if l != nil {
		a.spare = l
	}
}

// end waits until nothing is being read and returns what was read last, nil when
// nothing was.
func (a *ahead) end() *lookahead {
	if a.pending == nil {
		return nil
	}
	l := <-a.pending
	a.pending = nil
	return l
}

// read reads blocks until the batch is full or the log ends.
func (a *ahead) read(ctx context.Context, l *lookahead) error {
	for !l.batch.Full() && l.batch.Events() < a.s.cfg.ChunkEvents {
		if a.block == nil || l.last+1 < a.block.First || l.last >= a.block.Last() {
			b, err := a.load(ctx, l)
			if err != nil && l.last > l.from {
				return nil // it is met again behind what was read
			}
			if err != nil {
				return err
			}
			if a.block = b; b == nil {
				continue
			}
		}
		began := time.Now()
		err := a.take(l)
		if l.cost += time.Since(began); err != nil {
			return err
		}
	}
	return nil
}

// load returns the block behind l, nil when it can never be read: l is past it then.
func (a *ahead) load(ctx context.Context, l *lookahead) (*eventlog.Block, error) {
	if pace := a.s.cfg.Pace; pace != nil {
		pace(ctx)
	}
	began := time.Now()
	defer func() { l.cost += time.Since(began) }()
	b, err := a.reader.Next(ctx, l.last+1)
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	if err := a.reader.Load(b); err != nil {
		// Its checksums are right and it cannot be read: nobody ever will.
		a.s.cfg.Logger.ErrorContext(ctx, "block not indexed", "partition", a.partition, "first", b.First, "last", b.Last(), "err", err)
		l.last = b.Last()
		return nil, nil
	}
	return b, nil
}

// take reads the events of the block behind l until the batch is full.
func (a *ahead) take(l *lookahead) error {
	b := a.block
	l.last = max(l.last, b.First-1) // numbers that the log lacks
	for l.last < b.Last() && !l.batch.Full() && l.batch.Events() < a.s.cfg.ChunkEvents {
		if err := fill(&a.event, b, int(l.last+1-b.First)); err != nil {
			return err
		}
		l.batch.Add(&a.event)
		if l.last++; l.last%yieldEvents == 0 {
			runtime.Gosched()
		}
	}
	if l.last >= b.Last() {
		a.block = nil
	}
	return nil
}

// fill sets e to event i of a block.
func fill(e *index.Event, b *eventlog.Block, i int) error {
	payload, err := b.Payload(i)
	if err != nil {
		return fmt.Errorf("decode event %d: %w", b.First+uint64(i), err)
	}
	describe(e, &b.Header, b.Directory, i, payload)
	return nil
}
