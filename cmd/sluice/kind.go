package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/sluicelog/sluice/client"
)

// kindNames are what may stand behind "stream kinds", for completion.
func kindNames() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.Name())
	}
	return names
}

func streamKindsFlags(fs *flag.FlagSet, env *Env) action {
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		kinds, err := c.Kinds(ctx)
		if err != nil {
			return err
		}
		if len(args) > 0 {
			return showKind(env.Stdout, kinds, args[0], *asJSON)
		}
		if *asJSON {
			return writeRaw(env.Stdout, kinds, func(k client.Kind) json.RawMessage { return k.Raw })
		}
		return writeKinds(env.Stdout, kinds)
	})
}

func showKind(w io.Writer, kinds []client.Kind, name string, asJSON bool) error {
	var names []string
	for _, k := range kinds {
		if k.Name == name {
			if asJSON {
				return writeJSON(w, k.Raw)
			}
			return writeKind(w, k)
		}
		names = append(names, k.Name)
	}
	return usagef("there is no kind %q", name).withHint("The kinds are %s.", strings.Join(names, ", "))
}

func writeKinds(w io.Writer, kinds []client.Kind) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "KIND\tTITLE\tREQUIRED")
	for _, k := range kinds {
		var required []string
		for _, f := range k.Fields {
			if f.Required {
				required = append(required, f.Name)
			}
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", k.Name, k.Title, strings.Join(required, ", "))
	}
	return tw.Flush()
}

func writeKind(w io.Writer, k client.Kind) error {
	fmt.Fprintf(w, "%s (%s)\n\n", k.Title, k.Name)
	if k.About != "" { // an older server has none
		fmt.Fprintf(w, "%s\n\n", k.About)
	}
	for _, note := range k.Notes {
		fmt.Fprintf(w, "- %s\n", note)
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "FIELD\tLABEL\tTYPE\tDEFAULT\tHINT")
	for _, f := range k.Fields {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", f.Name, f.Label, fieldType(f), fieldDefault(f), f.Hint)
	}
	return tw.Flush()
}

// fieldType names the values of a choice.
func fieldType(f client.Field) string {
	if len(f.Options) == 0 {
		return f.Type
	}
	var values []string
	for _, o := range f.Options {
		values = append(values, o.Value)
	}
	return strings.Join(values, "|")
}

func fieldDefault(f client.Field) string {
	if f.Required {
		return "(required)"
	}
	var text string
	if json.Unmarshal(f.Default, &text) == nil {
		return text
	}
	return string(f.Default)
}
