package deliver

import (
	"context"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
)

// How long a turn may take before its lane falls behind when the tail waits, how
// long a lane may hold much before it does, and how often the tail looks.
const (
	stalledAfter = time.Second
	crowdedFor   = 3 * time.Second
	stalledCheck = 100 * time.Millisecond
)

// room waits until deliveries have freed memory, or the greater part of the lanes
// is not crowded any more. That the whole tail waits is cheap: it reads each block
// once for all lanes, while each lane that falls behind reads for itself. Only
// those fall behind whose destinations are slow.
func (p *part) room(ctx context.Context, b *eventlog.Block) {
	if p.fits(b) {
		return
	}
	p.waits.Store(true)
	defer p.waits.Store(false)
	look := time.NewTicker(stalledCheck)
	defer look.Stop()
	for !p.fits(b) {
		select {
		case <-p.freed:
		case now := <-look.C:
			p.d.evictSlow(now, p.d.busy())
		case <-ctx.Done():
			return
		}
	}
}

// fits reports whether block b may be handed out. Lanes that keep it from that
// and are not most of those it goes to fall behind.
func (p *part) fits(b *eventlog.Block) bool {
	busy := p.d.busy()
	if busy && p.crowded(b) {
		return false
	}
	if !p.short() {
		return true
	}
	p.evictLarge(busy)
	return !p.short()
}

// short reports whether chunks take more memory than they may.
func (p *part) short() bool { return p.d.used.Load() > p.d.quickBytes() }

// recently is how many events ago a lane may have been given something that is
// asked whether it has much to send.
const recently = 64 << 10

// crowded reports whether most of the lanes that block b would go to have much to
// send.
func (p *part) crowded(b *eventlog.Block) bool {
	if p.large.Load() == 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	all, large := 0, 0
	count := func(lanes []*lane) {
		for _, l := range lanes {
			l.mu.Lock()
			if has, much := l.burden(b); has {
				all++
				if much {
					large++
				}
			}
			l.mu.Unlock()
		}
	}
	for i := range b.Tops {
		if b.Tops[i].Name != sluice.Instance {
			count(p.routes[b.Tops[i].Name])
		}
	}
	count(p.routes[sluice.Instance])
	return 2*large > all
}

// evictSlow makes lanes fall behind whose turn takes long, or that have held what
// memory is short of for long: much, or a whole block. Their destinations are
// slow. While processors are busy, a lane with little that waits for its turn is
// not to blame. The lanes are those of all partitions, as the memory is: the tail of
// one that has nothing to hand out looks after none.
func (d *Deliverer) evictSlow(now time.Time, busy bool) {
	for _, p := range d.order {
		p.evict(func(l *lane) bool {
			if l.phase == running && now.Sub(l.turn) > stalledAfter {
				return true
			}
			head := l.queue[0].chunk
			return now.Sub(head.made) > crowdedFor && (!busy || head.kept != nil || l.queued >= largeQueue)
		})
	}
}

// evictLarge makes lanes fall behind that have much to send while most have not.
// When processors are not what delivery waits for, they are those that hold more
// than twice their share of the memory.
func (p *part) evictLarge(busy bool) {
	much := largeQueue
	if !busy {
		p.mu.Lock()
		much = min(much, 2*int(p.d.quickBytes())/max(1, len(p.debts)))
		p.mu.Unlock()
	} else if p.large.Load() == 0 {
		return
	}
	p.evict(func(l *lane) bool { return l.queued >= much })
}

func (p *part) evict(which func(*lane) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.debts {
		l.mu.Lock()
		if len(l.queue) > 0 && which(l) {
			l.fallBehind(time.Now())
			p.d.wake(l)
		}
		l.mu.Unlock()
	}
}
