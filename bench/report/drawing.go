package report

import (
	"fmt"

	"github.com/sluicelog/sluice/bench/report/chart"
)

// Series of long runs that are drawn, by their names in Result.Series.
const (
	SeriesRSS        = "rss MiB"
	SeriesGoroutines = "goroutines"
	SeriesFiles      = "open files"
	SeriesLog        = "log MiB"
	SeriesLag        = "events that wait"
)

// A drawing is a chart of what is kept; draw returns nil when that is not there.
type drawing struct {
	file, alt string
	draw      func(all []Kept) []byte
}

func drawings() []drawing {
	return []drawing{
		{"floor.svg", "Events accepted and delivered in a second, over those of the floor", drawFloor},
		{"latency.svg", "Times from end to end", drawLatency},
		{"peers.svg", "Events that Sluice and peers accept and deliver in a second", drawPeers},
		{"soak.svg", "Memory, goroutines, open files and log during the soak", drawSoak},
		{"backlog.svg", "Events that wait while a backlog is delivered", drawBacklog},
	}
}

// figures are one value of each run.
func figures(list []*Result, value func(*Result) float64) (values []float64) {
	for _, r := range list {
		values = append(values, value(r))
	}
	return values
}

// bar is the median of values with their range.
func bar(values []float64) (b chart.Bar) {
	for i, v := range values {
		if i == 0 {
			b.Min, b.Max = v, v
		}
		b.Min, b.Max = min(b.Min, v), max(b.Max, v)
	}
	b.Value = Median(values)
	return b
}

// drawFloor shows the scenarios that have the floor as their base.
func drawFloor(all []Kept) []byte {
	c := chart.Bars{Text: chart.Text{Title: "Sluice over the floor", X: "events a second, those of the floor being 1",
		Desc: "For each scenario the median ratio of Sluice to the floor within a round, with its range, for events accepted and delivered in a second. A red mark is what is to be reached."},
		Series: []string{"accepted", "delivered"}, Number: Number}
	for i := range all {
		s := &all[i].Scenario
		if s.BaseName != "floor" || len(s.Others) > 0 {
			continue
		}
		g := chart.Group{Name: s.Name, Bars: []chart.Bar{
			bar(s.ratios(func(r *Result) float64 { return r.Acked })), bar(s.ratios(func(r *Result) float64 { return r.Delivered }))}}
		for n, name := range []string{"acked / floor", "delivered / floor"} {
			for _, o := range s.Outcomes {
				if o.Name == name {
					_, _ = fmt.Sscanf(o.Target, ">= %g", &g.Bars[n].Target) // none stays none
				}
			}
		}
		c.Groups = append(c.Groups, g)
	}
	if c.Groups == nil {
		return nil
	}
	return c.SVG()
}

// ratios are those of test to base, round by round.
func (s *Scenario) ratios(value func(*Result) float64) (values []float64) {
	for _, r := range s.Rounds {
		if r.Base != nil && r.Test != nil && value(r.Base) > 0 {
			values = append(values, value(r.Test)/value(r.Base))
		}
	}
	return values
}

// drawLatency shows the times from end to end wherever there is a floor or peers.
func drawLatency(all []Kept) []byte {
	c := chart.Bars{Text: chart.Text{Title: "From end to end", X: "milliseconds (each step is ten times the one before)",
		Desc: "The median and the longest of 99 of 100 times from sending an event until it is at its destination, for Sluice, the floor and peers."},
		Series: []string{"p50", "p99"}, Log: true, Number: Number}
	for i := range all {
		s := &all[i].Scenario
		if s.BaseName != "floor" {
			continue
		}
		for _, v := range s.variants() {
			list := s.results(v.pick)
			p50 := bar(figures(list, func(r *Result) float64 { return r.E2EP50 }))
			if p50.Value == 0 {
				continue
			}
			c.Groups = append(c.Groups, chart.Group{Name: s.Name + ", " + short(v.name),
				Bars: []chart.Bar{p50, bar(figures(list, func(r *Result) float64 { return r.E2EP99 }))}})
		}
	}
	if c.Groups == nil {
		return nil
	}
	return c.SVG()
}

// short is a name up to its first comma or blank, for labels.
func short(name string) string {
	for i, r := range name {
		if r == ',' || r == ' ' {
			return name[:i]
		}
	}
	return name
}

// drawPeers shows the throughput beside peers.
func drawPeers(all []Kept) []byte {
	c := chart.Bars{Text: chart.Text{Title: "Beside peers", X: "events a second (each step is ten times the one before)",
		Desc: "Events accepted and delivered in a second by the floor, Sluice and peers. The floor, Sluice and the Collector have synced what they accept; syslog-ng answers nothing, and accepted is what the system took for it."},
		Series: []string{"accepted", "delivered"}, Log: true, Number: Number}
	for i := range all {
		s := &all[i].Scenario
		if s.BaseName == "" || len(s.Others) == 0 {
			continue
		}
		for _, v := range s.variants() {
			if list := s.results(v.pick); len(list) > 0 {
				c.Groups = append(c.Groups, chart.Group{Name: s.Name + ", " + short(v.name), Bars: []chart.Bar{
					bar(figures(list, func(r *Result) float64 { return r.Acked })), bar(figures(list, func(r *Result) float64 { return r.Delivered }))}})
			}
		}
	}
	if c.Groups == nil {
		return nil
	}
	return c.SVG()
}

func drawSoak(all []Kept) []byte {
	return drawSeries(all, chart.Text{Title: "Soak", X: "minutes",
		Desc: "What the server takes of the machine while 20,000 events a second come in and go to 20 streams: resident memory, goroutines, open files and connections, and the log on disk, which is bounded by size."},
		SeriesRSS, SeriesGoroutines, SeriesFiles, SeriesLog)
}

func drawBacklog(all []Kept) []byte {
	return drawSeries(all, chart.Text{Title: "A backlog is delivered", X: "minutes since the stream resumed",
		Desc: "How many events wait for a stream that resumes with a backlog, while producers go on at full rate."}, SeriesLag)
}

// drawSeries draws series of the last run that has the first of them.
func drawSeries(all []Kept, text chart.Text, names ...string) []byte {
	for i := range all {
		rounds := all[i].Scenario.Rounds
		if len(rounds) == 0 {
			continue
		}
		r := rounds[len(rounds)-1].Test
		if r == nil || len(r.Series[names[0]]) == 0 {
			continue
		}
		c := chart.Lines{Text: text, Number: Number}
		for _, name := range names {
			p := chart.Panel{Name: name}
			for _, point := range r.Series[name] {
				p.Points = append(p.Points, [2]float64{point[0] / 60, point[1]})
			}
			c.Panels = append(c.Panels, p)
		}
		return c.SVG()
	}
	return nil
}
