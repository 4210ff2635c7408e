package control

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/search"
)

// previewDays is how many days a preview looks back, the present one included.
const previewDays = 7

// Preview is what a stream would have done with the events of the last days.
type Preview struct {
	From time.Time `json:"from"` // of acceptance
	To   time.Time `json:"to"`
	PreviewCounts
	Days []PreviewDay `json:"days"` // the newest first
	// Types come the most frequent first, at most [search.MaxBins] of a day. Events
	// without a type are in none.
	Types      []PreviewType `json:"types"`
	LagSeconds float64       `json:"lag_seconds"` // what was accepted since is not counted yet
	Incomplete bool          `json:"incomplete"`  // a part of the index cannot be read
}

// PreviewCounts counts events of a stream's scope.
type PreviewCounts struct {
	Delivered uint64 `json:"delivered"` // what the filter lets pass
	Filtered  uint64 `json:"filtered"`
}

// PreviewDay counts what was accepted on a day, in UTC.
type PreviewDay struct {
	Day string `json:"day"`
	PreviewCounts
}

// PreviewType counts events of a type, which stands in lower case.
type PreviewType struct {
	Type string `json:"type"`
	PreviewCounts
}

// PreviewStream counts what a stream would have delivered and filtered in the last
// seven days, as the search index knows it: types are compared without case. Of the
// specification only namespace and filter matter. Nothing is stored or told.
func (s *Service) PreviewStream(ctx context.Context, p Principal, spec StreamSpec) (Preview, error) {
	if _, err := s.complete(p, &spec); err != nil {
		return Preview{}, err
	}
	if err := authorize(p, actionManageStreams, sluice.FoldNamespace(spec.Namespace)); err != nil {
		return Preview{}, err
	}
	if err := checkTopLevel(spec.Namespace); err != nil {
		return Preview{}, err
	}
	if err := s.checkFilter(&spec.Filter, spec.Namespace); err != nil {
		return Preview{}, err
	}
	all, err := s.searchQuery(p, spec.Namespace, "")
	if err != nil {
		return Preview{}, err
	}
	now := s.now().UTC()
	today := now.Truncate(24 * time.Hour)
	out := Preview{
		From: today.AddDate(0, 0, 1-previewDays), To: now, LagSeconds: s.cfg.Search.Lag(ctx).Seconds(),
		Days: []PreviewDay{}, Types: []PreviewType{},
	}
	types := map[string]PreviewCounts{}
	for i := range previewDays {
		day := today.AddDate(0, 0, -i)
		all.Accepted = index.Range{From: day, To: day.AddDate(0, 0, 1)}
		if err := s.previewDay(ctx, &out, all, &spec.Filter, types); err != nil {
			return Preview{}, err
		}
	}
	for name, n := range types {
		out.Types = append(out.Types, PreviewType{name, n})
	}
	slices.SortFunc(out.Types, func(a, b PreviewType) int {
		return cmp.Or(cmp.Compare(b.Delivered, a.Delivered), cmp.Compare(b.Filtered, a.Filtered), cmp.Compare(a.Type, b.Type))
	})
	return out, nil
}

// previewDay adds the events of one day.
func (s *Service) previewDay(ctx context.Context, out *Preview, all index.Query, f *sluice.Filter, types map[string]PreviewCounts) error {
	every, err := s.cfg.Search.Count(ctx, all, search.ByType, "")
	if err != nil {
		return err
	}
	wanted := every
	if !f.Empty() {
		all.Clauses = clausesOf(f)
		if wanted, err = s.cfg.Search.Count(ctx, all, search.ByType, ""); err != nil {
			return err
		}
	}
	// An event that came between the two counts is in the second alone.
	n := PreviewCounts{Delivered: wanted.Events, Filtered: max(every.Events, wanted.Events) - wanted.Events}
	out.Days = append(out.Days, PreviewDay{all.Accepted.From.Format(time.DateOnly), n})
	out.Delivered, out.Filtered = out.Delivered+n.Delivered, out.Filtered+n.Filtered
	out.Incomplete = out.Incomplete || every.Incomplete || wanted.Incomplete
	passed := map[string]uint64{}
	for _, b := range wanted.Bins {
		passed[b.Name] = b.Events
	}
	for _, b := range every.Bins {
		c := types[b.Name]
		c.Delivered += passed[b.Name]
		c.Filtered += max(b.Events, passed[b.Name]) - passed[b.Name]
		types[b.Name] = c
	}
	return nil
}

// clausesOf returns a filter as a search.
func clausesOf(f *sluice.Filter) (clauses []index.Clause) {
	add := func(not bool, field index.Field, values []string) {
		if len(values) == 0 {
			return
		}
		c := index.Clause{Not: not}
		for _, v := range values {
			c.Terms = append(c.Terms, index.NewTerm(field, v))
		}
		clauses = append(clauses, c)
	}
	add(false, index.FieldType, f.EventTypes)
	add(true, index.FieldType, f.ExcludedEventTypes)
	add(false, index.FieldNamespace, f.Namespaces)
	return clauses
}
