package control

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/notice"
)

const (
	// maxNotices bounds the notices of a stream that wait; the oldest goes.
	maxNotices = 4
	// maxNoticeTries is how often a notice is sent to an address, over some six
	// hours.
	maxNoticeTries = 12
	firstNotice    = 30 * time.Second // before the second try; then twice as long each time
	maxNoticePause = time.Hour
	noticePeriod   = 5 * time.Second
	maxSending     = 8 // streams whose notices are being sent at once
	// A namespace is told at most noticeBurst times at once and noticesAnHour
	// times an hour; what is more waits.
	noticeBurst   = 30
	noticesAnHour = 60
)

// pendingNotice is a notice that some addresses have not got yet.
type pendingNotice struct {
	Notice notice.Notice `json:"notice"`
	Left   []noticeTry   `json:"left"`
}

// noticeTry is what is left to do for one address.
type noticeTry struct {
	To    string    `json:"to"` // its name, see Address.name
	Tries int       `json:"tries,omitempty"`
	Next  time.Time `json:"next,omitzero"`
}

// due reports whether it is time. Nothing is put off for longer than maxNoticePause:
// a clock was ahead then.
func (t *noticeTry) due(now time.Time) bool {
	return !now.Before(t.Next) || t.Next.Sub(now) > maxNoticePause
}

// notice returns what people are told about the change.
func (c *stateChange) notice(id string, r *streamRecord) notice.Notice {
	n := notice.Notice{
		ID: id, Type: c.eventType(), Time: c.at.UTC(), Since: c.since, LagEvents: c.lag.events, LagSeconds: c.lag.seconds,
		Stream: notice.Stream{ID: int64(r.ID), Name: r.Name, Namespace: r.Namespace, Kind: r.Kind},
	}
	if c.to != "" {
		n.Reason, n.Advice = c.trouble.Last.Message, advice(c.trouble.Last.Class, r.ID)
	}
	return n
}

// addNotice queues a notice for the addresses of the stream's namespace.
func (s *Service) addNotice(list []pendingNotice, r *streamRecord, n notice.Notice) []pendingNotice {
	addresses := s.notices.get(r.scope())
	if len(addresses) == 0 {
		return list
	}
	p := pendingNotice{Notice: n}
	for _, a := range addresses {
		p.Left = append(p.Left, noticeTry{To: a.name()})
	}
	list = append(slices.Clone(list), p)
	return list[max(0, len(list)-maxNotices):]
}

// runNotices sends what is to be sent until ctx ends.
func (s *Service) runNotices(ctx context.Context) {
	slots := make(chan struct{}, maxSending)
	limits := newNoticeLimits(s)
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-s.notices.signal:
		case <-ctx.Done():
			return
		}
		for _, id := range s.notices.take() {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			wg.Go(func() {
				defer func() { <-slots }()
				s.sendNotices(ctx, id, limits)
				s.notices.sent(id)
			})
		}
		select {
		case <-time.After(noticePeriod):
		case <-ctx.Done():
			return
		}
	}
}

// take returns the streams that have something to send, but for those whose notices
// are on their way: until sent is called, what is sent is not known to be.
func (n *notices) take() []sluice.StreamID {
	n.waiting.Lock()
	defer n.waiting.Unlock()
	var out []sluice.StreamID
	for id := range n.streams {
		if !n.sending[id] {
			out = append(out, id)
			n.sending[id] = true
			delete(n.streams, id)
		}
	}
	slices.Sort(out)
	return out
}

// sent ends the sending of a stream's notices.
func (n *notices) sent(id sluice.StreamID) {
	n.waiting.Lock()
	delete(n.sending, id)
	again := n.streams[id]
	n.waiting.Unlock()
	if again {
		n.poke()
	}
}

// sendNotices sends the notices of a stream that are due, and has those that are
// left tried again.
func (s *Service) sendNotices(ctx context.Context, id sluice.StreamID, limits *noticeLimits) {
	st, done := s.streams.get(id), s.notices.unstored(id)
	if st == nil {
		return
	}
	r := st.record()
	addresses := s.notices.get(r.scope())
	for _, p := range r.fares().Notices {
		for _, try := range p.Left {
			if before, ok := done[p.Notice.ID+try.To]; ok {
				try = before
			}
			i := slices.IndexFunc(addresses, func(a Address) bool { return a.name() == try.To })
			switch {
			case try.To == "": // done
			case i < 0: // it was taken out of the settings
				done[p.Notice.ID+try.To] = noticeTry{}
			case try.due(s.now()) && limits.take(r.scope(), 1) == 0:
				done[p.Notice.ID+try.To] = s.tryNotice(ctx, st, addresses[i], p.Notice, try)
			}
		}
	}
	if ctx.Err() != nil {
		return // it is sent again, which is better than not at all
	}
	left := len(r.fares().Notices) > 0
	if len(done) > 0 {
		_, err := s.amend(ctx, st, func(r *streamRecord) bool {
			h := r.fares()
			h.Notices = remaining(h.Notices, done)
			r.Health = &h
			return true
		})
		if err != nil && ctx.Err() == nil {
			s.logger.WarnContext(ctx, "outcome of notices not stored", "stream", id, "err", err)
			s.notices.keepOutcomes(id, done)
		}
		left = err != nil || len(st.record().fares().Notices) > 0
	}
	if left {
		s.notices.wake(id)
	}
}

// unstored takes the outcomes of a stream's sends that could not be stored.
func (n *notices) unstored(id sluice.StreamID) map[string]noticeTry {
	n.waiting.Lock()
	defer n.waiting.Unlock()
	out := n.outcomes[id]
	delete(n.outcomes, id)
	if out == nil {
		out = map[string]noticeTry{}
	}
	return out
}

func (n *notices) keepOutcomes(id sluice.StreamID, outcomes map[string]noticeTry) {
	n.waiting.Lock()
	defer n.waiting.Unlock()
	n.outcomes[id] = outcomes
}

// tryNotice sends a notice once and returns what is left to do, nothing when its
// To is "".
func (s *Service) tryNotice(ctx context.Context, st *stream, a Address, n notice.Notice, try noticeTry) noticeTry {
	err := s.send(ctx, a, n)
	if err == nil {
		s.health.notices.Add(1)
		return noticeTry{}
	}
	if ctx.Err() != nil {
		return try
	}
	s.health.noticeErrors.Add(1)
	try.Tries++
	s.logger.WarnContext(ctx, "notice not sent", "stream", st.id, "kind", a.Kind, "tries", try.Tries, "err", err)
	if try.Tries >= maxNoticeTries {
		return noticeTry{}
	}
	most := min(firstNotice<<(try.Tries-1), maxNoticePause)
	try.Next = s.now().Add(most/2 + rand.N(most/2)).UTC()
	return try
}

// remaining returns the notices with what is left to do for each. A newer notice
// that has reached an address leaves nothing to do for older ones.
func remaining(list []pendingNotice, done map[string]noticeTry) []pendingNotice {
	var out []pendingNotice
	reached := map[string]bool{}
	for _, p := range slices.Backward(list) {
		var left []noticeTry
		for _, try := range p.Left {
			if after, ok := done[p.Notice.ID+try.To]; ok {
				if after.To == "" {
					reached[try.To] = true
					continue
				}
				try = after
			}
			if !reached[try.To] {
				left = append(left, try)
			}
		}
		if len(left) > 0 {
			p.Left = left
			out = append(out, p)
		}
	}
	slices.Reverse(out)
	return out
}

// noticeLimits bounds how often a namespace is told.
type noticeLimits struct {
	s    *Service
	mu   sync.Mutex
	left map[string]allowance // by scope
}

type allowance struct {
	tokens float64
	at     time.Time
}

func newNoticeLimits(s *Service) *noticeLimits {
	return &noticeLimits{s: s, left: map[string]allowance{}}
}

// take uses so many notices of the namespace's allowance, if they are there; else it
// returns how long it takes until they are.
func (l *noticeLimits) take(scope string, notices int) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.s.now()
	a, ok := l.left[scope]
	if !ok {
		a = allowance{tokens: noticeBurst, at: now}
	}
	a.tokens = min(noticeBurst, a.tokens+max(0, now.Sub(a.at).Hours())*noticesAnHour) // a clock that was set back takes nothing
	a.at = now
	missing := float64(notices) - a.tokens
	if missing <= 0 {
		a.tokens -= float64(notices)
	} else {
		wait = max(1, time.Duration(missing/noticesAnHour*float64(time.Hour)))
	}
	l.left[scope] = a
	return wait
}
