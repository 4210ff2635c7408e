package deliver

import (
	"context"
	"time"

	"github.com/sluicelog/sluice"
)

// Kept says how long the events of a partition wait for a stream.
type Kept struct {
	Partition string
	// Until is when the first of them may expire, zero when none does.
	Until time.Time
}

// KeptWhilePaused returns, by partition, until when no event of a stream expires
// if nothing is delivered from now on.
func (d *Deliverer) KeptWhilePaused(ctx context.Context, id sluice.StreamID) ([]Kept, error) {
	state, ok := d.State(ctx, id)
	if !ok {
		return nil, sluice.Errorf(sluice.NotFound, "stream %d does not exist", id)
	}
	var out []Kept
	now := time.Now()
	for i := range state.Lanes {
		l := &state.Lanes[i]
		if l.Status == sluice.StatusDone {
			continue
		}
		since, oldest := l.BehindSince, l.OldestPending
		if since.IsZero() {
			since = now
		}
		if oldest.IsZero() {
			oldest = now
		}
		out = append(out, Kept{l.Partition, d.opts.Retention[l.Partition].until(since.Add(d.opts.Protect), oldest)})
	}
	return out, nil
}

// until returns when an event that was accepted at a time may expire, for which a
// stream is entitled up to another time; zero for never. How soon bytes are too
// many is not known.
func (r Retention) until(entitled, accepted time.Time) time.Time {
	aged := accepted.Add(r.Age)
	switch {
	case r.Age == 0 && r.Bytes == 0:
		return time.Time{}
	case r.Age == 0 || r.Bytes > 0 || aged.Before(entitled):
		return entitled
	}
	return aged
}

// expiry returns when an event that was accepted at a time expires, as far as is
// known now, if a stream that is entitled to it until another time does not get it:
// zero for never. over says that it is one of too many bytes.
func (r Retention) expiry(entitled, accepted time.Time, over bool) time.Time {
	aged := accepted.Add(r.Age)
	switch {
	case over, r.Age > 0 && aged.Before(entitled):
		return entitled
	case r.Age == 0:
		return time.Time{}
	}
	return aged
}
