package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Page is the generated part of docs/PERFORMANCE.md: what the kept rounds say,
// with their medians and ranges, and charts of it.
type Page struct {
	Kept   []Kept // judged, in the order in which they are told
	Charts string // folder of the charts, as the page links it
}

// Markdown writes the page. Where there are no rounds it says so.
func (p Page) Markdown() string {
	if len(p.Kept) == 0 {
		return "No rounds are kept yet: `make bench` keeps them, and `go run ./bench/report/write` writes them here.\n"
	}
	var b strings.Builder
	b.WriteString("Written by `go run ./bench/report/write` of the rounds that `make bench` kept. Numbers are medians, with the least and the most of all rounds in\nparentheses; ratios are taken within a round.\n\n")
	p.facts(&b)
	for _, d := range drawings() {
		if chart := d.draw(p.Kept); chart != nil {
			fmt.Fprintf(&b, "\n![%s](%s/%s)\n", d.alt, p.Charts, d.file)
		}
	}
	p.targets(&b)
	p.variants(&b)
	p.extras(&b)
	return b.String()
}

// facts says what ran where. Scenarios that ran on the same are told together.
func (p Page) facts(b *strings.Builder) {
	b.WriteString("| server | machine | file system | sync of 4 KiB, p50 / p99 | scenarios |\n| --- | --- | --- | --- | --- |\n")
	var order []string
	names := map[string][]string{}
	for _, k := range p.Kept {
		row := fmt.Sprintf("%s (at commit %s) | %s | %s | %v", k.Code, k.Commit, k.Machine, k.Disk, k.Sync)
		if names[row] == nil {
			order = append(order, row)
		}
		names[row] = append(names[row], fmt.Sprintf("%s (%s, %s, %s)", k.Scenario.Name, k.Setting, plural(len(k.Scenario.Rounds), "round"), k.Scenario.days()))
	}
	for _, row := range order {
		fmt.Fprintf(b, "| %s | %s |\n", row, strings.Join(names[row], ", "))
	}
}

// days says when the rounds were made.
func (s *Scenario) days() string {
	if len(s.Rounds) == 0 {
		return "never"
	}
	first, last := s.Rounds[0].Began.Format(time.DateOnly), s.Rounds[len(s.Rounds)-1].Began.Format(time.DateOnly)
	if first == last {
		return first
	}
	return first + " to " + last
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// targets is what was to be reached, and whether it was.
func (p Page) targets(b *strings.Builder) {
	b.WriteString("\n### What was to be reached\n\n| scenario | measure | to reach | seen | rounds | |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, k := range p.Kept {
		name := k.Scenario.Name
		for _, o := range k.Scenario.Outcomes {
			verdict, target := "reached", o.Target
			switch {
			case target == "":
				verdict, target = "", "-"
			case !o.Reached:
				verdict = "**missed**"
			}
			fmt.Fprintf(b, "| %s | %s | %s | %s | %d | %s |\n", name, o.Name, target, span(o.Values), len(o.Values), verdict)
			name = ""
		}
	}
}

// span writes the median with its range, which is left out where there is none.
func span(values []float64) string {
	if len(values) == 0 {
		return "-"
	}
	median := Number(Median(values))
	low, high := Number(slices.Min(values)), Number(slices.Max(values))
	if low == high {
		return median
	}
	return fmt.Sprintf("%s (%s-%s)", median, low, high)
}

// variants is what each server did in each scenario.
func (p Page) variants(b *strings.Builder) {
	b.WriteString("\n### What each server did\n")
	for _, k := range p.Kept {
		s := &k.Scenario
		fmt.Fprintf(b, "\n**%s**: %s\n\n| |", s.Name, s.Title)
		shown := columns()
		for _, c := range shown {
			fmt.Fprintf(b, " %s |", c.name)
		}
		fmt.Fprintf(b, "\n| --- |%s\n", strings.Repeat(" --- |", len(shown)))
		for _, v := range s.variants() {
			if list := s.results(v.pick); len(list) > 0 {
				fmt.Fprintf(b, "| %s |", v.name)
				for _, c := range shown {
					fmt.Fprintf(b, " %s |", span(figures(list, c.value)))
				}
				b.WriteString("\n")
			}
		}
		for _, line := range s.Absent {
			fmt.Fprintf(b, "\nLeft out: %s\n", line)
		}
	}
}

// extras is what only some scenarios measure and no outcome tells.
func (p Page) extras(b *strings.Builder) {
	var rows []string
	for _, k := range p.Kept {
		for _, v := range k.Scenario.variants() {
			for _, e := range k.Scenario.extras(v) {
				rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s |\n", k.Scenario.Name, v.name, e.name, span(e.values)))
			}
		}
	}
	if len(rows) > 0 {
		b.WriteString("\n### More figures\n\n| scenario | server | figure | seen |\n| --- | --- | --- | --- |\n" + strings.Join(rows, ""))
	}
}

// Files returns the charts by their names.
func (p Page) Files() map[string][]byte {
	files := map[string][]byte{}
	for _, d := range drawings() {
		if chart := d.draw(p.Kept); chart != nil {
			files[d.file] = chart
		}
	}
	return files
}

// Begin and End stand around the generated part of a document.
const (
	Begin = "<!-- written by bench/report/write: begin -->"
	End   = "<!-- written by bench/report/write: end -->"
)

// Insert puts text between the marks of a document, in place of what was there.
func Insert(document, text string) (string, error) {
	before, rest, ok := strings.Cut(document, Begin)
	_, after, ended := strings.Cut(rest, End)
	if !ok || !ended {
		return "", fmt.Errorf("the document lacks the marks %s and %s", Begin, End)
	}
	return before + Begin + "\n\n" + strings.TrimSpace(text) + "\n\n" + End + after, nil
}
