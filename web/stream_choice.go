package web

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/web/label"
)

const (
	// choiceHours is how far back the events are counted that a choice would have
	// matched.
	choiceHours = 7 * 24
	// maxChoices bounds the choices of a list; others are typed.
	maxChoices = 200
	// leastTally and mostTally are how long a count is shown: the longer it took,
	// tallyCost times that.
	leastTally = 5 * time.Second
	mostTally  = 10 * time.Minute
	tallyCost  = 2000
	maxTallies = 64 // places
	// otherTypes is how control names the types that it sums.
	otherTypes = "other"
)

// choiceList is a part of the filter as the page shows it.
type choiceList struct {
	ID, Name, Label, Hint string
	Summary               string // what is chosen
	Open                  bool
	Rows                  []choiceView
	OthersHint            string
	Problem               string
}

type choiceView struct {
	ID, Value, Count string // Count may be ""
	Selected         bool
}

// choiceLabels are the labels of the lists, in their order.
func choiceLabels() []string {
	w := label.English()
	return []string{w.FilterByType, "Exclude audit event types", w.FilterByNamespace}
}

// tally counts the events of the last seven days. It is never changed once it is
// made.
type tally struct {
	until             time.Time
	types, namespaces map[string]uint64
}

// tallyOf counts the events of a place by type, and by group and project, those
// below each included. Those of all enterprises and groups together are counted by
// type alone.
func (s *Site) tallyOf(ctx context.Context, v *visit, p *place) (*tally, error) {
	now := time.Now()
	if t := s.tallies.get(p.Namespace, now); t != nil {
		return t, nil
	}
	hours, err := s.service.Counts(ctx, v.by, control.CountQuery{Namespace: p.Namespace, Hours: choiceHours, Both: p.Namespace != sluice.Instance})
	if err != nil {
		return nil, err
	}
	done := time.Now()
	t := &tally{until: done.Add(min(mostTally, leastTally+tallyCost*done.Sub(now))), types: map[string]uint64{}, namespaces: map[string]uint64{}}
	for i := range hours {
		for name, n := range hours[i].Types {
			if name != otherTypes && name != "" {
				t.types[name] += n
			}
		}
		for path, n := range hours[i].Namespaces {
			for strings.Contains(path, "/") {
				t.namespaces[path] += n
				path = path[:strings.LastIndexByte(path, '/')]
			}
		}
	}
	t.cut()
	s.tallies.put(p.Namespace, t, done)
	return t, nil
}

// cut leaves what can be chosen: the most frequent names.
func (t *tally) cut() {
	for _, counts := range []map[string]uint64{t.types, t.namespaces} {
		for i, name := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b)) }) {
			if i >= maxChoices {
				delete(counts, name)
			}
		}
	}
}

// tallies remember the tallies of some places for a while: what was counted in
// seven days changes little, and is asked for with every answer to a form. They
// are for those alone who may change streams there.
type tallies struct {
	mu      sync.Mutex
	byPlace map[string]*tally
}

func (t *tallies) get(namespace string, now time.Time) *tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	if found := t.byPlace[namespace]; found != nil && now.Before(found.until) {
		return found
	}
	return nil
}

func (t *tallies) put(namespace string, found *tally, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.byPlace, func(_ string, old *tally) bool { return !now.Before(old.until) })
	if t.byPlace == nil || len(t.byPlace) >= maxTallies {
		t.byPlace = map[string]*tally{}
	}
	t.byPlace[namespace] = found
}

// choose shows the filter of an entry.
func (f *streamForm) choose(e *entry, t *tally) {
	labels := choiceLabels()
	lists := []struct {
		name, hint, none, others string
		chosen                   []string
		counts                   map[string]uint64
	}{
		{"types", "Only events of these types are sent.", "all types", "Other types, one a line", e.types, t.types},
		{"excluded", "Events of these types are not sent.", "none", "Other types, one a line", e.excluded, t.types},
		{"namespaces", "Only events of these groups or projects, and of what lies below them, are sent.", "all groups and projects", "Other groups or projects, one a line", e.namespaces, t.namespaces},
	}
	for i, l := range lists {
		c := choiceList{ID: f.Prefix + l.name, Name: l.name, Label: labels[i], Hint: l.hint, Summary: l.none, OthersHint: l.others}
		if n := len(l.chosen); n > 0 {
			c.Summary = strconv.Itoa(n) + " chosen"
		}
		c.Rows = choiceRows(c.ID, l.chosen, l.counts)
		f.Choices = append(f.Choices, c)
	}
}

// choiceRows lists what is chosen and what was counted, by name.
func choiceRows(id string, chosen []string, counts map[string]uint64) []choiceView {
	names := slices.Collect(maps.Keys(counts))
	for _, name := range chosen {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	rows := make([]choiceView, 0, len(names))
	for i, name := range names {
		rows = append(rows, choiceView{ID: id + "-" + strconv.Itoa(i), Value: name, Count: count(counts[name]), Selected: slices.Contains(chosen, name)})
	}
	return rows
}

// preview says what the filter of a form would have let pass.
func (s *Site) preview(ctx context.Context, v *visit, p *place, f *streamForm, filter sluice.Filter) error {
	if filter.Empty() {
		return nil
	}
	n, err := s.service.PreviewStream(ctx, v.by, control.StreamSpec{Namespace: p.Namespace, Filter: filter})
	if _, told := errors.AsType[*sluice.Error](err); told {
		return nil // there is no index, or the filter is wrong, which is told where it is used
	}
	if err != nil {
		return err
	}
	f.Matched = "Of the events of the last 7 days, " + count(n.Delivered) + " of " + count(n.Delivered+n.Filtered) + " match."
	return nil
}
