package web

import (
	"context"
	"slices"
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
	if data.Filtered {
		return nil
	}
	hours, err := s.service.Counts(ctx, v.by, control.CountQuery{Namespace: st.Namespace, Hours: weekHours})
	if err != nil {
		return err
	}
	data.Waiting = waitingGraph(st, minutes, hours, now)
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

// waitingGraph shows how many events waited at the end of each hour: as many as
// now, less what came since and more what was delivered since. That holds for a
// stream without a filter, but for what expired or went into quarantine.
func waitingGraph(st *control.Stream, minutes []control.Minute, hours []control.HourCounts, now time.Time) graph {
	first := now.Truncate(weekStep).Add(-(weekHours - 1) * weekStep)
	came, left := make([]float64, weekHours), make([]float64, weekHours)
	for i := range hours {
		if at := int(hours[i].Time.Sub(first) / weekStep); at >= 0 && at < weekHours {
			came[at] = float64(hours[i].Events)
		}
	}
	for _, m := range minutes {
		if at := int(m.Time.Sub(first) / weekStep); !m.Time.Before(first) && at < weekHours {
			left[at] += float64(m.Delivered)
		}
	}
	list := make([]figure, weekHours)
	waiting := float64(st.Ledger.Pending)
	for i := range slices.Backward(list) {
		list[i].Value = max(0, waiting)
		if first.Add(time.Duration(i+1) * weekStep).Before(st.CreatedAt) {
			list[i].Value = 0
		}
		waiting += left[i] - came[i]
	}
	g := graph{Title: "Events that waited in the last 7 days", Summary: plural(st.Ledger.Pending, "event waits", "events wait") + " now, at most " + short(highest(list)), Top: short(highest(list)), From: first, To: now}
	g.line(list)
	return g
}
