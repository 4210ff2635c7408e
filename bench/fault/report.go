package fault

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sluicelog/sluice/bench/machine"
)

// A Report is what docs/FAULTS.md says.
type Report struct {
	machine.Facts
	Records []Record
}

// head begins the report.
const head = `# Faults

Written by ` + "`make torture`" + `, which plays every drill below against the real server and judges from outside what became of each event. A finding is
anything that is not as promised: an acknowledged event that is neither delivered nor in a state that is told, an event that nobody sent or whose bytes
changed, an account that does not add up, an order that was not kept, damage that is not named, a secret in a place where none belongs.

What each drill does is in docs/ARCHITECTURE.md and in the package that its command names; most have mutations, servers broken on purpose, which they must find.

`

// Write writes the report as Markdown.
func (r Report) Write(w io.Writer) error {
	var b strings.Builder
	b.WriteString(head)
	fmt.Fprintf(&b, "| | |\n| --- | --- |\n| commit | %s |\n| machine | %s |\n| file system | %s |\n| sync of 4 KiB, p50 / p99 | %v |\n",
		r.Commit, r.Machine, r.Disk, r.Sync)
	b.WriteString("\n| drill | faults | judged | findings | took |\n| --- | --- | --- | --- | --- |\n")
	for _, rec := range r.Records {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s | %s |\n", rec.Drill, strings.ReplaceAll(strings.ToLower(rec.Drill), " ", "-"),
			brief(rec.Faults), brief(rec.Judged), rec.verdict(), time.Duration(rec.Seconds*float64(time.Second)).Round(time.Second))
	}
	for _, rec := range r.Records {
		rec.section(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// verdict says in a word or two what the drill found.
func (r Record) verdict() string {
	switch {
	case len(r.Findings) > 0:
		return fmt.Sprintf("**%d**", len(r.Findings))
	case r.Skipped != "":
		return "not played"
	}
	return "none"
}

// section is what the report says of one drill.
func (r Record) section(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n", r.Drill)
	if r.What != "" {
		fmt.Fprintf(b, "\n%s\n\n    %s\n", r.What, r.Command)
	}
	seeds := ""
	if r.Seeds != "" {
		seeds = fmt.Sprintf("Seeds: %s. ", r.Seeds)
	}
	if !r.Began.IsZero() {
		fmt.Fprintf(b, "\n%sPlayed on %s", seeds, r.Began.UTC().Format("2 January 2006"))
		if r.Code != "" {
			fmt.Fprintf(b, " with the server as it is since commit %s", r.Code)
		}
		b.WriteString(".\n")
	}
	if len(r.Faults) > fewCounts {
		fmt.Fprintf(b, "\nFaults: %s.\n", counts(r.Faults))
	}
	if len(r.Judged) > fewCounts {
		fmt.Fprintf(b, "\nJudged: %s.\n", counts(r.Judged))
	}
	if r.Skipped != "" {
		fmt.Fprintf(b, "\nNot played: %s\n", r.Skipped)
	}
	for i, f := range r.Findings {
		if i == 0 {
			b.WriteString("\nFound:\n\n")
		}
		fmt.Fprintf(b, "- %s\n", strings.ReplaceAll(f, "\n", " "))
	}
}

// fewCounts is how many numbers the table has of a drill.
const fewCounts = 8

// brief writes numbers with their names, and only their sum when they are many.
func brief(all []Count) string {
	if len(all) <= fewCounts {
		return counts(all)
	}
	sum := int64(0)
	for _, c := range all {
		sum += c.Count
	}
	return fmt.Sprintf("%s of %d kinds", thousands(sum), len(all))
}

// counts writes numbers with their names.
func counts(all []Count) string {
	parts := make([]string, len(all))
	for i, c := range all {
		parts[i] = fmt.Sprintf("%s %s", thousands(c.Count), c.Name)
	}
	return strings.Join(parts, ", ")
}

// thousands writes a number as people read it.
func thousands(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
