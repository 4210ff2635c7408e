package deliver

import (
	"context"
	"time"
)

// How far the tail may lag behind the end of the log, in events, before those who
// append wait for it; and how long they wait at most.
const (
	paceEvents = 1 << 9
	paceWait   = time.Second
	paceStep   = 5 * time.Millisecond
)

// Pace waits while delivery cannot keep up with what is appended for want of
// memory: thousands of small tenants are busy at once. What is delivered late
// would only have to be read again, which costs still more. It waits a second at
// most. Destinations that are slow, failing or paused hold nobody up: their lanes
// fall behind.
func (d *Deliverer) Pace(ctx context.Context) {
	if !d.late() {
		return
	}
	limit := time.NewTimer(paceWait)
	defer limit.Stop()
	step := time.NewTicker(paceStep)
	defer step.Stop()
	for d.late() {
		select {
		case <-step.C:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// late reports whether the tail waits for memory and lags.
func (d *Deliverer) late() bool {
	for _, p := range d.order {
		if p.waits.Load() && d.log.Stored(p.name) > p.handed.Load()+paceEvents {
			return true
		}
	}
	return false
}
