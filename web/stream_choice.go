package web

import (
	"cmp"
	"context"
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
	// maxChoices bounds the choices that a list shows, besides those that are chosen;
	// others are searched for among the maxTally most frequent ones, or typed.
	maxChoices = 200
	maxTally   = 2048
	// leastTally and mostTally are how long a count is shown: the longer it took,
	// tallyCost times that.
	leastTally = 5 * time.Second
	mostTally  = 10 * time.Minute
	tallyCost  = 2000
	maxTallies = 64 // places
	// otherTypes is how control names the types that it sums.
	otherTypes = "other"
)

// Names of the lists of choices. What is searched for in one has a suffix, and what
// was searched for when the form was made.
const (
	listTypes      = "types"
	listExcluded   = "excluded"
	listNamespaces = "namespaces"
	searchSuffix   = ".search"
	searchedSuffix = ".searched"
)

func choiceNames() []string { return []string{listTypes, listExcluded, listNamespaces} }

// choiceList is a part of the filter as the page shows it.
type choiceList struct {
	ID, Name, Label, Hint string
	Summary               string // what is chosen
	Open                  bool
	Rows                  []choiceView
	Counted               bool   // they have numbers
	Query                 string // what was searched for
	Cut                   bool   // there are more
	Focus                 bool   // on the search
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

// cut leaves the most frequent names.
func (t *tally) cut() {
	for _, counts := range []map[string]uint64{t.types, t.namespaces} {
		for i, name := range byCount(slices.Collect(maps.Keys(counts)), counts) {
			if i >= maxTally {
				delete(counts, name)
			}
		}
	}
}

// byCount sorts names, those with the most events first.
func byCount(names []string, counts map[string]uint64) []string {
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b)) })
	return names
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

// offers is what can be chosen at a place.
type offers struct {
	*tally
	places []string // that are known, besides those that were counted
}

// offersOf returns what the form with an entry offers. Groups and projects without
// events of late are found by searching; of the instance, it is enterprises and
// groups that are offered, without numbers.
func (s *Site) offersOf(ctx context.Context, v *visit, p *place, e *entry) (*offers, error) {
	counts, err := s.tallyOf(ctx, v, p)
	if err != nil {
		return nil, err
	}
	o := &offers{tally: counts}
	var list []control.Namespace
	switch query := e.searches[listNamespaces]; {
	case p.Namespace == sluice.Instance:
		list, _, err = s.service.TopLevels(ctx, v.by, query, maxChoices+1)
	case query != "":
		list, err = s.service.Namespaces(ctx, v.by, p.Namespace)
	}
	for _, n := range list {
		if path := sluice.FoldNamespace(n.Path); path != sluice.FoldNamespace(p.Namespace) {
			o.places = append(o.places, path)
		}
	}
	return o, err
}

// choose shows the filter of an entry.
func (f *streamForm) choose(e *entry, o *offers) {
	labels := choiceLabels()
	places := slices.Concat(slices.Collect(maps.Keys(o.namespaces)), o.places)
	types := slices.Collect(maps.Keys(o.types))
	for i, l := range []struct {
		name, hint, none, others string
		chosen, names            []string
		counts                   map[string]uint64
		same                     func(string) string
	}{
		{listTypes, "Only events of these types are sent.", "all types", "Other types, one a line", e.types, types, o.types, strings.Clone},
		{listExcluded, "Events of these types are not sent.", "none", "Other types, one a line", e.excluded, types, o.types, strings.Clone},
		{listNamespaces, "Only events of these, and of what lies below them, are sent.", "all groups and projects", "Others, one a line, such as acme/web", e.namespaces, places, o.namespaces, sluice.FoldNamespace},
	} {
		c := choiceList{ID: f.Prefix + l.name, Name: l.name, Label: labels[i], Hint: l.hint, Summary: l.none, OthersHint: l.others, Query: e.searches[l.name], Counted: len(l.counts) > 0}
		if n := len(l.chosen); n > 0 {
			c.Summary = strconv.Itoa(n) + " chosen"
		}
		c.list(l.chosen, l.names, l.counts, l.same)
		f.Choices = append(f.Choices, c)
	}
}

// list lists what is chosen, and of the names those that are searched for, the most
// frequent ones if there are too many. same makes the spellings of a name equal.
func (c *choiceList) list(chosen, names []string, counts map[string]uint64, same func(string) string) {
	query, taken := strings.ToLower(c.Query), map[string]bool{}
	for _, name := range chosen {
		taken[same(name)] = true
	}
	shown := slices.Clone(chosen)
	for _, name := range byCount(slices.Clone(names), counts) {
		if taken[name] || !strings.Contains(strings.ToLower(name), query) {
			continue
		}
		if c.Cut = len(shown) >= maxChoices+len(chosen); c.Cut {
			break
		}
		taken[name] = true
		shown = append(shown, name)
	}
	slices.Sort(shown)
	c.Rows = make([]choiceView, 0, len(shown))
	for i, name := range shown {
		view := choiceView{ID: c.ID + "-" + strconv.Itoa(i), Value: name, Selected: slices.Contains(chosen, name)}
		if n := counts[same(name)]; n > 0 {
			view.Count = count(n)
		}
		c.Rows = append(c.Rows, view)
	}
}
