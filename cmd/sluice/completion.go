package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
)

// The scripts of the three shells are thin: they hand the words typed so far to
// "sluice __complete", which knows the table. A single line ":files" asks the
// shell to complete file names.
const (
	bashScript = `# bash completion for sluice: source <(sluice completion bash)
_sluice() {
	local IFS=$'\n' lines
	lines=$("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) || return
	if [ "$lines" = ":files" ]; then
		compopt -o default 2>/dev/null
		COMPREPLY=()
		return
	fi
	COMPREPLY=($(compgen -W "$lines" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _sluice sluice
`
	zshScript = `#compdef sluice
# zsh completion for sluice: source <(sluice completion zsh)
_sluice() {
	local -a lines
	lines=("${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ "$lines" == ":files" ]]; then
		_files
		return
	fi
	compadd -- ${lines:#}
}
compdef _sluice sluice
`
	fishScript = `# fish completion for sluice: sluice completion fish | source
function __sluice_complete
	set -l words (commandline -opc) (commandline -ct)
	set -l lines ($words[1] __complete $words[2..-1] 2>/dev/null)
	if test "$lines" = ":files"
		__fish_complete_path (commandline -ct)
	else
		printf '%s\n' $lines
	end
end
complete -c sluice -f -a '(__sluice_complete)'
`
)

const completeFiles = ":files"

func completionFlags(_ *flag.FlagSet, env *Env) action {
	return func(_ context.Context, args []string) error {
		scripts := map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}
		script, ok := scripts[args[0]]
		if !ok {
			return usagef("completion: unknown shell %q", args[0]).withHint("Known are bash, zsh and fish.")
		}
		_, err := fmt.Fprint(env.Stdout, script)
		return err
	}
}

// completeCommand answers the shells. It takes its words as they are and knows
// no flags.
func completeCommand(env *Env, table []command, words []string) {
	for _, line := range complete(table, words) {
		fmt.Fprintln(env.Stdout, line)
	}
}

// complete returns the candidates for the last of words, which may be empty.
func complete(table []command, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	before, last := words[:len(words)-1], words[len(words)-1]
	if len(before) > 0 && before[0] == "help" {
		before = before[1:]
	}
	cmd, rest := &command{}, before
	if len(before) > 0 {
		var err error
		if cmd, rest, err = find(table, before); err != nil {
			return nil
		}
	}
	if cmd.flags == nil {
		return startingWith(last, below(table, cmd.name))
	}
	fs := newFlagSet(cmd)
	cmd.flags(fs, &Env{})
	if len(rest) > 0 {
		if f := valueFlag(fs, rest[len(rest)-1]); f != nil {
			return flagValues(f)
		}
	}
	if strings.HasPrefix(last, "-") {
		var names []string
		fs.VisitAll(func(f *flag.Flag) { names = append(names, "--"+f.Name) })
		return startingWith(last, names)
	}
	if cmd.files {
		return []string{completeFiles}
	}
	return startingWith(last, cmd.choices)
}

// valueFlag returns the flag that word names when a value has to follow it.
func valueFlag(fs *flag.FlagSet, word string) *flag.Flag {
	name, ok := strings.CutPrefix(word, "-")
	if !ok || strings.Contains(name, "=") {
		return nil
	}
	f := fs.Lookup(strings.TrimPrefix(name, "-"))
	if f == nil || isBoolFlag(f) {
		return nil
	}
	return f
}

// flagValues completes files for flags whose placeholder says so.
func flagValues(f *flag.Flag) []string {
	placeholder, _ := flag.UnquoteUsage(f)
	if strings.HasSuffix(placeholder, "FILE") || placeholder == "DIR" {
		return []string{completeFiles}
	}
	if strings.Contains(placeholder, "|") {
		return strings.Split(placeholder, "|")
	}
	return nil
}

// below returns the words that may follow a group's name.
func below(table []command, group string) []string {
	var words []string
	for _, c := range table {
		if !c.hidden && parent(c.name) == group {
			words = append(words, strings.TrimPrefix(c.name[len(group):], " "))
		}
	}
	return words
}

func startingWith(prefix string, words []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !strings.HasPrefix(w, prefix) })
}
