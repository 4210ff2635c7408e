package deliver

import (
	"context"
	"slices"
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
// fall behind. It asks for the partitions that are appended to, or for all when none
// is named: what is late with clones does not delay a change of permissions.
func (d *Deliverer) Pace(ctx context.Context, partitions ...string) {
	if !d.late(partitions) {
		return
	}
	limit := time.NewTimer(paceWait)
	defer limit.Stop()
	step := time.NewTicker(paceStep)
	defer step.Stop()
	for d.late(partitions) {
		select {
		case <-step.C:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// late reports whether the tail of one of the partitions, or of any when none is
// named, waits for memory and lags.
func (d *Deliverer) late(partitions []string) bool {
	for _, p := range d.order {
		if p.waits.Load() && (len(partitions) == 0 || slices.Contains(partitions, p.name)) &&
			d.log.Stored(p.name) > p.handed.Load()+paceEvents {
			return true
		}
	}
	return false
}
