package control

import (
	"context"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicelog/sluice/store"
)

// How often, at most, the last use of a thing is stored.
const (
	tokenUseEvery   = time.Hour
	sessionUseEvery = 10 * time.Minute
)

// usesAtOnce is how many last uses are stored at once.
const usesAtOnce = 64

// lastTime is a time that many set at once.
type lastTime struct{ nanos, stored atomic.Int64 }

func (l *lastTime) set(t time.Time) {
	if !t.IsZero() {
		l.nanos.Store(t.UnixNano())
		l.stored.Store(t.UnixNano())
	}
}

// get returns the time, zero when none was set.
func (l *lastTime) get() time.Time {
	if n := l.nanos.Load(); n != 0 {
		return time.Unix(0, n).UTC()
	}
	return time.Time{}
}

// touch sets the time and reports whether it is to be stored, which is so once
// in a period.
func (l *lastTime) touch(now time.Time, period time.Duration) bool {
	l.nanos.Store(now.UnixNano())
	stored := l.stored.Load()
	return now.Sub(time.Unix(0, stored)) >= period && l.stored.CompareAndSwap(stored, now.UnixNano())
}

// uses are what is to be stored about things that were used, beside the requests
// that used them: those need not wait for the disk. What is not stored when the
// process ends is forgotten.
type uses struct {
	mu     sync.Mutex
	noted  map[string]use // by key of the record
	signal chan struct{}
}

// use is when a thing was used. That of a user is a failure to sign in, of which also
// the address is known.
type use struct {
	at   time.Time
	from netip.Addr
}

func (u *uses) init() { u.noted, u.signal = map[string]use{}, make(chan struct{}, 1) }

func (u *uses) note(key string, what use) {
	u.mu.Lock()
	u.noted[key] = what
	u.mu.Unlock()
	select {
	case u.signal <- struct{}{}:
	default:
	}
}

func (u *uses) take() map[string]use {
	u.mu.Lock()
	defer u.mu.Unlock()
	noted := u.noted
	u.noted = map[string]use{}
	return noted
}

// noteUse notes that somebody came with a token, whatever becomes of the request.
func (s *Service) noteUse(t *token, now time.Time) {
	if t.used.touch(now, tokenUseEvery) {
		s.uses.note(tokenKey(t.record.ID), use{at: now})
	}
}

// runUses stores uses until ctx ends.
func (s *Service) runUses(ctx context.Context) {
	for {
		select {
		case <-s.uses.signal:
		case <-ctx.Done():
			return
		}
		s.storeUses(ctx, s.uses.take())
	}
}

// storeUses stores so many at once that they share commits: the tokens of
// thousands of producers can all be due at a time.
func (s *Service) storeUses(ctx context.Context, uses map[string]use) {
	var work errgroup.Group
	work.SetLimit(usesAtOnce)
	for key, what := range uses {
		work.Go(func() error {
			if err := s.storeUse(ctx, key, what); err != nil && ctx.Err() == nil {
				s.logger.WarnContext(ctx, "last use not stored", "record", key, "err", err)
			}
			return nil
		})
	}
	_ = work.Wait() // each told of its own error
}

func (s *Service) storeUse(ctx context.Context, key string, what use) (err error) {
	switch {
	case strings.HasPrefix(key, tokenRecords):
		err = updateFound(ctx, s, key, func(r *tokenRecord) { r.Used = what.at.UTC() })
	case strings.HasPrefix(key, sessionRecords):
		err = updateFound(ctx, s, key, func(r *sessionRecord) { r.Used = what.at.UTC() })
	case strings.HasPrefix(key, userRecords):
		err = updateFound(ctx, s, key, func(r *userRecord) {
			fields := map[string]any{"failures": freeFailures}
			maps.Copy(fields, addressOf(what.from))
			r.add(s.compose(sluiceItself(), userAct(r, "user.sign_in_delayed", "Delayed signing in after failures", fields)))
		})
		s.outboxes.wake(key)
	}
	return err
}

// updateFound changes a record that is there; one that is gone stays so.
func updateFound[T any, R mortal[T]](ctx context.Context, s *Service, key string, edit func(R)) error {
	_, err := store.Update(ctx, s.store, key, func(r *T, found bool) error {
		if !found {
			return errNotFound()
		}
		if !R(r).gone() && R(r).box().room() == nil {
			edit(r)
		}
		return nil
	})
	return err
}
