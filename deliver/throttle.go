package deliver

import (
	"context"
	"sync"
	"time"
)

// How many bytes of events a second lanes that are behind may read from the log
// while producers are busy; alone, they are not bounded.
const (
	catchUpRate = 48 << 20
	// catchUpGain is how much more than producers bring they may read, so that one
	// lane gains on producers however fast these are. A lane that could not would
	// be behind until its events expire.
	catchUpGain = 1.5
)

// throttle keeps catching up from starving ingest.
type throttle struct {
	mu     sync.Mutex
	at     time.Time
	raw    uint64
	busy   bool
	rate   float64 // bytes a second
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

// delay returns how long a lane has to wait before it asks again; 0: it may read.
func (t *throttle) delay(d *Deliverer) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); now.Sub(t.at) >= throttlePeriod {
		raw := uint64(0)
		for _, p := range d.order {
			raw += d.log.Appended(p.name)
		}
		t.look(now, raw)
	}
	if !t.busy || t.tokens > 0 {
		return 0
	}
	return min(100*time.Millisecond, time.Duration(-t.tokens/t.rate*float64(time.Second))+time.Millisecond)
}

// throttlePeriod lies between two looks at what producers bring.
const throttlePeriod = 50 * time.Millisecond

// look notes that producers have brought raw bytes until now. The throttle is
// locked.
func (t *throttle) look(now time.Time, raw uint64) {
	const busy = 1 << 20 // bytes a second
	dt := now.Sub(t.at).Seconds()
	ingest := float64(raw-t.raw) / dt
	t.busy = ingest > busy
	t.rate = max(catchUpRate, catchUpGain*ingest)
	t.tokens = min(t.rate/10, t.tokens+dt*t.rate)
	t.at, t.raw = now, raw
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
