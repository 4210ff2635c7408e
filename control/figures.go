package control

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice/deliver"
	"github.com/sluicelog/sluice/eventlog"
)

// CommitBuckets are the upper bounds of the buckets of [Intake].Commits.
func CommitBuckets() []time.Duration { return commitBuckets[:] }

var commitBuckets = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond,
	20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond,
	500 * time.Millisecond, time.Second, 5 * time.Second,
}

// intake counts what producers posted since the start.
type intake struct {
	requests, failures   atomic.Uint64
	accepted, duplicates atomic.Uint64
	bytes                atomic.Uint64
	commits              [len(commitBuckets) + 1]atomic.Uint64
	nanos                atomic.Uint64
}

// Intake is what producers posted since the start.
type Intake struct {
	Requests, Failures   uint64 // appended, and not appended
	Accepted, Duplicates uint64 // events
	Bytes                uint64 // of events in appended requests, duplicates included
	// Commits counts appended requests by how long they waited until they were
	// durable: for each of [CommitBuckets] those up to it, then the longer ones.
	Commits []uint64
	Waited  time.Duration // in all
}

func (i *intake) failed() { i.failures.Add(1) }

func (i *intake) count(out map[string]eventlog.Appended, batches map[string]*eventlog.Batch, took time.Duration) {
	i.requests.Add(1)
	for _, a := range out {
		i.accepted.Add(uint64(a.Accepted))
		i.duplicates.Add(uint64(a.Duplicates))
	}
	for _, b := range batches {
		i.bytes.Add(uint64(b.Bytes()))
	}
	n := 0
	for n < len(commitBuckets) && took > commitBuckets[n] {
		n++
	}
	i.commits[n].Add(1)
	i.nanos.Add(uint64(took))
}

// Intake returns the counts.
func (s *Service) Intake() Intake {
	i := &s.intake
	out := Intake{
		Requests: i.requests.Load(), Failures: i.failures.Load(), Accepted: i.accepted.Load(),
		Duplicates: i.duplicates.Load(), Bytes: i.bytes.Load(), Waited: time.Duration(i.nanos.Load()),
	}
	for n := range i.commits {
		out.Commits = append(out.Commits, i.commits[n].Load())
	}
	return out
}

// Space is the free space of the data folder.
type Space struct {
	Watched     bool
	Free, Floor uint64 // bytes
	Low         bool   // producers are refused
}

// Space returns what the last look at the free space saw.
func (s *Service) Space() Space {
	return Space{Watched: s.cfg.FreeSpace != nil, Free: s.space.free.Load(), Floor: s.cfg.Floor, Low: s.space.short()}
}

// PartitionFigures describes a partition of the log.
type PartitionFigures struct {
	Name  string
	Stats eventlog.Stats
	First uint64 // the lowest stored number
	Last  uint64 // the highest number given out
	// Oldest is the age of the oldest stored event.
	Oldest time.Duration
	Keep   deliver.Retention
}

// Partitions describes the log.
func (s *Service) Partitions(ctx context.Context) []PartitionFigures {
	var out []PartitionFigures
	for _, name := range s.log.Partitions() {
		f := PartitionFigures{Name: name, Stats: s.log.Stats(name), First: s.log.First(name), Last: s.log.Last(name), Keep: s.cfg.Deliver.Retention(name)}
		if at, err := s.log.AcceptedAt(ctx, name, f.First); err == nil {
			f.Oldest = max(0, s.now().Sub(at))
		}
		out = append(out, f)
	}
	return out
}

// RetentionStopped reports whether retention stopped because the clock was set
// forward.
func (s *Service) RetentionStopped() bool { return s.cfg.Deliver.RetentionStopped() }

// RetentionWaits reports whether retention by age waits because the clock was far
// ahead at the start of when the server last ran.
func (s *Service) RetentionWaits() bool { return s.cfg.Deliver.RetentionWaits() }

// KnownNamespaces counts the groups and projects.
func (s *Service) KnownNamespaces() int {
	s.namespaces.mu.RLock()
	defer s.namespaces.mu.RUnlock()
	return len(s.namespaces.byPath)
}
