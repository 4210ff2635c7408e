package scenario

import (
	"fmt"

	"github.com/sluicelog/sluice/bench/report"
)

func rateAcked(r *report.Result) float64     { return r.Acked }
func rateDelivered(r *report.Result) float64 { return r.Delivered }

// over divides; nothing over nothing is nothing, so that results can be written
// as JSON.
func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// ratio wants at least limit times the base's value.
func ratio(name string, limit float64, get func(*report.Result) float64) report.Measure {
	return report.Measure{Name: name, Target: fmt.Sprintf(">= %g", limit), Reached: report.AtLeast(limit),
		Value: func(base, test *report.Result) float64 { return over(get(test), get(base)) }}
}

// atMost wants at most limit times the base's value.
func atMost(name string, limit float64, get func(*report.Result) float64) report.Measure {
	m := ratio(name, limit, get)
	m.Target, m.Reached = fmt.Sprintf("<= %g", limit), report.AtMost(limit)
	return m
}

func drained(seconds float64) report.Measure {
	return report.Measure{Name: "drain s", Target: fmt.Sprintf("<= %g", seconds), Reached: report.AtMost(seconds),
		Value: func(_, test *report.Result) float64 { return test.Drain }}
}

func memory(mib float64) report.Measure {
	return report.Measure{Name: "max rss MiB", Target: fmt.Sprintf("<= %g", mib), Reached: report.AtMost(mib),
		Value: func(_, test *report.Result) float64 { return test.MaxRSS }}
}

// cpu wants little processor time for a million events, and less than the floor.
func cpu() []report.Measure {
	return []report.Measure{atMostCPU(9), atMost("cpu / floor", 0.85, func(r *report.Result) float64 { return r.CPU })}
}

func atMostCPU(seconds float64) report.Measure {
	return report.Measure{Name: "cpu s for a million", Target: fmt.Sprintf("<= %g", seconds), Reached: report.AtMost(seconds),
		Value: func(_, test *report.Result) float64 { return test.CPU }}
}

// show prints a value that has no target.
func show(name string, value func(base, test *report.Result) float64) report.Measure {
	return report.Measure{Name: name, Value: value}
}

// none wants nothing of what get counts, in any round.
func none(name string, get func(*report.Result) uint64) report.Measure {
	return report.Measure{Name: name, Target: "0", Reached: report.AtMost(0), Each: true,
		Value: func(_, test *report.Result) float64 { return float64(get(test)) }}
}
