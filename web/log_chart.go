package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicelog/sluice/control"
)

// Sizes of the chart, in units of its own: it is as wide as the page.
const (
	chartHeight = 64
	barWidth    = 10
	barGap      = 2
	leastBar    = 2 // of a day with any event
)

// chart shows how many events happened on each day.
type chart struct {
	Width, Height int
	Bars          []bar
	Events        uint64 // of all days
	Most          uint64 // of one day
	First, Last   time.Time
	Spans         []link // other numbers of days
	Counting      bool   // how many events there are is not known yet
}

// bar is a day of a chart.
type bar struct {
	Day         time.Time
	Events      uint64
	Address     string // of the log of this day
	X, Y, Tall  int
	Left, Width int // of what can be clicked
	counting    bool
}

// chartSpan returns the first and last day of the chart.
func (q logQuery) chartSpan(now time.Time) (first, last time.Time) {
	last = now.UTC().Truncate(24 * time.Hour)
	if to, err := time.Parse(dateFormat, q.To); err == nil {
		last = to
	}
	first = last.AddDate(0, 0, 1-q.Days)
	if from, err := time.Parse(dateFormat, q.From); err == nil {
		last = slices.MaxFunc([]time.Time{last, from}, time.Time.Compare)
		first = slices.MaxFunc([]time.Time{from, last.AddDate(0, 0, 1-manyDays)}, time.Time.Compare)
	}
	return first, last
}

// chartOf counts the events of the days that a query asks for, or of the last ones.
// Its days can be clicked before they are counted.
func (s *Site) chartOf(ctx context.Context, v *visit, p *place, q logQuery) (*chart, error) {
	first, last := q.chartSpan(time.Now())
	shown := q
	shown.From, shown.To = first.Format(dateFormat), last.Format(dateFormat)
	counts, err := s.counts.of(ctx, v.by, control.EventCountQuery{Namespace: p.Namespace, Phrase: shown.narrow(), Class: q.Class, By: control.CountByDay})
	c := &chart{Height: chartHeight, First: first, Last: last, Counting: errors.Is(err, errLater)}
	if err != nil && !c.Counting {
		return nil, err
	}
	byDay := map[string]uint64{}
	for _, b := range counts.Counts {
		byDay[b.Name] = b.Events
		c.Most = max(c.Most, b.Events)
		c.Events += b.Events
	}
	for day := first; !day.After(last); day = day.AddDate(0, 0, 1) {
		name := day.Format(dateFormat)
		c.add(day, byDay[name], q.with(p.Root, func(q *logQuery) { q.From, q.To = name, name }))
	}
	if q.From == "" {
		for _, days := range []int{fewDays, manyDays} {
			c.Spans = append(c.Spans, link{fmt.Sprintf("%d days", days), q.with(p.Root, func(q *logQuery) { q.Days = days }), q.Days == days})
		}
	}
	return c, nil
}

func (c *chart) add(day time.Time, events uint64, address string) {
	tall := int(events * chartHeight / cmp.Or(c.Most, 1))
	if events > 0 {
		tall = max(tall, leastBar)
	}
	c.Bars = append(c.Bars, bar{
		Day: day, Events: events, counting: c.Counting, Address: address, Left: c.Width, Width: barWidth, X: c.Width + barGap/2, Y: chartHeight - tall, Tall: tall,
	})
	c.Width += barWidth
}

// Wide is the width of a bar.
func (bar) Wide() int { return barWidth - barGap }

// Label says what a bar shows.
func (b bar) Label() string {
	day := b.Day.Format("Mon 2 Jan 2006")
	switch {
	case b.counting:
		return day
	case b.Events == 1:
		return day + ": 1 event"
	}
	return day + ": " + count(b.Events) + " events"
}

// typeChoices are the types of events that can be asked for, all those of a place:
// what else a query asks for does not narrow them, since counting types costs too
// much to do it anew with each phrase.
type typeChoices struct {
	List     []typeChoice
	Counted  bool // the numbers are those of what the query finds
	Counting bool // the types are not known yet
}

type typeChoice struct {
	Name   string
	Events uint64
	Chosen bool
}

// maxTypes is how many types can be chosen.
const maxTypes = 200

// typesOf lists the types of the events of a place, by name.
func (s *Site) typesOf(ctx context.Context, v *visit, p *place, q logQuery) (typeChoices, error) {
	counts, err := s.counts.of(ctx, v.by, control.EventCountQuery{Namespace: p.Namespace, Class: q.Class, By: control.CountByType})
	out := typeChoices{Counting: errors.Is(err, errLater)}
	if err != nil && !out.Counting {
		return out, err
	}
	chosen := strings.ToLower(q.Type)
	for _, b := range counts.Counts {
		out.List = append(out.List, typeChoice{b.Name, b.Events, b.Name == chosen})
	}
	if chosen != "" && !slices.ContainsFunc(out.List, func(c typeChoice) bool { return c.Chosen }) {
		out.List = append(out.List, typeChoice{Name: chosen, Chosen: true})
	}
	slices.SortFunc(out.List, func(a, b typeChoice) int { return cmp.Compare(a.Name, b.Name) })
	q.Type, q.Class = "", ""
	out.Counted = !out.Counting && !q.Narrowed()
	return out, nil
}
