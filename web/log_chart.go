package web

import (
	"cmp"
	"context"
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
}

// bar is a day of a chart.
type bar struct {
	Day         time.Time
	Events      uint64
	Address     string // of the log of this day
	X, Y, Tall  int
	Left, Width int // of what can be clicked
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
func (s *Site) chartOf(ctx context.Context, v *visit, p *place, q logQuery) (*chart, error) {
	first, last := q.chartSpan(time.Now())
	shown := q
	shown.From, shown.To = first.Format(dateFormat), last.Format(dateFormat)
	counts, err := s.counts.of(ctx, s.service, v.by, control.EventCountQuery{
		Namespace: p.Namespace, Phrase: shown.narrow(), Class: q.Class, By: control.CountByDay,
	}, manyDays)
	if err != nil {
		return nil, err
	}
	byDay := map[string]uint64{}
	c := &chart{Height: chartHeight, First: first, Last: last}
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
		Day: day, Events: events, Address: address, Left: c.Width, Width: barWidth, X: c.Width + barGap/2, Y: chartHeight - tall, Tall: tall,
	})
	c.Width += barWidth
}

// Wide is the width of a bar.
func (bar) Wide() int { return barWidth - barGap }

// Label says what a bar shows.
func (b bar) Label() string {
	unit := "events"
	if b.Events == 1 {
		unit = "event"
	}
	return b.Day.Format("Mon 2 Jan 2006") + ": " + count(b.Events) + " " + unit
}

// typeChoice is a type of events that can be asked for.
type typeChoice struct {
	Name   string
	Events uint64
	Chosen bool
}

// maxTypes is how many types can be chosen.
const maxTypes = 200

// typesOf lists the types of the events that the rest of the query finds, by name.
func (s *Site) typesOf(ctx context.Context, v *visit, p *place, q logQuery) ([]typeChoice, error) {
	chosen := strings.ToLower(q.Type)
	q.Type = ""
	counts, err := s.counts.of(ctx, s.service, v.by, control.EventCountQuery{
		Namespace: p.Namespace, Phrase: q.narrow(), Class: q.Class, By: control.CountByType,
	}, maxTypes)
	if err != nil {
		return nil, err
	}
	list := make([]typeChoice, 0, len(counts.Counts))
	for _, b := range counts.Counts {
		list = append(list, typeChoice{b.Name, b.Events, b.Name == chosen})
	}
	if chosen != "" && !slices.ContainsFunc(list, func(c typeChoice) bool { return c.Chosen }) {
		list = append(list, typeChoice{Name: chosen, Chosen: true})
	}
	slices.SortFunc(list, func(a, b typeChoice) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}
