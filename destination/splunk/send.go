package splunk

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/sluicelog/sluice/destination"
)

// cloudCap is what Splunk Cloud documents as the most that a request may hold,
// uncompressed. It refuses more with code 6 and the number 0.
const cloudCap = 1_000_000

// sending is the sending of one batch.
type sending struct {
	c      *Collector
	l      *lane
	events []destination.Event

	outcomes []destination.Outcome
	reasons  map[int]string
	open     []posted           // accepted, not yet acknowledged, in order
	lost     bool               // an answer that may have given an id got lost
	err      *destination.Error // the first failure
}

// posted is a request that the collector accepted.
type posted struct {
	id       uint64
	first, n int // the events in it
}

func (s *sending) run(ctx context.Context) {
	if s.err = s.checkAck(ctx); s.err != nil {
		return
	}
	for at := 0; at < len(s.events) && s.err == nil; {
		n, size := s.c.frame.next(s.events[at:])
		s.err = s.post(ctx, at, n, size)
		at += n
	}
	if err := s.await(ctx); s.err == nil {
		s.err = err
	}
	if len(s.open) > 0 || s.lost {
		// These ids are not asked about again. On a channel of its own, none that is
		// given later can be taken for one of them.
		s.l.renew()
	}
	s.c.proof.Store(s.proof())
}

// proof says what the outcome tells about the next events: an acceptance counts,
// and nothing else does, whoever is at fault.
func (s *sending) proof() int32 {
	if s.err == nil || slices.Contains(s.outcomes, destination.Delivered) {
		return accepted
	}
	return refused
}

// result says what became of the batch. Outcomes that say nothing are left out.
func (s *sending) result() destination.Result {
	if s.err == nil {
		return destination.Result{}
	}
	for _, o := range s.outcomes {
		if o != destination.Unsent && len(s.outcomes) > 1 {
			return destination.Result{Err: s.err, Events: s.outcomes, Reasons: s.reasons}
		}
	}
	return destination.Result{Err: s.err}
}

func (s *sending) mark(first, n int, o destination.Outcome) {
	for i := first; i < first+n; i++ {
		s.outcomes[i] = o
	}
}

// post sends n events from first on as one request.
func (s *sending) post(ctx context.Context, first, n, size int) *destination.Error {
	body := s.c.packers.Pack(func(p *destination.Packer) { s.c.frame.pack(p, s.events[first:first+n]) })
	a, err := s.c.postEvents(ctx, s.l, body)
	if err != nil {
		s.lost = true
		return err
	}
	if err := s.c.judge(a); err != nil {
		s.refused(a, err, first, n, size)
		return err
	}
	s.l.switched = false
	return s.accepted(a, first, n)
}

// postEvents posts a packed body. What the collector and the lane have to agree
// on first costs a second request: a channel, or doing without one.
func (c *Collector) postEvents(ctx context.Context, l *lane, body []byte) (*answer, *destination.Error) {
	q := call{method: http.MethodPost, url: c.events, body: body, lane: l,
		header: http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}}
	a, err := c.do(ctx, q)
	if err != nil || !l.adapt(a) {
		return a, err
	}
	return c.do(ctx, q)
}

// adapt changes how the lane speaks to the collector when the answer asks for
// that, and reports whether to repeat the request.
func (l *lane) adapt(a *answer) bool {
	switch {
	case a.is(codeChannelMissing, codeChannelInvalid, codeChannelRequired):
		return l.switchChannel()
	case a.is(codeChannelFull) && !l.waits() && l.demanded:
		// Nobody asks about the ids of this channel: it only fills up.
		return l.switchChannel()
	case a.is(codeAckDisabled) && l.mode == AckAuto && !l.without:
		l.without = true
		return true
	}
	return false
}

// accepted notes a request that the collector accepted: its events are delivered,
// or wait for their acknowledgement.
func (s *sending) accepted(a *answer, first, n int) *destination.Error {
	switch {
	case !s.l.waits(), a.AckID == nil && s.l.mode == AckAuto:
		s.mark(first, n, destination.Delivered)
		return nil
	case a.AckID == nil:
		s.l.checked = false
		return misconfigured(a.status, "the collector accepted events without an acknowledgement id: "+
			"enable indexer acknowledgement for the token in Splunk, or set indexer_ack to auto or off")
	}
	s.c.acking.Store(true)
	next := posted{id: *a.AckID, first: first, n: n}
	if k := len(s.open); k > 0 && next.id <= s.open[k-1].id {
		// It may be another indexer that gave the same number before, so that an
		// answer about this one may be about that one.
		s.open = nil
		s.l.renew()
		return unavailable(a.status, "the collector began to number its acknowledgements anew and forgot earlier ones: it was restarted, "+
			"or the load balancer in front of it does not keep to one indexer; those events are sent again")
	}
	s.open = append(s.open, next)
	return nil
}

// refused notes what a refusal says about single events. A number counts from 0
// in the request.
func (s *sending) refused(a *answer, err *destination.Error, first, n, size int) {
	if err.Class != destination.RejectedBatch {
		return
	}
	if a.is(codeInvalidFormat) && size > cloudCap && (a.Invalid == nil || *a.Invalid == 0) {
		err.TooLarge = true
		err.Message += fmt.Sprintf("; the request had %d bytes, which is more than Splunk Cloud takes", size)
	}
	at := -1
	switch {
	case n == 1:
		at = first
	case !err.TooLarge && a.coded && a.Invalid != nil && *a.Invalid >= 0 && *a.Invalid < n:
		at = first + *a.Invalid
	}
	if at < 0 {
		return
	}
	s.outcomes[at] = destination.Rejected
	s.reasons = map[int]string{at: err.Message}
	if at > first && a.splunks() && !s.acknowledges() {
		s.mark(first, at-first, destination.Delivered)
	}
}

// acknowledges reports whether events count as delivered only once they are
// acknowledged.
func (s *sending) acknowledges() bool {
	return s.l.waits() && (s.l.mode == AckRequire || s.c.acking.Load())
}
