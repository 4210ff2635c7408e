package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/sqlite"
)

// piece is how many events are sent before the time is noted, for exports.
const piece = 1_000_000

// filled describes a log that can be searched; it lies beside the data.
type filled struct {
	Events uint64      // that were asked for
	Acked  uint64      // that the log has, besides those of the server itself
	Marks  []time.Time // before the first piece, and behind each
	corpus *corpus.Corpus
}

// searchedData returns the folder of the log to search: none, an empty one, or one
// that an earlier run has filled.
func searchedData(env *Env) (string, error) {
	if env.IndexDir == "" {
		return filepath.Join(env.Dir, "searched", "data"), nil
	}
	data := filepath.Join(env.IndexDir, "data")
	f, err := readFilled(data)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(data); err == nil && f == nil {
		return "", fmt.Errorf("%s holds a log that is not whole: remove it", env.IndexDir)
	}
	if f != nil && f.Events != env.IndexEvents {
		return "", fmt.Errorf("%s holds %d events: remove it, or ask for as many", env.IndexDir, f.Events)
	}
	return data, nil
}

func filledPath(data string) string { return filepath.Join(filepath.Dir(data), "filled.json") }

// readFilled returns what an earlier run has left in data, nil when that is
// nothing.
func readFilled(data string) (*filled, error) {
	text, err := os.ReadFile(filledPath(data))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f := &filled{}
	return f, json.Unmarshal(text, f)
}

// fillSearched sends the events, unless an earlier run did.
func fillSearched(ctx context.Context, s *session) error {
	f, err := readFilled(s.data)
	if err != nil {
		return err
	}
	if f == nil {
		if f, err = s.fill(ctx); err != nil {
			return err
		}
	}
	if f.corpus, err = corpus.New(indexCorpus(s.env)); err != nil {
		return err
	}
	s.filled = f
	x, err := s.awaitIndex(ctx)
	if err != nil {
		return err
	}
	if x.Events < f.Acked {
		s.result.Lost += f.Acked - x.Events
	}
	return s.peak("ingest")
}

// fill sends the events and waits until they can be found.
func (s *session) fill(ctx context.Context) (*filled, error) {
	f := &filled{Events: s.env.IndexEvents, Marks: []time.Time{time.Now()}}
	var seconds float64
	for s.next < f.Events {
		sent, _, err := s.load(ctx, fillLoad(s.env, s.next, min(s.next+piece, f.Events)))
		if err != nil {
			return nil, err
		}
		f.Acked += sent.Acked
		seconds += time.Duration(sent.End - sent.Start).Seconds()
		f.Marks = append(f.Marks, time.Now())
		fmt.Fprintf(s.env.Log, "  log: %d events\n", s.next)
	}
	s.result.Seconds, s.result.Acked = seconds, float64(f.Acked)/seconds
	if _, err := s.awaitIndex(ctx); err != nil {
		return nil, err
	}
	s.extra(indexBehind, time.Since(time.Unix(0, s.ended)).Seconds())
	used, err := s.server.Process().Usage()
	if err != nil {
		return nil, err
	}
	s.extra(fillCPU, used.CPU.Seconds()/(float64(f.Acked)/1e6))
	text, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	return f, os.WriteFile(filledPath(s.data), text, 0o600)
}

// again starts the server anew for a part of the run, which has a profile of its
// own.
func (s *session) again(ctx context.Context, part string, index bool) error {
	if err := s.stopServer(); err != nil {
		return err
	}
	s.sluice.Config.NoIndex, s.sluice.Config.Profile = !index, s.profile(part)
	return s.sluice.Restart(ctx)
}

// peak notes the most memory that the process for a part of the run has had.
func (s *session) peak(part string) error {
	used, err := s.server.Process().Usage()
	most := float64(used.MaxRSS) / (1 << 20)
	s.extra("rss MiB, "+part, most)
	s.result.MaxRSS = max(s.result.MaxRSS, most)
	return err
}

// buildIndex has the index made from the log, while nothing else happens. What a
// start costs without an index is not counted.
func buildIndex(ctx context.Context, s *session) error {
	if err := s.again(ctx, "-start", false); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	idle, err := s.server.Process().Usage()
	if err != nil {
		return err
	}
	s.extra(startCPU, idle.CPU.Seconds())
	if err := s.stopServer(); err != nil {
		return err
	}
	if err := os.RemoveAll(s.indexFolder()); err != nil {
		return err
	}
	s.sluice.Config.NoIndex, s.sluice.Config.Profile = false, s.profile("-build")
	if err := s.sluice.Restart(ctx); err != nil {
		return err
	}
	began := time.Now()
	x, err := s.awaitIndex(ctx)
	if err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	used, err := s.server.Process().Usage()
	if err != nil {
		return err
	}
	s.extra(indexRate, float64(x.Events)/took)
	s.extra(indexCPU, (used.CPU-idle.CPU).Seconds()/(float64(x.Events)/1e6))
	return s.weigh(ctx)
}

// weigh compares the index on the disk with the events in it. Those in memory are
// not on the disk and do not count.
func (s *session) weigh(ctx context.Context) error {
	if err := s.peak("build"); err != nil {
		return err
	}
	if err := s.stopServer(); err != nil {
		return err
	}
	size, err := diskUsage(s.indexFolder())
	if err != nil {
		return err
	}
	events, err := sealedEvents(ctx, s.indexFolder())
	s.extra(indexBytes, over(float64(size), float64(events)))
	return err
}

func (s *session) indexFolder() string { return filepath.Join(s.data, "index") }

// sealedEvents counts the events of an index that no server has open.
func sealedEvents(ctx context.Context, dir string) (n int, err error) {
	engine, err := sqlite.OpenIndex(dir, sqlite.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	for _, class := range []sluice.Class{sluice.Audit, sluice.Git} {
		p, err := engine.Open(ctx, string(class))
		if err != nil {
			return 0, err
		}
		chunks, err := p.Chunks(ctx)
		if err = errors.Join(err, p.Close()); err != nil {
			return 0, err
		}
		for _, info := range chunks {
			n += info.Events
		}
	}
	return n, nil
}
