// Command promrules reads a file with rules of Prometheus as Prometheus itself reads
// it, and prints the name of each metric that they use, one a line. What is wrong goes
// to the standard output; the status is 1 then.
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
	names, err := metrics(os.Args[1:])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, name := range names {
		fmt.Println(name)
	}
}

func metrics(args []string) ([]string, error) {
	if len(args) != 1 {
		return nil, errors.New("usage: promrules FILE")
	}
	p := parser.NewParser(parser.Options{})
	groups, errs := rulefmt.ParseFile(args[0], false, model.UTF8Validation, p, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	used := map[string]bool{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
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
	}
	return slices.Sorted(maps.Keys(used)), nil
}
