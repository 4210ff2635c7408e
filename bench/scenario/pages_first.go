package scenario

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/bench/target"
)

// Names of first views: pages of which each address is read once, so that nothing
// of them is remembered.
const (
	newSearch       = "page new search"
	newOrganization = "page new organization"
)

// newSearches are what people look for in a log, drawn as often as it occurs.
func newSearches() map[string]func(a *asker) url.Values {
	until := func(name, value string) url.Values { return url.Values{name: {value}, "to": {lastDay()}} }
	day := func(n int) string { return corpus.From().AddDate(0, 0, n).Format(time.DateOnly) }
	return map[string]func(a *asker) url.Values{
		"word": func(a *asker) url.Values { return until("phrase", a.corpus.Sample(a.random).Word) },
		"word, 90 days": func(a *asker) url.Values {
			v := until("phrase", a.corpus.Sample(a.random).Word)
			v.Set("days", "90")
			return v
		},
		"all but a type": func(a *asker) url.Values { return until("phrase", "-type:"+a.corpus.Sample(a.random).Type) },
		"two types": func(a *asker) url.Values {
			return until("phrase", "type:"+a.corpus.Sample(a.random).Type+" type:"+a.corpus.Sample(a.random).Type)
		},
		"author": func(a *asker) url.Values { return until("author", a.corpus.Sample(a.random).Actor) },
		"author, of a type": func(a *asker) url.Values {
			v := until("author", a.corpus.Sample(a.random).Actor)
			v.Set("type", a.corpus.Sample(a.random).Type)
			return v
		},
		"type": func(a *asker) url.Values { return until("type", a.corpus.Sample(a.random).Type) },
		"days": func(a *asker) url.Values {
			first := a.random.IntN(corpus.Days)
			return url.Values{"from": {day(first)}, "to": {day(first + a.random.IntN(corpus.Days-first))}}
		},
	}
}

// firstViews measures searches in the organization with the most events, and the
// logs of others, each as nobody has asked for it before.
func (s *session) firstViews(ctx context.Context, a *asker, browser *target.Browser) error {
	const each = 20 // addresses
	searches, largest := newSearches(), a.corpus.Largest()
	var paths []string
	for _, kind := range slices.Sorted(maps.Keys(searches)) {
		for range min(each, questions(a.events)) {
			paths = append(paths, logOf(largest)+"?"+searches[kind](a).Encode())
		}
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	a.random.Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
	if err := s.viewOnce(ctx, newSearch, browser, paths); err != nil {
		return err
	}
	paths = nil
	for n := range min(corpus.Organizations, questions(a.events)) {
		if name := corpus.Tenant(n); name != largest {
			paths = append(paths, logOf(name)+"?to="+lastDay())
		}
	}
	return s.viewOnce(ctx, newOrganization, browser, paths)
}

func logOf(organization string) string {
	return "/-/groups/" + url.PathEscape(organization) + "/audit-log"
}

// viewOnce reads each of some pages once.
func (s *session) viewOnce(ctx context.Context, name string, browser *target.Browser, paths []string) error {
	var times []float64
	later := 0.0
	for _, path := range paths {
		v, err := browser.View(ctx, path)
		if err != nil {
			return err
		}
		times = append(times, milliseconds(int64(v.Took)))
		if v.Later {
			later++
		}
	}
	s.pageTimes(name, times)
	s.extra(name+" views", float64(len(times)))
	s.extra(name+" views, counted later", later)
	return nil
}
