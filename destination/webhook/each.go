package webhook

import (
	"context"
	"sync"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// maxRefusals is after how many refusals in a row, without an acceptance before
// or between, the receiver is taken to refuse everything: more requests would
// prove nothing.
const maxRefusals = 20

// each is the sending of one batch as requests of one event.
type each struct {
	endpoint *Endpoint
	events   []destination.Event

	mu       sync.Mutex // guards what follows
	next     int        // index of the event to start with
	stopped  bool
	accepted int
	refused  int
	outcomes []destination.Outcome
	reasons  map[int]string
	failure  indexed       // the first that is no refusal
	pause    time.Duration // the longest that any answer asked for
	refusal  indexed       // the first refusal
}

// indexed is the error of the event with the lowest index.
type indexed struct {
	err   *destination.Error
	index int
}

func (x *indexed) note(i int, err *destination.Error) {
	if x.err == nil || i < x.index {
		x.err, x.index = err, i
	}
}

func (e *Endpoint) sendEach(ctx context.Context, b *destination.Batch) destination.Result {
	s := &each{endpoint: e, events: b.Events, outcomes: make([]destination.Outcome, len(b.Events))}
	var wg sync.WaitGroup
	for range min(e.config.Concurrency, len(b.Events)) - 1 {
		wg.Go(func() { s.work(ctx) })
	}
	s.work(ctx)
	wg.Wait()
	return s.result()
}

func (s *each) work(ctx context.Context) {
	for {
		i, ok := s.take(ctx)
		if !ok {
			return
		}
		err := s.endpoint.post(ctx, request{
			id:        messageID(s.events[i : i+1]),
			body:      destination.NewBody(s.events[i].Payload),
			eventType: s.events[i].Type,
		})
		if err == nil || err.Status != 0 {
			destination.Progressed(ctx)
		}
		s.record(i, err)
	}
}

// take returns the index of the next event to send.
func (s *each) take(ctx context.Context) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || s.next == len(s.events) {
		return 0, false
	}
	if err := ctx.Err(); err != nil {
		s.failure.note(s.next, destination.Classify(err))
		s.stopped = true
		return 0, false
	}
	s.next++
	return s.next - 1, true
}

func (s *each) record(i int, err *destination.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.outcomes[i] = destination.Delivered
		s.accepted++
	case err.Class == destination.RejectedBatch:
		s.outcomes[i] = destination.Rejected
		if s.reasons == nil {
			s.reasons = map[int]string{}
		}
		s.reasons[i] = err.Message
		s.refusal.note(i, err)
		s.refused++
		s.stopped = s.stopped || s.refused >= maxRefusals && s.accepted == 0
	default:
		s.failure.note(i, err)
		s.pause = max(s.pause, err.RetryAfter)
		s.stopped = true
	}
}

func (s *each) result() destination.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accepted == len(s.events) {
		return destination.Result{}
	}
	err := s.failure.err
	switch {
	case err == nil:
		err = s.refusal.err
	case err.RetryAfter < s.pause:
		longer := *err
		longer.RetryAfter = s.pause
		err = &longer
	}
	return destination.Result{Err: err, Events: s.outcomes, Reasons: s.reasons}
}
