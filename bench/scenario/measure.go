package scenario

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sluicelog/sluice/bench/load"
	"github.com/sluicelog/sluice/bench/process"
	"github.com/sluicelog/sluice/bench/receiver"
	"github.com/sluicelog/sluice/bench/sink"
)

// measure runs a load, waits until it is delivered, at most for limit, and fills
// the session's result.
func (s *session) measure(ctx context.Context, config load.Config, limit time.Duration) error {
	m, err := s.begin(ctx)
	if err != nil {
		return err
	}
	sent, generator, err := s.load(ctx, config)
	if err != nil {
		return err
	}
	return s.end(ctx, m, sent, generator, limit)
}

// start is how things were before a load.
type start struct {
	stats sink.Stats
	used  usages
}

// begin waits until nothing is left of what came before, and looks.
func (s *session) begin(ctx context.Context) (m start, err error) {
	if err := s.settle(ctx); err != nil {
		return m, err
	}
	if m.stats, err = s.stats(ctx); err == nil {
		m.used, err = s.usage()
	}
	return m, err
}

// end waits until a load is delivered, at most for limit, and indexed, and fills the
// result. Processor time and memory are those until then.
func (s *session) end(ctx context.Context, m start, sent load.Result, generator *process.Process, limit time.Duration) error {
	after, now, err := s.finish(ctx, limit)
	if err != nil {
		return err
	}
	s.fillLoad(sent)
	s.fillDelivery(sent, m.stats, after)
	if s.sluice != nil && !s.variant.NoIndex {
		if now.server, err = s.catchUp(ctx); err != nil {
			return err
		}
	}
	millions := float64(sent.Acked) / 1e6
	s.result.CPU = (now.server.CPU - m.used.server.CPU).Seconds() / millions
	s.result.SinkCPU = (now.sink - m.used.sink).Seconds() / millions
	s.result.LoadCPU = generator.CPU().Seconds() / millions
	s.result.MaxRSS = float64(now.server.MaxRSS) / (1 << 20)
	return s.audit(ctx)
}

// settle waits until the server has nothing left to do of what came before, so
// that the load alone is measured: it uses less than a twentieth of a processor.
func (s *session) settle(ctx context.Context) error {
	const step, limit = 500 * time.Millisecond, time.Minute
	used, err := s.server.Process().Usage()
	if err != nil {
		return err
	}
	for end := time.Now().Add(limit); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(step):
		}
		now, err := s.server.Process().Usage()
		if err != nil {
			return err
		}
		if now.CPU-used.CPU < step/20 {
			break
		}
		used = now
	}
	if s.sluice == nil || s.env.Profile == "" {
		return nil
	}
	return s.server.Process().Signal(syscall.SIGUSR1) // the profile begins here
}

// finish waits until everything is delivered, at most for limit, and returns what
// the receiver counted and what was used until then. Most receivers are asked only
// after that: they count when they are asked, which takes longer than to receive.
func (s *session) finish(ctx context.Context, limit time.Duration) (after sink.Stats, now usages, err error) {
	if r := s.variant.Receiver; r == "" || r == receiver.Hub {
		if after, err = s.drain(ctx, limit); err == nil {
			now, err = s.usage()
		}
		return after, now, err
	}
	if err = s.awaitLedger(ctx, limit); err != nil {
		return after, now, err
	}
	if now, err = s.usage(); err == nil {
		after, err = s.stats(ctx)
	}
	return after, now, err
}

// awaitLedger waits until the first stream has nothing pending, at most for limit.
func (s *session) awaitLedger(ctx context.Context, limit time.Duration) error {
	for end := time.Now().Add(limit); ; {
		stream, err := s.sluice.Stream(ctx, 0)
		if err != nil || stream.Ledger.Pending == 0 || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(drainPoll):
		}
	}
}

// audit asks Sluice for its ledgers.
func (s *session) audit(ctx context.Context) error {
	const streams = 100 // of ten thousand, a sample
	if s.sluice == nil {
		return nil
	}
	for i := range min(s.sluice.Streams(), streams) {
		stream, err := s.sluice.Stream(ctx, i)
		if err != nil {
			return err
		}
		if l := stream.Ledger; !l.Balanced() || l.Quarantined+l.Expired > 0 {
			s.result.LedgersOff++
			s.result.Error = fmt.Sprintf("ledger of stream %d: %+v", i, l)
		}
	}
	return nil
}

type usages struct {
	server process.Usage
	sink   time.Duration // processor time of the receiver and what it started
}

func (s *session) usage() (u usages, err error) {
	if u.server, err = s.server.Process().Usage(); err != nil {
		return u, err
	}
	u.sink, err = s.sink.FamilyCPU()
	return u, err
}

func (s *session) fillLoad(sent load.Result) {
	r := &s.result
	r.Seconds = time.Duration(sent.End - sent.Start).Seconds()
	r.Acked = float64(sent.Acked) / r.Seconds
	r.Refused, r.Errors, r.Error = sent.Refused, sent.Errors, sent.LastError
	r.RequestP50, r.RequestP99 = milliseconds(sent.P50), milliseconds(sent.P99)
}

func (s *session) fillDelivery(sent load.Result, before, after sink.Stats) {
	r := &s.result
	var unique uint64
	var last int64
	for _, path := range s.paths {
		p := after.Paths[path]
		unique += p.Unique - before.Paths[path].Unique
		last = max(last, p.LastNew)
		r.Duplicates += p.Duplicates
		if !s.variant.Unordered {
			r.Disordered += p.Disordered
		}
	}
	r.Lost = s.lost(after)
	r.Drain = max(0, time.Duration(last-sent.End).Seconds())
	r.Delivered = float64(unique) / (r.Seconds + r.Drain)
	r.E2EP50, r.E2EP99 = milliseconds(after.P50), milliseconds(after.P99)
}

// extra keeps a value that only some scenarios measure.
func (s *session) extra(name string, value float64) {
	if s.result.Extra == nil {
		s.result.Extra = map[string]float64{}
	}
	s.result.Extra[name] = value
}

func milliseconds(ns int64) float64 { return float64(ns) / 1e6 }

// diskUsage returns the bytes that the files under dir take on the disk.
func diskUsage(dir string) (bytes uint64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreAbsent(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreAbsent(err)
		}
		bytes += uint64(info.Sys().(*syscall.Stat_t).Blocks) * 512
		return nil
	})
	return bytes, err
}

// ignoreAbsent lets a running server remove its files.
func ignoreAbsent(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
