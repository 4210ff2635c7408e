package deliver

import (
	"context"
	"sync"
	"time"
)

// catchUpRate is how many bytes of events a second lanes that are behind may read
// from the log while producers are busy; alone, they are not bounded.
const catchUpRate = 48 << 20

// throttle keeps catching up from starving ingest.
type throttle struct {
	mu     sync.Mutex
	at     time.Time
	raw    uint64
	busy   bool
	tokens float64
}

// wait returns when a lane may read from the log.
func (t *throttle) wait(ctx context.Context, d *Deliverer) error {
	delay := t.delay(d)
	if delay <= 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t *throttle) delay(d *Deliverer) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if dt := now.Sub(t.at); dt >= 50*time.Millisecond {
		raw := uint64(0)
		for _, p := range d.order {
			raw += d.log.Appended(p.name)
		}
		const busy = 1 << 20 // bytes a second
		t.busy = float64(raw-t.raw)/dt.Seconds() > busy
		t.tokens = min(catchUpRate/10, t.tokens+dt.Seconds()*catchUpRate)
		t.at, t.raw = now, raw
	}
	if !t.busy || t.tokens > 0 {
		return 0
	}
	return min(100*time.Millisecond, time.Duration(-t.tokens/catchUpRate*float64(time.Second))+time.Millisecond)
}

// used accounts for what a lane has read.
func (t *throttle) used(w *work) {
	n := 0
	for i := range w.events {
		n += len(w.events[i].Payload)
	}
	t.mu.Lock()
	t.tokens -= float64(n)
	t.mu.Unlock()
}
