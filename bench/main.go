// Command bench measures Sluice beside the floor, a small server that does the
// least that can be useful, and prints how they compare with what is to be
// reached. It needs Linux, loopback, and the Go toolchain to build Sluice.
//
// Results are kept in docs/measured, a file for each scenario, round by round: a run
// that was cut off goes on where it was, and one that asks for more rounds adds
// them. The command in bench/report/write makes docs/PERFORMANCE.md of them.
//
//	go run ./bench                               everything, five rounds of 60 s
//	go run ./bench -short -keep "" -run flat100  a first impression
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sluicelog/sluice/bench/machine"
	"github.com/sluicelog/sluice/bench/report"
	"github.com/sluicelog/sluice/bench/scenario"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) > 1 && child(os.Args[1]) != nil {
		err = child(os.Args[1])(ctx, os.Args[2:])
	} else {
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	seconds, rounds   int
	soak              time.Duration
	short, list       bool
	match             *regexp.Regexp
	only, sluice, dir string
	keep, profile     string
	logGiB, backlogGB float64
	indexEvents       uint64
	indexDir          string
	drain             time.Duration
}

func parse(args []string, out io.Writer) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(out)
	f.IntVar(&o.seconds, "seconds", 60, "seconds of load in each run; the soak takes half an hour unless this is given")
	f.IntVar(&o.rounds, "rounds", 5, "rounds that each scenario is to have, those kept included")
	f.BoolVar(&o.short, "short", false, "3 seconds of load, a log of 1 GiB, a backlog of 1 GB and a million events for the index, unless given")
	f.BoolVar(&o.list, "list", false, "list the scenarios and stop")
	run := f.String("run", "", "run the scenarios whose name matches this regular expression")
	f.StringVar(&o.only, "only", "", "run only one server: "+strings.Join(scenario.Servers(), ", ")+"; nothing is kept")
	f.StringVar(&o.sluice, "sluice", "", "binary of Sluice (default: built from ./cmd/sluice)")
	f.StringVar(&o.dir, "dir", "", "directory for data (default: a temporary one)")
	f.StringVar(&o.keep, "keep", filepath.Join("docs", "measured"), "folder that keeps the results; \"\" is none")
	f.StringVar(&o.profile, "profile", "", "keep CPU profiles of Sluice in this directory")
	f.Float64Var(&o.logGiB, "log-gib", 10, "size of the log in scenario restart; 0 skips it")
	f.Float64Var(&o.backlogGB, "backlog-gb", 20, "GB of events that wait in scenario backlog; 0 skips it")
	f.Uint64Var(&o.indexEvents, "index-events", 10_000_000, "events of scenario index; 0 skips it")
	f.StringVar(&o.indexDir, "index-dir", "", "directory that keeps the log of scenario index for the next run (default: none)")
	f.DurationVar(&o.drain, "drain", time.Minute, "how long to wait for deliveries after the load")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	o.adjust(given)
	if o.match, err = regexp.Compile(*run); err != nil {
		return o, fmt.Errorf("flag -run: %w", err)
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.seconds < 1 || o.rounds < 1 || o.logGiB < 0 || o.backlogGB < 0 || o.drain <= 0:
		return o, errors.New("flags -seconds, -rounds, -log-gib, -backlog-gb and -drain must be positive")
	case o.only != "" && !slices.Contains(scenario.Servers(), o.only):
		return o, fmt.Errorf("flag -only: no server is called %q", o.only)
	}
	return o, nil
}

// adjust makes everything short that was not given, when it is to be short.
func (o *options) adjust(given map[string]bool) {
	o.soak = soakTime
	if given["seconds"] {
		o.soak = time.Duration(o.seconds) * time.Second
	}
	if !o.short {
		return
	}
	if !given["seconds"] {
		o.seconds, o.soak = 3, 30*time.Second
	}
	if !given["log-gib"] {
		o.logGiB = 1
	}
	if !given["backlog-gb"] {
		o.backlogGB = 1
	}
	if !given["index-events"] {
		o.indexEvents = 1_000_000
	}
}

// soakTime is how long the soak goes on.
const soakTime = 30 * time.Minute

func run(ctx context.Context, args []string, out, log io.Writer) (err error) {
	o, err := parse(args, log)
	if err != nil {
		return err
	}
	list := chosen(&o)
	if o.list {
		for _, s := range list {
			fmt.Fprintf(out, "%-14s %s\n", s.Name, s.Title)
		}
		return nil
	}
	dir, err := os.MkdirTemp(o.dir, "sluice-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	env, err := environment(ctx, &o, dir, log)
	if err != nil {
		return err
	}
	facts, err := machine.Describe(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s, %s, %s, sync %v, runs of %d s\n", facts.Machine, facts.Commit, facts.Disk, facts.Sync, o.seconds)
	var failures []error
	for _, s := range list {
		if ctx.Err() != nil {
			break
		}
		failures = append(failures, measure(ctx, env, &s, &o, facts, out))
	}
	return errors.Join(failures...)
}

// measure runs the rounds of a scenario that are not kept yet, and prints all.
func measure(ctx context.Context, env *scenario.Env, s *scenario.Scenario, o *options, facts machine.Facts, out io.Writer) error {
	keep := o.keep
	if o.only != "" {
		keep = ""
	}
	kept := report.Kept{Facts: facts, Setting: s.Setting(env)}
	if keep != "" {
		var err error
		if kept, err = report.Open(keep, s.Name, facts, kept.Setting); err != nil {
			return err
		}
	}
	if n := len(kept.Scenario.Rounds); n > 0 {
		fmt.Fprintf(env.Log, "%s: %d rounds are kept\n", s.Name, n)
	}
	err := scenario.Run(ctx, env, s, &kept.Scenario, o.rounds, o.only, func() error {
		if keep == "" {
			return nil
		}
		return kept.Save(keep)
	})
	if len(kept.Scenario.Rounds) > 0 {
		err = errors.Join(err, kept.Scenario.Write(out))
	}
	return err
}

// chosen returns the scenarios to run.
func chosen(o *options) (list []scenario.Scenario) {
	for _, s := range scenario.All() {
		skipped := s.Name == "restart" && o.logGiB == 0 || s.Name == "index" && o.indexEvents == 0 || s.Name == "backlog" && o.backlogGB == 0
		if o.match.MatchString(s.Name) && !skipped {
			list = append(list, s)
		}
	}
	return list
}

func environment(ctx context.Context, o *options, dir string, log io.Writer) (*scenario.Env, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	env := &scenario.Env{Self: self, Sluice: o.sluice, Dir: dir, Load: time.Duration(o.seconds) * time.Second,
		Drain: o.drain, LogGiB: o.logGiB, IndexEvents: o.indexEvents, Soak: o.soak, BacklogGB: o.backlogGB, Profile: o.profile, Log: log}
	if o.indexDir != "" {
		if env.IndexDir, err = filepath.Abs(o.indexDir); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(env.IndexDir, 0o755); err != nil {
			return nil, err
		}
	}
	if o.profile != "" {
		if env.Profile, err = filepath.Abs(o.profile); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(env.Profile, 0o755); err != nil {
			return nil, err
		}
	}
	if o.sluice != "" || o.only == scenario.Floor {
		return env, nil
	}
	env.Sluice = filepath.Join(dir, "sluice")
	build := exec.CommandContext(ctx, "go", "build", "-o", env.Sluice, "github.com/sluicelog/sluice/cmd/sluice")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build sluice: %w\n%s", err, text)
	}
	return env, nil
}
