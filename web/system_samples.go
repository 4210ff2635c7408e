package web

import (
	"sync"
	"time"

	"github.com/sluicelog/sluice/control"
)

// Limits of samples.
const (
	sampleEvery = time.Second
	sampleLife  = 15 * time.Minute
	maxSamples  = 64
)

// samples are counts at the times when somebody looked at them: what came between
// two of them is a rate. The zero value has none.
type samples struct {
	mu   sync.Mutex
	list []sample // oldest first
}

// sample is what producers had posted at a time.
type sample struct {
	at time.Time
	in control.Intake
}

// rate is how much came in a time.
type rate struct {
	Over            time.Duration
	Events, Bytes   float64 // a second
	Requests, Wrong uint64
}

// add takes a sample and returns the rate since the last one that was taken more
// than a second before, and since the oldest. Without one, ok is false.
func (s *samples) add(now time.Time, in control.Intake) (recent, long rate, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.list) > 0 && (now.Sub(s.list[0].at) > sampleLife || len(s.list) >= maxSamples) {
		s.list = s.list[1:]
	}
	last := len(s.list) - 1
	for last >= 0 && now.Sub(s.list[last].at) < sampleEvery {
		last--
	}
	next := sample{now, in}
	if last >= 0 {
		recent, long, ok = s.list[last].until(next), s.list[0].until(next), true
	}
	if last == len(s.list)-1 {
		s.list = append(s.list, next)
	}
	return recent, long, ok
}

func (s sample) until(next sample) rate {
	over := next.at.Sub(s.at)
	return rate{
		Over: over, Events: float64(next.in.Accepted-s.in.Accepted) / over.Seconds(), Bytes: float64(next.in.Bytes-s.in.Bytes) / over.Seconds(),
		Requests: next.in.Requests - s.in.Requests, Wrong: next.in.Failures - s.in.Failures,
	}
}
