package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sluicelog/sluice/client"
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
		fmt.Fprintf(w, "Note: %s: %s\n", titled(n.Thing), manifest.Escaped(n.Message))
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
		words = append(words, fmt.Sprintf("%s (%s)", u.Thing, manifest.Escaped(strings.Join(u.Secrets, ", "))))
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
	return fmt.Sprintf("%s (%s)", t, manifest.Escaped(t.ID))
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
		name, text := manifest.Escaped(f.Name), valueText(f.From)+" -> "+valueText(f.To)
		switch {
		case c.Action == manifest.Create:
			text = valueText(f.To)
		case valueText(f.From) == valueText(f.To): // neither is shown
			text = "another value " + valueText(f.To)
		}
		fmt.Fprintf(tw, "    %s\t%s%s\n", name, text, referencesText(c, f.Name))
	}
	for _, s := range c.Secrets {
		what, more := map[string]string{"set": "set", "sent": "sent", "removed": "removed"}[s.Action], ""
		if s.Action == "sent" {
			more = "; replaced if it differs"
		}
		fmt.Fprintf(tw, "    secrets.%s\t%s%s%s\n", manifest.Escaped(s.Name), what, referencesText(c, "secrets."+s.Name), more)
	}
	tw.Flush() // the writer below tells its errors itself
}

// referencesText says where the texts stand that a field gets: its own, and those
// of its rows by their names.
func referencesText(c *manifest.Change, field string) string {
	var out strings.Builder
	for _, r := range c.References {
		row, within := strings.CutPrefix(r.Name, field+".")
		switch {
		case r.Name == field:
			fmt.Fprintf(&out, " %s", r)
		case within:
			fmt.Fprintf(&out, ", %s %s", quoted(strings.TrimSuffix(row, ".value")), r)
		}
	}
	return out.String()
}

// legibly returns an error whose text a terminal can show: servers' messages and
// names of files can hold anything.
func legibly(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*client.Error](err); ok {
		e.Hint = manifest.Escaped(e.Hint)
	}
	if text := manifest.Escaped(err.Error()); text != err.Error() {
		return &legibleError{text, err}
	}
	return err
}

type legibleError struct {
	text string
	error
}

func (e *legibleError) Error() string { return e.text }

func (e *legibleError) Unwrap() error { return e.error }

// legibleCheck does the same to the outcome of a check.
func legibleCheck(r client.CheckResult) client.CheckResult {
	r.Stages, r.EgressAddresses = slices.Clone(r.Stages), slices.Clone(r.EgressAddresses)
	for i := range r.Stages {
		r.Stages[i].Name, r.Stages[i].Message = manifest.Escaped(r.Stages[i].Name), manifest.Escaped(r.Stages[i].Message)
	}
	for i := range r.EgressAddresses {
		r.EgressAddresses[i] = manifest.Escaped(r.EgressAddresses[i])
	}
	return r
}

// notShown is how a manifest's plan writes what it does not show.
const notShown = "(not shown)"

// valueText shows a value: texts in quotes, other than what stands for one.
func valueText(v any) string {
	switch v {
	case nil:
		return "none"
	case notShown:
		return notShown
	}
	return quoted(v)
}

// quoted writes a value in JSON, with escapes for all that is not printable.
func quoted(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "?"
	}
	return manifest.Escaped(strings.TrimSpace(b.String()))
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
		out = append(out, c.String()+": "+manifest.Escaped(strings.Join(names, ", ")))
	}
	return strings.Join(out, "; ")
}
