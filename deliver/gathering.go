package deliver

import (
	"context"
	"slices"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/eventlog"
)

// gathering is one pass of a lane over the log.
type gathering struct {
	d     *Deliverer
	l     *lane
	w     *work
	lim   limits
	bytes int
	into  *building // where events go instead of the work; nil for none
	// scanned says that the pass ended at the most blocks it may examine.
	scanned bool
}

// maxScan bounds the blocks of this pass.
func (g *gathering) maxScan() int {
	switch {
	case g.into == nil:
		return maxScan
	case g.into.ahead:
		return aheadScan
	case g.into.count > 0:
		return maxObjectScan
	}
	return maxScan
}

// read returns the block that holds seq, or the next one.
func (g *gathering) read(ctx context.Context, seq uint64) (*eventlog.Block, error) {
	if g.into != nil {
		if b := g.l.pinned(seq); b != nil {
			return b, nil
		}
	}
	return g.d.log.Block(ctx, g.l.p.name, seq)
}

// passReserved moves over numbers that were reserved at the start and hold no
// events.
func (g *gathering) passReserved(at Start) Start {
	p := g.l.p
	p.mu.Lock()
	to := Start{Seq: p.processed, Total: p.totals[g.l.s.scope]}
	p.mu.Unlock()
	if len(g.w.items) > 0 || to.Seq <= at.Seq {
		g.w.more = true // settle what there is first
		return Start{Seq: to.Seq, Total: at.Total}
	}
	g.l.mu.Lock()
	defer g.l.mu.Unlock()
	g.l.moveTo(at)
	g.w.end = g.l.lose(to, hole{First: at.Seq + 1, Last: to.Seq, Cause: g.d.log.Lost(p.name, at.Seq+1, to.Seq)})
	return g.w.end
}

// block examines one block from position at on and returns the position after
// it. It sets w.more when it stopped inside or before the block.
func (g *gathering) block(ctx context.Context, b *eventlog.Block, at Start) (Start, error) {
	l, w := g.l, g.w
	conf, m := l.s.config()
	if g.into != nil {
		conf, m = g.into.conf, g.into.matcher
	}
	idx, n, after, ok := scoped(b, l.s.scope)
	from, before := 0, at.Total
	if ok {
		from = firstAfter(b, idx, n, at.Seq)
		before = after - uint64(n-from)
	} else {
		after = at.Total
	}
	hidden := b.First > at.Seq+1
	if before > at.Total || hidden {
		if len(w.items) > 0 {
			w.more = true // settle what there is first
			return at, nil
		}
		at = g.pass(b, at, before, hidden)
		if !ok {
			after = at.Total
		}
		if l.endsAt(at) {
			w.more = true // the stream ends in the hole
			return at, nil
		}
	}
	if !conf.Until.IsZero() && b.Accepted.After(conf.Until) {
		w.more = true
		if len(w.items) > 0 {
			return at, nil // settle what there is first
		}
		return g.finish(ctx, at)
	}
	if ok {
		list, all := wanted(m, b, idx, from)
		if !all {
			list = l.withDelivered(list, b, idx)
		}
		if err := g.events(b, all, list, idx, from, n, before); err != nil || w.more {
			return at, err
		}
	}
	w.end = Start{Seq: b.Last(), Total: after}
	return w.end, nil
}

// finish ends the stream at a position. When what was lost right before it does
// not show yet, a later block tells: nothing of the stream comes after. An end that
// is known stays: what told of it may be lost by now.
func (g *gathering) finish(ctx context.Context, at Start) (Start, error) {
	l := g.l
	l.mu.Lock()
	l.moveTo(at) // what was examined since the hole is not in it
	old, end := l.rec.Hole, l.rec.End
	l.mu.Unlock()
	if end != nil {
		g.w.end = Start{Seq: end.Seq, Total: max(at.Total, end.Total)}
		g.reachEnd(at, g.w.end)
		return g.w.end, nil
	}
	if old != nil {
		total, err := g.d.log.Before(ctx, l.p.name, l.s.scope, at.Seq+1)
		if err != nil {
			return at, err
		}
		at.Total = max(at.Total, total)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if old != nil {
		at = l.lose(at, *old)
		g.w.end = at
	}
	l.finish(at)
	return at, nil
}

// reachEnd is called where a stream ends whose end is known. What was lost before
// it and did not show is counted, once what there is has been settled.
func (g *gathering) reachEnd(at, end Start) {
	l, w := g.l, g.w
	if at.Total >= end.Total {
		return
	}
	if n := len(w.items); n > 0 {
		w.more, w.end = true, Start{Seq: w.items[n-1].seq, Total: w.items[n-1].total}
		if g.into != nil {
			w.end = g.into.end
		}
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	h := hole{First: at.Seq, Last: at.Seq, Cause: "missing from the log"}
	if l.rec.Hole != nil {
		h = *l.rec.Hole
	}
	l.moveTo(at)
	w.end = l.lose(end, h)
}

// pass moves the cursor over a hole before block b, and counts as expired what
// the totals say was in it. A hole whose loss does not show yet is remembered.
func (g *gathering) pass(b *eventlog.Block, at Start, before uint64, hidden bool) Start {
	l := g.l
	h := hole{First: at.Seq + 1, Last: b.First - 1}
	if hidden {
		h.Cause = g.d.log.Lost(l.p.name, h.First, h.Last)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.rec.Hole; old != nil && hidden {
		h.First, h.Cause = old.First, old.Cause
	} else if old != nil {
		h = *old
	} else if !hidden {
		h = hole{First: at.Seq, Last: at.Seq, Cause: "missing from the log"}
	}
	l.moveTo(at)
	g.w.end = l.lose(Start{Seq: max(at.Seq, b.First-1), Total: before}, h)
	return g.w.end
}

// events adds the wanted events of a block to the work.
func (g *gathering) events(b *eventlog.Block, all bool, list, idx []uint16, from, n int, before uint64) error {
	if !all && len(list) == 0 {
		return nil
	}
	count := len(list)
	if all {
		count = n - from
	}
	if count*2 > int(b.Count) {
		if err := b.Load(); err != nil {
			return err
		}
	}
	for i := range count {
		k := from + i
		if !all {
			k = int(list[i])
		}
		at := k
		if idx != nil {
			at = int(idx[k])
		}
		if err := g.event(b, at, before+uint64(k-from)+1); err != nil || g.w.more {
			return err
		}
	}
	return nil
}

// event adds event at of block b, unless the batch is full.
func (g *gathering) event(b *eventlog.Block, at int, total uint64) error {
	l, w := g.l, g.w
	if g.into != nil {
		return g.into.add(w, b, at, total)
	}
	seq := b.First + uint64(at)
	known := l.beyond[seq] || l.suspected(seq) >= 0
	if !known {
		// Where something was delivered beyond the head, all that is sent may be.
		beyond := len(w.items) > len(w.events) && len(w.items) > maxBeyond
		if !w.allows(g.lim, g.bytes, int(b.Entries[at].Len)) || beyond || g.pastCut(seq) {
			w.more = true
			return nil
		}
		payload, err := b.Payload(at)
		if err != nil {
			return err
		}
		w.events = append(w.events, destination.Event{})
		fillEvent(&w.events[len(w.events)-1], b, at, payload)
		g.bytes += len(payload) + 1
	}
	if len(w.items) == 0 {
		// What lies before the first wanted event is settled: it is filtered.
		l.mu.Lock()
		l.moveTo(Start{Seq: seq - 1, Total: total - 1})
		l.mu.Unlock()
	}
	w.items = append(w.items, item{seq: seq, total: total, sent: !known})
	w.end = Start{Seq: seq, Total: total}
	return nil
}

// pastCut reports whether seq lies behind a range that holds an offending event
// while some of that range is in the batch: it is split by itself.
func (g *gathering) pastCut(seq uint64) bool {
	return g.l.badEnd != 0 && seq > g.l.badEnd && len(g.w.events) > 0
}

// withDelivered adds the events of block b that were delivered beyond the cursor
// to list, positions in idx: they stay delivered whatever the filter wants now.
func (l *lane) withDelivered(list []uint16, b *eventlog.Block, idx []uint16) []uint16 {
	n := len(list)
	for seq := range l.beyond {
		if seq < b.First || seq > b.Last() {
			continue
		}
		at := uint16(seq - b.First)
		if idx != nil {
			i, ok := slices.BinarySearch(idx, at)
			if !ok {
				continue
			}
			at = uint16(i)
		}
		list = append(list, at)
	}
	if len(list) > n {
		slices.Sort(list)
		list = slices.Compact(list)
	}
	return list
}

// halve leaves only the first half of the events to be sent when they are known
// to hold an offending one.
func (l *lane) halve(w *work) {
	if l.badEnd == 0 || len(w.events) < 2 || w.events[0].Seq > l.badEnd {
		return
	}
	keep := len(w.events) / 2
	last := w.events[keep-1].Seq
	clear(w.events[keep:])
	w.events = w.events[:keep]
	for i := range w.items {
		if w.items[i].seq > last {
			w.items = w.items[:i]
			break
		}
	}
	w.end = Start{Seq: w.items[len(w.items)-1].seq, Total: w.items[len(w.items)-1].total}
	w.more = true
}
