package eventlog

import (
	"context"
	"errors"
	"io"
	"maps"

	"github.com/sluicelog/sluice"
)

// Blocks carry running totals of the top-level namespaces that occur in them, so
// how many events of one were stored below a number is told from either side: by
// the next block in which it occurs, less its events from the number on, or by
// the last one before. The first is right when nothing was lost between the
// number and that block, the second when nothing was lost since the totals of
// all namespaces before the number. Where events were lost, the side that lost
// none is asked.

// Before returns how many events of the scope were stored with numbers below
// seq. It reads directories from seq on, at most those of some 16 MiB, and as
// many before seq when events behind it are lost.
//
// Lost events count by their numbers as far as that can be told. When seq is
// itself among lost numbers, all that are lost there count as below it.
func (l *Log) Before(ctx context.Context, partition, scope string, seq uint64) (uint64, error) {
	p := l.partition(partition)
	a, err := p.ahead(ctx, seq, scope)
	if err != nil {
		return 0, err
	}
	if n, ok := a.exact[scope]; ok || a.all {
		return n, nil
	}
	behind, whole, err := p.behind(ctx, seq)
	if err != nil {
		return 0, err
	}
	return a.total(scope, behind, whole), nil
}

// TotalsBefore returns, for every scope, how many of its events were stored with
// numbers below seq, [sluice.Instance] counting all: what Before says for each.
// It reads as many directories.
func (l *Log) TotalsBefore(ctx context.Context, partition string, seq uint64) (map[string]uint64, error) {
	p := l.partition(partition)
	a, err := p.ahead(ctx, seq, "")
	if err != nil {
		return nil, err
	}
	if len(a.doubtful) == 0 {
		return a.exact, nil
	}
	behind, whole, err := p.behind(ctx, seq)
	if err != nil {
		return nil, err
	}
	for scope := range a.doubtful {
		if n := a.total(scope, behind, whole); n > 0 {
			a.exact[scope] = n
		}
	}
	return a.exact, nil
}

// ahead is what the log from a number on tells about the totals below it.
type ahead struct {
	exact    map[string]uint64
	doubtful map[string]uint64 // events may have been lost in between
	all      bool              // scopes in neither have none
}

// note remembers the first that is said about a scope.
func (a *ahead) note(scope string, n uint64, exact bool) {
	if _, ok := a.exact[scope]; ok {
		return
	}
	if _, ok := a.doubtful[scope]; ok {
		return
	}
	if exact {
		a.exact[scope] = n
	} else {
		a.doubtful[scope] = n
	}
}

// total returns the total of a scope that a does not know for certain.
func (a *ahead) total(scope string, behind map[string]uint64, whole bool) uint64 {
	if whole {
		return behind[scope]
	}
	all, ok := a.exact[sluice.Instance]
	if !ok {
		all = a.doubtful[sluice.Instance]
	}
	return min(a.doubtful[scope], all) // what was lost behind the number may be in it
}

// ahead reads directories from seq on until all totals are known, or that of
// the scope is, unless the scope is the instance.
func (p *partition) ahead(ctx context.Context, seq uint64, scope string) (*ahead, error) {
	a := &ahead{exact: map[string]uint64{}, doubtful: map[string]uint64{}}
	p.mu.Lock()
	last, stored := p.last, p.stored
	end := maps.Clone(p.totals)
	end[sluice.Instance] = p.total
	p.mu.Unlock()
	exact := true
	next := seq
	for next <= stored {
		h, d, err := p.directory(ctx, next)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if next > seq && h.First > next {
			exact = false
		}
		for name, n := range before(h, d, seq) {
			a.note(name, n, exact)
		}
		if h.Snapshot {
			a.all = exact
			return a, nil
		}
		if _, known := a.exact[scope]; known && scope != sluice.Instance {
			return a, nil
		}
		next = h.Last() + 1
	}
	// What does not occur from seq on has its total at the end, unless events
	// were lost there.
	if next > seq && next <= last {
		exact = false
	}
	for name, n := range end {
		a.note(name, n, exact)
	}
	a.all = exact
	return a, nil
}

// before returns the totals below seq as far as the block tells them; those of a
// namespace that is not named are zero when the block tells all.
func before(h *Header, d *Directory, seq uint64) map[string]uint64 {
	from := uint64(0) // index of the first event at seq or later
	if seq > h.First {
		from = seq - h.First
	}
	counts := make([]uint64, len(d.Tops))
	for i := range d.Entries[from:] {
		counts[d.Namespaces[d.Entries[from+uint64(i)].Namespace].Top]++
	}
	totals := make(map[string]uint64, len(d.Tops)+len(d.Others)+1)
	for i, t := range d.Tops {
		totals[t.Name] = t.Total - min(t.Total, counts[i])
	}
	for _, t := range d.Others {
		totals[t.Name] = t.Total
	}
	totals[sluice.Instance] = h.Total - min(h.Total, uint64(h.Count)-from)
	return totals
}

// behind returns the totals below seq as the blocks before it tell them, from
// the newest one with all totals on, and whether none of these is missing.
func (p *partition) behind(ctx context.Context, seq uint64) (map[string]uint64, bool, error) {
	totals := map[string]uint64{}
	start, whole := p.snapshotBefore(ctx, seq)
	for next := start; next < seq; {
		h, d, err := p.directory(ctx, next)
		if errors.Is(err, io.EOF) {
			return totals, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		if h.First > next || next == start && !h.Snapshot {
			whole = false
		}
		if h.First >= seq {
			return totals, whole, nil
		}
		for name, n := range before(h, d, min(seq, h.Last()+1)) {
			totals[name] = n
		}
		next = h.Last() + 1
	}
	return totals, whole, nil
}

// snapshotBefore returns the first number of the newest block below seq that
// carries all totals, and whether the block before seq is there to tell it.
func (p *partition) snapshotBefore(ctx context.Context, seq uint64) (uint64, bool) {
	if seq <= 1 {
		return seq, true
	}
	stored, err := p.store.Next(ctx, seq-1)
	if err == nil && stored.Header.First < seq {
		return stored.Header.LastSnapshot, true
	}
	if older, ok := p.olderSnapshot(ctx, seq); ok {
		return older, false
	}
	return 1, false
}
