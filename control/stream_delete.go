package control

import (
	"context"
	"errors"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/store"
)

// Deleted is what is left of a stream.
type Deleted struct {
	ID     sluice.StreamID `json:"id"`
	Ledger sluice.Ledger   `json:"ledger"` // final
}

// DeleteStream stops a stream at once, destroys its secrets and returns its
// final ledger, which an event keeps. Its id is never used again.
//
// Delivery stops before the deletion is stored, so that the ledger in it is the
// last one, whatever becomes of the process; and it is stored before delivery
// forgets the stream, so that a stream can never come back without its cursor.
func (s *Service) DeleteStream(ctx context.Context, p Principal, id sluice.StreamID) (Deleted, error) {
	st, err := s.find(p, actionManageStreams, id)
	if err != nil {
		return Deleted{}, err
	}
	free, err := st.acquire(ctx)
	if err != nil {
		return Deleted{}, err
	}
	defer free()
	state, err := s.cfg.Deliver.Halt(ctx, id)
	if err != nil {
		st.broken.Store(true) // repair lets it go on
		return Deleted{}, storeError("stop a stream", err)
	}
	rec, err := store.Update(ctx, s.store, streamKey(id), func(r *streamRecord, found bool) error {
		if !found || r.Deleting != nil {
			return errNotFound()
		}
		r.Deleting = &deletion{By: p, Number: p.number, Ledger: state.Ledger}
		r.Config, r.Sealed = nil, nil
		r.Version++
		return r.room()
	})
	if err != nil {
		st.unsure.Store(true) // it may be stored all the same
		st.broken.Store(true)
		return Deleted{}, storeError("delete a stream", err)
	}
	failpoint.Here(failpoint.DeletionStored)
	st.keep(&rec)
	ledger, err := s.finish(ctx, st)
	if err != nil {
		return Deleted{}, storeError("delete a stream", err)
	}
	return Deleted{ID: id, Ledger: ledger}, nil
}

// finish ends a stream that is being deleted and that delivery knows. The
// stream is acquired.
func (s *Service) finish(ctx context.Context, st *stream) (sluice.Ledger, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	st.broken.Store(true)
	if _, err := s.cfg.Deliver.Remove(ctx, st.id); err != nil {
		return sluice.Ledger{}, err
	}
	failpoint.Here(failpoint.DeletionDelivered)
	rec, err := store.Update(ctx, s.store, streamKey(st.id), func(r *streamRecord, found bool) error {
		if !found || r.Deleting == nil || r.Ended {
			return nil // finished before
		}
		by := r.Deleting.By
		by.number = r.Deleting.Number
		r.Ended = true
		r.add(s.compose(by, act{
			Type: "stream.delete", Namespace: r.Namespace, TargetType: targetStream, TargetID: r.ID, Target: r.title(),
			Message: "Deleted a stream", Fields: map[string]any{"kind": r.Kind, "ledger": r.Deleting.Ledger},
		}))
		return nil
	})
	if err != nil {
		return sluice.Ledger{}, err
	}
	failpoint.Here(failpoint.DeletionTold)
	s.streams.remove(st.id)
	s.releaseStream(ctx, &rec)
	failpoint.Here(failpoint.DeletionReleased)
	s.outboxes.wake(streamKey(st.id))
	return st.record().Deleting.Ledger, nil
}

// buryStream is called when the record is deleted.
func (s *Service) buryStream(ctx context.Context, _ string, r *streamRecord) { s.releaseStream(ctx, r) }

// repair brings a stream in order of which delivery may not have the newest
// state, or that is half deleted.
func (s *Service) repair(ctx context.Context, st *stream) error {
	free, err := st.acquire(ctx)
	if err != nil {
		return err
	}
	defer free()
	rec, version, err := store.Load[streamRecord](ctx, s.store, streamKey(st.id))
	if err == nil {
		s.outboxes.wake(streamKey(st.id)) // who stored what it has to tell may not know that it is stored
	}
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && rec.Ended:
		_, err := s.cfg.Deliver.Remove(ctx, st.id)
		if e, ok := errors.AsType[*sluice.Error](err); ok && e.Code == sluice.NotFound {
			err = nil
		}
		if err == nil {
			s.streams.remove(st.id)
		}
		return err
	case err != nil:
		return err
	}
	if st.unsure.Load() && rec.Deleting == nil {
		// A deletion that failed may still show after a crash, with the ledger that
		// the stream had: before it goes on, another version has to take its place.
		if err := s.replace(ctx, streamKey(st.id), &rec, version); err != nil {
			return err
		}
	}
	st.unsure.Store(false)
	st.keep(&rec)
	s.apply(ctx, st)
	if st.broken.Load() || rec.Deleting == nil {
		return nil
	}
	_, err = s.finish(ctx, st)
	return err
}
