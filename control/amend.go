package control

import (
	"context"
	"errors"

	"github.com/sluicelog/sluice/store"
)

// amend changes what a stream's record holds beside the configuration: its
// version stays, and delivery does not hear of it. edit may run several times; it
// returns whether there is anything to store. A stream that is being deleted is
// left alone. What edit adds to the outbox is told.
func (s *Service) amend(ctx context.Context, st *stream, edit func(r *streamRecord) bool) (changed bool, err error) {
	free, err := st.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer free()
	return s.amendAcquired(ctx, st, edit)
}

// amendAcquired is amend of a stream that is acquired.
func (s *Service) amendAcquired(ctx context.Context, st *stream, edit func(r *streamRecord) bool) (changed bool, err error) {
	key := streamKey(st.id)
	for {
		rec, version, err := store.Load[streamRecord](ctx, s.store, key)
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if rec.Deleting != nil || !edit(&rec) {
			return false, nil
		}
		err = s.replace(ctx, key, &rec, version)
		if errors.Is(err, store.ErrConflict) {
			continue // an outbox was emptied meanwhile
		}
		if err == nil {
			st.keep(&rec)
			if rec.pending() {
				s.outboxes.wake(key)
			}
			return true, nil
		}
		if !errors.Is(err, errNotReplaced) {
			st.broken.Store(true)
		}
		return false, err
	}
}
