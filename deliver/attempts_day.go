package deliver

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicelog/sluice"
)

// HoursADay is how many hours [Deliverer.LastDay] tells.
const HoursADay = 24

// laneDay is what a lane had delivered in the hours of a day, when it was read.
// What it has delivered since is counted in its journal, so that the store is
// asked once an hour at the most.
type laneDay struct {
	hour  int64             // since 1970; the last one
	hours [HoursADay]uint64 // the oldest first
	fresh uint64            // of the journal, up to which they go
}

// LastDay returns how many events a stream delivered in each of the last 24
// hours, the oldest first, the one under way last.
func (d *Deliverer) LastDay(ctx context.Context, id sluice.StreamID) ([HoursADay]uint64, error) {
	var sum [HoursADay]uint64
	s, err := d.stream(id)
	if err != nil {
		return sum, err
	}
	hour := time.Now().Unix() / 3600
	for _, l := range s.lanes {
		day := l.day.Load()
		if day == nil || day.hour != hour {
			if day, err = d.readDay(ctx, l, hour); err != nil {
				return sum, fmt.Errorf("read activity of stream %d: %w", id, err)
			}
			l.day.Store(day)
		}
		for i, n := range day.hours {
			sum[i] += n
		}
		if j := l.journal.Load(); j != nil {
			sum[HoursADay-1] += j.freshSince(day.fresh)
		}
	}
	return sum, nil
}

// readDay reads what a lane delivered in the hours up to one.
func (d *Deliverer) readDay(ctx context.Context, l *lane, hour int64) (*laneDay, error) {
	first := hour - HoursADay + 1
	list, fresh, err := d.journalOf(l).minutes(ctx, first*60)
	day := &laneDay{hour: hour, fresh: fresh}
	for _, m := range list {
		if i := m.at/60 - first; i < HoursADay {
			day.hours[i] += m.delivered
		}
	}
	return day, err
}

// freshSince returns how many events were delivered since fresh was as given.
func (j *journal) freshSince(before uint64) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.fresh - before
}
