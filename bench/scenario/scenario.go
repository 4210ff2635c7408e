// Package scenario holds what the benchmark measures: which servers, with which
// destinations, under which load, and what is to be reached.
//
// A scenario has a test variant and usually a base: the floor, or Sluice in a
// simpler situation. Each round runs the base and then the test, each with fresh
// data, a fresh sink and a fresh load generator, and only results of the same
// round are compared, because machines drift.
package scenario

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/sluicelog/sluice/bench/load"
	"github.com/sluicelog/sluice/bench/report"
	"github.com/sluicelog/sluice/bench/target"
)

// runLimit bounds every process of a run; filling a log of 10 GiB takes minutes.
const runLimit = 40 * time.Minute

// Servers that a variant may measure.
const (
	Floor  = "floor"
	Sluice = "sluice"
)

// Env is what every run needs.
type Env struct {
	Self    string        // binary of the benchmark
	Sluice  string        // binary of Sluice
	Dir     string        // for data, emptied after each run
	Load    time.Duration // how long each run posts
	Drain   time.Duration // how long to wait for what was acknowledged
	LogGiB  float64       // size of the log that is restarted
	Profile string        // directory for CPU profiles of Sluice; "" for none
	// IndexEvents is how many events are searched. IndexDir keeps them, to be
	// searched again by the next run; "" is no such folder.
	IndexEvents uint64
	IndexDir    string
	Log         io.Writer // progress
}

// A Variant is one way to run a server.
type Variant struct {
	Name    string // in the table
	Server  string // Floor or Sluice
	NoIndex bool   // keep no search index; Sluice only
	// Receiver is who gets the events, by its name in package receiver; "" is the
	// sink.
	Receiver string
	// Destinations returns where to deliver; address is the receiver's, host and
	// port. nil is nowhere.
	Destinations func(address string) ([]destination, error)
	// Load says what to send; address, token and duration are filled in.
	Load load.Config
	// Unordered says that a path of the sink gets several independent flows.
	Unordered bool
	// Data returns where the server's data lies; nil is a folder of the run, which
	// is removed after it.
	Data func(env *Env) (string, error)
	// Steps is what to do; by default the load, once.
	Steps func(ctx context.Context, s *session) error
}

// A destination is one to deliver to.
type destination struct {
	target.Destination
	// path is the receiver's path whose events are awaited; "" when nothing has to
	// arrive.
	path string
}

// A Scenario is a comparison.
type Scenario struct {
	Name     string
	Title    string
	Base     *Variant // nil for none
	Test     *Variant
	Measures []report.Measure
	Once     bool // one round says enough
}

// Run runs rounds rounds of sc and judges them. Only variants of the server only
// are run when it is not "". A run that fails ends the scenario; what was measured
// until then is returned with the error.
func Run(ctx context.Context, env *Env, sc *Scenario, rounds int, only string) (report.Scenario, error) {
	out := report.Scenario{Name: sc.Name, Title: sc.Title, TestName: sc.Test.Name}
	if sc.Base != nil {
		out.BaseName = sc.Base.Name
	}
	if sc.Once {
		rounds = 1
	}
	var err error
	for n := range rounds {
		var r report.Round
		if r.Base, err = runOne(ctx, env, sc, sc.Base, n, only); err == nil {
			r.Test, err = runOne(ctx, env, sc, sc.Test, n, only)
		}
		if r.Base != nil || r.Test != nil {
			out.Rounds = append(out.Rounds, r)
		}
		if err != nil {
			break
		}
	}
	out.Judge(append(sc.Measures, none("lost or out of order", func(r *report.Result) uint64 { return r.Lost + r.Disordered }),
		none("ledgers that are off", func(r *report.Result) uint64 { return r.LedgersOff })))
	return out, err
}

func runOne(ctx context.Context, env *Env, sc *Scenario, v *Variant, round int, only string) (*report.Result, error) {
	if v == nil || only != "" && v.Server != only {
		return nil, nil
	}
	fmt.Fprintf(env.Log, "%s round %d: %s\n", sc.Name, round+1, v.Name)
	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, fmt.Errorf("run took more than %v", runLimit))
	defer cancel()
	s, err := open(ctx, env, v, fmt.Sprintf("%s-%d", sc.Name, round+1))
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", sc.Name, v.Name, err)
	}
	steps := v.Steps
	if steps == nil {
		steps = once
	}
	err = steps(ctx, s)
	if err = s.close(err); err != nil {
		return nil, fmt.Errorf("%s, %s: %w", sc.Name, v.Name, err)
	}
	return &s.result, nil
}

// once runs the variant's load and waits until everything is delivered.
func once(ctx context.Context, s *session) error {
	return s.measure(ctx, s.variant.Load, s.env.Drain)
}
