package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

const summary = `Sluice records audit and Git events durably and streams every one of them to
the systems their owners choose.`

// help shows the overview, or the help of the command that args name.
func help(env *Env, table []command, args []string) error {
	if len(args) == 0 {
		writeOverview(env.Stdout, table)
		return nil
	}
	cmd, _, err := find(table, args)
	if err != nil {
		return err
	}
	writeCommand(env.Stdout, table, cmd)
	return nil
}

func writeOverview(w io.Writer, table []command) {
	fmt.Fprintf(w, "%s\n\nUsage: sluice COMMAND [flags] [arguments]\n\nCommands:\n", summary)
	writeList(w, table, "")
	fmt.Fprintf(w, "\n\"sluice help COMMAND\" shows the flags of a command, with examples.\n")
}

// writeList lists the commands directly below a group, "" for all first words.
func writeList(w io.Writer, table []command, group string) {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, c := range table {
		if !c.hidden && parent(c.name) == group {
			fmt.Fprintf(tw, "  %s\t%s\n", c.name, c.short)
		}
	}
	tw.Flush()
}

func parent(name string) string {
	return name[:max(0, strings.LastIndexByte(name, ' '))]
}

func writeCommand(w io.Writer, table []command, cmd *command) {
	fmt.Fprintf(w, "%s.\n\nUsage: %s\n", cmd.short, usageLine(cmd))
	if cmd.long != "" {
		fmt.Fprintf(w, "\n%s\n", cmd.long)
	}
	if cmd.flags == nil {
		fmt.Fprintf(w, "\nCommands:\n")
		writeList(w, table, cmd.name)
		return
	}
	writeFlags(w, cmd)
	if len(cmd.examples) > 0 {
		fmt.Fprintf(w, "\nExamples:\n")
	}
	for _, e := range cmd.examples {
		fmt.Fprintf(w, "  # %s\n  %s\n", e.what, strings.ReplaceAll(e.line, "\n", "\n  "))
	}
}

func writeFlags(w io.Writer, cmd *command) {
	fs := newFlagSet(cmd)
	cmd.flags(fs, &Env{})
	title := "\nFlags:\n"
	fs.VisitAll(func(f *flag.Flag) {
		syntax, usage := flagSyntax(f)
		if d := flagDefault(f); d != "" {
			usage += fmt.Sprintf(" (default %s)", d)
		}
		fmt.Fprintf(w, "%s  %s\n        %s\n", title, syntax, strings.ReplaceAll(usage, "\n", "\n        "))
		title = ""
	})
}

// writeReference writes docs/cli.md.
func writeReference(w io.Writer, table []command) {
	fmt.Fprintf(w, `# The command line

<!-- Made from the command table by "go test ./cmd/sluice -run TestReference -update". -->

%s

%[2]ssluice COMMAND [flags] [arguments]%[2]s. Flags may stand before or behind the arguments. Every command that prints
something for scripts knows %[2]s--json%[2]s. Exit codes: 0 it worked, 1 it was tried and did not, 2 the command line or the
configuration is wrong, 3 a plan has something to change. Secrets are never flags: they come from files or from the environment.

`, summary, "`")
	for _, c := range table {
		if !c.hidden {
			fmt.Fprintf(w, "- [`sluice %s`](#sluice-%s): %s\n", c.name, strings.ReplaceAll(c.name, " ", "-"), lowerFirst(c.short))
		}
	}
	for i := range table {
		if !table[i].hidden {
			writeReferenceCommand(w, &table[i])
		}
	}
}

func writeReferenceCommand(w io.Writer, cmd *command) {
	fmt.Fprintf(w, "\n## sluice %s\n\n%s.\n\n    %s\n", cmd.name, cmd.short, usageLine(cmd))
	if cmd.long != "" {
		fmt.Fprintf(w, "\n%s\n", cmd.long)
	}
	if cmd.flags == nil {
		return
	}
	fs := newFlagSet(cmd)
	cmd.flags(fs, &Env{})
	title := "\n| flag | meaning | default |\n| --- | --- | --- |\n"
	fs.VisitAll(func(f *flag.Flag) {
		syntax, usage := flagSyntax(f)
		fmt.Fprintf(w, "%s| `%s` | %s | %s |\n", title, syntax, cell(usage), cell(flagDefault(f)))
		title = ""
	})
	for _, e := range cmd.examples {
		fmt.Fprintf(w, "\n%s:\n\n    %s\n", e.what, strings.ReplaceAll(e.line, "\n", "\n    "))
	}
}

func cell(s string) string {
	return strings.NewReplacer("\n", " ", "|", "\\|").Replace(s)
}

func lowerFirst(s string) string {
	return strings.ToLower(s[:1]) + s[1:]
}
