// Package scenario holds what the benchmark measures: which servers, with which
// destinations, under which load, and what is to be reached.
//
// A scenario has a test variant and usually a base: the floor, or Sluice in a
// simpler situation. Each round runs both, each with fresh data, a fresh sink and a fresh load generator, and only results of the same
// round are compared, because machines drift.
package scenario

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sluicelog/sluice/bench/load"
	"github.com/sluicelog/sluice/bench/report"
	"github.com/sluicelog/sluice/bench/target"
)

// runLimit bounds every process of a run; filling a log of 10 GiB takes minutes.
const runLimit = 80 * time.Minute

// Servers that a variant may measure, beside the peers of package target.
const (
	Floor  = "floor"
	Sluice = "sluice"
)

// Servers returns the names of all.
func Servers() []string { return []string{Floor, Sluice, target.Collector, target.SyslogNG} }

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
	Soak        time.Duration // how long the soak goes on
	BacklogGB   float64       // of events that wait when the backlog's stream resumes
	Log         io.Writer     // progress

	peers map[string]program // that were looked for
}

// program is a peer's, or why there is none.
type program struct {
	path string
	err  error
}

// peer returns the program of a server that is a peer.
func (e *Env) peer(ctx context.Context, server string) (string, error) {
	p, known := e.peers[server]
	if !known {
		p.path, p.err = target.FindPeer(ctx, server, e.Dir)
		if e.peers == nil {
			e.peers = map[string]program{}
		}
		e.peers[server] = p
	}
	return p.path, p.err
}

// A Variant is one way to run a server.
type Variant struct {
	Name    string // in the table
	Server  string // one of Servers
	NoIndex bool   // keep no search index; Sluice only
	// Compression is how the log is stored, "" as shipped; Sluice only.
	Compression string
	// Retention is the most that the log takes on disk; Sluice only.
	Retention string
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
	Others   []*Variant // run after these; those that are not installed are left out
	Measures []report.Measure
	Once     bool // one round says enough
	// Size says how long and how large a run is; nil is for Load seconds. Rounds of
	// different sizes are not put together.
	Size func(env *Env) string
}

// Setting says how long and how large a run of sc is.
func (sc *Scenario) Setting(env *Env) string {
	if sc.Size != nil {
		return sc.Size(env)
	}
	return env.Load.String()
}

// Find returns a scenario by its name.
func Find(name string) (Scenario, bool) {
	for _, sc := range All() {
		if sc.Name == name {
			return sc, true
		}
	}
	return Scenario{}, false
}

// Run runs rounds of sc until out has as many as wanted, and judges them all; save
// is called after each. Only variants of the server only are run when it is not "".
// A run that fails ends the scenario; what was measured until then is returned with
// the error.
func Run(ctx context.Context, env *Env, sc *Scenario, out *report.Scenario, wanted int, only string, save func() error) (err error) {
	sc.describe(out)
	for len(out.Rounds) < sc.rounds(wanted) && err == nil {
		var r report.Round
		r, err = sc.round(ctx, env, len(out.Rounds), only, out)
		if err == nil || r.Base != nil || r.Test != nil {
			out.Rounds = append(out.Rounds, r)
		}
		sc.Judge(out)
		if err == nil {
			err = save()
		}
	}
	return err
}

// rounds is how many rounds are made when so many are wanted of each scenario.
func (sc *Scenario) rounds(wanted int) int {
	if sc.Once {
		return min(wanted, 1)
	}
	return wanted
}

// describe names what is compared.
func (sc *Scenario) describe(out *report.Scenario) {
	out.Name, out.Title, out.TestName, out.Others = sc.Name, sc.Title, sc.Test.Name, nil
	if sc.Base != nil {
		out.BaseName = sc.Base.Name
	}
	for _, v := range sc.Others {
		out.Others = append(out.Others, v.Name)
	}
}

// Judge judges all rounds of out by what is to be reached now.
func (sc *Scenario) Judge(out *report.Scenario) {
	measures := slices.Concat(sc.Measures, []report.Measure{
		none("lost or out of order", func(r *report.Result) uint64 { return r.Lost + r.Disordered }),
		none("ledgers that are off", func(r *report.Result) uint64 { return r.LedgersOff })})
	if sc.Test.Destinations != nil && slices.ContainsFunc(out.Rounds, indexFollowed) {
		measures = append(measures, extraMeasure(indexBehind, "<= 10", report.AtMost(10)))
	}
	out.Judge(measures)
}

// indexFollowed reports whether a round's test waited for the search index.
func indexFollowed(r report.Round) bool {
	if r.Test == nil {
		return false
	}
	_, waited := r.Test.Extra[indexBehind]
	return waited
}

// round runs each variant once; every other round begins with the test, so that
// neither always has the fresher machine.
func (sc *Scenario) round(ctx context.Context, env *Env, n int, only string, out *report.Scenario) (r report.Round, err error) {
	r.Began = time.Now().UTC().Truncate(time.Second)
	first, second := &r.Base, &r.Test
	one, other := sc.Base, sc.Test
	if n%2 == 1 {
		first, second, one, other = second, first, other, one
	}
	if *first, err = runOne(ctx, env, sc, one, n, only); err != nil {
		return r, err
	}
	if *second, err = runOne(ctx, env, sc, other, n, only); err != nil {
		return r, err
	}
	out.Absent = nil
	for _, v := range sc.Others {
		if _, err := env.peer(ctx, v.Server); err != nil {
			out.Absent = append(out.Absent, fmt.Sprintf("%s: %v", v.Name, err))
			fmt.Fprintf(env.Log, "%s: left out: %s: %v\n", sc.Name, v.Name, err)
			continue
		}
		result, err := runOne(ctx, env, sc, v, n, only)
		if err != nil {
			return r, err
		}
		if result != nil {
			if r.Others == nil {
				r.Others = map[string]*report.Result{}
			}
			r.Others[v.Name] = result
		}
	}
	return r, nil
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
