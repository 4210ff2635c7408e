package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/sluicelog/sluice/manifest"
)

// writePlan prints a plan for people.
func writePlan(w io.Writer, p *manifest.Plan, prune bool) {
	counts := map[manifest.Action]int{}
	for i := range p.Changes {
		c := &p.Changes[i]
		counts[c.Action]++
		writeChange(w, c)
	}
	for _, t := range p.Unmanaged {
		line := "Not in the files: " + titled(t)
		if t.Type != manifest.TypeUser && !prune {
			line += " (--prune deletes it)"
		}
		fmt.Fprintln(w, line)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(w, "Note: %s: %s\n", titled(n.Thing), n.Message)
	}
	writeUncompared(w, p.NotCompared)
	switch {
	case len(p.Changes) == 0 && p.Whole:
		fmt.Fprintln(w, "Nothing to change: the server is as the files say.")
		return
	case len(p.Changes) == 0:
		fmt.Fprintln(w, "Nothing to change in what was compared.")
		return
	}
	fmt.Fprintf(w, "%d to create, %d to change, %d to delete.\n", counts[manifest.Create], counts[manifest.Update], counts[manifest.Delete])
}

// writeUncompared is one line, however many streams there are.
func writeUncompared(w io.Writer, list []manifest.Uncompared) {
	var words []string
	for _, u := range list {
		words = append(words, fmt.Sprintf("%s (%s)", u.Thing, strings.Join(u.Secrets, ", ")))
	}
	if len(words) > 0 {
		fmt.Fprintf(w, "Not compared, since secrets cannot be read back: %s. --send-secrets sends them.\n", strings.Join(words, "; "))
	}
}

// titled names a thing with its id.
func titled(t manifest.Thing) string {
	if t.ID == "" || t.Name == "" {
		return t.String()
	}
	return fmt.Sprintf("%s (%s)", t, t.ID)
}

// mark begins the line of a change, so that plans can be searched and coloured as
// other programs' are.
func mark(a manifest.Action) string {
	switch a {
	case manifest.Create:
		return "+ create"
	case manifest.Delete:
		return "- delete"
	}
	return "~ change"
}

func writeChange(w io.Writer, c *manifest.Change) {
	line := mark(c.Action) + " " + titled(c.Thing)
	if c.Warning != "" {
		line += ": " + c.Warning
	}
	fmt.Fprintln(w, line)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range c.Fields {
		switch {
		case c.Action == manifest.Create:
			fmt.Fprintf(tw, "    %s\t%s\n", f.Name, valueText(f.To))
		case valueText(f.From) == valueText(f.To): // neither is shown
			fmt.Fprintf(tw, "    %s\tanother value %s\n", f.Name, valueText(f.To))
		default:
			fmt.Fprintf(tw, "    %s\t%s -> %s\n", f.Name, valueText(f.From), valueText(f.To))
		}
	}
	for _, s := range c.Secrets {
		what := map[string]string{"set": "set", "sent": "sent; replaced if it differs", "removed": "removed"}[s.Action]
		fmt.Fprintf(tw, "    secrets.%s\t%s\n", s.Name, what)
	}
	tw.Flush() // the writer below tells its errors itself
}

// valueText shows a value: texts in quotes, other than those that stand for one.
func valueText(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case string:
		if strings.HasPrefix(v, "(") {
			return v
		}
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "?"
	}
	return strings.TrimSpace(b.String())
}

// done says that a change was made.
func done(c *manifest.Change) string {
	verb := map[manifest.Action]string{manifest.Create: "Created", manifest.Update: "Changed", manifest.Delete: "Deleted"}[c.Action]
	return verb + " " + titled(c.Thing)
}

// differing names things with their fields.
func differing(changes []manifest.Change) string {
	var out []string
	for i := range changes {
		c := &changes[i]
		var names []string
		for _, f := range c.Fields {
			names = append(names, f.Name)
		}
		for _, s := range c.Secrets {
			names = append(names, "secrets."+s.Name)
		}
		if c.Action != manifest.Update {
			names = []string{map[manifest.Action]string{manifest.Create: "is not there", manifest.Delete: "is there"}[c.Action]}
		}
		out = append(out, c.String()+": "+strings.Join(names, ", "))
	}
	return strings.Join(out, "; ")
}
