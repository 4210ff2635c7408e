package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
)

// openPartition opens a partition and finds out where it ends: the highest
// number that may have been given out, the chain, and the totals.
func openPartition(ctx context.Context, l *Log, name string) (*partition, error) {
	store, err := l.engine.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	p := &partition{
		log: l, name: name, store: store,
		ready: make(chan struct{}), work: make(chan struct{}, 1),
		room: make(chan struct{}), grown: make(chan struct{}), totals: map[string]uint64{},
		tail: tail{limit: l.opts.CacheBytes / 2 / len(l.opts.Partitions)},
	}
	if p.enc, err = newEncoder(l.opts.Codec); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	st := store.State()
	for _, d := range st.Damage {
		l.opts.Logger.Error("log is damaged", "partition", name, "first", d.First, "last", d.Last, "where", d.Where, "cause", d.Cause)
	}
	if st.Last.Count > 0 {
		h := &st.Last
		p.stored, p.total, p.chain, p.accepted = h.Last(), h.Total, h.Chain, h.Accepted
		if err := p.recoverTotals(ctx, h.LastSnapshot); err != nil {
			return nil, errors.Join(fmt.Errorf("read totals: %w", err), store.Close())
		}
	}
	p.checkAnchor(ctx)
	p.raise(st.Reserved)
	p.fill = p.newGroup(p.last + 1)
	p.recent = newRecent(l.opts.recentEvents, 0)
	return p, nil
}

// recoverTotals reads the totals of all top-level namespaces from the newest
// block that carries them and the directories after it. If that block is
// damaged, the one before it serves, and so on.
func (p *partition) recoverTotals(ctx context.Context, snapshot uint64) error {
	for {
		h, d, err := p.directory(ctx, snapshot)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err == nil && (h.Snapshot || snapshot <= 1) {
			return p.rollForward(ctx, h, d)
		}
		// The block at snapshot cannot be read. The one before it knows an older one.
		older, ok := p.olderSnapshot(ctx, snapshot)
		if !ok && snapshot <= 1 {
			return nil // nothing readable at all
		}
		if !ok {
			older = 1
		}
		snapshot = older
	}
}

// olderSnapshot returns where the block before seq says that totals are.
func (p *partition) olderSnapshot(ctx context.Context, seq uint64) (uint64, bool) {
	for back := uint64(1); back < seq; back *= 2 {
		stored, err := p.store.Next(ctx, seq-back)
		if err == nil && stored.Header.First < seq && stored.Header.LastSnapshot < seq {
			return stored.Header.LastSnapshot, true
		}
	}
	return 0, false
}

func (p *partition) rollForward(ctx context.Context, h *Header, d *Directory) error {
	p.snapshot = h.LastSnapshot
	for {
		for _, list := range [][]Top{d.Tops, d.Others} {
			for _, t := range list {
				p.totals[t.Name] = max(p.totals[t.Name], t.Total)
			}
		}
		if h.Snapshot {
			p.snapshot, p.since, p.taken = h.First, 0, h.Accepted
		}
		p.since += int64(h.Size())
		var err error
		h, d, err = p.directory(ctx, h.Last()+1)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// checkAnchor compares the log with the anchor that was kept elsewhere.
func (p *partition) checkAnchor(ctx context.Context) {
	a, ok := p.log.opts.Anchors[p.name]
	if !ok || a.Seq == 0 {
		return
	}
	p.saved = a.Seq
	if a.Seq > p.stored {
		return // raise names the range
	}
	stored, err := p.store.Next(ctx, a.Seq)
	if err != nil || stored.Header.First > a.Seq {
		return // it was trimmed or lost
	}
	if stored.Header.Last() != a.Seq || !bytes.Equal(stored.Header.Chain[:], a.Chain) {
		p.damaged(stored.Header, fmt.Errorf("%w: its chain differs from the anchor; the log was replaced or changed", ErrDamaged))
	}
}

// raise sets the next number beyond everything that may have been given out, and
// the totals to the highest that anybody has seen.
func (p *partition) raise(reserved uint64) {
	p.last = p.stored
	cause := ""
	lift := func(seq uint64, why string) {
		if seq > p.last {
			p.last, cause = seq, why
		}
	}
	lift(reserved, "the end of the log is torn or damaged")
	if a, ok := p.log.opts.Anchors[p.name]; ok {
		lift(a.Seq, "the log ends before its anchor")
	}
	floor := p.log.opts.Floors[p.name]
	lift(floor.Seq, "the log ends before a cursor")
	p.total = max(p.total, floor.Total)
	for name, total := range floor.Totals {
		p.totals[name] = max(p.totals[name], total)
	}
	maps.DeleteFunc(p.totals, func(_ string, total uint64) bool { return total == 0 })
	if p.last > p.stored {
		p.missing = &Missing{First: p.stored + 1, Last: p.last, Cause: cause}
		p.stats.Skipped = p.last - p.stored
		p.log.opts.Logger.Warn("sequence numbers skipped", "partition", p.name,
			"first", p.missing.First, "last", p.missing.Last, "cause", cause)
	}
}

// rebuild fills recent from the directories of the newest blocks, then lets
// Append go on.
func (p *partition) rebuild(ctx context.Context) {
	limit := uint64(p.log.opts.recentEvents)
	from := uint64(1)
	if p.stored > limit {
		from = p.stored - limit + 1
	}
	r := newRecent(int(limit), int(min(p.stored, limit)))
	for seq := from; seq <= p.stored; {
		h, d, err := p.directory(ctx, seq)
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				p.log.opts.Logger.Error("recent ids not complete", "partition", p.name, "seq", seq, "err", err)
			}
			break
		}
		for i := range d.Entries {
			r.add(d.Entries[i].Hash, h.First+uint64(i))
		}
		seq = h.Last() + 1
	}
	p.mu.Lock()
	p.recent = r
	// Cut short, recent would let duplicates through: nothing may be added.
	p.closed = p.closed || ctx.Err() != nil
	p.mu.Unlock()
	close(p.ready)
}
