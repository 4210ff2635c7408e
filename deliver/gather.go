package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/sluicelog/sluice/destination"
)

// work is what one step of a lane is about: the next events that it wants, in
// order, and which of them are to be sent.
type work struct {
	items  []item
	events []destination.Event // to be sent
	// end is where the lane stands once all items are settled.
	end Start
	// more says that gathering stopped at a limit, not at the end of what there is.
	more bool
	// atTail says that everything the tail has handed out was examined.
	atTail   bool
	portions []portion // to be released after the step

	mu   sync.Mutex
	turn uint64    // counts the turns that it served
	late bool      // this one is slow
	lent []portion // to be released when the send has ended or the turn is slow
}

// begin starts a turn and returns its number.
func (w *work) begin() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turn++
	w.late = false
	return w.turn
}

// slow releases what the turn lent and will lend, unless that turn has ended.
func (w *work) slow(d *Deliverer, turn uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turn == turn {
		w.late = true
		w.release(d)
	}
}

// lend gives the portions to whoever ends first, the send or the time in which it
// counts as quick.
func (w *work) lend(d *Deliverer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lent, w.portions = w.portions, w.lent[:0]
	if w.late {
		w.release(d)
	}
}

// sent releases what was lent and has not been yet.
func (w *work) sent(d *Deliverer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.release(d)
}

func (w *work) release(d *Deliverer) {
	for i := range w.lent {
		w.lent[i].chunk.release(d)
	}
	clear(w.lent)
	w.lent = w.lent[:0]
}

// item is one wanted event.
type item struct {
	seq   uint64
	total uint64 // of the scope, this event included
	sent  bool   // it is among events
}

// reset empties w. What it held may go.
func (w *work) reset() {
	clear(w.events)
	clear(w.portions)
	w.items, w.events, w.portions = w.items[:0], w.events[:0], w.portions[:0]
	w.more, w.atTail = false, false
}

// limits bounds one batch.
type limits struct {
	events, bytes int
}

// allows reports whether an event of n bytes may follow what is in w.
func (w *work) allows(lim limits, bytes, n int) bool {
	return len(w.events) == 0 || len(w.events) < lim.events && bytes+n <= lim.bytes
}

// take moves portions from the lane's queue into w. The lane is locked and has
// no knowledge beyond its cursor.
func (l *lane) take(w *work, lim limits) error {
	bytes := 0
	for len(l.queue) > 0 {
		p := &l.queue[0]
		n := p.len()
		for ; p.taken < n; p.taken++ {
			at := p.at(p.taken)
			var ev destination.Event
			if err := p.chunk.event(at, &ev); err != nil {
				return err
			}
			if !w.allows(lim, bytes, len(ev.Payload)) {
				w.more = true
				p.chunk.refs.Add(1) // the rest stays in the queue
				w.portions = append(w.portions, *p)
				return nil
			}
			bytes += len(ev.Payload) + 1
			w.events = append(w.events, ev)
			w.items = append(w.items, item{seq: ev.Seq, total: p.chunk.before + uint64(at) + 1, sent: true})
			w.end = Start{Seq: ev.Seq, Total: w.items[len(w.items)-1].total}
		}
		w.end = Start{Seq: p.chunk.last, Total: p.chunk.after}
		w.portions = append(w.portions, *p)
		l.load(-p.chunk.size)
		copy(l.queue, l.queue[1:])
		l.queue[len(l.queue)-1] = portion{}
		l.queue = l.queue[:len(l.queue)-1]
		if len(w.events) >= lim.events || bytes >= lim.bytes {
			w.more = len(l.queue) > 0
			return nil
		}
	}
	return nil
}

// maxScan bounds the blocks that a lane examines in one step: about what the
// cache holds decoded, so that the lane after it finds them there.
const maxScan = 16

// gather reads the log from the lane's cursor into w, for a lane that is behind.
// It counts what disappeared, and moves the cursor over what is not wanted. The
// lane is running, so nobody else moves its cursor; it is locked only to change
// its record.
func (d *Deliverer) gather(ctx context.Context, l *lane, w *work, lim limits) error {
	l.mu.Lock()
	at := Start{Seq: l.rec.Cursor, Total: l.rec.Total}
	l.mu.Unlock()
	g := gathering{d: d, l: l, w: w, lim: lim}
	return g.run(ctx, at)
}

// run examines blocks from position at on, where nothing unsettled lies before
// what is in the work.
func (g *gathering) run(ctx context.Context, at Start) error {
	l, w := g.l, g.w
	l.mu.Lock()
	end := l.rec.End
	l.mu.Unlock()
	w.end = at
	for scanned := 0; ; scanned++ {
		if end != nil && at.Seq >= end.Seq {
			g.reachEnd(at, *end)
			break
		}
		if g.into != nil {
			at = l.skip(g.into, at)
			w.end = at
		}
		if processed := l.p.position(); at.Seq >= processed {
			w.atTail = true
			break
		}
		if scanned >= g.maxScan() {
			w.more, g.scanned = true, true
			break
		}
		b, err := g.read(ctx, at.Seq+1)
		if errors.Is(err, io.EOF) {
			// Numbers were reserved behind the end of the log: the tail passed them.
			if at = g.passReserved(at); w.more {
				break
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("read partition %s from %d: %w", l.p.name, at.Seq+1, err)
		}
		next, err := g.block(ctx, b, at)
		if err != nil {
			return err
		}
		if w.more {
			break
		}
		at = next
	}
	if len(w.items) == 0 {
		l.mu.Lock()
		l.moveTo(w.end)
		l.mu.Unlock()
	}
	return nil
}

// moveTo sets the cursor, when everything up to there is settled. The lane is
// locked.
func (l *lane) moveTo(at Start) {
	if at.Seq == l.rec.Cursor && at.Total == l.rec.Total {
		return
	}
	l.rec.Cursor, l.rec.Total = at.Seq, at.Total
	if l.badEnd != 0 && l.rec.Cursor >= l.badEnd {
		l.badEnd = 0
	}
	l.mark()
}

func (p *part) position() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.processed
}
