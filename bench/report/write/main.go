// Command write puts what the benchmark kept into docs/PERFORMANCE.md, between its
// marks, and draws the charts beside it:
//
//	go run ./bench/report/write
//
// What is to be reached is taken from the scenarios as they are now.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sluicelog/sluice/bench/report"
	"github.com/sluicelog/sluice/bench/scenario"
)

func main() {
	results := flag.String("results", filepath.Join("docs", "measured"), "folder of the results")
	out := flag.String("o", filepath.Join("docs", "PERFORMANCE.md"), "the document with the marks")
	charts := flag.String("charts", "charts", "folder of the charts, beside the document")
	flag.Parse()
	if err := run(*results, *out, *charts); err != nil {
		fmt.Fprintln(os.Stderr, "write the report:", err)
		os.Exit(1)
	}
}

// run reads, judges and writes.
func run(results, out, charts string) error {
	var names []string
	for _, sc := range scenario.All() {
		names = append(names, sc.Name)
	}
	all, err := report.ReadAll(results, names)
	if err != nil {
		return err
	}
	for i := range all {
		if sc, ok := scenario.Find(all[i].Scenario.Name); ok {
			sc.Judge(&all[i].Scenario)
		}
	}
	page := report.Page{Kept: all, Charts: charts}
	document, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	text, err := report.Insert(string(document), page.Markdown())
	if err != nil {
		return err
	}
	if err := draw(filepath.Join(filepath.Dir(out), charts), page.Files()); err != nil {
		return err
	}
	return os.WriteFile(out, []byte(text), 0o644)
}

// draw writes the charts.
func draw(dir string, files map[string][]byte) error {
	if len(files) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, chart := range files {
		if err := os.WriteFile(filepath.Join(dir, name), chart, 0o644); err != nil {
			return err
		}
	}
	return nil
}
