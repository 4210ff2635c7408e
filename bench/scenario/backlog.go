package scenario

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/sluicelog/sluice/bench/load"
	"github.com/sluicelog/sluice/bench/report"
	"github.com/sluicelog/sluice/bench/target"
)

// Names of what the backlog's run measures.
const (
	backlogAcked   = "acked/s while the backlog is delivered"
	backlogSeconds = "delivered s after the stream resumed"
	backlogInTime  = "delivered while events came in"
	backlogEvents  = "events of the backlog"
	backlogRate    = "delivered events/s to the resumed stream"
)

const (
	backlogLimit = 25 * time.Minute // of events coming in while the backlog is delivered
	backlogNear  = 20_000           // events that wait for a stream at full rate anyhow
	backlogEvent = 1048             // bytes of an event
	diskTimes    = 3                // free space to begin with, in sizes of the backlog
	diskLeast    = 4 << 30          // free space to go on with
)

// backlog has a stream resume that many events wait for, while producers go on as
// quickly as they can. A second stream is never behind. All events are of one class,
// so that their order can be judged.
func backlog() Scenario {
	config := plain(16, 100)
	return Scenario{Name: "backlog", Title: "a paused stream resumes with a backlog, while ingest goes on at full rate", Once: true,
		Size: func(env *Env) string { return fmt.Sprintf("%g GB", env.BacklogGB) },
		Test: &Variant{Name: Sluice, Server: Sluice, Destinations: waiting, Load: config, Steps: deliverBacklog},
		Measures: []report.Measure{
			{Name: "acked while the backlog is delivered / before", Target: ">= 0.7", Reached: report.AtLeast(0.7),
				Value: func(_, test *report.Result) float64 { return over(test.Extra[backlogAcked], test.Acked) }},
			extraMeasure(backlogInTime, "1", report.AtLeast(1)),
			memory(indexed)}}
}

// waiting returns a live destination and one that is paused, whose late events do
// not count in the times from end to end.
func waiting(address string) ([]destination, error) {
	list, err := healthy(1, 1)(address)
	return append(list, destination{target.Destination{URL: "http://" + address + "/sink/2?delay=0", Paused: true}, "/sink/2"}), err
}

func deliverBacklog(ctx context.Context, s *session) error {
	size := s.env.BacklogGB * 1e9
	if free, err := freeSpace(s.dir); err != nil || float64(free) < diskTimes*size {
		return fmt.Errorf("a backlog of %.1f GB takes up to %.0f GB of disk while it is delivered, %.0f GB are free: %w",
			s.env.BacklogGB, diskTimes*s.env.BacklogGB, float64(free)/1e9, err)
	}
	paths := s.paths
	s.paths = paths[:1]
	fill := s.variant.Load
	fill.Events, fill.Duration = uint64(size/backlogEvent), backlogLimit
	if err := s.measure(ctx, fill, s.env.Drain); err != nil {
		return err
	}
	s.paths = paths
	s.extra(backlogEvents, float64(s.next))
	return s.resumeUnderLoad(ctx)
}

// resumeUnderLoad resumes the stream and sends until it has caught up.
func (s *session) resumeUnderLoad(ctx context.Context) error {
	config := s.variant.Load
	config.Duration = backlogLimit
	began := time.Now()
	if err := s.sluice.Resume(ctx, 1, 2); err != nil {
		return err
	}
	generator, err := s.startLoad(ctx, config)
	if err != nil {
		return err
	}
	took, caughtUp, err := s.watchLag(ctx, began)
	if err != nil {
		return err
	}
	if err := generator.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("end the load: %w", err)
	}
	sent, err := s.endLoad(generator)
	if err != nil {
		return err
	}
	return s.judgeBacklog(ctx, sent, took, caughtUp)
}

// watchLag notes how many events wait for the resumed stream, until few do or the
// time or the disk is used up.
func (s *session) watchLag(ctx context.Context, began time.Time) (took time.Duration, caughtUp bool, err error) {
	const step = time.Second
	for {
		stream, err := s.sluice.Stream(ctx, 1)
		if err != nil {
			return 0, false, err
		}
		took = time.Since(began)
		s.point(report.SeriesLag, took, float64(stream.Ledger.Pending))
		if len(s.result.Series[report.SeriesLag])%30 == 1 {
			fmt.Fprintf(s.env.Log, "  %s: %d after %v\n", report.SeriesLag, stream.Ledger.Pending, took.Round(step))
		}
		if stream.Ledger.Pending < backlogNear && took > step {
			return took, true, nil
		}
		if free, err := freeSpace(s.dir); err != nil || free < diskLeast || took > backlogLimit {
			return took, false, err
		}
		select {
		case <-ctx.Done():
			return 0, false, context.Cause(ctx)
		case <-time.After(step):
		}
	}
}

func (s *session) judgeBacklog(ctx context.Context, sent load.Result, took time.Duration, caughtUp bool) error {
	stats, err := s.drain(ctx, backlogLimit)
	if err != nil {
		return err
	}
	delivered := stats.Paths[s.paths[1]]
	for _, path := range s.paths {
		s.result.Disordered = max(s.result.Disordered, stats.Paths[path].Disordered)
	}
	s.result.Lost = s.lost(stats)
	s.result.Duplicates = delivered.Duplicates
	if caughtUp {
		s.extra(backlogInTime, 1)
		s.extra(backlogSeconds, took.Seconds())
	}
	s.extra(backlogAcked, float64(sent.Acked)/time.Duration(sent.End-sent.Start).Seconds())
	s.extra(backlogRate, float64(delivered.Unique)/time.Duration(delivered.LastNew-delivered.First).Seconds())
	used, err := s.server.Process().Usage()
	s.result.MaxRSS = float64(used.MaxRSS) / (1 << 20)
	if err != nil {
		return err
	}
	return s.audit(ctx)
}

// freeSpace returns how many bytes can be written to the disk of dir.
func freeSpace(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("ask for free space: %w", err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}
