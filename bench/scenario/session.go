package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sluicelog/sluice/bench/load"
	"github.com/sluicelog/sluice/bench/process"
	"github.com/sluicelog/sluice/bench/report"
	"github.com/sluicelog/sluice/bench/sink"
	"github.com/sluicelog/sluice/bench/target"
)

const (
	drainPoll = 50 * time.Millisecond
	loadGrace = 90 * time.Second // for the last answers
)

// A session is one run of a variant: a sink, a server, and the loads it gets.
type session struct {
	env     *Env
	variant *Variant
	dir     string // of this run
	name    string // of its profiles
	data    string // of the server, in dir unless the variant says otherwise
	log     *os.File

	sink   *process.Process // or another receiver
	url    string           // of the sink, or where the receiver tells its counts
	server target.Server
	sluice *target.Sluice // the same as server, nil for the floor
	paths  []string       // of the sink, where every event is awaited

	next    uint64       // number of the next event
	unknown []load.Range // sent, never answered
	bytes   uint64       // acknowledged so far
	ended   int64        // when the last load had its last answer, since 1970
	filled  *filled      // the log that is searched; nil in other scenarios
	result  report.Result
}

// open starts sink and server.
func open(ctx context.Context, env *Env, v *Variant, name string) (*session, error) {
	dir, err := os.MkdirTemp(env.Dir, v.Server+"-")
	if err != nil {
		return nil, err
	}
	s := &session{env: env, variant: v, dir: dir, name: name + "-" + filepath.Base(dir), data: filepath.Join(dir, "data")}
	if v.Data != nil {
		if s.data, err = v.Data(env); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	if s.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.start(ctx); err != nil {
		return nil, s.close(err)
	}
	return s, nil
}

func (s *session) start(ctx context.Context) (err error) {
	address, err := s.startReceiver(ctx)
	if err != nil {
		return err
	}
	destinations, err := s.destinations(address)
	if err != nil {
		return err
	}
	config := target.Config{Binary: s.env.Self, Dir: s.data, Log: s.log}
	if s.variant.Server == Floor {
		floor, err := target.StartFloor(ctx, config, destinations)
		if err == nil {
			s.server = floor
		}
		return err
	}
	if s.variant.Server != Sluice {
		return s.startPeer(ctx, config, destinations)
	}
	config.Binary, config.NoIndex, config.Profile = s.env.Sluice, s.variant.NoIndex, s.profile("")
	config.Retention, config.Compression = s.variant.Retention, s.variant.Compression
	if s.sluice, err = target.StartSluice(ctx, config, destinations); err == nil {
		s.server = s.sluice
	}
	return err
}

func (s *session) startPeer(ctx context.Context, config target.Config, destinations []target.Destination) (err error) {
	if config.Binary, err = s.env.peer(ctx, s.variant.Server); err != nil {
		return err
	}
	p, err := target.StartPeer(ctx, s.variant.Server, config, destinations)
	if err == nil {
		s.server = p
	}
	return err
}

// destinations returns where to deliver, and notes where events are awaited.
func (s *session) destinations(address string) (all []target.Destination, err error) {
	if s.variant.Destinations == nil {
		return nil, nil
	}
	list, err := s.variant.Destinations(address)
	for _, d := range list {
		all = append(all, d.Destination)
		if d.path != "" && !slices.Contains(s.paths, d.path) {
			s.paths = append(s.paths, d.path)
		}
	}
	return all, err
}

// profile returns the file for a profile of a part of the run, "" when there is
// to be none.
func (s *session) profile(part string) string {
	if s.env.Profile == "" {
		return ""
	}
	return filepath.Join(s.env.Profile, s.name+part+".pprof")
}

// startReceiver starts the sink or what stands in for it, and returns the address
// to deliver to.
func (s *session) startReceiver(ctx context.Context) (address string, err error) {
	spec := process.Spec{Path: s.env.Self, Args: []string{"sink"}, Log: s.log}
	if s.variant.Receiver != "" {
		spec.Args = []string{"receive", s.variant.Receiver, filepath.Join(s.dir, "received")}
	}
	if s.sink, err = process.Start(ctx, spec); err != nil {
		return "", err
	}
	if address, err = s.sink.Line(); err != nil {
		return "", err
	}
	s.url = "http://" + address
	if s.variant.Receiver == "" {
		return address, nil
	}
	return s.sink.Line()
}

// close stops the processes and removes the data. With an error it adds the end of
// the server's log to it.
func (s *session) close(err error) error {
	err = errors.Join(err, s.stopServer())
	if s.sluice != nil {
		err = errors.Join(err, s.sluice.Close())
	}
	if s.sink != nil {
		err = errors.Join(err, s.sink.Stop())
	}
	s.log.Close()
	if err != nil {
		text, _ := os.ReadFile(s.log.Name())
		err = fmt.Errorf("%w\n%s", err, text[max(0, len(text)-2000):])
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

func (s *session) stopServer() error {
	if s.server == nil {
		return nil
	}
	return s.server.Process().Stop()
}

// startLoad starts a load generator with the next events.
func (s *session) startLoad(ctx context.Context, config load.Config) (*process.Process, error) {
	config.Address, config.Token, config.First = s.server.Address(), s.server.Token(), s.next
	if p, ok := s.server.(*target.Peer); ok {
		config.Path, config.Lines = p.Way()
	}
	if config.Duration == 0 {
		config.Duration = s.env.Load
	}
	spec, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	return process.Start(ctx, process.Spec{Path: s.env.Self, Args: []string{"load", string(spec)}, Log: s.log})
}

// endLoad waits for a load generator and takes note of what it sent.
func (s *session) endLoad(p *process.Process) (r load.Result, err error) {
	out, err := p.Output()
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	if err != nil {
		return r, fmt.Errorf("run load generator: %w", err)
	}
	s.next, s.ended = r.Next, r.End
	s.unknown = append(s.unknown, r.Unknown...)
	s.bytes += r.Bytes
	return r, nil
}

// load runs a load generator to its end.
func (s *session) load(ctx context.Context, config load.Config) (load.Result, *process.Process, error) {
	ctx, cancel := context.WithTimeout(ctx, max(config.Duration, s.env.Load)+loadGrace)
	defer cancel()
	p, err := s.startLoad(ctx, config)
	if err != nil {
		return load.Result{}, nil, err
	}
	r, err := s.endLoad(p)
	if err == nil && r.Acked == 0 {
		err = fmt.Errorf("run load generator: nothing was accepted: %s", r.LastError)
	}
	return r, p, err
}

// stats asks the sink.
func (s *session) stats(ctx context.Context) (stats sink.Stats, err error) {
	r, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s/stats?upto=%d", s.url, s.next), nil)
	if err != nil {
		return stats, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return stats, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return stats, err
	}
	if resp.StatusCode != http.StatusOK {
		return stats, fmt.Errorf("ask the receiver: %s: %.500s", resp.Status, body)
	}
	return stats, json.Unmarshal(body, &stats)
}

// drain waits until every acknowledged event is at every path, at most for the
// given time. What is lost then shows in the stats.
func (s *session) drain(ctx context.Context, limit time.Duration) (sink.Stats, error) {
	for end := time.Now().Add(limit); ; {
		stats, err := s.stats(ctx)
		if err != nil || s.lost(stats) == 0 || time.Now().After(end) {
			return stats, err
		}
		select {
		case <-ctx.Done():
			return stats, context.Cause(ctx)
		case <-time.After(drainPoll):
		}
	}
}

// lost counts the acknowledged events that did not come, over all paths.
func (s *session) lost(stats sink.Stats) (lost uint64) {
	for _, path := range s.paths {
		p, ok := stats.Paths[path]
		if !ok {
			lost += s.next
			continue
		}
		lost += p.Missing - unanswered(p.MissingRanges, s.unknown)
	}
	return lost
}

// unanswered counts the missing events that were never acknowledged.
func unanswered(missing []sink.Range, unknown []load.Range) (n uint64) {
	for _, m := range missing {
		for _, u := range unknown {
			if from, to := max(m.From, u.From), min(m.To, u.To); from < to {
				n += to - from
			}
		}
	}
	return n
}
