// Package report turns what single runs measured into the ratios that count:
// those of a test run to the base run of the same round, their median and range,
// beside what is to be reached.
package report

import (
	"slices"
	"time"
)

// A Result is what one run of one variant measured.
type Result struct {
	Seconds    float64 `json:"seconds"` // of load
	Acked      float64 `json:"acked_per_s"`
	Delivered  float64 `json:"delivered_per_s"` // to all healthy destinations, until the last of them had everything
	Drain      float64 `json:"drain_s"`         // from the last answer to the last delivery
	Lost       uint64  `json:"lost"`            // acknowledged events that did not come, summed over destinations
	Duplicates uint64  `json:"duplicates"`
	Disordered uint64  `json:"disordered"`
	// LedgersOff counts streams of Sluice whose account does not add up, or that
	// lost events to quarantine or expiry.
	LedgersOff uint64  `json:"ledgers_off"`
	Refused    uint64  `json:"refused"` // requests
	Errors     uint64  `json:"errors"`  // requests
	Error      string  `json:"error,omitempty"`
	CPU        float64 `json:"cpu_s_per_million"` // of the server, until everything was delivered
	LoadCPU    float64 `json:"load_cpu_s_per_million"`
	SinkCPU    float64 `json:"sink_cpu_s_per_million"`
	MaxRSS     float64 `json:"max_rss_mib"`
	RequestP50 float64 `json:"request_p50_ms"`
	RequestP99 float64 `json:"request_p99_ms"`
	E2EP50     float64 `json:"e2e_p50_ms"`
	E2EP99     float64 `json:"e2e_p99_ms"`
	// Extra holds what only some scenarios measure, by name with its unit.
	Extra map[string]float64 `json:"extra,omitempty"`
	// Series holds what was looked at again and again during a long run, by name
	// with its unit.
	Series map[string][]Point `json:"series,omitempty"`
}

// A Point is a value at a time, in seconds from the beginning.
type Point [2]float64

// A Measure is one thing to reach.
type Measure struct {
	Name   string
	Target string // as it is printed; "" when there is none
	// Value computes the measure; base is nil in a scenario without a base.
	Value func(base, test *Result) float64
	// Reached judges the median of the values; nil without a target.
	Reached func(value float64) bool
	// Each round has to reach it, not the median of all: for what may never happen.
	Each bool
	// Extra is the member of a test's Extra that the value is, "" for none. When a
	// round lacks it, it is not reached: nothing is less than any limit.
	Extra string
}

// missing reports whether a round was to measure it and did not.
func (m *Measure) missing(r *Round) bool {
	if m.Extra == "" {
		return false
	}
	_, ok := r.Test.Extra[m.Extra]
	return !ok
}

// A Round is one run of each variant, one after the other; Base is nil in a
// scenario without one.
type Round struct {
	Began  time.Time          `json:"began"`
	Base   *Result            `json:"base,omitempty"`
	Test   *Result            `json:"test,omitempty"`
	Others map[string]*Result `json:"others,omitempty"` // by variant
}

// A Scenario is everything measured in one scenario.
type Scenario struct {
	Name     string    `json:"name"`
	Title    string    `json:"title"`
	BaseName string    `json:"base_name,omitempty"`
	TestName string    `json:"test_name"`
	Others   []string  `json:"others,omitempty"` // further variants
	Absent   []string  `json:"absent,omitempty"` // variants that could not run here, and why
	Rounds   []Round   `json:"rounds"`
	Outcomes []Outcome `json:"outcomes"`
}

// An Outcome is what became of a measure.
type Outcome struct {
	Name    string    `json:"name"`
	Target  string    `json:"target"`
	Values  []float64 `json:"values"` // one a round
	Median  float64   `json:"median"`
	Reached bool      `json:"reached"`
}

// Judge computes the outcomes from the rounds that have both runs.
func (s *Scenario) Judge(measures []Measure) {
	s.Outcomes = nil
	for i := range measures {
		if o, ok := s.outcome(&measures[i]); ok {
			s.Outcomes = append(s.Outcomes, o)
		}
	}
}

// outcome is what became of a measure; ok is false when no round has both runs.
func (s *Scenario) outcome(m *Measure) (o Outcome, ok bool) {
	o = Outcome{Name: m.Name, Target: m.Target, Reached: true}
	for i := range s.Rounds {
		r := &s.Rounds[i]
		if r.Test == nil || r.Base == nil && s.BaseName != "" {
			continue
		}
		ok = true
		if m.missing(r) {
			o.Reached = false
			continue
		}
		v := m.Value(r.Base, r.Test)
		o.Values = append(o.Values, v)
		o.Reached = o.Reached && (m.Reached == nil || !m.Each || m.Reached(v))
	}
	o.Median = Median(o.Values)
	o.Reached = o.Reached && (m.Reached == nil || m.Reached(o.Median))
	return o, ok
}

// Median returns the middle of values, the mean of the two in the middle of an
// even number of them, 0 of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// AtLeast returns a judgement for [Measure].
func AtLeast(limit float64) func(float64) bool {
	return func(v float64) bool { return v >= limit }
}

// AtMost returns a judgement for [Measure].
func AtMost(limit float64) func(float64) bool {
	return func(v float64) bool { return v <= limit }
}
