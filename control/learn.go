package control

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/store"
)

const (
	learnerRecords = "learner/"
	// learnerSave is how often a learner's position is stored. After a crash the
	// directories of that time are read again.
	learnerSave  = 5 * time.Second
	learnerPause = time.Second // after an error
)

// learnerRecord is how far a learner has read a partition.
type learnerRecord struct {
	Seq uint64 `json:"seq"`
}

// learner follows one partition by the directories of its blocks.
type learner struct {
	s         *Service
	partition string
	seq       uint64 // everything up to it is learned
	saved     uint64
	at        time.Time // when seq was stored
}

// runLearner learns namespaces from a partition until ctx ends.
func (s *Service) runLearner(ctx context.Context, partition string) {
	l := &learner{s: s, partition: partition, at: time.Now()}
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
	b, err := l.s.log.Block(ctx, l.partition, l.seq+1)
	if errors.Is(err, io.EOF) {
		return l.wait(ctx)
	}
	if err != nil {
		return err
	}
	if err := l.s.learnBlock(ctx, b); err != nil {
		return err
	}
	l.seq = b.Last()
	if time.Since(l.at) < learnerSave {
		return nil
	}
	return l.save(ctx)
}

// wait waits for the log to grow, and stores the position when that takes long.
func (l *learner) wait(ctx context.Context) error {
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
	l.at = time.Now()
	if l.seq == l.saved {
		return nil
	}
	_, err := store.Update(ctx, l.s.store, learnerRecords+l.partition, func(r *learnerRecord, _ bool) error {
		r.Seq = l.seq
		return nil
	})
	if err == nil {
		l.saved = l.seq
	}
	return err
}

// learnBlock creates the namespaces of a block that are not known, with
// everything above them.
func (s *Service) learnBlock(ctx context.Context, b *eventlog.Block) error {
	var paths []string
	for i := range b.Namespaces {
		n := &b.Namespaces[i]
		if n.Path == sluice.Instance {
			continue
		}
		if _, ok := s.namespaces.get(n.Folded); ok || checkPath(n.Path) != nil {
			continue
		}
		paths = withParents(paths, n.Path)
	}
	if paths == nil {
		return nil
	}
	s.namespaces.creating.Lock()
	defer s.namespaces.creating.Unlock()
	return s.learn(ctx, s.withinLimit(paths))
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
