package control

import (
	"context"
	"errors"
	"maps"
	"sync"

	"github.com/sluicelog/sluice/store"
)

// doubts are records that a change failed to which may be stored all the same, and
// that could not be read either: what is known of them may be wrong. They are read
// again until that succeeds.
type doubts struct {
	mu    sync.Mutex
	reads map[string]func(context.Context) error // by key of the record
}

func (d *doubts) add(key string, read func(context.Context) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reads == nil {
		d.reads = map[string]func(context.Context) error{}
	}
	d.reads[key] = read
}

func (d *doubts) take() map[string]func(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	reads := maps.Clone(d.reads)
	clear(d.reads)
	return reads
}

// reread has what is known of a record follow what is stored, now or as soon as it
// can be read. changing is held by the caller, and whenever read runs later.
func (s *Service) reread(ctx context.Context, key string, changing sync.Locker, read func(context.Context) error) {
	if s.readAgain(ctx, key, read) {
		return
	}
	s.doubts.add(key, func(ctx context.Context) error {
		changing.Lock()
		defer changing.Unlock()
		return read(ctx)
	})
}

// rereadNew has a record become known that may have been created, although who asked
// for it was told that it was not: it keeps its name and its place.
func rereadNew[T any, R mortal[T]](ctx context.Context, s *Service, key string, known func(context.Context, R) error) {
	s.reread(ctx, key, new(sync.Mutex), func(ctx context.Context) error {
		rec, _, err := store.Load[T](ctx, s.store, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil // what it claimed is void without it
		}
		if err != nil {
			return err
		}
		s.outboxes.wake(key)
		return known(ctx, R(&rec))
	})
}

func (s *Service) readAgain(ctx context.Context, key string, read func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
	defer cancel()
	err := read(ctx)
	if err != nil {
		s.logger.WarnContext(ctx, "record not read again yet", "record", key, "err", err)
	}
	return err == nil
}

// settleDoubts reads again what could not be read.
func (s *Service) settleDoubts(ctx context.Context) {
	for key, read := range s.doubts.take() {
		if ctx.Err() != nil || !s.readAgain(ctx, key, read) {
			s.doubts.add(key, read)
		}
	}
}

// rereadToken follows a revocation of which the store did not say whether it was
// done: a token that is good no more must not be taken.
func (s *Service) rereadToken(ctx context.Context, id string) {
	s.reread(ctx, tokenKey(id), new(sync.Mutex), func(ctx context.Context) error {
		rec, _, err := store.Load[tokenRecord](ctx, s.store, tokenKey(id))
		if gone := errors.Is(err, store.ErrNotFound) || err == nil && rec.gone(); gone {
			s.tokens.remove(id)
			s.outboxes.wake(tokenKey(id))
			return nil
		}
		return err
	})
}
