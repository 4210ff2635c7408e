package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/store"
)

// Halt stops a stream at once and returns its last state, all of which is durable:
// nothing is sent or counted after that. What delivery keeps of the stream stays.
// Remove deletes it; Put goes on with it, also after an error.
func (d *Deliverer) Halt(ctx context.Context, id sluice.StreamID) (State, error) {
	s, err := d.stream(id)
	if err != nil {
		return State{}, err
	}
	if err := d.halt(ctx, s); err != nil {
		return State{}, err
	}
	final, _ := d.State(ctx, id)
	return final, nil
}

// halt stops the stream's lanes and writes their last records.
func (d *Deliverer) halt(ctx context.Context, s *stream) error {
	s.halted.Store(true)
	last := make(map[*lane]bool, len(s.lanes))
	for _, l := range s.lanes {
		if err := l.stop(ctx); err != nil {
			return err
		}
		last[l] = true
	}
	return d.flush.write(context.WithoutCancel(ctx), last, true)
}

// recall makes a stream that was halted one that is only stored, as after a start.
func (d *Deliverer) recall(ctx context.Context, s *stream) error {
	if err := d.halt(ctx, s); err != nil {
		return err
	}
	for _, l := range s.lanes {
		d.unroute(l)
	}
	d.mu.Lock()
	for _, l := range s.lanes {
		d.stored[laneKey(s.id, l.p.name)] = l.storedAs()
	}
	delete(d.streams, s.id)
	d.mu.Unlock()
	s.close()
	return nil
}

// storedAs returns what is stored of a lane that was stopped. It shares no list with
// the lane: a notice that is being told, or a drop that has begun, may still take
// something off that one's.
func (l *lane) storedAs() storedLane {
	l.mu.Lock()
	defer l.mu.Unlock()
	rec := l.rec
	rec.Quarantined, rec.Outbox = slices.Clone(rec.Quarantined), slices.Clone(rec.Outbox)
	return storedLane{rec: rec, version: l.version}
}

// Remove stops a stream at once, deletes what delivery keeps of it, and returns
// its last state.
func (d *Deliverer) Remove(ctx context.Context, id sluice.StreamID) (State, error) {
	s, err := d.stream(id)
	if err != nil {
		return State{}, err
	}
	s.halted.Store(true)
	for _, l := range s.lanes {
		if err := l.stop(ctx); err != nil {
			return State{}, err
		}
	}
	final, _ := d.State(ctx, id)
	for _, l := range s.lanes {
		if err := d.tell(ctx, l); err != nil {
			return State{}, err
		}
		if err := errors.Join(d.erase(ctx, l), d.journals.erase(ctx, l)); err != nil {
			return State{}, err
		}
	}
	d.mu.Lock()
	delete(d.streams, id) // last, so that a failed removal can be repeated
	d.mu.Unlock()
	s.close()
	return final, nil
}

// stop ends the lane's part in delivery and waits for its turn to end.
func (l *lane) stop(ctx context.Context) error {
	l.p.detach(l)
	l.mu.Lock()
	var ended chan struct{}
	if !l.gone {
		l.gone = true
		l.ended = make(chan struct{})
		if l.timer != nil {
			l.timer.Stop()
		}
		if l.cancel != nil {
			l.cancel()
		}
	}
	if l.phase == running {
		ended = l.ended
	}
	l.mu.Unlock()
	if ended != nil {
		select {
		case <-ended:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fill.stop()
	l.dropObject()
	return nil
}

// tell appends what a removed lane still has to report.
func (d *Deliverer) tell(ctx context.Context, l *lane) error {
	l.mu.Lock()
	notices := slices.Clone(l.rec.Outbox)
	l.mu.Unlock()
	for _, n := range notices {
		if d.opts.Emit == nil {
			break
		}
		if err := d.opts.Emit(ctx, n); err != nil {
			return fmt.Errorf("report on a removed stream: %w", err)
		}
	}
	return nil
}

// erase deletes a removed lane's records, and its copies in quarantine.
func (d *Deliverer) erase(ctx context.Context, l *lane) error {
	d.flush.writing.Lock() // what is being written now must not come after
	defer d.flush.writing.Unlock()
	d.unroute(l)
	p := l.p
	prefixes := []string{quarantinePrefix + strings.TrimPrefix(laneKey(l.s.id, p.name), lanePrefix) + "/"}
	var changes []store.Change
	for _, prefix := range prefixes {
		for rec, err := range d.store.List(ctx, prefix) {
			if err != nil {
				return fmt.Errorf("list quarantine: %w", err)
			}
			changes = append(changes, store.Change{Key: rec.Key, Version: rec.Version})
		}
	}
	key := laneKey(l.s.id, p.name)
	rec, err := d.store.Get(ctx, key)
	if err == nil {
		changes = append(changes, store.Change{Key: key, Version: rec.Version})
	} else if !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("delete lane record: %w", err)
	}
	if len(changes) == 0 {
		return nil
	}
	failpoint.Here(failpoint.StreamErasing)
	err = applied(d.store.Apply(ctx, changes...), store.ErrConflict)
	failpoint.Here(failpoint.StreamErased)
	return err
}

// unroute takes a lane that was stopped out of its partition.
func (d *Deliverer) unroute(l *lane) {
	p := l.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if lanes := p.routes[l.s.scope]; len(lanes) > 1 {
		p.routes[l.s.scope] = slices.DeleteFunc(lanes, func(o *lane) bool { return o == l })
	} else if slices.Contains(lanes, l) {
		delete(p.routes, l.s.scope) // the list may be the stream's own
	}
	p.ahead = slices.DeleteFunc(p.ahead, func(o *lane) bool { return o == l })
	delete(p.debts, l)
}
