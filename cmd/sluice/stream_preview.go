package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/sluicelog/sluice/client"
)

// previewStream prints what a stream would have done in the last seven days.
func previewStream(ctx context.Context, c *client.Client, env *Env, spec client.StreamSpec, asJSON bool) error {
	p, err := c.PreviewStream(ctx, client.StreamSpec{Namespace: spec.Namespace, Filter: spec.Filter}) // no secrets
	if err != nil {
		return err
	}
	if p.LagSeconds >= 1 || p.Incomplete {
		fmt.Fprintf(env.Stderr, "The index is %.0f s behind or incomplete: there may be more.\n", p.LagSeconds)
	}
	if asJSON {
		return writeJSON(env.Stdout, p)
	}
	return printPreview(env.Stdout, &p)
}

func printPreview(w io.Writer, p *client.Preview) error {
	const mostTypes = 20
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name string, n client.PreviewCounts) {
		fmt.Fprintf(tw, "%s\t%d\t%d\n", fit(name), n.Delivered, n.Filtered)
	}
	fmt.Fprintln(tw, "DAY (UTC)\tDELIVERED\tFILTERED")
	for _, d := range p.Days {
		row(d.Day, d.PreviewCounts)
	}
	row("together", p.PreviewCounts)
	if len(p.Types) > 0 {
		fmt.Fprintln(tw, "\t\t\nTYPE\tDELIVERED\tFILTERED")
	}
	for i, t := range p.Types {
		if i == mostTypes {
			fmt.Fprintf(tw, "and %d more\t\t\n", len(p.Types)-i)
			break
		}
		row(t.Type, t.PreviewCounts)
	}
	return tw.Flush()
}
