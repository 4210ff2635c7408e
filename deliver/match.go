package deliver

import (
	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
)

// wanted returns which of the block's events idx (nil for all), from the i-th on,
// pass the filter, as positions in idx. all reports that every one passes; list is
// then nil. The filter is asked once for each type and namespace of the block.
func wanted(m *sluice.Matcher, b *eventlog.Block, idx []uint16, from int) (list []uint16, all bool) {
	n := int(b.Count)
	if idx != nil {
		n = len(idx)
	}
	if m.All() {
		return nil, true
	}
	types := make([]bool, len(b.Types))
	for i := range types {
		types[i] = m.Type(b.Types[i].Name)
	}
	spaces := make([]bool, len(b.Namespaces))
	for i := range spaces {
		spaces[i] = m.Namespace(b.Namespaces[i].Folded)
	}
	for i := from; i < n; i++ {
		at := i
		if idx != nil {
			at = int(idx[i])
		}
		e := &b.Entries[at]
		if types[e.Type] && spaces[e.Namespace] {
			list = append(list, uint16(i))
		}
	}
	return list, len(list) == n-from
}

// scoped returns the block's events of a scope: their indexes (nil for all, with
// the instance's scope), how many they are and the scope's total after the block.
// ok is false when the block holds none.
func scoped(b *eventlog.Block, scope string) (idx []uint16, n int, after uint64, ok bool) {
	if scope == sluice.Instance {
		return nil, int(b.Count), b.Total, true
	}
	t := b.Top(scope)
	if t < 0 {
		return nil, 0, 0, false
	}
	idx = b.ByTop()[t]
	return idx, len(idx), b.Tops[t].Total, true
}

// firstAfter returns the position in idx (nil for all events) of the first event
// with a number above seq.
func firstAfter(b *eventlog.Block, idx []uint16, n int, seq uint64) int {
	if seq < b.First {
		return 0
	}
	skip := int(min(seq-b.First+1, uint64(b.Count)))
	if idx == nil {
		return skip
	}
	for i := range n {
		if int(idx[i]) >= skip {
			return i
		}
	}
	return n
}
