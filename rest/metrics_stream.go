package rest

import (
	"context"
	"slices"
	"strconv"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// measured is a stream, or the sum of several.
type measured struct {
	id     string
	ledger sluice.Ledger
	lag    float64
	sends  uint64
	errors map[string]uint64
	// success is the time of the last one, troubled and unchecked count streams.
	success             float64
	troubled, unchecked int
	quarantine          float64 // used, of 1; of several the highest
	gap                 int     // percent of the time before one; of several the highest
}

// gauges are figures that each stream has.
type gauges []struct {
	name, help string
	value      func(s *measured) float64
}

func streamGauges() gauges {
	return gauges{
		{"sluice_stream_lag_events", "Events of a stream that are pending.", func(s *measured) float64 { return float64(s.ledger.Pending) }},
		{"sluice_stream_lag_seconds", "Age of the oldest pending event of a stream; of several streams the highest.", func(s *measured) float64 { return s.lag }},
		{"sluice_stream_troubled", "1 when a stream was told to be failing or held; of several, how many.", func(s *measured) float64 { return float64(s.troubled) }},
		{"sluice_stream_check_failed", "1 when the last check of a stream failed; of several, how many.", func(s *measured) float64 { return float64(s.unchecked) }},
		{"sluice_stream_quarantine_used_ratio", "How much of a stream's quarantine is used, up to 1, at which it holds the stream; of several the highest.",
			func(s *measured) float64 { return s.quarantine }},
		{"sluice_stream_gap_expected_percent", "How much of the time is over that the oldest pending events of a stream have left: 0, then 50, 80, 95; of several the highest.",
			func(s *measured) float64 { return float64(s.gap) }},
	}
}

func (g gauges) write(m *exposition, list []measured) {
	for _, f := range g {
		m.family(f.name, "gauge", f.help)
		for i := range list {
			m.sample(f.name, f.value(&list[i]), "stream", list[i].id)
		}
	}
}

func (a *API) streamMetrics(ctx context.Context, m *exposition) {
	figures := a.service.StreamFigures(ctx)
	statuses := map[sluice.Status]int{}
	var list []measured
	for i := range figures {
		f := &figures[i]
		statuses[f.State.Status]++
		switch {
		case i < a.measured:
			list = append(list, measured{id: strconv.FormatInt(int64(f.ID), 10)})
		case i == a.measured:
			list = append(list, measured{id: otherStreams})
		}
		list[len(list)-1].add(f)
	}
	m.family("sluice_streams", "gauge", "Streams by status.")
	for _, s := range []sluice.Status{sluice.StatusActive, sluice.StatusPaused, sluice.StatusFailing, sluice.StatusHeld, sluice.StatusDone} {
		m.sample("sluice_streams", float64(statuses[s]), "status", string(s))
	}
	m.family("sluice_stream_events", "gauge", "The ledger: events of a stream by what became of them.")
	for _, s := range list {
		for _, o := range []struct {
			outcome string
			events  uint64
		}{
			{"accepted", s.ledger.Accepted}, {"delivered", s.ledger.Delivered}, {"filtered", s.ledger.Filtered},
			{"pending", s.ledger.Pending}, {"quarantined", s.ledger.Quarantined}, {"expired", s.ledger.Expired},
		} {
			m.sample("sluice_stream_events", float64(o.events), "stream", s.id, "outcome", o.outcome)
		}
	}
	each := streamGauges()
	each[:2].write(m, list)
	m.family("sluice_stream_last_success_timestamp_seconds", "gauge", "When a stream delivered last, since the start.")
	for _, s := range list {
		if s.success > 0 {
			m.sample("sluice_stream_last_success_timestamp_seconds", s.success, "stream", s.id)
		}
	}
	each[2:].write(m, list)
	m.family("sluice_delivery_sends_total", "counter", "Sends of a stream since the start.")
	for _, s := range list {
		m.sample("sluice_delivery_sends_total", float64(s.sends), "stream", s.id)
	}
	m.family("sluice_delivery_errors_total", "counter", "Failed sends of a stream since the start, by class.")
	for _, s := range list {
		for _, class := range sortedClasses(s.errors) {
			m.sample("sluice_delivery_errors_total", float64(s.errors[class]), "stream", s.id, "class", class)
		}
	}
}

func (s *measured) add(f *control.StreamFigures) {
	s.ledger.Add(f.State.Ledger)
	s.lag = max(s.lag, f.Lag.Seconds())
	if at := f.Health.LastSuccess; at != nil {
		s.success = max(s.success, float64(at.UnixMilli())/1000)
	}
	if f.Health.State != "ok" {
		s.troubled++
	}
	if c := f.Health.LastCheck; c != nil && !c.OK {
		s.unchecked++
	}
	for _, l := range f.State.Lanes {
		s.sends += l.Sends
		s.quarantine, s.gap = max(s.quarantine, l.QuarantineUsed), max(s.gap, l.GapExpected)
		for class, n := range l.Errors {
			if s.errors == nil {
				s.errors = map[string]uint64{}
			}
			s.errors[class] += n
		}
	}
}

func sortedClasses(errors map[string]uint64) []string {
	out := make([]string, 0, len(errors))
	for class := range errors {
		out = append(out, class)
	}
	slices.Sort(out)
	return out
}
