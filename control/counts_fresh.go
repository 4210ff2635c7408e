package control

import (
	"cmp"
	"hash/maphash"
	"slices"
)

// fresh counts what is not stored yet: by hour, namespace and type. With thousands
// of namespaces that is much, so there are numbers in it and no pointers, and the
// collector need not look through it.
type fresh struct {
	names  nameTable
	types  map[typeName]uint32 // their numbers
	listed []typeName          // by number
	text   int                 // bytes of the types' names
	counts map[pairOf]uint64
}

// pairOf is what is counted by itself.
type pairOf struct {
	hour                 int64
	namespace, eventType uint32
}

// Once so many pairs, or bytes of names, are not stored yet they are stored at once,
// and with twice as many, new ones are summed.
const (
	manyPairs = 64 << 10
	manyNames = 2 << 20
)

func newFresh() *fresh {
	return &fresh{names: nameTable{seed: maphash.MakeSeed(), numbers: map[uint64]uint32{}},
		types: map[typeName]uint32{}, counts: map[pairOf]uint64{}}
}

// many reports whether a multiple of what is much is there.
func (f *fresh) many(times int) bool {
	return len(f.counts) >= times*manyPairs || len(f.names.text)+f.text >= times*manyNames
}

// add counts n events of a namespace, of whose folded path the first top bytes are
// its top-level namespace.
func (f *fresh) add(hour int64, path string, top int, eventType typeName, n uint64) {
	if f.count(hour, path, top, eventType, n, !f.many(2)) {
		return
	}
	others := path[:top] + otherNamespaces
	if !f.count(hour, others, top, eventType, n, false) {
		f.count(hour, others, top, otherType, n, true)
	}
}

// count adds to a pair; to one that is not there only if that may grow.
func (f *fresh) count(hour int64, path string, top int, eventType typeName, n uint64, grow bool) bool {
	at, known := f.types[eventType]
	namespace, ok := f.names.number(path, top, grow)
	if !ok || !known && !grow {
		return false
	}
	if !known {
		at = uint32(len(f.listed))
		f.types[eventType], f.listed = at, append(f.listed, eventType)
		f.text += len(eventType.Value())
	}
	key := pairOf{hour, namespace, at}
	if !grow {
		if _, there := f.counts[key]; !there {
			return false
		}
	}
	f.counts[key] += n
	return true
}

// tallies returns the tallies of a top-level namespace, by hour.
func (f *fresh) tallies(top string) map[int64]*tally {
	at, ok := f.names.number(top, len(top), false)
	if !ok {
		return nil
	}
	out := map[int64]*tally{}
	for p, n := range f.counts {
		name := &f.names.list[p.namespace]
		if name.top != at {
			continue
		}
		t := out[p.hour]
		if t == nil {
			t = &tally{}
			out[p.hour] = t
		}
		t.put(string(f.names.of(name)[len(top):]), f.listed[p.eventType], n)
	}
	return out
}

// nameTable numbers namespaces.
type nameTable struct {
	seed    maphash.Seed
	text    []byte            // all paths
	list    []nameAt          // by number
	numbers map[uint64]uint32 // by hash; one whose hash is taken has the next free one
}

// nameAt is a path: text[from:to], of which the first cut bytes are its top-level
// namespace, whose number is top.
type nameAt struct{ from, to, cut, top uint32 }

func (t *nameTable) of(n *nameAt) []byte { return t.text[n.from:n.to] }

// number returns the number of a path, of which the first top bytes are its
// top-level namespace. It gives it one if it may, and its top-level namespace, too.
func (t *nameTable) number(path string, top int, grow bool) (uint32, bool) {
	hash := maphash.String(t.seed, path)
	for ; ; hash++ {
		i, taken := t.numbers[hash]
		if !taken {
			break
		}
		if n := &t.list[i]; int(n.cut) == top && string(t.of(n)) == path {
			return i, true
		}
	}
	if !grow {
		return 0, false
	}
	number := uint32(len(t.list))
	t.list = append(t.list, nameAt{uint32(len(t.text)), uint32(len(t.text) + len(path)), uint32(top), number})
	t.text = append(t.text, path...)
	t.numbers[hash] = number
	if top < len(path) {
		above, _ := t.number(path[:top], top, true)
		t.list[number].top = above
	}
	return number, true
}

// round is what is stored together.
type round struct {
	upto   uint64
	text   string // of all paths
	names  []nameAt
	types  []typeName
	pairs  []pairCount
	groups []group  // in the order of their records
	left   []*group // that are not stored yet; of who stores them
}

type pairCount struct {
	pairOf
	n uint64
}

// group is what one record takes: pairs[from:to].
type group struct {
	hourOf
	from, to int
}

// round returns what f has counted up to an event. f is not used any more. What is
// counted never changes: it is read while it is stored.
func (f *fresh) round(upto uint64) *round {
	r := &round{upto: upto, text: string(f.names.text), names: f.names.list, types: f.listed, pairs: make([]pairCount, 0, len(f.counts))}
	for p, n := range f.counts {
		r.pairs = append(r.pairs, pairCount{p, n})
	}
	slices.SortFunc(r.pairs, func(a, b pairCount) int {
		return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(r.names[a.namespace].top, r.names[b.namespace].top),
			cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.eventType, b.eventType))
	})
	for i := range r.pairs {
		p := &r.pairs[i]
		top := r.names[p.namespace].top
		if i == 0 || p.hour != r.pairs[i-1].hour || top != r.names[r.pairs[i-1].namespace].top {
			r.groups = append(r.groups, group{hourOf: hourOf{p.hour, r.path(top)}, from: i})
		}
		r.groups[len(r.groups)-1].to = i + 1
	}
	slices.SortFunc(r.groups, func(a, b group) int { return a.compare(b.hourOf) })
	for i := range r.groups {
		r.left = append(r.left, &r.groups[i])
	}
	return r
}

func (h hourOf) compare(o hourOf) int {
	return cmp.Or(cmp.Compare(h.hour, o.hour), cmp.Compare(h.top, o.top))
}

// path returns the path of a number. It keeps the text of all of them in memory.
func (r *round) path(number uint32) string {
	n := r.names[number]
	return r.text[n.from:n.to]
}

// merge adds what a group counted to a tally.
func (r *round) merge(g *group, into *tally) {
	for i := range r.pairs[g.from:g.to] {
		p := &r.pairs[g.from+i]
		into.add(r.path(p.namespace)[len(g.top):], r.types[p.eventType], p.n)
	}
}

// tally returns what the round counted in an hour of a top-level namespace, nil for
// nothing.
func (r *round) tally(h hourOf) *tally {
	i, ok := slices.BinarySearchFunc(r.groups, h, func(g group, h hourOf) int { return g.compare(h) })
	if !ok {
		return nil
	}
	t := &tally{}
	r.merge(&r.groups[i], t)
	return t
}
