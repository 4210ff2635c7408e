package deliver

import (
	"context"
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
	ctx     func() context.Context // of run; nil before and after
	wg      *sync.WaitGroup
	quickly fifo
	slowly  fifo
	quick   int // goroutines
	slow    int
}

// run serves lanes until ctx ends and all turns have ended.
func (s *senders) run(ctx context.Context) {
	var wg sync.WaitGroup
	s.mu.Lock()
	s.ctx, s.wg = func() context.Context { return ctx }, &wg
	for range s.quickly.len() {
		s.start()
	}
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.ctx = nil
	s.mu.Unlock()
	wg.Wait()
}

// add queues a lane that has just become ready.
func (s *senders) add(l *lane, slow bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slow {
		s.slowly.push(l)
		if s.ctx != nil && s.slow < maxSlow {
			s.slow++
			ctx := s.ctx()
			s.wg.Go(func() { s.serve(ctx, true) })
		}
		return
	}
	s.quickly.push(l)
	s.start()
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
	var w work
	for {
		l := s.next(slow)
		if l == nil {
			return
		}
		if ctx.Err() != nil {
			l.mu.Lock() // the queue is emptied; lanes keep their cursors
			l.rest()
			l.mu.Unlock()
			continue
		}
		moved := slow
		timer := time.AfterFunc(slowSend, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if moved || s.slow >= maxSlow {
				return
			}
			moved = true
			s.slow++
			s.quick--
			if s.quickly.len() > 0 {
				s.start()
			}
		})
		s.d.step(ctx, l, &w)
		timer.Stop()
		s.mu.Lock()
		slow = moved
		moved = true // too late for the timer
		s.mu.Unlock()
	}
}

// next returns the next ready lane for a sender; nil ends the sender.
func (s *senders) next(slow bool) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := &s.quickly
	if slow {
		queue = &s.slowly
	}
	if l := queue.pop(); l != nil {
		l.mu.Lock()
		l.phase = running
		l.again = false
		l.mu.Unlock()
		return l
	}
	if slow {
		s.slow--
	} else {
		s.quick--
	}
	return nil
}

// fifo is a queue of lanes.
type fifo struct {
	lanes []*lane
	head  int
}

func (f *fifo) len() int { return len(f.lanes) - f.head }

func (f *fifo) push(l *lane) { f.lanes = append(f.lanes, l) }

func (f *fifo) pop() *lane {
	if f.head == len(f.lanes) {
		f.lanes, f.head = f.lanes[:0], 0
		return nil
	}
	l := f.lanes[f.head]
	f.lanes[f.head] = nil
	f.head++
	if f.head > 1024 && f.head*2 > len(f.lanes) {
		n := copy(f.lanes, f.lanes[f.head:])
		clear(f.lanes[n:])
		f.lanes, f.head = f.lanes[:n], 0
	}
	return l
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
	case l.again || len(l.queue) > 0:
		d.wake(l)
	}
}
