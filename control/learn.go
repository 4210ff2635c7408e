package control

import (
	"context"
	"errors"
	"io"
	"math"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/store"
)

const (
	learnerRecords = "learner/"
	// learnerSave is how often a learner's position is stored. After a crash the
	// directories of that time are read again.
	learnerSave  = 5 * time.Second
	learnerPause = time.Second // after an error
	// New namespaces are stored together: at once after a quiet time, else each
	// learnEvery, and about learnMost of them; what comes faster is learned later,
	// so that a flood of names does not starve ingest.
	learnEvery = time.Second
	learnMost  = 4096
)

// learnerRecord is how far a learner has read a partition.
type learnerRecord struct {
	Seq uint64 `json:"seq"`
}

// learner follows one partition by the directories of its blocks.
type learner struct {
	s         *Service
	partition string
	seq       uint64 // everything up to it is read
	saved     uint64
	at        time.Time       // when seq was stored
	paths     []string        // read and not stored yet
	seen      map[string]bool // those of them that name the entity of an event, folded
	learned   time.Time       // when paths were stored
}

// runLearner learns namespaces from a partition until ctx ends.
func (s *Service) runLearner(ctx context.Context, partition string) {
	l := &learner{s: s, partition: partition, at: time.Now(), seen: map[string]bool{}}
	for ctx.Err() == nil {
		err := l.load(ctx)
		if err == nil {
			break
		}
		l.pause(ctx, err)
	}
	for ctx.Err() == nil {
		if err := l.next(ctx); err != nil {
			l.pause(ctx, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
	defer cancel()
	if err := l.save(ctx); err != nil {
		s.logger.WarnContext(ctx, "learner's position not saved", "partition", partition, "err", err)
	}
}

func (l *learner) pause(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	l.s.logger.WarnContext(ctx, "namespaces not learned", "partition", l.partition, "seq", l.seq, "err", err)
	select {
	case <-time.After(learnerPause):
	case <-ctx.Done():
	}
}

func (l *learner) load(ctx context.Context) error {
	rec, _, err := store.Load[learnerRecord](ctx, l.s.store, learnerRecords+l.partition)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	l.seq, l.saved = rec.Seq, rec.Seq
	return err
}

// next learns from the next block, for which it waits.
func (l *learner) next(ctx context.Context) error {
	if len(l.paths) >= learnMost {
		return l.wait(ctx)
	}
	b, err := l.s.log.Outline(ctx, l.partition, l.seq+1)
	if errors.Is(err, io.EOF) {
		return l.wait(ctx)
	}
	if err != nil {
		return err
	}
	l.read(b)
	l.seq = b.Last()
	if time.Since(l.learned) >= learnEvery {
		if err := l.learn(ctx); err != nil {
			return err
		}
	}
	if time.Since(l.at) < learnerSave {
		return nil
	}
	return l.save(ctx)
}

// wait waits for the log to grow, and stores what was read and the position when
// that takes long.
func (l *learner) wait(ctx context.Context) error {
	if len(l.paths) > 0 {
		short, cancel := context.WithTimeout(ctx, max(0, learnEvery-time.Since(l.learned)))
		defer cancel()
		more := l.seq + 1
		if len(l.paths) >= learnMost {
			more = math.MaxUint64 // enough for now
		}
		if err := l.s.log.Wait(short, l.partition, more); err == nil || ctx.Err() != nil {
			return nil
		}
		return l.learn(ctx)
	}
	if l.seq != l.saved {
		short, cancel := context.WithTimeout(ctx, max(0, learnerSave-time.Since(l.at)))
		defer cancel()
		if err := l.s.log.Wait(short, l.partition, l.seq+1); err == nil || ctx.Err() != nil {
			return nil
		}
		if err := l.save(ctx); err != nil {
			return err
		}
	}
	if err := l.s.log.Wait(ctx, l.partition, l.seq+1); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

func (l *learner) save(ctx context.Context) error {
	if err := l.learn(ctx); err != nil {
		return err // the position never passes what is not stored
	}
	l.at = time.Now()
	if l.seq == l.saved {
		return nil
	}
	_, err := store.Update(ctx, l.s.store, learnerRecords+l.partition, func(r *learnerRecord, _ bool) error {
		r.Seq = l.seq
		return nil
	})
	failpoint.Here(failpoint.LearnerWritten)
	if err == nil {
		l.saved = l.seq
	}
	return err
}

// read takes note of the namespaces of a block that are not known, with
// everything above them.
func (l *learner) read(b *eventlog.Outline) {
	for i := range b.Namespaces {
		n := &b.Namespaces[i]
		if n.Path == sluice.Instance || l.seen[n.Folded] {
			continue
		}
		if _, ok := l.s.namespaces.get(n.Folded); ok || checkPath(n.Path) != nil {
			continue
		}
		l.seen[n.Folded] = true
		l.paths = withParents(l.paths, n.Path)
	}
}

// learn stores what was read.
func (l *learner) learn(ctx context.Context) error {
	if len(l.paths) == 0 {
		return nil
	}
	s := l.s
	s.namespaces.creating.Lock()
	defer s.namespaces.creating.Unlock()
	if err := s.learn(ctx, s.withinLimit(l.paths)); err != nil {
		return err
	}
	l.paths, l.learned = l.paths[:0], time.Now()
	clear(l.seen)
	return nil
}

// withinLimit leaves out what would exceed the number of namespaces below a
// top-level namespace, and counts it.
func (s *Service) withinLimit(paths []string) []string {
	added, seen := map[string]int{}, map[string]bool{}
	var out []string
	for _, path := range paths {
		folded := sluice.FoldNamespace(path)
		if _, ok := s.namespaces.get(folded); ok || seen[folded] {
			continue
		}
		seen[folded] = true
		top := sluice.TopLevel(folded)
		if s.namespaces.below(top)+added[top] > s.cfg.MaxLearned {
			s.namespaces.skip()
			continue
		}
		added[top]++
		out = append(out, path)
	}
	return out
}

func (n *namespaces) skip() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.overflow++
}
