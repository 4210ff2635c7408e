package control

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/store"
)

// outboxPause is the time between tries to empty an outbox.
const outboxPause = time.Second

// outbox is the part of a record that holds what is to be told about it. A
// record that ended stays, as a tombstone, until its outbox is empty.
type outbox struct {
	Events []told `json:"outbox,omitempty"`
}

func (o *outbox) add(e told) { o.Events = append(o.Events, e) }

func (o *outbox) pending() bool { return len(o.Events) > 0 }

func (o *outbox) box() *outbox { return o }

// room refuses a change to a record that has too much to tell already, which
// happens only while the log takes nothing.
func (o *outbox) room() error {
	if len(o.Events) <= maxOutbox {
		return nil
	}
	return sluice.Errorf(sluice.Busy, "earlier changes still wait to be recorded").WithHint("try again when the log takes events")
}

// remove takes out the events that were appended.
func (o *outbox) remove(appended []told) {
	o.Events = slices.DeleteFunc(o.Events, func(e told) bool {
		return slices.ContainsFunc(appended, func(a told) bool { return a.ID == e.ID })
	})
}

// pump knows the records that may have something in their outbox.
type pump struct {
	mu     sync.Mutex
	keys   []string // in the order of their first wake, each once
	known  map[string]bool
	signal chan struct{}
}

func (p *pump) init() {
	p.known, p.signal = map[string]bool{}, make(chan struct{}, 1)
}

// wake has the outbox of a record emptied soon.
func (p *pump) wake(key string) {
	p.mu.Lock()
	if !p.known[key] {
		p.known[key], p.keys = true, append(p.keys, key)
	}
	p.mu.Unlock()
	select {
	case p.signal <- struct{}{}:
	default:
	}
}

func (p *pump) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	keys := p.keys
	p.keys = nil
	clear(p.known)
	return keys
}

// runOutboxes empties outboxes until ctx ends.
func (s *Service) runOutboxes(ctx context.Context) {
	for {
		select {
		case <-s.outboxes.signal:
		case <-ctx.Done():
			return
		}
		if s.drainAll(ctx) {
			continue
		}
		select {
		case <-time.After(outboxPause):
		case <-ctx.Done():
			return
		}
	}
}

// drainAll empties the outboxes that are known to hold something and reports
// whether it could; the others are tried again.
func (s *Service) drainAll(ctx context.Context) bool {
	ok := true
	for _, key := range s.outboxes.take() {
		if err := s.drain(ctx, key); err != nil {
			if ctx.Err() == nil {
				s.logger.WarnContext(ctx, "own events not appended yet", "record", key, "err", err)
			}
			s.outboxes.wake(key)
			ok = false
		}
	}
	return ok
}

// drain empties the outbox of one record.
func (s *Service) drain(ctx context.Context, key string) error {
	switch {
	case strings.HasPrefix(key, streamRecords):
		return drain(ctx, s, key, s.buryStream)
	case strings.HasPrefix(key, tokenRecords):
		return drain(ctx, s, key, s.buryToken)
	case strings.HasPrefix(key, userRecords):
		return drain(ctx, s, key, func(context.Context, string, *userRecord) {})
	case strings.HasPrefix(key, memberRecords):
		return drain(ctx, s, key, func(context.Context, string, *memberRecord) {})
	case strings.HasPrefix(key, sessionRecords):
		return drain(ctx, s, key, func(context.Context, string, *sessionRecord) {})
	case strings.HasPrefix(key, noticeRecords):
		return drain(ctx, s, key, func(context.Context, string, *noticeRecord) {})
	default:
		return drain(ctx, s, key, func(context.Context, string, *namespaceRecord) {})
	}
}

func (s *Service) buryToken(ctx context.Context, key string, r *tokenRecord) {
	s.release(ctx, ruleToken, r.Hash, key)
}

// mortal is a record that has an outbox.
type mortal[T any] interface {
	*T
	box() *outbox
	gone() bool
}

// drain appends what a record has to tell and takes it out of the record. When
// the process ends in between, it is appended again and found to be there. A
// record that is gone is then deleted; bury is called afterwards.
func drain[T any, R mortal[T]](ctx context.Context, s *Service, key string, bury func(context.Context, string, R)) error {
	for {
		rec, version, err := store.Load[T](ctx, s.store, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		r := R(&rec)
		switch {
		case r.box().pending():
			events := slices.Clone(r.box().Events)
			if err := s.appendTold(ctx, events...); err != nil {
				return err
			}
			failpoint.Here(failpoint.OutboxTold)
			r.box().remove(events)
			_, err = store.Save(ctx, s.store, key, r, version)
			failpoint.Here(failpoint.OutboxSettled)
		case r.gone():
			if err = store.Delete(ctx, s.store, key, version); err == nil {
				failpoint.Here(failpoint.RecordBuried)
				bury(ctx, key, r)
				return nil
			}
		default:
			return nil
		}
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}
