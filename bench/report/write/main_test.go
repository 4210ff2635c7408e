package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/bench/report"
)

// TestTheReportIsMade writes what was kept of a scenario into a copy of the document
// that has the marks.
func TestTheReportIsMade(t *testing.T) {
	dir := t.TempDir()
	results, out := filepath.Join(dir, "results"), filepath.Join(dir, "PERFORMANCE.md")
	document, err := os.ReadFile("../../../docs/PERFORMANCE.md")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(out, document, 0o644); err != nil {
		t.Fatal(err)
	}
	round := report.Round{Base: &report.Result{Acked: 100, Delivered: 100}, Test: &report.Result{Acked: 99, Delivered: 120}}
	for _, name := range []string{"flat100-d1", "of-long-ago"} {
		kept := report.Kept{Setting: "1m0s", Scenario: report.Scenario{Name: name, BaseName: "floor", TestName: "sluice", Rounds: []report.Round{round}}}
		if err := kept.Save(results); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time in place of the first
		if err := run(results, out, "charts"); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for want, times := range map[string]int{
		"| acked / floor | >= 1 | 0.99 | 1 | **missed** |":    1,
		"| delivered / floor | >= 1.1 | 1.20 | 1 | reached |": 1,
		"charts/floor.svg":       1,
		"# Performance":          1,
		"## Where the time goes": 1,
		"No rounds are kept":     0,
		"**of-long-ago**":        1,
	} {
		if got := strings.Count(string(text), want); got != times {
			t.Errorf("%q: got it %d times, want %d", want, got, times)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "charts", "floor.svg")); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(out, []byte("no marks"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(results, out, "charts"); err == nil {
		t.Error("a document without marks: got no error")
	}
}
