package deliver

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"
)

// maxSlow bounds the sends that take longer than slowSend at once.
const maxSlow = 1000

// senders give ready lanes their turns. A fixed number of goroutines serves lanes
// that were quick the last time; a turn that takes long moves out of their
// number, and its place is filled anew, so that slow destinations cost quick
// ones nothing.
type senders struct {
	d     *Deliverer
	limit int // of quick ones

	mu      sync.Mutex
	ctx     func() context.Context // of turns; nil before run, and once it ends
	wg      *sync.WaitGroup
	quickly turns  // up to date and quick the last time
	behind  behind // read the log by themselves
	slowly  fifo
	turns   uint // taken by quick senders
	works   sync.Pool
	quick   int // goroutines
	slow    int
}

// run serves lanes until ctx ends and all turns have ended. Those that are under way
// when it is canceled, for no other cause, have the time of grace for it.
func (s *senders) run(ctx context.Context) {
	turns, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var wg sync.WaitGroup
	s.mu.Lock()
	s.ctx, s.wg = func() context.Context { return turns }, &wg
	for range s.waiting() {
		s.start()
	}
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.ctx = nil
	s.mu.Unlock()
	if s.d.opts.Grace > 0 && errors.Is(context.Cause(ctx), context.Canceled) {
		defer time.AfterFunc(s.d.opts.Grace, cut).Stop()
	} else {
		cut() // also after trouble of our own: what is delivered now may not be written down
	}
	wg.Wait()
}

// add queues a lane that has just become ready. The lane is locked.
func (s *senders) add(l *lane, slow bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slow {
		s.slowly.push(l, time.Time{})
		if s.ctx != nil && s.slow < maxSlow {
			s.slow++
			ctx := s.ctx()
			s.wg.Go(func() { s.serve(ctx, true) })
		}
		return
	}
	if l.behind {
		s.behind.push(l)
	} else {
		s.quickly.push(l)
	}
	s.start()
}

// grown is called when more waits for a lane that is ready. The lane is locked.
func (s *senders) grown(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quickly.grow(l)
}

// waiting returns how many lanes wait for a quick sender.
func (s *senders) waiting() int { return s.quickly.len() + s.behind.len() }

// slowSends returns how many sends that take long are under way.
func (s *senders) slowSends() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slow
}

// start adds a quick sender when there is room for one.
func (s *senders) start() {
	if s.ctx == nil || s.quick >= s.limit {
		return
	}
	s.quick++
	ctx := s.ctx()
	s.wg.Go(func() { s.serve(ctx, false) })
}

// serve gives turns until no lane is ready.
func (s *senders) serve(ctx context.Context, slow bool) {
	w := s.works.Get().(*work)
	defer s.works.Put(w)
	for {
		l, ending := s.next(slow)
		if l == nil {
			return
		}
		if ending {
			l.mu.Lock() // the queue is emptied; lanes keep their cursors
			l.rest()
			l.mu.Unlock()
			continue
		}
		moved, turn := slow, w.begin()
		timer := time.AfterFunc(slowSend, func() {
			w.slow(s.d, turn)
			s.mu.Lock()
			defer s.mu.Unlock()
			if moved || s.slow >= maxSlow {
				return
			}
			moved = true
			s.slow++
			s.quick--
			if s.waiting() > 0 {
				s.start()
			}
		})
		s.d.step(ctx, l, w)
		timer.Stop()
		s.mu.Lock()
		slow = moved
		moved = true // too late for the timer
		s.mu.Unlock()
	}
}

// next returns the next ready lane for a sender, and whether there are no more turns;
// nil ends the sender.
func (s *senders) next(slow bool) (l *lane, ending bool) {
	l, ending = s.take(slow)
	if l != nil {
		// Not under the senders' lock: whoever queues a lane holds the lane's.
		l.mu.Lock()
		l.phase, l.again, l.turn = running, false, time.Now()
		l.mu.Unlock()
	}
	return l, ending
}

// take takes the next lane out of its queue, or the sender out of their number.
func (s *senders) take(slow bool) (l *lane, ending bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.pick(slow); l != nil {
		return l, s.ctx == nil
	}
	if slow {
		s.slow--
	} else {
		s.quick--
	}
	return nil, false
}

// pick takes the next lane. Every fourth turn that quick senders give goes to a
// lane that is behind; more when there are no others.
func (s *senders) pick(slow bool) *lane {
	if slow {
		return s.slowly.pop()
	}
	s.turns++
	if s.turns%4 == 0 {
		if l := s.behind.pop(); l != nil {
			return l
		}
	}
	if l := s.quickly.pop(); l != nil {
		return l
	}
	return s.behind.pop()
}

// behind queues lanes that read the log by themselves. Every other turn goes to
// the one that is furthest behind: lanes that are about as far behind then come
// one after another and find the blocks that they need decoded. The turns between
// go to the one that has waited longest, so that nobody starves.
type behind struct {
	byCursor byCursor
	byWait   []*cursorLane // some of them taken already
	count    int
	turn     bool
}

func (b *behind) len() int { return b.count }

func (b *behind) push(l *lane) {
	c := &cursorLane{l: l, cursor: l.rec.Cursor}
	heap.Push(&b.byCursor, c)
	b.byWait = append(b.byWait, c)
	b.count++
}

func (b *behind) pop() *lane {
	if b.count == 0 {
		b.byCursor, b.byWait = nil, nil
		return nil
	}
	b.count--
	b.turn = !b.turn
	for {
		var c *cursorLane
		if b.turn {
			c = heap.Pop(&b.byCursor).(*cursorLane)
		} else {
			c, b.byWait[0] = b.byWait[0], nil
			b.byWait = b.byWait[1:]
		}
		if !c.taken {
			c.taken = true
			return c.l
		}
	}
}

// byCursor is a heap of lanes, lowest cursor first.
type byCursor []*cursorLane

type cursorLane struct {
	l      *lane
	cursor uint64 // when it was queued
	taken  bool
}

func (b byCursor) Len() int           { return len(b) }
func (b byCursor) Less(i, j int) bool { return b[i].cursor < b[j].cursor }
func (b byCursor) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *byCursor) Push(x any)        { *b = append(*b, x.(*cursorLane)) }

func (b *byCursor) Pop() any {
	old := *b
	n := len(old) - 1
	x := old[n]
	old[n] = nil
	*b = old[:n]
	return x
}

// fifo is a queue of lanes.
type fifo struct {
	lanes []*lane // nil for one that was removed
	head  int
	gone  int // places before lanes, since the start
}

// push queues a lane that waits since the given time.
func (f *fifo) push(l *lane, since time.Time) {
	f.lanes = append(f.lanes, l)
	l.place = place{in: f, at: f.gone + len(f.lanes) - 1, since: since}
}

// place is where a lane waits. The senders' lock guards it.
type place struct {
	in    *fifo // nil for nowhere
	at    int   // counted from the first lane that was ever in it
	since time.Time
}

// remove takes a lane out and reports whether it was in the queue.
func (f *fifo) remove(l *lane) bool {
	if l.place.in != f {
		return false
	}
	f.lanes[l.place.at-f.gone] = nil
	l.place = place{}
	return true
}

// first returns the first lane, which stays; nil when there is none.
func (f *fifo) first() *lane {
	for f.head < len(f.lanes) {
		if l := f.lanes[f.head]; l != nil {
			return l
		}
		f.advance()
	}
	f.gone += f.head
	f.lanes, f.head = f.lanes[:0], 0
	return nil
}

// pop takes the first lane out; nil when there is none.
func (f *fifo) pop() *lane {
	l := f.first()
	if l != nil {
		f.lanes[f.head] = nil
		f.advance()
		l.place = place{}
	}
	return l
}

// advance goes on to the next place, and frees those that were passed when they
// are many.
func (f *fifo) advance() {
	f.head++
	if f.head > 1024 && f.head*2 > len(f.lanes) {
		n := copy(f.lanes, f.lanes[f.head:])
		clear(f.lanes[n:])
		f.gone += f.head
		f.lanes, f.head = f.lanes[:n], 0
	}
}

// wake makes an idle lane ready. A running one gets another turn; one that waits
// or is stopped is left alone. The lane is locked.
func (d *Deliverer) wake(l *lane) {
	if l.gone {
		return
	}
	switch l.phase {
	case idle:
		l.phase = ready
		d.senders.add(l, l.slow)
	case running:
		l.again = true
	case ready, waiting, stopped:
	}
}

// rouse makes a lane ready whatever it waits for: somebody acted. The lane is
// locked.
func (d *Deliverer) rouse(l *lane) {
	if !l.gone && (l.phase == waiting || l.phase == stopped) {
		if l.timer != nil {
			l.timer.Stop()
		}
		l.phase, l.nextRetry = idle, time.Time{}
	}
	d.wake(l)
}

// wait makes the running lane wait after its turn. The lane is locked.
func (d *Deliverer) wait(l *lane, delay time.Duration) { l.delay = delay }

// rest ends the lane's turns; a removal may wait for that. The lane is locked.
func (l *lane) rest() {
	l.phase = stopped
	if l.gone {
		close(l.ended) // a removed lane gets no other turn
	}
}

// finish decides what a lane does after its turn. The lane is locked.
func (d *Deliverer) finish(l *lane) {
	conf, _ := l.s.config()
	delay := l.delay
	l.delay = 0
	l.phase = idle
	switch {
	case l.gone:
		l.rest()
	case l.changed:
		d.wake(l)
	case conf.Paused || l.done() && len(l.redeliver) == 0:
		l.phase = stopped
	case delay > 0:
		l.phase = waiting
		l.nextRetry = time.Now().Add(delay)
		l.timer = time.AfterFunc(delay, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.phase == waiting {
				l.phase = idle
				d.wake(l)
			}
		})
	case l.again || len(l.queue) > 0 || len(l.redeliver) > 0 && !l.held:
		d.wake(l)
	}
}
