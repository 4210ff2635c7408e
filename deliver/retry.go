package deliver

import (
	"time"

	"github.com/sluicelog/sluice"
)

// MinRetry is how long a lane is left alone after a failure, whoever asks: so
// nobody can use [Deliverer.Retry] to hammer a destination.
const MinRetry = time.Second

// Waits reports whether the lane waits, at now, for its next try and may be tried
// at once: see [Deliverer.Retry].
func (s *LaneState) Waits(now time.Time) bool {
	return s.LastError != nil && s.NextRetry.After(now) && now.Sub(s.LastError.Time) >= MinRetry
}

// Retry tries every lane of a stream now that waits after a failure, whatever its
// destination asked for: somebody says that the trouble is over. One that failed
// less than [MinRetry] ago goes on waiting. What fails again waits as it would
// have otherwise. Retry returns how many lanes are tried; the error is a
// *[sluice.Error] with code NotFound when there is no such stream.
func (d *Deliverer) Retry(id sluice.StreamID) (int, error) {
	s, err := d.stream(id)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, l := range s.lanes {
		l.mu.Lock()
		if l.phase == waiting && l.failure != nil && time.Since(l.failure.Time) >= MinRetry {
			d.rouse(l)
			n++
		}
		l.mu.Unlock()
	}
	return n, nil
}
