package control

import (
	"context"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/search"
)

// complete fills in a specification that is a copy of another stream, and returns
// the secrets of that, nil when the specification is none. They do not leave this
// package: who copies a stream never sees them.
func (s *Service) complete(p Principal, spec *StreamSpec) (destination.Secrets, error) {
	if spec.CopyOf == 0 {
		return nil, nil
	}
	st, err := s.find(p, actionManageStreams, spec.CopyOf)
	if err != nil {
		return nil, err
	}
	r := st.record()
	switch {
	case spec.Namespace != "" && sluice.FoldNamespace(spec.Namespace) != r.scope():
		return nil, sluice.Errorf(sluice.Invalid, "namespace must be that of the stream that is copied").WithHint("leave it out")
	case spec.Kind != "" && spec.Kind != r.Kind || len(spec.Config) > 0 || len(spec.Secrets) > 0:
		return nil, sluice.Errorf(sluice.Invalid, "kind, config and secrets are those of the stream that is copied").WithHint("leave them out, and change the new stream afterwards")
	}
	config, secrets, err := s.unseal(r)
	if err != nil {
		return nil, err
	}
	spec.Namespace, spec.Kind, spec.Config, spec.Strict = r.Namespace, r.Kind, config, spec.Strict || r.Strict
	if spec.Filter.Empty() {
		spec.Filter = r.Filter
	}
	return secrets, nil
}

// StreamCount counts the events that a stream would find when it is created.
type StreamCount struct {
	Accepted uint64 // of its scope, what its filter does not want included; exact
	// Wanted counts those that its filter lets pass, as the search index knows it.
	// Without an index Known is false.
	Wanted uint64
	Known  bool
	From   time.Time // of the oldest event that is stored, when the stream starts before it
}

// CountStream counts the events between the start and the end of a stream that is
// not created yet. Of the specification only the namespace, the filter, the start
// and the end matter, or the stream that it copies. Nothing is stored or told.
func (s *Service) CountStream(ctx context.Context, p Principal, spec StreamSpec) (StreamCount, error) {
	if _, err := s.complete(p, &spec); err != nil {
		return StreamCount{}, err
	}
	d := &draft{spec: spec, scope: sluice.FoldNamespace(spec.Namespace)}
	if err := authorize(p, actionManageStreams, d.scope); err != nil {
		return StreamCount{}, err
	}
	if err := s.checkFilter(&spec.Filter, spec.Namespace); err != nil {
		return StreamCount{}, err
	}
	if err := d.times(s.now()); err != nil {
		return StreamCount{}, err
	}
	out := StreamCount{}
	starts, err := s.positions(ctx, d)
	if err != nil {
		return StreamCount{}, err
	}
	for _, at := range starts {
		name, start := at.name, at.value
		end, err := s.countUntil(ctx, name, d)
		if err != nil {
			return StreamCount{}, err
		}
		out.Accepted += max(end, start.Total) - start.Total
		oldest, err := s.log.AcceptedAt(ctx, name, s.log.First(name))
		if err == nil && d.start.Before(oldest) && d.spec.Start != startNow && (out.From.IsZero() || oldest.Before(out.From)) {
			out.From = oldest.UTC()
		}
	}
	return out, s.countWanted(ctx, p, d, &out)
}

// countUntil counts the events of a draft's scope in a partition up to its end.
func (s *Service) countUntil(ctx context.Context, partition string, d *draft) (uint64, error) {
	if d.until.IsZero() || d.until.After(s.now()) {
		_, total := s.log.Position(partition, d.scope)
		return total, nil
	}
	end, err := s.log.Since(ctx, partition, d.until)
	if err != nil {
		return 0, err
	}
	return s.log.Before(ctx, partition, d.scope, end)
}

// countWanted adds what the filter lets pass.
func (s *Service) countWanted(ctx context.Context, p Principal, d *draft, out *StreamCount) error {
	switch {
	case d.spec.Filter.Empty():
		out.Wanted, out.Known = out.Accepted, true
		return nil
	case s.cfg.Search == nil || d.spec.Start == startNow:
		return nil
	}
	q, err := s.searchQuery(p, d.spec.Namespace, "")
	if err != nil {
		return err
	}
	q.Clauses = clausesOf(&d.spec.Filter)
	if !d.start.IsZero() || !d.until.IsZero() {
		q.Accepted = index.Range{From: d.start, To: d.until}
	}
	counts, err := s.cfg.Search.Count(ctx, q, search.ByType, "")
	if err != nil {
		return err
	}
	out.Wanted, out.Known = counts.Events, !counts.Incomplete
	return nil
}
