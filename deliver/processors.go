package deliver

import (
	"runtime/metrics"
	"sync"
	"time"
)

// processors tells whether our own processors are what delivery waits for, and
// not destinations: more than one goroutine on average could run and has to wait.
// A slow destination cannot cause that, whatever it does.
type processors struct {
	mu     sync.Mutex
	at     time.Time // of the last look
	waited float64   // seconds that goroutines had waited by then
	last   time.Time // the last time it showed busy
}

const (
	// busyStep is how often the figures are looked at.
	busyStep = 50 * time.Millisecond
	// busyFor is how long processors count as busy after the figures said so.
	busyFor = time.Second
	// tracked is of how many starts of goroutines the runtime measures one.
	tracked = 8
)

// Busy reports whether the server's processors have more to do than they can. It
// is cheap, and to be called often; all may call it at once.
func (d *Deliverer) Busy() bool { return d.busy() }

// crowd is how many streams need so much memory that others shall save it.
const crowd = 2000

// Crowded reports whether streams need much memory by their number. It is cheap, and
// all may call it at once.
func (d *Deliverer) Crowded() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.streams) >= crowd
}

// areBusy reports whether the processors were busy during the last second. It is
// to be called often while there is work; it looks at the clock mostly.
func (p *processors) areBusy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if dt := now.Sub(p.at); dt >= busyStep {
		waited := schedulingDelay()
		if dt < busyFor && (waited-p.waited)*tracked > dt.Seconds() {
			p.last = now
		}
		p.at, p.waited = now, waited
	}
	return now.Sub(p.last) < busyFor
}

// schedulingDelay returns how long goroutines have waited for a processor since
// the start, as far as measured.
func schedulingDelay() float64 {
	s := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0
	}
	h := s[0].Value.Float64Histogram()
	sum := 0.0
	for i, n := range h.Counts[:len(h.Counts)-1] { // the last bucket has no bound
		if n > 0 {
			sum += float64(n) * h.Buckets[i+1]
		}
	}
	return sum
}
