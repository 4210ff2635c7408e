// Command bench measures Sluice beside the floor, a small server that does the
// least that can be useful, and prints how they compare with what is to be
// reached. It needs Linux, loopback, and the Go toolchain to build Sluice.
//
//	go run ./bench                      everything, three rounds of 60 s
//	go run ./bench -short -run flat100  a first impression
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
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
	short, list       bool
	match             *regexp.Regexp
	only, sluice, dir string
	json, profile     string
	logGiB            float64
	indexEvents       uint64
	indexDir          string
	drain             time.Duration
}

func parse(args []string, out io.Writer) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(out)
	f.IntVar(&o.seconds, "seconds", 60, "seconds of load in each run")
	f.IntVar(&o.rounds, "rounds", 3, "rounds of each scenario")
	f.BoolVar(&o.short, "short", false, "3 seconds of load, a log of 1 GiB and a million events for the index, unless given")
	f.BoolVar(&o.list, "list", false, "list the scenarios and stop")
	run := f.String("run", "", "run the scenarios whose name matches this regular expression")
	f.StringVar(&o.only, "only", "", "run only one server: floor or sluice")
	f.StringVar(&o.sluice, "sluice", "", "binary of Sluice (default: built from ./cmd/sluice)")
	f.StringVar(&o.dir, "dir", "", "directory for data (default: a temporary one)")
	f.StringVar(&o.json, "json", "", "write all results to this file")
	f.StringVar(&o.profile, "profile", "", "keep CPU profiles of Sluice in this directory")
	f.Float64Var(&o.logGiB, "log-gib", 10, "size of the log in scenario restart; 0 skips it")
	f.Uint64Var(&o.indexEvents, "index-events", 10_000_000, "events of scenario index; 0 skips it")
	f.StringVar(&o.indexDir, "index-dir", "", "directory that keeps the log of scenario index for the next run (default: none)")
	f.DurationVar(&o.drain, "drain", time.Minute, "how long to wait for deliveries after the load")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if o.short && !given["seconds"] {
		o.seconds = 3
	}
	if o.short && !given["log-gib"] {
		o.logGiB = 1
	}
	if o.short && !given["index-events"] {
		o.indexEvents = 1_000_000
	}
	if o.match, err = regexp.Compile(*run); err != nil {
		return o, fmt.Errorf("flag -run: %w", err)
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.seconds < 1 || o.rounds < 1 || o.logGiB < 0 || o.drain <= 0:
		return o, errors.New("flags -seconds, -rounds, -log-gib and -drain must be positive")
	case o.only != "" && o.only != scenario.Floor && o.only != scenario.Sluice:
		return o, fmt.Errorf("flag -only: no server is called %q", o.only)
	}
	return o, nil
}

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
	fmt.Fprintf(out, "%s, %d processors, %s, %s, rounds of %d s\n", machine.Processor(), runtime.NumCPU(), runtime.GOARCH, runtime.Version(), o.seconds)
	var results []report.Scenario
	var failures []error
	for _, s := range list {
		if ctx.Err() != nil {
			break
		}
		result, err := scenario.Run(ctx, env, &s, o.rounds, o.only)
		failures = append(failures, err)
		if len(result.Rounds) == 0 {
			continue
		}
		results = append(results, result)
		if err := errors.Join(result.Write(out), save(o.json, results)); err != nil {
			return err
		}
	}
	return errors.Join(failures...)
}

// chosen returns the scenarios to run.
func chosen(o *options) (list []scenario.Scenario) {
	for _, s := range scenario.All() {
		if o.match.MatchString(s.Name) && (s.Name != "restart" || o.logGiB > 0) && (s.Name != "index" || o.indexEvents > 0) {
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
		Drain: o.drain, LogGiB: o.logGiB, IndexEvents: o.indexEvents, Profile: o.profile, Log: log}
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
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build sluice: %w\n%s", err, text)
	}
	return env, nil
}

// save writes the results so far; "" is no file.
func save(path string, results []report.Scenario) error {
	if path == "" {
		return nil
	}
	b, err := json.MarshalIndent(map[string]any{"machine": machine.Processor(), "processors": runtime.NumCPU(),
		"go": runtime.Version(), "scenarios": results}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
