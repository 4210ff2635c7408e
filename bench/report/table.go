package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// columns are what the table shows of each variant.
func columns() []column {
	return []column{
		{"acked/s", func(r *Result) float64 { return r.Acked }},
		{"delivered/s", func(r *Result) float64 { return r.Delivered }},
		{"drain s", func(r *Result) float64 { return r.Drain }},
		{"lost", func(r *Result) float64 { return float64(r.Lost) }},
		{"dup", func(r *Result) float64 { return float64(r.Duplicates) }},
		{"disorder", func(r *Result) float64 { return float64(r.Disordered) }},
		{"refused", func(r *Result) float64 { return float64(r.Refused) }},
		{"errors", func(r *Result) float64 { return float64(r.Errors) }},
		{"cpu s/M", func(r *Result) float64 { return r.CPU }},
		{"sink s/M", func(r *Result) float64 { return r.SinkCPU }},
		{"rss MiB", func(r *Result) float64 { return r.MaxRSS }},
		{"ack p50 ms", func(r *Result) float64 { return r.RequestP50 }},
		{"ack p99", func(r *Result) float64 { return r.RequestP99 }},
		{"e2e p50 ms", func(r *Result) float64 { return r.E2EP50 }},
		{"e2e p99", func(r *Result) float64 { return r.E2EP99 }},
	}
}

type column struct {
	name  string
	value func(*Result) float64
}

// Write prints the scenario for people: medians, with the range of the rates,
// then each measure with its target.
func (s *Scenario) Write(w io.Writer) error {
	fmt.Fprintf(w, "\n%s: %s (%d rounds)\n", s.Name, s.Title, len(s.Rounds))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "\t")
	for _, c := range columns() {
		fmt.Fprintf(t, "%s\t", c.name)
	}
	fmt.Fprintln(t)
	for _, v := range s.variants() {
		s.writeVariant(t, v.name, v.pick)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, line := range s.Absent {
		fmt.Fprintf(w, "  left out: %s\n", line)
	}
	s.writeExtras(w)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, o := range s.Outcomes {
		verdict := "reached"
		if !o.Reached {
			verdict = "MISSED"
		}
		if o.Target == "" {
			o.Target, verdict = "-", ""
		}
		seen := "-\t"
		if len(o.Values) > 0 {
			seen = fmt.Sprintf("%s\t(%s to %s)", Number(o.Median), Number(slices.Min(o.Values)), Number(slices.Max(o.Values)))
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", o.Name, o.Target, seen, verdict)
	}
	return t.Flush()
}

// variant tells the results of one variant from those of the others.
type variant struct {
	name string
	pick func(Round) *Result
}

func (s *Scenario) variants() []variant {
	list := []variant{{s.BaseName, func(r Round) *Result { return r.Base }}, {s.TestName, func(r Round) *Result { return r.Test }}}
	for _, name := range s.Others {
		list = append(list, variant{name, func(r Round) *Result { return r.Others[name] }})
	}
	return list
}

// results returns the runs of one variant.
func (s *Scenario) results(pick func(Round) *Result) []*Result {
	var list []*Result
	for _, r := range s.Rounds {
		if p := pick(r); p != nil {
			list = append(list, p)
		}
	}
	return list
}

func (s *Scenario) writeVariant(w io.Writer, name string, pick func(Round) *Result) {
	list := s.results(pick)
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "%s\t", name)
	for i, c := range columns() {
		values := figures(list, c.value)
		cell := Number(Median(values))
		if i < 2 && len(values) > 1 {
			cell += fmt.Sprintf(" (%s-%s)", Number(slices.Min(values)), Number(slices.Max(values)))
		}
		fmt.Fprintf(w, "%s\t", cell)
	}
	fmt.Fprintln(w)
}

// writeExtras prints what only this scenario measures, and the errors.
func (s *Scenario) writeExtras(w io.Writer) {
	for _, v := range s.variants() {
		for _, r := range s.results(v.pick) {
			if r.Error != "" {
				fmt.Fprintf(w, "  %s: last error: %s\n", v.name, r.Error)
			}
		}
		var parts []string
		for _, e := range s.extras(v) {
			parts = append(parts, e.name+" "+Number(Median(e.values)))
		}
		if len(parts) > 0 {
			fmt.Fprintf(w, "  %s: %s\n", v.name, strings.Join(parts, ", "))
		}
	}
}

// An extra is what only some scenarios measure, in all rounds.
type extra struct {
	name   string
	values []float64
}

// extras returns those of a variant that no outcome tells, by name.
func (s *Scenario) extras(v variant) (list []extra) {
	values := map[string][]float64{}
	for _, r := range s.results(v.pick) {
		for name, value := range r.Extra {
			values[name] = append(values[name], value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.ContainsFunc(s.Outcomes, func(o Outcome) bool { return o.Name == name }) {
			list = append(list, extra{name, values[name]})
		}
	}
	return list
}

// Number prints v with three digits that count, and whole above 100.
func Number(v float64) string {
	switch {
	case v < 0:
		return "-" + Number(-v)
	case v >= 100 || v == float64(int64(v)):
		return group(strconv.FormatInt(int64(v+0.5), 10))
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 0.1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

// group puts a comma before each three digits.
func group(digits string) string {
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
