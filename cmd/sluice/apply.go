package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sluicelog/sluice/client"
	"github.com/sluicelog/sluice/manifest"
)

func applyCommands() []command {
	return []command{{
		name: "apply", short: "Make streams, tokens, members and users what files say", flags: applyFlags,
		long: `Compares YAML files (docs/apply.md) with the server, says what differs, changes
that, then reads everything back and compares again. Applied a second time, the
same files change nothing. Lists that the files do not have are left alone, and so
is what a list does not name, unless --prune is given.
Secrets stand in the environment or in files of their own. They cannot be read
back: they are sent to what is new or changes, and with --send-secrets to all.
With --plan nothing is changed, and the exit code is 0 when there is nothing to
change, 3 when there is something. 2 always means that the command line or a file
is wrong, 1 that something failed.`,
		examples: []example{
			{"What would change", "sluice apply -f acme.yaml --plan"},
			{"Change it, when all destinations accept a test", "sluice apply -f acme.yaml --check --secret-dir ./secrets"},
			{"Everything in a folder, and nothing beside it", "sluice apply -f streams/ --prune --yes"},
		},
	}, {
		name: "apply export", args: "[NAMESPACE]", max: 1, short: "Print what there is as a file to begin with", flags: applyExportFlags,
		long: `Prints the streams, tokens, members (of the instance: users) and notices of a
top-level namespace as "sluice apply" reads them. No secret is in it: its head lists
environment variables for them, for values of headers and for addresses that hold a
credential.`,
		examples: []example{
			{"Put what exists into a repository", "sluice apply export acme > acme.yaml"},
			{"What belongs to the whole installation", "sluice apply export --instance > instance.yaml"},
		},
	}}
}

func applyExportFlags(fs *flag.FlagSet, env *Env) action {
	instance := fs.Bool("instance", false, "of the instance")
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		if *instance == (len(args) == 1) {
			return usagef("apply export: give a NAMESPACE, or --instance")
		}
		out, err := (&manifest.Planner{Client: c, Now: time.Now}).Export(ctx, strings.Join(args, ""))
		if err != nil {
			return err
		}
		_, err = env.Stdout.Write(out)
		return err
	})
}

// applying is one run of the command.
type applying struct {
	env    *Env
	files  []string
	dir    string
	roots  []string
	conn   *connection
	plan   bool
	prune  bool
	yes    bool
	send   bool
	blind  bool
	check  bool
	asJSON bool
}

func applyFlags(fs *flag.FlagSet, env *Env) action {
	a := &applying{env: env}
	fs.Var(listValue{&a.files}, "f", "YAML `FILE`, a folder with some (*.yaml, *.yml), or - for standard input; may be repeated")
	fs.Var(listValue{&a.files}, "file", "the same as -f `FILE`")
	fs.BoolVar(&a.plan, "plan", false, "change nothing: say what would be changed, and exit with 3 when there is something")
	fs.BoolVar(&a.prune, "prune", false, "delete streams, tokens and roles that a list of the files does not name; asks first")
	fs.BoolVar(&a.yes, "yes", false, "delete without asking")
	fs.BoolVar(&a.check, "check", false, "check the destinations of new and changed streams first, and change nothing when one fails")
	fs.BoolVar(&a.send, "send-secrets", false, "send the secrets of streams that exist, too: those that differ are replaced")
	fs.BoolVar(&a.blind, "without-secrets", false, "with --plan: do without everything that the files refer to, and compare the rest")
	fs.StringVar(&a.dir, "secret-dir", "", "`DIR` that keeps the secrets of new tokens and users, a file each, for you alone")
	fs.Var(listValue{&a.roots}, "secret-root", "`DIR` in which files that are referred to may lie, besides the folders of the YAML files; may be repeated")
	asJSON := jsonFlag(fs)
	a.conn = connectionFlags(fs, env)
	return func(ctx context.Context, _ []string) error {
		a.asJSON = *asJSON
		if a.blind && (!a.plan || a.check || a.send) {
			return usagef("apply: --without-secrets goes with --plan, and without --check and --send-secrets")
		}
		m, err := a.read()
		if err != nil {
			return a.wrong(err)
		}
		c, err := a.conn.client()
		if err != nil {
			return err
		}
		defer c.Close()
		if err := a.resolve(m); err != nil {
			return a.wrong(err)
		}
		return a.wrong(a.run(ctx, c, m))
	}
}

// wrong tells problems of the files one a line, as compilers do, so that editors
// find the places.
func (a *applying) wrong(err error) error {
	problems, ok := errors.AsType[manifest.Problems](err)
	if !ok {
		return legibly(err)
	}
	fmt.Fprintln(a.env.Stderr, problems)
	return exitWith(exitUsage)
}

func (a *applying) read() (*manifest.Manifest, error) {
	if len(a.files) == 0 {
		return nil, usagef("apply: no file").withHint("Name one with -f FILE, or - for standard input.")
	}
	var sources []manifest.Source
	for _, name := range a.files {
		more, err := a.sources(name)
		if err != nil {
			return nil, err
		}
		sources = append(sources, more...)
	}
	return manifest.Read(sources...)
}

// resolve fetches what the files refer to, other than what this command signs in
// with: whoever may write a file must not get that.
func (a *applying) resolve(m *manifest.Manifest) error {
	if a.blind {
		return nil
	}
	token, err := a.conn.token()
	if err != nil {
		return err
	}
	from := manifest.References{
		Getenv: a.env.Getenv, Roots: a.roots, OwnFiles: []string{a.conn.tokenFile, a.env.Getenv("SLUICE_TOKEN_FILE")},
		Own: func(text string) bool {
			return slices.ContainsFunc([]string{token, a.env.Getenv("SLUICE_TOKEN"), a.env.Getenv("SLUICE_ADMIN_TOKEN")}, func(own string) bool {
				return own != "" && strings.Contains(text, own)
			})
		},
	}
	return m.Resolve(from)
}

// sources reads a file, or those of a folder by name.
func (a *applying) sources(name string) ([]manifest.Source, error) {
	if name == "-" {
		text, err := io.ReadAll(io.LimitReader(a.env.Stdin, manifest.MaxSource+1))
		return []manifest.Source{{Name: "-", Text: text}}, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, usagef("%v", err)
	}
	if !info.IsDir() {
		s, err := readSource(name)
		return []manifest.Source{s}, err
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, usagef("%v", err)
	}
	var out []manifest.Source
	for _, e := range entries {
		if path := filepath.Join(name, e.Name()); isManifest(e) {
			if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
				return nil, usagef("%s is not a regular file", path)
			}
			s, err := readSource(path)
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, usagef("%s: there is no .yaml or .yml file in it", name)
	}
	return out, nil
}

func isManifest(e fs.DirEntry) bool {
	return !e.IsDir() && slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(e.Name()))
}

func readSource(name string) (manifest.Source, error) {
	f, err := os.Open(name)
	if err != nil {
		return manifest.Source{}, usagef("%v", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, manifest.MaxSource+1))
	if err != nil {
		return manifest.Source{}, usagef("%v", err)
	}
	return manifest.Source{Name: name, Text: text}, nil
}

func (a *applying) planner(c *client.Client) *manifest.Planner {
	return &manifest.Planner{Client: c, Canonical: canonical, Prune: a.prune, SendSecrets: a.send, Partly: a.plan, Now: time.Now}
}

// outcome is what --json prints.
type outcome struct {
	*manifest.Plan
	Checks []checkOutcome `json:"checks,omitempty"`
	// Made counts the changes that were made, from the first.
	Made    *int     `json:"made,omitempty"`
	Remarks []string `json:"remarks,omitempty"`
	// Drift is what differs after everything was made: nothing.
	Drift []manifest.Change `json:"drift,omitempty"`
	Error string            `json:"error,omitempty"`
}

type checkOutcome struct {
	manifest.Thing
	client.CheckResult
}

func (a *applying) run(ctx context.Context, c *client.Client, m *manifest.Manifest) error {
	p, err := a.planner(c).Plan(ctx, m)
	if err != nil {
		return err
	}
	out := &outcome{Plan: p}
	if !a.asJSON {
		writePlan(a.env.Stdout, p, a.prune)
	}
	err = a.proceed(ctx, c, m, out)
	if !a.asJSON {
		return err
	}
	if _, changes := errors.AsType[exitWith](err); err != nil && !changes {
		out.Error = err.Error()
	}
	return errors.Join(err, writeJSON(a.env.Stdout, out))
}

// proceed does what follows the plan.
func (a *applying) proceed(ctx context.Context, c *client.Client, m *manifest.Manifest, out *outcome) error {
	if a.check {
		if err := a.checkAll(ctx, c, out); err != nil {
			return err
		}
	}
	switch {
	case a.plan && len(out.Changes) > 0:
		return exitWith(exitChanges)
	case a.plan:
		return nil
	}
	if err := a.confirmed(out.Plan); err != nil {
		return err
	}
	if err := a.carry(ctx, c, out); err != nil {
		return err
	}
	return a.readBack(ctx, c, m, out)
}

func (a *applying) checkAll(ctx context.Context, c *client.Client, out *outcome) error {
	ok, err := out.Check(ctx, c, func(change *manifest.Change, r client.CheckResult) {
		out.Checks = append(out.Checks, checkOutcome{change.Thing, r})
		if !a.asJSON {
			fmt.Fprintf(a.env.Stdout, "Check of %s:\n", change.Thing)
			_ = reportCheck(a.env.Stdout, legibleCheck(r), false) // what it returns is ok again
		}
	})
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("a check failed: nothing was changed")
	}
	return nil
}

// confirmed asks before something is deleted.
func (a *applying) confirmed(p *manifest.Plan) error {
	if !p.Deletes() || a.yes {
		return nil
	}
	if !a.env.Terminal || a.asJSON || slices.Contains(a.files, "-") {
		return usagef("apply: the plan deletes something: nothing was changed").withHint("Look at it with --plan, then give --yes.")
	}
	if !confirm(a.env, "Delete what the plan says?") {
		return errors.New("nothing was changed")
	}
	return nil
}

func (a *applying) carry(ctx context.Context, c *client.Client, out *outcome) error {
	made, err := out.Carry(ctx, manifest.Carrying{Client: c, SecretDir: a.dir, Done: func(change *manifest.Change, remark string) {
		line := done(change)
		if remark != "" {
			line += ": " + remark
		}
		out.Remarks = append(out.Remarks, line)
		if !a.asJSON {
			fmt.Fprintln(a.env.Stdout, line)
		}
	}})
	out.Made = &made
	if _, wrong := errors.AsType[manifest.Problems](err); wrong || err == nil || errors.Is(err, manifest.ErrNotBegun) {
		return err
	}
	if rest := out.Changes[made+1:]; !a.asJSON {
		for i := range rest {
			fmt.Fprintf(a.env.Stdout, "Not done: %s %s.\n", rest[i].Action, rest[i].Thing)
		}
		fmt.Fprintf(a.env.Stdout, "%d of %d changes were made. Applied again, it goes on with the rest.\n", made, len(out.Changes))
	}
	return err
}

// readBack plans once more: there must be nothing left.
func (a *applying) readBack(ctx context.Context, c *client.Client, m *manifest.Manifest, out *outcome) error {
	if *out.Made == 0 {
		return nil
	}
	planner := a.planner(c)
	planner.SendSecrets = false
	after, err := planner.Plan(ctx, m)
	if err != nil {
		return fmt.Errorf("all changes were made, and reading back failed: %w", err)
	}
	if len(after.Changes) == 0 {
		if !a.asJSON {
			fmt.Fprintln(a.env.Stdout, "Read back: the server is as the files say.")
		}
		return nil
	}
	out.Drift = after.Changes
	return fmt.Errorf("all changes were made, and the server still differs: %s", differing(after.Changes))
}
