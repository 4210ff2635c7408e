package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
)

// Producer is who posts events. It is shared and must not be changed.
type Producer struct {
	Source    string // the token's id
	Namespace string // top-level, as it was declared; "" is the instance
	limit     *bucket
}

// Producer returns who posts events with the token, or an error with code
// Unauthorized. Administrators may post for the instance, users may not.
func (s *Service) Producer(ctx context.Context, token string) (*Producer, error) {
	t, err := s.authenticate(token)
	if err != nil {
		return nil, err
	}
	if t.producer == nil {
		p, err := s.personal(t)
		if err != nil {
			return nil, err
		}
		return nil, errForbidden(p, actionPost)
	}
	s.noteUse(t, s.now())
	return t.producer, nil
}

// Admit takes events from what the token may post a second. When that is used
// up, ok is false and wait says when to come back.
func (s *Service) Admit(p *Producer, events int) (wait time.Duration, ok bool) {
	if p.limit == nil {
		return 0, true
	}
	return p.limit.take(events, s.now())
}

// Accept appends the batches, keyed by partition, and returns when they are
// durable. Errors: NoSpace below the floor or on a full disk, Internal when the
// log has failed, the context's cause when it ended. Some of the events may be
// stored then; repeating the request completes it.
func (s *Service) Accept(ctx context.Context, p *Producer, batches map[string]*eventlog.Batch) (map[string]eventlog.Appended, error) {
	if s.space.short() {
		s.intake.failed()
		return nil, errNoSpace()
	}
	partitions := make([]string, 0, 2) // most often one or both of the classes'
	for name := range batches {
		partitions = append(partitions, name)
	}
	s.cfg.Deliver.Pace(ctx, partitions...)
	began := time.Now()
	out, err := s.log.Append(ctx, batches)
	if err != nil {
		s.intake.failed()
		return nil, s.appendError(ctx, err)
	}
	s.intake.count(out, batches, time.Since(began))
	return out, nil
}

// appendError tells a caller what it may know about an append that failed.
func (s *Service) appendError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, eventlog.ErrFull):
		if !s.space.full.Swap(true) { // until the next look
			s.logger.WarnContext(ctx, "the log has no room, events are refused", "err", err)
		}
		return errNoSpace()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, eventlog.ErrFailed), errors.Is(err, eventlog.ErrClosed):
		return sluice.Errorf(sluice.Internal, "the log takes no events").WithHint("see the server's log; repeat the request when it is up again")
	}
	return fmt.Errorf("append events: %w", err)
}

// bucket holds what a token may post: it fills with rate events a second up to
// one second's worth. A request larger than what is there goes through when
// anything is there, and those after it wait longer.
type bucket struct {
	rate float64

	mu   sync.Mutex
	have float64 // as of at; may be negative
	at   time.Time
}

func newBucket(rate int, now time.Time) *bucket {
	if rate <= 0 {
		return nil
	}
	return &bucket{rate: float64(rate), have: float64(rate), at: now}
}

func (b *bucket) take(events int, now time.Time) (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if passed := now.Sub(b.at); passed > 0 {
		b.have = min(b.rate, b.have+passed.Seconds()*b.rate)
	}
	b.at = now // a clock that was set back gives nothing and takes nothing
	if b.have < 1 {
		return time.Duration((1-b.have)/b.rate*float64(time.Second)) + time.Millisecond, false
	}
	b.have -= float64(events)
	return 0, true
}
