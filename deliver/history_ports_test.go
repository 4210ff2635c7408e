package deliver

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/store"
)

// inOrder carries out changes in the order of their keys: an engine may take any,
// and with the Deliverer's own, which is that of a map, a seed would not be one
// history.
type inOrder struct{ *store.Memory }

func (s inOrder) Apply(ctx context.Context, changes ...store.Change) []error {
	order := make([]int, len(changes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(changes[a].Key, changes[b].Key) })
	errs := make([]error, len(changes))
	for _, i := range order {
		if err := s.Memory.Apply(ctx, changes[i]); err != nil {
			errs[i] = err[0]
		}
	}
	return store.Errors(errs)
}

// storeFault has one change of the store fail.
type storeFault struct {
	changes atomic.Int64 // until then; 0 for none
	kind    atomic.Int64 // 1: it is not carried out, 2: it is, and nobody is told
}

func (f *storeFault) arm(kind, changes int64) {
	f.kind.Store(kind)
	f.changes.Store(changes)
}

func (f *storeFault) due(kind int64) error {
	if f.changes.Load() > 0 && f.kind.Load() == kind && f.changes.Add(-1) == 0 {
		return errors.New("the store failed")
	}
	return nil
}

// overflows notes which streams were held because their quarantine was full.
type overflows struct {
	slog.Handler // discards

	mu      sync.Mutex
	streams map[sluice.StreamID]bool
}

func (o *overflows) Enabled(context.Context, slog.Level) bool { return true }

func (o *overflows) Handle(_ context.Context, line slog.Record) error {
	var id sluice.StreamID
	full := false
	line.Attrs(func(a slog.Attr) bool {
		if a.Key == "stream" {
			id, _ = a.Value.Any().(sluice.StreamID)
		}
		full = full || a.Key == "reason" && strings.HasPrefix(a.Value.String(), "quarantine is full")
		return true
	})
	if full && line.Message == "stream held" {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.streams[id] = true
	}
	return nil
}

func (o *overflows) of(id sluice.StreamID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.streams[id]
}

func (o *overflows) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.streams)
}

// keyed is a destination as one configuration of its stream opens it: with a
// secret, which the far side may no longer take.
type keyed struct {
	*receiver
	secret int
	closed atomic.Bool
}

// keyedBucket is keyed for a bucket.
type keyedBucket struct {
	*bucket
	key *keyed
}

var (
	_ destination.Destination = (*keyed)(nil)
	_ destination.ObjectStore = (*keyedBucket)(nil)
)

func (k *keyed) Send(ctx context.Context, b *destination.Batch) destination.Result {
	if err := k.refused(); err != nil {
		return destination.Result{Err: err}
	}
	return k.receiver.Send(ctx, b)
}

func (k *keyed) Check(ctx context.Context, stage func(destination.Stage)) bool {
	return k.refused() == nil && k.receiver.Check(ctx, stage)
}

func (k *keyed) Close() error {
	if k.closed.Swap(true) {
		return errors.New("closed twice")
	}
	k.receiver.set(func(r *receiver) { r.opened-- })
	return nil
}

func (k *keyed) refused() *destination.Error {
	stale := false
	k.receiver.set(func(r *receiver) { stale = k.secret != r.secret })
	if stale || k.closed.Load() {
		return &destination.Error{Class: destination.Misconfigured, Status: 401, Message: "another secret is wanted", NothingStored: true}
	}
	return nil
}

func (k *keyedBucket) Check(ctx context.Context, stage func(destination.Stage)) bool {
	return k.key.Check(ctx, stage)
}

func (k *keyedBucket) Close() error { return k.key.Close() }

func (k *keyedBucket) Put(ctx context.Context, o *destination.Object) (bool, *destination.Error) {
	if err := k.key.refused(); err != nil {
		return false, err
	}
	return k.bucket.Put(ctx, o)
}

// different returns the ids of the events that arrived.
func (r *receiver) different() map[string]bool {
	ids := map[string]bool{}
	for _, id := range r.received() {
		ids[id] = true
	}
	return ids
}
