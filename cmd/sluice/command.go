package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"slices"
	"strings"
)

// command is one entry of the table.
type command struct {
	name     string // the words after "sluice": "stream create"
	args     string // placeholders of its arguments: "ID"
	short    string // one line, without a full stop
	long     string // paragraphs
	examples []example
	hidden   bool // not in help, completion and documentation
	min, max int  // number of arguments; max -1 means any
	// files says that its arguments are files or folders, choices that they are
	// one of these words: for completion.
	files   bool
	choices []string
	// flags adds the command's flags to fs and returns what runs it after they
	// are parsed. It is nil for a group, which only has commands below it.
	flags func(fs *flag.FlagSet, env *Env) action
}

type example struct{ what, line string }

// action runs a command with its arguments.
type action func(ctx context.Context, args []string) error

// dispatch finds the command that args name, parses its flags and runs it.
func dispatch(ctx context.Context, env *Env, table []command, args []string) error {
	if len(args) == 0 {
		writeOverview(env.Stderr, table)
		return usagef("which command?")
	}
	if args[0] == "__complete" {
		completeCommand(env, table, args[1:])
		return nil
	}
	if isHelp(args[0]) {
		return help(env, table, args[1:])
	}
	if args[0] == "--version" || args[0] == "-version" {
		args = append([]string{"version"}, args[1:]...)
	}
	cmd, rest, err := find(table, args)
	if err != nil {
		return err
	}
	if cmd.flags == nil || wantsHelp(rest) {
		if cmd.flags == nil && len(rest) == 0 {
			writeCommand(env.Stderr, table, cmd)
			return usagef("%s: which command?", cmd.name)
		}
		writeCommand(env.Stdout, table, cmd)
		return nil
	}
	fs := newFlagSet(cmd)
	act := cmd.flags(fs, env)
	rest, err = parse(fs, rest)
	if err != nil {
		return explainFlag(cmd, fs, err)
	}
	if err := checkArgs(cmd, rest); err != nil {
		return err
	}
	return act(ctx, rest)
}

func newFlagSet(cmd *command) *flag.FlagSet {
	fs := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return fs
}

func isHelp(arg string) bool {
	return slices.Contains([]string{"help", "-h", "-help", "--help"}, arg)
}

// wantsHelp reports whether a help flag stands among args, before any "--".
func wantsHelp(args []string) bool {
	for _, a := range args {
		if a == "--" {
			return false
		}
		if a != "help" && isHelp(a) {
			return true
		}
	}
	return false
}

// find returns the command with the longest name that args start with, and what
// follows it.
func find(table []command, args []string) (*command, []string, error) {
	var found *command
	words := 0
	for n := 1; n <= len(args); n++ {
		cmd := lookup(table, strings.Join(args[:n], " "))
		if cmd == nil {
			break
		}
		found, words = cmd, n
	}
	if found == nil || found.flags == nil && words < len(args) && !strings.HasPrefix(args[words], "-") {
		return nil, nil, unknownCommand(table, args[:words+1])
	}
	return found, args[words:], nil
}

func lookup(table []command, name string) *command {
	for i := range table {
		if table[i].name == name {
			return &table[i]
		}
	}
	return nil
}

func unknownCommand(table []command, words []string) error {
	typed := strings.Join(words, " ")
	var names []string
	for _, c := range table {
		if !c.hidden && strings.Count(c.name, " ") == len(words)-1 {
			names = append(names, c.name)
		}
	}
	e := usagef("unknown command %q", typed)
	if n := nearest(typed, names); n != "" {
		return e.withHint("Did you mean \"sluice %s\"?", n)
	}
	return e.withHint("\"sluice help\" lists the commands.")
}

// parse parses flags wherever they stand among the arguments, up to a "--", and
// returns the arguments.
func parse(fs *flag.FlagSet, args []string) ([]string, error) {
	var positional []string
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		rest := fs.Args()
		if len(rest) == 0 {
			return positional, nil
		}
		if used := len(args) - len(rest); used > 0 && args[used-1] == "--" {
			return append(positional, rest...), nil
		}
		positional = append(positional, rest[0])
		args = rest[1:]
	}
}

// explainFlag puts the flag package's errors into our words.
func explainFlag(cmd *command, fs *flag.FlagSet, err error) error {
	if e, ok := errors.AsType[*usageError](err); ok {
		return e
	}
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		var names []string
		fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		e := usagef("%s: unknown flag --%s", cmd.name, strings.TrimPrefix(name, "-"))
		if n := nearest(name, names); n != "" {
			return e.withHint("Did you mean --%s?", n)
		}
		return e.withHint("\"sluice help %s\" lists its flags.", cmd.name)
	}
	for _, s := range []string{" for flag -", " for boolean flag -", " for -", "needs an argument: -"} {
		text = strings.Replace(text, s, s+"-", 1)
	}
	return usagef("%s: %s", cmd.name, text)
}

func checkArgs(cmd *command, args []string) error {
	e := usagef("%s: too many arguments: %q", cmd.name, args)
	switch {
	case len(args) < cmd.min:
		e = usagef("%s: missing argument: %s", cmd.name, cmd.args)
	case cmd.max < 0 || len(args) <= cmd.max:
		return nil
	}
	return e.withHint("Usage: %s", usageLine(cmd))
}

func usageLine(cmd *command) string {
	line := "sluice " + cmd.name
	if cmd.flags == nil {
		return line + " COMMAND"
	}
	fs := newFlagSet(cmd)
	cmd.flags(fs, &Env{})
	flags := false
	fs.VisitAll(func(*flag.Flag) { flags = true })
	if flags {
		line += " [flags]"
	}
	if cmd.args != "" {
		line += " " + cmd.args
	}
	return line
}

// nearest returns the word that was most likely meant by typed, "" when none is
// near.
func nearest(typed string, words []string) string {
	best, distance := "", max(2, len(typed)/3)+1
	for _, w := range words {
		if d := editDistance(typed, w); d < distance {
			best, distance = w, d
		}
	}
	if best != "" {
		return best
	}
	for _, w := range words {
		if len(typed) > 1 && strings.HasPrefix(w, typed) {
			return w
		}
	}
	return ""
}

// editDistance counts the bytes to insert, delete, replace or swap with their
// neighbour to turn a into b.
func editDistance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range len(b) {
		rows[0][j+1] = j + 1
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// flagDefault returns the default of f as shown to people, "" when there is
// none worth showing.
func flagDefault(f *flag.Flag) string {
	if f.DefValue == "false" || f.DefValue == "0" {
		return ""
	}
	return f.DefValue
}

// flagSyntax returns how f is written: "--limit NUMBER".
func flagSyntax(f *flag.Flag) (syntax, usage string) {
	placeholder, usage := flag.UnquoteUsage(f)
	dashes := "--"
	if len(f.Name) == 1 {
		dashes = "-"
	}
	if isBoolFlag(f) {
		return dashes + f.Name, usage
	}
	return dashes + f.Name + " " + placeholder, usage
}

func isBoolFlag(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}
