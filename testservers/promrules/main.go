// Command promrules reads a file with rules of Prometheus as Prometheus itself reads
// it. With nothing else it prints the name of each metric that they use, one a line.
// With "firing" behind the file it takes samples from its standard input, as a
// server's /metrics has them, and prints the name of each alert that fires after
// these were all there was for six hours. A sample with several values had them in
// the last minutes, one a minute. What is wrong goes to the standard output; the
// status is 1 then.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	names, err := answer(os.Args[1:])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, name := range names {
		fmt.Println(name)
	}
}

func answer(args []string) ([]string, error) {
	if len(args) != 1 && (len(args) != 2 || args[1] != "firing") {
		return nil, errors.New("usage: promrules FILE [firing]")
	}
	p := parser.NewParser(parser.Options{})
	groups, errs := rulefmt.ParseFile(args[0], false, model.UTF8Validation, p, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	var rules []rulefmt.Rule
	for _, g := range groups.Groups {
		rules = append(rules, g.Rules...)
	}
	if len(args) == 2 {
		return firing(p, rules, os.Stdin)
	}
	return metrics(p, rules)
}

// metrics returns the names of those that rules use.
func metrics(p parser.Parser, rules []rulefmt.Rule) ([]string, error) {
	used := map[string]bool{}
	for _, r := range rules {
		expr, err := p.ParseExpr(r.Expr)
		if err != nil {
			return nil, err
		}
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			if v, ok := node.(*parser.VectorSelector); ok {
				used[v.Name] = true
			}
			return nil
		})
	}
	return slices.Sorted(maps.Keys(used)), nil
}
