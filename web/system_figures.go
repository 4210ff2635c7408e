package web

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/sluicelog/sluice/control"
)

// graphHours is how far back the graph of events goes.
const graphHours = 7 * 24

// ingestFigures adds what came in, and how long it took to be on disk.
func (s *Site) ingestFigures(data *systemData, hours []control.HourCounts) {
	in := s.service.Intake()
	recent, long, ok := s.samples.add(data.Now, in)
	if ok {
		data.Ingest = append(data.Ingest, row{"Now", short(recent.Events) + " events/s", size(uint64(recent.Bytes)) + "/s, over " + lasting(recent.Over)})
	} else {
		data.Ingest = append(data.Ingest, row{"Now", "not measured yet", "open the page again in a few seconds"})
	}
	if ok && long.Over > recent.Over {
		data.Ingest = append(data.Ingest, row{"Last " + lasting(long.Over), short(long.Events) + " events/s", plural(long.Requests, "request", "requests") + ", " + count(long.Wrong) + " not stored"})
	}
	day := sumHours(hours, data.Now.Add(-24*time.Hour))
	data.Ingest = append(data.Ingest,
		row{"Last 24 hours", plural(day, "event", "events"), short(float64(day)/86400) + " events/s"},
		row{"Since the start", plural(in.Accepted, "event", "events"), plural(in.Duplicates, "duplicate", "duplicates") + ", " + plural(in.Requests, "request", "requests") + ", " + count(in.Failures) + " not stored"})
	data.Hours = hourGraph(hours, data.Now)
	data.latency(&in)
}

// sumHours counts the events of the hours that began after a time.
func sumHours(hours []control.HourCounts, after time.Time) (sum uint64) {
	for i := range hours {
		if hours[i].Time.After(after) {
			sum += hours[i].Events
		}
	}
	return sum
}

func hourGraph(hours []control.HourCounts, now time.Time) graph {
	first := now.UTC().Truncate(time.Hour).Add(-(graphHours - 1) * time.Hour)
	list := make([]figure, graphHours)
	for i := range list {
		list[i].Title = first.Add(time.Duration(i)*time.Hour).Format("2 Jan 15:04") + " UTC: none"
	}
	for i := range hours {
		at := int(hours[i].Time.Sub(first) / time.Hour)
		if at >= 0 && at < len(list) {
			list[at] = figure{Value: float64(hours[i].Events), Title: hours[i].Time.Format("2 Jan 15:04") + " UTC: " + plural(hours[i].Events, "event", "events")}
		}
	}
	top := highest(list)
	c := graph{Title: "Events an hour", Summary: "in the last 7 days, at most " + short(top), Top: short(top), From: first, To: now}
	c.bars(list)
	return c
}

// latency adds how long producers waited until their events were on disk.
func (d *systemData) latency(in *control.Intake) {
	if in.Requests == 0 {
		d.Latency = []row{{"Requests", "none since the start", ""}}
		return
	}
	mean := in.Waited / time.Duration(in.Requests)
	d.Latency = []row{
		{"Mean", millis(mean), "of " + plural(in.Requests, "request", "requests") + " since the start"},
		{"Half of them", quantile(in.Commits, 0.5), ""},
		{"95 of 100", quantile(in.Commits, 0.95), ""},
		{"99 of 100", quantile(in.Commits, 0.99), ""},
	}
	bounds := control.CommitBuckets()
	list := make([]figure, len(in.Commits))
	for i, n := range in.Commits {
		name := "longer than " + millis(bounds[len(bounds)-1])
		if i < len(bounds) {
			name = "up to " + millis(bounds[i])
		}
		list[i] = figure{Value: float64(n), Title: name + ": " + plural(n, "request", "requests")}
	}
	top := highest(list)
	d.Commits = graph{Title: "Requests by the time until they were on disk", Top: short(top), First: "up to " + millis(bounds[0]), Last: "longer than " + millis(bounds[len(bounds)-1])}
	d.Commits.bars(list)
}

// quantile says within which bound a part of the requests was on disk.
func quantile(commits []uint64, part float64) string {
	bounds, total := control.CommitBuckets(), uint64(0)
	for _, n := range commits {
		total += n
	}
	seen := uint64(0)
	for i, n := range commits {
		if seen += n; i < len(bounds) && float64(seen) >= part*float64(total) {
			return "within " + millis(bounds[i])
		}
	}
	return "longer than " + millis(bounds[len(bounds)-1])
}

// millis writes a short duration.
func millis(d time.Duration) string {
	if d >= time.Second {
		return strconv.FormatFloat(d.Seconds(), 'g', 3, 64) + " s"
	}
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'g', 3, 64) + " ms"
}

// classRow describes what is stored of a class of events.
type classRow struct {
	Name         string
	Events, Size string
	Oldest, Keep string
	Damaged      int
}

// diskFigures adds what the log occupies, and for how long the disk will do.
func (s *Site) diskFigures(ctx context.Context, data *systemData, hours []control.HourCounts) {
	u := usage{in: s.service.Intake()}
	for _, f := range s.service.Partitions(ctx) {
		events := uint64(0)
		if f.First > 0 && f.Last >= f.First {
			events = f.Last - f.First + 1
		}
		u.stored, u.log, u.raw, u.packed = u.stored+events, u.log+uint64(f.Stats.Bytes), u.raw+f.Stats.Raw, u.packed+f.Stats.Stored
		c := classRow{Name: className(f.Name), Events: count(events), Size: size(uint64(f.Stats.Bytes)), Oldest: "-", Keep: "for ever", Damaged: len(f.Stats.Damage)}
		if events > 0 {
			c.Oldest = lasting(f.Oldest)
		}
		if f.Keep.Age > 0 {
			c.Keep = lasting(f.Keep.Age)
		}
		if f.Keep.Bytes > 0 {
			c.Keep += ", at most " + size(uint64(f.Keep.Bytes))
		}
		data.Classes = append(data.Classes, c)
	}
	for _, x := range s.service.Indexes(ctx) {
		u.index += uint64(max(0, x.Bytes))
	}
	data.Disk = append(data.Disk, row{"Log and index", size(u.log + u.index), "with space that is reserved"})
	space := s.service.Space()
	if !space.Watched {
		return
	}
	data.Disk = append(data.Disk, row{"Free", size(space.Free), "below " + size(space.Floor) + " producers are refused"},
		row{"Forecast", forecast(space, u.perEvent(), sumHours(hours, data.Now.Add(-24*time.Hour))), "at the rate of the last 24 hours; what retention removes makes it longer"})
}

// usage is what is known of the space that events take.
type usage struct {
	in          control.Intake
	raw, packed uint64 // bytes of events that were stored since the start, and of their blocks
	stored      uint64 // events that are there
	log, index  uint64 // bytes on disk
}

// perEvent returns the bytes on disk of one event, 0 when too few are known: the
// log reserves space, which says nothing as long as it is most of what is there.
func (u *usage) perEvent() float64 {
	const least, muchLog = 1000, 1 << 30
	if u.stored < least {
		return 0
	}
	index := float64(u.index) / float64(u.stored)
	if posted := u.in.Accepted + u.in.Duplicates; posted >= least && u.raw > 0 {
		return float64(u.in.Bytes)/float64(posted)*float64(u.packed)/float64(u.raw) + index
	}
	if u.log < muchLog {
		return 0
	}
	return float64(u.log)/float64(u.stored) + index
}

// forecast says for how long the free space will do, when as many events come as
// on the last day.
func forecast(space control.Space, perEvent float64, day uint64) string {
	if space.Free <= space.Floor {
		return "the disk is full"
	}
	if day == 0 || perEvent == 0 {
		return "too few events to tell"
	}
	growth := perEvent * float64(day)
	days := float64(space.Free-space.Floor) / growth
	if days > 3650 {
		return "more than ten years, at " + size(uint64(growth)) + " a day"
	}
	return fmt.Sprintf("full in about %s days, at %s a day", short(days), size(uint64(growth)))
}

// indexRow describes the search index of a class of events.
type indexRow struct {
	Name, State, Lag, Events, Size, Problem string
}

func (s *Site) indexFigures(ctx context.Context, data *systemData) {
	for _, x := range s.service.Indexes(ctx) {
		r := indexRow{Name: className(x.Partition), State: x.State, Lag: "none", Events: count(x.Events), Size: size(uint64(max(0, x.Bytes))), Problem: x.Problem}
		switch x.State {
		case "rebuilding":
			r.State = "being made again: " + x.Reason
		case "following":
			r.State = "follows the log"
		}
		if x.LagEvents > 0 {
			r.Lag = plural(x.LagEvents, "event", "events") + ", " + lasting(time.Duration(x.LagSeconds*float64(time.Second)))
		}
		data.Indexes = append(data.Indexes, r)
	}
}
