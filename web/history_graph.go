package web

import (
	"context"
	"time"

	"github.com/sluicelog/sluice/control"
)

const (
	dayStep   = 10 * time.Minute
	weekStep  = time.Hour
	weekHours = 7 * 24
)

// historyGraphs adds what a stream delivered, and what waited.
func (s *Site) historyGraphs(ctx context.Context, v *visit, data *historyData) error {
	st := data.Head.Stream
	minutes, err := s.service.Activity(ctx, v.by, st.ID, weekHours*60)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	data.Day = deliveredGraph("Delivered in the last 24 hours", minutes, now, dayStep, int(24*time.Hour/dayStep))
	data.Week = deliveredGraph("Delivered in the last 7 days", minutes, now, weekStep, weekHours)
	samples, err := s.service.Lag(ctx, v.by, st.ID, weekHours)
	if err != nil {
		return err
	}
	data.Waiting = waitingGraph(st, samples, now)
	return nil
}

// deliveredGraph shows what was delivered in each step of time; steps with
// failures are marked.
func deliveredGraph(title string, minutes []control.Minute, now time.Time, step time.Duration, steps int) graph {
	first := now.Truncate(step).Add(-time.Duration(steps-1) * step)
	list, failures := make([]figure, steps), make([]uint64, steps)
	events, bytes, failed := uint64(0), uint64(0), uint64(0)
	for _, m := range minutes {
		i := int(m.Time.Sub(first) / step)
		if m.Time.Before(first) || i >= steps {
			continue
		}
		list[i].Value += float64(m.Delivered)
		failures[i] += m.Failures
		events, bytes, failed = events+m.Delivered, bytes+m.Bytes, failed+m.Failures
	}
	top := highest(list)
	for i := range list {
		list[i].Title = first.Add(time.Duration(i)*step).Format("2 Jan 15:04") + " UTC: " + plural(uint64(list[i].Value), "event", "events")
		if failures[i] > 0 {
			list[i].Bad = true
			list[i].Title += ", " + plural(failures[i], "failed try", "failed tries")
		}
	}
	g := graph{Title: title, From: first, To: now, Summary: plural(events, "event", "events") + ", " + size(bytes)}
	if failed > 0 {
		g.Summary += ", " + plural(failed, "failed try", "failed tries")
	}
	g.Top = short(top) + " in " + lasting(step)
	g.bars(list)
	return g
}

// waitingGraph shows the most events that waited in each hour, as far as that is
// known.
func waitingGraph(st *control.Stream, samples []control.LagSample, now time.Time) graph {
	first := now.Truncate(weekStep).Add(-(weekHours - 1) * weekStep)
	list, known := make([]figure, weekHours), make([]bool, weekHours)
	top := control.Health{}
	for _, x := range append(samples, control.LagSample{Time: now, Events: st.Health.LagEvents, Seconds: uint64(st.Health.LagSeconds)}) {
		i := int(x.Time.Sub(first) / weekStep)
		if x.Time.Before(first) || i >= weekHours {
			continue
		}
		lag := control.Health{LagEvents: x.Events, LagSeconds: float64(x.Seconds)}
		top.LagEvents, top.LagSeconds = max(top.LagEvents, lag.LagEvents), max(top.LagSeconds, lag.LagSeconds)
		if most := float64(x.Events); !known[i] || most >= list[i].Value {
			known[i], list[i] = true, figure{Value: most, Title: hourWords(first, i) + " UTC: " + lagWords(&lag)}
		}
	}
	g := graph{Title: "Events that waited in the last 7 days", Summary: lagWords(&st.Health) + " now", Top: count(top.LagEvents), From: first, To: now}
	if top.LagEvents > 0 {
		g.Summary += "; at most " + lagWords(&top)
	}
	if g.blanks(known, first, st.CreatedAt); !g.Empty() {
		g.Summary += "; nothing is known where it is grey"
	}
	g.bars(list)
	return g
}

func hourWords(first time.Time, i int) string {
	return first.Add(time.Duration(i) * weekStep).Format("2 Jan 15:04")
}

// blanks marks the hours that are not known, with the reason: up to the one in
// which the stream was made there was nothing to know.
func (c *graph) blanks(known []bool, first, made time.Time) {
	reason := func(i int) string {
		switch {
		case known[i]:
			return ""
		case first.Add(time.Duration(i) * weekStep).After(made):
			return "not recorded"
		}
		return "before the stream was made"
	}
	for from, end := 0, 0; from < len(known); from = end {
		why := reason(from)
		for end = from + 1; end < len(known) && reason(end) == why; end++ {
		}
		if why != "" {
			c.blank(from, end, len(known), hourWords(first, from)+" to "+hourWords(first, end)+" UTC: "+why)
		}
	}
}
