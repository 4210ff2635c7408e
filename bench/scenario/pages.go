package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"time"

	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/bench/report"
)

// What a page may cost.
const (
	pageMillis  = 50         // milliseconds, 95 of 100
	pageBytes   = 100 * 1000 // over the wire
	pageStreams = 200        // of the enterprise whose pages are read
)

// sheet is a page that people look at.
type sheet struct {
	name string
	path func(group, word string, stream int64) string
}

// sheets are the pages that are measured, as an administrator reads them.
func sheets() []sheet {
	log := "/audit-log?to=" + lastDay()
	within := func(name, end string) sheet {
		return sheet{name, func(group, _ string, _ int64) string { return group + end }}
	}
	return []sheet{
		{"page Search or go to", func(string, string, int64) string { return "/-/" }},
		within("page Audit log", log),
		{"page Audit log, word", func(group, word string, _ int64) string { return group + log + "&phrase=" + url.QueryEscape(word) }},
		within("page Log streaming", "/log-streaming"),
		within("page Configure stream", "/log-streaming/new?kind=http"),
		{"page stream", func(group, _ string, id int64) string { return fmt.Sprintf("%s/streams/%d", group, id) }},
		within("page Members", "/members"),
		{"page Audit log of all", func(string, string, int64) string { return "/-/instance" + log }},
		{"page System", func(string, string, int64) string { return "/-/instance/system" }},
	}
}

// pageMeasures are what is wanted of each page.
func pageMeasures() (out []report.Measure) {
	for _, p := range sheets() {
		out = append(out, extraMeasure(p.name+" p95 ms", "<= 50", report.AtMost(pageMillis)),
			extraMeasure(p.name+" bytes", "<= 100,000", report.AtMost(pageBytes)))
	}
	for _, name := range []string{newSearch, newOrganization} {
		out = append(out, extraMeasure(name+" p95 ms", "<= 50", report.AtMost(pageMillis)))
	}
	return out
}

// lastDay is the last day of the log that is searched: pages are asked for until
// then, so that the days they count have events.
func lastDay() string { return corpus.From().AddDate(0, 0, corpus.Days-1).Format(time.DateOnly) }

// viewPages measures the pages of the organization with the most events, which
// has many streams.
func viewPages(ctx context.Context, s *session) error {
	group := s.filled.corpus.Largest()
	id, err := s.sluice.HaveStreams(ctx, group, pageStreams)
	if err != nil {
		return err
	}
	browser, err := s.sluice.SignIn(ctx, fmt.Sprintf("reader-%d", time.Now().UnixNano()))
	if err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	a := &asker{corpus: s.filled.corpus, events: s.filled.Events, random: rand.New(rand.NewPCG(3, 4))}
	word := a.corpus.Sample(a.random).Word
	for _, p := range sheets() {
		path := p.path("/-/groups/"+url.PathEscape(group), word, id)
		first, err := browser.View(ctx, path) // what it counts is remembered for the next ones
		if err != nil {
			return err
		}
		s.extra(p.name+" first ms", milliseconds(int64(first.Took)))
		times, most := []float64{}, int64(0)
		for range max(10, questions(a.events)/3) {
			v, err := browser.View(ctx, path)
			if err != nil {
				return err
			}
			times, most = append(times, milliseconds(int64(v.Took))), max(most, v.Bytes)
		}
		s.pageTimes(p.name, times)
		s.extra(p.name+" bytes", float64(most))
	}
	if err := s.firstViews(ctx, a, browser); err != nil {
		return err
	}
	return s.peak("web pages")
}

// pageTimes keeps the middle of times, what one in twenty exceeds, and the most.
func (s *session) pageTimes(name string, times []float64) {
	slices.Sort(times)
	s.extra(name+" p50 ms", report.Median(times))
	s.extra(name+" p95 ms", times[(len(times)*95+99)/100-1])
	s.extra(name+" max ms", times[len(times)-1])
}
