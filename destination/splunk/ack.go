package splunk

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// pace is how acknowledgements are asked for.
type pace struct {
	first, most time.Duration // between two questions
	limit       time.Duration // after the last request
}

// usualPace follows Splunk's advice: events that are not acknowledged after five
// minutes are sent again.
func usualPace() pace {
	return pace{first: time.Second, most: 10 * time.Second, limit: 5 * time.Minute}
}

// await asks about the open requests until all are acknowledged. It returns early
// when asking is of no use. What is acknowledged is delivered, also when it
// returns an error.
func (s *sending) await(ctx context.Context) *destination.Error {
	if len(s.open) == 0 {
		return nil
	}
	limit := time.NewTimer(s.c.pace.limit)
	defer limit.Stop()
	wait := s.c.pace.first
	for {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-limit.C:
			timer.Stop()
			return unavailable(0, "the collector accepted events and did not say within "+s.c.pace.limit.String()+
				" that they are indexed: look at the indexers; they are sent again")
		case <-ctx.Done():
			timer.Stop()
			return destination.Classify(ctx.Err())
		}
		again, err := s.ask(ctx)
		if !again {
			return err
		}
		if wait = min(2*wait, s.c.pace.most); err != nil {
			wait = max(wait, err.RetryAfter)
		}
	}
}

// ask asks once about all open requests, and reports whether to ask again. An id
// that was answered with true is no longer open: the collector has forgotten it.
func (s *sending) ask(ctx context.Context) (again bool, err *destination.Error) {
	ids := make([]uint64, len(s.open))
	for i := range s.open {
		ids[i] = s.open[i].id
	}
	a, err := s.c.queryAcks(ctx, s.l, ids)
	if err != nil {
		return true, err
	}
	if a.success() && a.Acks != nil {
		s.l.answers = true
		var left []posted
		for _, p := range s.open {
			if a.Acks[strconv.FormatUint(p.id, 10)] {
				s.mark(p.first, p.n, destination.Delivered)
			} else {
				left = append(left, p)
			}
		}
		s.open = left
		return len(left) > 0, nil
	}
	return s.noAcks(a)
}

// noAcks judges an answer that is none about acknowledgements.
func (s *sending) noAcks(a *answer) (again bool, err *destination.Error) {
	err = s.c.judge(a)
	switch {
	case a.is(codeChannelMissing, codeChannelInvalid, codeChannelRequired):
		return false, unavailable(a.status, "the collector forgot the channel on which it accepted events: they are sent again")
	case s.l.mode == AckAuto && offersNone(a) && (a.coded || !s.l.answers): // else something in between is out of order
		s.l.without = true
		return false, unavailable(a.status, "the collector gave acknowledgement ids but does not answer for them: "+
			"the events are sent again, without waiting for acknowledgement from now on")
	case err == nil || err.Class == destination.RejectedBatch:
		return false, misconfigured(a.status, "the collector does not answer for its acknowledgements: "+a.words())
	}
	return err.Class == destination.Unavailable, err
}

// offersNone reports whether an answer to a question about acknowledgements says
// that there are none.
func offersNone(a *answer) bool {
	if a.coded {
		// 12 is what receivers say that take the question for an event.
		return a.is(codeAckDisabled, 12)
	}
	return a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed || a.status == http.StatusNotImplemented
}

// checkAck finds out, before events are sent in the mode "require", that the
// collector acknowledges at all: else each probe of a held stream would write its
// events once more.
func (s *sending) checkAck(ctx context.Context) *destination.Error {
	if s.l.mode != AckRequire || s.l.checked {
		return nil
	}
	err := s.c.requireAck(ctx, s.l)
	s.l.checked = err == nil
	return err
}

// requireAck asks about an id that was not given yet. Anything that does not say
// that there are no acknowledgements passes.
func (c *Collector) requireAck(ctx context.Context, l *lane) *destination.Error {
	a, err := c.queryAcks(ctx, l, []uint64{0})
	switch {
	case err != nil:
		return err
	case offersNone(a):
		return misconfigured(a.status, "the collector has no indexer acknowledgement for this token ("+a.words()+
			"): enable it for the token in Splunk, or set indexer_ack to auto or off")
	}
	if err := c.judge(a); err != nil && a.Acks == nil && err.Class != destination.RejectedBatch &&
		!a.is(codeChannelMissing, codeChannelInvalid, codeChannelRequired) {
		return err
	}
	return nil
}

func (c *Collector) queryAcks(ctx context.Context, l *lane, ids []uint64) (*answer, *destination.Error) {
	u := *c.acks
	u.RawQuery = url.Values{"channel": {l.channel}}.Encode()
	body, _ := json.Marshal(map[string][]uint64{"acks": ids}) // numbers always have a JSON form
	return c.do(ctx, call{method: http.MethodPost, url: &u, body: body, lane: l, header: http.Header{"Content-Type": {"application/json"}}})
}

// words describes an answer in short.
func (a *answer) words() string {
	text := "it answered " + strconv.Itoa(a.status)
	if a.coded {
		text += " with code " + strconv.Itoa(*a.Code)
	}
	if said := a.redact.Words(a.body); said != "" {
		text += ", it said: " + said
	}
	return text
}
