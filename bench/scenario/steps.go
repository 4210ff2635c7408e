package scenario

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/bench/load"
)

// pausedStreams are the streams that fall behind and then all resume.
const pausedStreams = 50

// Names of extra measures.
const (
	resumedAcked = "acked/s while catching up"
	caughtUp     = "caught up s"
	diskRatio    = "disk bytes per byte"
	logRatio     = "of them the log"
	indexRatio   = "of them the index"
	logSize      = "log GiB"
	readyAfter   = "ready s"
	ackAfter     = "first ack s"
	deliverAfter = "first delivery s"
	probeAfter   = "probe delivered s"
)

// pauseAndResume measures with the paused streams waiting, then resumes them all
// and measures the producers' rate again while they catch up.
func pauseAndResume(ctx context.Context, s *session) error {
	paths := s.paths
	s.paths = paths[:1]
	if err := once(ctx, s); err != nil {
		return err
	}
	s.paths = paths
	if err := s.sluice.Resume(ctx, 1, 1+pausedStreams); err != nil {
		return err
	}
	sent, _, err := s.load(ctx, s.variant.Load)
	if err != nil {
		return err
	}
	// Fifty times all events: at a million a second that is what it takes.
	stats, err := s.drain(ctx, s.env.Drain+time.Duration(s.next*pausedStreams/200_000)*time.Second)
	if err != nil {
		return err
	}
	var last int64
	for _, path := range s.paths {
		last = max(last, stats.Paths[path].LastNew)
		s.result.Duplicates += stats.Paths[path].Duplicates
	}
	s.result.Lost += s.lost(stats)
	s.extra(resumedAcked, float64(sent.Acked)/time.Duration(sent.End-sent.Start).Seconds())
	s.extra(caughtUp, max(0, time.Duration(last-sent.End).Seconds()))
	used, err := s.server.Process().Usage()
	s.result.MaxRSS = float64(used.MaxRSS) / (1 << 20)
	return err
}

// fillDisk measures and then compares what lies on the disk with what came in.
func fillDisk(ctx context.Context, s *session) error {
	if err := once(ctx, s); err != nil {
		return err
	}
	if err := s.stopServer(); err != nil {
		return err
	}
	if s.sluice == nil {
		return s.perByte(diskRatio, s.data)
	}
	return errors.Join(s.perByte(diskRatio, s.data), s.perByte(logRatio, filepath.Join(s.data, "log")), s.perByte(indexRatio, s.indexFolder()))
}

// perByte compares what a folder takes on the disk with what came in.
func (s *session) perByte(name, dir string) error {
	used, err := diskUsage(dir)
	s.extra(name, float64(used)/float64(s.bytes))
	return err
}

// killAndRestart fills the log, kills the server under load, and measures how long
// a new process takes to accept and to deliver.
func killAndRestart(ctx context.Context, s *session) error {
	if err := s.fillLog(ctx); err != nil {
		return err
	}
	const underLoad = 2 * time.Second
	config := s.variant.Load
	config.Duration = underLoad
	generator, err := s.startLoad(ctx, config)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(underLoad / 2):
	}
	if err := s.server.Process().Kill(); err != nil {
		return err
	}
	if _, err := s.endLoad(generator); err != nil {
		return err
	}
	if err := s.restart(ctx); err != nil {
		return err
	}
	return once(ctx, s)
}

// fillLog sends until the log has its size.
func (s *session) fillLog(ctx context.Context) error {
	const piece = 5 * time.Second
	want := uint64(s.env.LogGiB * (1 << 30))
	for {
		used, err := diskUsage(s.data)
		s.extra(logSize, float64(used)/(1<<30))
		if err != nil || used >= want {
			return err
		}
		config := s.variant.Load
		config.Duration = piece
		if _, _, err := s.load(ctx, config); err != nil {
			return err
		}
		fmt.Fprintf(s.env.Log, "  log: %.2f GiB\n", float64(used)/(1<<30))
	}
}

// restart starts the server again, sends one event, and measures when the first
// delivery and that event come to the sink.
func (s *session) restart(ctx context.Context) error {
	before, err := s.stats(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := s.sluice.Restart(ctx); err != nil {
		return err
	}
	// Times are from the start of the new process.
	s.extra(readyAfter, time.Since(start).Seconds())
	probe, err := load.Run(ctx, load.Config{Address: s.server.Address(), Token: s.server.Token(), Flow: load.Flow{Connections: 1, PerRequest: 1},
		Duration: s.env.Drain, Events: 1, First: s.next, Corpus: corpus.Spec{Kind: corpus.Plain}})
	if err != nil {
		return err
	}
	s.extra(ackAfter, time.Unix(0, probe.End).Sub(start).Seconds())
	s.next = probe.Next
	path := s.paths[0]
	for delivered := false; ; {
		now, err := s.stats(ctx)
		if err != nil {
			return err
		}
		late := time.Since(start) > s.env.Drain
		if !delivered && (late || now.Paths[path].Requests > before.Paths[path].Requests) {
			delivered = true
			s.extra(deliverAfter, time.Since(start).Seconds())
		}
		if late || s.lost(now) == 0 {
			s.extra(probeAfter, time.Since(start).Seconds())
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
