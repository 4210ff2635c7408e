package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/cli.md")

// result is what a command line did.
type result struct {
	code           int
	stdout, stderr string
}

func sluiceRun(ctx context.Context, environ []string, stdin string, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(ctx, &Env{Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr, Environ: environ, Executable: "/usr/bin/sluice"}, args)
	return result{code, stdout.String(), stderr.String()}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		line           string
		code           int
		stdout, stderr string // must be contained
	}{
		{"", 2, "", "which command?"},
		{"help", 0, "Usage: sluice COMMAND", ""},
		{"--help", 0, "Usage: sluice COMMAND", ""},
		{"--version", 0, "sluice ", ""},
		{"help stream", 0, "stream create", ""},
		{"stream --help", 0, "stream create", ""},
		{"stream create -h", 0, "--filter-namespace NAMESPACE", ""},
		{"help stream quarantine drop", 0, "Usage: sluice stream quarantine drop [flags] ID [PARTITION:SEQ...]", ""},
		{"stream", 2, "", "stream: which command?"},
		{"straem", 2, "", `Did you mean "sluice stream"?`},
		{"stream shwo 1", 2, "", `Did you mean "sluice stream show"?`},
		{"git install", 2, "", `Did you mean "sluice git install-hook"?`},
		{"zzzzzzzzzz", 2, "", `"sluice help" lists the commands`},
		{"help nothing", 2, "", `unknown command "nothing"`},
		{"version", 0, "sluice ", ""},
		{"version --json", 0, `"platform"`, ""},
		{"version --jsno", 2, "", "Did you mean --json?"},
		{"version extra", 2, "", "too many arguments"},
		{"stream show", 2, "", "missing argument: ID"},
		{"stream show x --token-file /dev/null", 1, "", "is empty"},
		{"stream list", 2, "", "no token"},
		{"stream list --server", 2, "", "needs an argument: --server"},
		{"token create --kind king", 2, "", "must be one of producer, admin"},
		{"serve --max-event 1MB", 2, "", "must be a size"},
		{"serve --existing=perhaps", 2, "", "--existing"},
		{"serve --print-config --listen :9", 0, "# flag --listen", ""},
		{"completion tcsh", 2, "", "unknown shell"},
		{"log cat", 2, "", "--data is missing"},
		{"log cat --data x --from 5", 2, "", "need --partition"},
		{"log cat --data x --from yesterday", 2, "", "must be a sequence number or a time"},
		{"emit --once", 2, "", "no token"},
		{"git install-hook /nowhere/at/all", 1, "", "open repository"},
	} {
		got := sluiceRun(t.Context(), []string{"PATH=" + os.Getenv("PATH")}, "", strings.Fields(c.line)...)
		if got.code != c.code || !strings.Contains(got.stdout, c.stdout) || !strings.Contains(got.stderr, c.stderr) {
			t.Errorf("sluice %s: got %+v, want code %d, stdout with %q, stderr with %q", c.line, got, c.code, c.stdout, c.stderr)
		}
	}
}

// TestTable holds what every entry of the table owes its readers.
func TestTable(t *testing.T) {
	table := commands()
	seen := make(map[string]bool)
	for i := range table {
		c := &table[i]
		if seen[c.name] {
			t.Errorf("%s: stands there twice", c.name)
		}
		seen[c.name] = true
		if p := parent(c.name); p != "" && !seen[p] {
			t.Errorf("%s: its group does not stand before it", c.name)
		}
		if c.short == "" || strings.HasSuffix(c.short, ".") || len(c.short) > 70 {
			t.Errorf("%s: got short text %q, want one without a full stop, at most 70 bytes", c.name, c.short)
		}
		for line := range strings.Lines(c.long) {
			if len(line) > 90 {
				t.Errorf("%s: line of %d bytes in its text: %s", c.name, len(line), line)
			}
		}
		if c.flags == nil {
			continue
		}
		if c.min > 0 && c.args == "" {
			t.Errorf("%s: takes arguments and does not name them", c.name)
		}
		fs := newFlagSet(c)
		c.flags(fs, &Env{})
		fs.VisitAll(func(f *flag.Flag) {
			if f.Usage == "" || !isBoolFlag(f) && !strings.Contains(f.Usage, "`") {
				t.Errorf("%s --%s: got usage %q, want one with a placeholder", c.name, f.Name, f.Usage)
			}
			for _, word := range []string{"token", "secret", "password"} {
				if f.Name == word {
					t.Errorf("%s --%s: a secret is never a flag", c.name, f.Name)
				}
			}
		})
	}
}

// TestExamples holds that the flags in all examples exist.
func TestExamples(t *testing.T) {
	table := commands()
	for _, c := range table {
		for _, e := range c.examples {
			_, line, _ := strings.Cut(e.line, "sluice ")
			words := strings.Fields(strings.NewReplacer("\\\n", " ", ")", " ").Replace(line))
			cmd, rest, err := find(table, words)
			if err != nil || cmd.name != c.name {
				t.Errorf("%s: example %q is about another command", c.name, e.line)
				continue
			}
			fs := newFlagSet(cmd)
			cmd.flags(fs, &Env{})
			if _, err := parse(fs, rest); err != nil {
				t.Errorf("%s: example %q: %v", c.name, e.line, err)
			}
		}
	}
}

func TestParseTakesFlagsAnywhere(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"a --json b", "a b true"},
		{"--json a b", "a b true"},
		{"a b --json", "a b true"},
		{"a -- --json", "a --json false"},
		{"- b", "- b false"},
	} {
		fs := newFlagSet(&command{name: "x"})
		asJSON := jsonFlag(fs)
		args, err := parse(fs, strings.Fields(c.line))
		got := strings.Join(args, " ")
		if *asJSON {
			got += " true"
		} else {
			got += " false"
		}
		if err != nil || got != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.line, got, err, c.want)
		}
	}
}

func TestComplete(t *testing.T) {
	table := commands()
	for _, c := range []struct {
		line string // the words; the last is being typed
		want string
	}{
		{"str", "stream"},
		{"stream q", "quarantine"},
		{"stream quarantine ", "list redeliver drop"},
		{"git ", "install-hook flush"},
		{"help stre", "stream"},
		{"completion ", "bash zsh fish"},
		{"stream kinds s", "splunk s3"},
		{"version --", "--json"},
		{"stream list --na", "--namespace"},
		{"stream u", "update"},
		{"stream update 1 --se", "--secret-env --secret-file --server --set"},
		{"stream update 1 --header-file ", ":files"},
		{"token create --kind ", "producer admin personal"},
		{"emit --follow ", ":files"},
		{"apply -f ", ":files"},
		{"apply --secret-dir ", ":files"},
		{"serve --data ", ":files"},
		{"git install-hook ", ":files"},
		{"nothing ", ""},
		{"__c", ""},
	} {
		got := strings.Join(complete(table, strings.Split(c.line, " ")), " ")
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.line, got, c.want)
		}
	}
	if got := complete(table, nil); !slices.Contains(got, "serve") {
		t.Errorf("nothing typed: got %q, want all commands", got)
	}
}

// TestBashCompletion runs the script in the shell it is for.
func TestBashCompletion(t *testing.T) {
	dir := t.TempDir()
	// A stand-in for the binary: what it would print is in TestComplete.
	stub := "#!/bin/sh\n[ \"$*\" = '__complete stream ' ] && printf 'create\\nlist\\n'\n[ \"$*\" = '__complete emit --follow x' ] && echo :files\nexit 0\n"
	if err := os.WriteFile(filepath.Join(dir, "sluice"), []byte(stub), 0o755); err != nil {
		t.Fatal(err)
	}
	script := bashScript + `
COMP_WORDS=(sluice stream ""); COMP_CWORD=2; _sluice; echo "${COMPREPLY[*]}"
COMP_WORDS=(sluice emit --follow x); COMP_CWORD=3; _sluice; echo "${#COMPREPLY[@]}"
`
	cmd := exec.Command("bash", "-c", script)
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if got, want := strings.ReplaceAll(string(out), "\n", " "), "create list 0 "; err != nil || got != want {
		t.Errorf("bash: got %q, %v, want %q", got, err, want)
	}
}

// TestReference holds docs/cli.md to the table.
func TestReference(t *testing.T) {
	var want bytes.Buffer
	writeReference(&want, commands())
	path := filepath.Join("..", "..", "docs", "cli.md")
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("docs/cli.md is not what the commands say (%v): go test ./cmd/sluice -run TestReference -update", err)
	}
}
