package eventlog

import (
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/sluicelog/sluice"
)

// Batch holds events that are ready to be appended to one partition. The zero
// value is empty and ready to use; Reset makes it so again and keeps its memory.
type Batch struct {
	raw   []byte
	dir   dictionary
	ents  []Entry
	remap remap // used while the batch is appended
}

// Add appends an event to b: a JSON object without insignificant white space, as
// sluice.Scanner made it, with its envelope. Both are copied. The source is the
// id of the producer's token. A batch that is Full takes a few thousand more
// namespaces, types or sources; Add panics when these are used up.
func (b *Batch) Add(payload []byte, env *sluice.Envelope, source string) {
	ns := b.dir.namespace(env.Namespace)
	e := Entry{
		Offset:    uint32(len(b.raw)),
		Len:       uint32(len(payload)),
		IDOffset:  uint32(env.IDOffset),
		IDLen:     uint16(len(env.ID)),
		Namespace: ns,
		Type:      b.dir.eventType(env.Type, env.Class),
		Source:    b.dir.source(source),
		Hash:      IDHash(b.dir.tops[b.dir.namespaces[ns].Top].Name, env.ID),
	}
	if !env.Time.IsZero() {
		e.Time = env.Time.UnixMicro()
	} else {
		e.Time = noTime
	}
	b.raw = append(append(b.raw, payload...), '\n')
	b.ents = append(b.ents, e)
}

// noTime stands for the acceptance time until that is known.
const noTime = -1 << 63

// Len returns the number of events in b, Bytes their size.
func (b *Batch) Len() int   { return len(b.ents) }
func (b *Batch) Bytes() int { return len(b.raw) }

// top returns the folded top-level namespace of an entry of b.
func (b *Batch) top(e *Entry) string { return b.dir.tops[b.dir.namespaces[e.Namespace].Top].Name }

// full reports whether no further event fits with certainty.
func (b *Batch) full() bool { return b.dir.full() }

// Full reports whether b should be appended before more is added to it.
func (b *Batch) Full() bool { return len(b.raw) >= 32*MaxRaw || b.full() }

// Reset empties b and keeps its memory, unless it has grown large.
func (b *Batch) Reset() {
	const keep = 1 << 20
	if cap(b.raw) > keep {
		*b = Batch{}
		return
	}
	b.raw, b.ents = b.raw[:0], b.ents[:0]
	b.dir.reset()
}

// IDHash returns the hash by which duplicates are looked up: of the folded
// top-level namespace and the id as it stands in the payload.
func IDHash(top string, id []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(top)
	_, _ = d.Write([]byte{0})
	_, _ = d.Write(id)
	return d.Sum64()
}

// A dictionary numbers the namespaces, types and sources of a batch or block.
type dictionary struct {
	tops       []Top
	namespaces []Namespace
	types      []Type
	sources    []string
	nsIndex    map[string]uint16
	typeIndex  map[string]uint16
	topIndex   map[string]uint32
	srcIndex   map[string]uint16
	lastNS     uint16
	lastType   uint16
}

// next returns an empty dictionary for what follows d, in its maps; its lists have
// the room that d needed, for whoever was given d's keeps them. d is of no use
// after it.
func (d *dictionary) next() dictionary {
	const keep = 4096
	if len(d.namespaces) > keep || len(d.types) > keep || len(d.sources) > keep {
		return dictionary{}
	}
	clear(d.nsIndex)
	clear(d.typeIndex)
	clear(d.topIndex)
	clear(d.srcIndex)
	return dictionary{
		tops: make([]Top, 0, len(d.tops)), namespaces: make([]Namespace, 0, len(d.namespaces)),
		types: make([]Type, 0, len(d.types)), sources: make([]string, 0, len(d.sources)),
		nsIndex: d.nsIndex, typeIndex: d.typeIndex, topIndex: d.topIndex, srcIndex: d.srcIndex,
	}
}

// number returns the number that the next entry of a dictionary of n gets.
func number(n int) uint16 {
	if n >= maxNumber {
		panic("eventlog: a full batch was added to")
	}
	return uint16(n)
}

// maxNumber is how many numbers there are in a dictionary.
const maxNumber = 1 << 16

// maxDictionary is the number of distinct namespaces or types at which a batch
// or block is closed, so that indexes fit into 16 bits with room to spare.
const maxDictionary = 60_000

func (d *dictionary) full() bool {
	return len(d.namespaces) >= maxDictionary || len(d.types) >= maxDictionary || len(d.sources) >= maxDictionary
}

func (d *dictionary) reset() {
	clear(d.nsIndex)
	clear(d.typeIndex)
	clear(d.topIndex)
	clear(d.srcIndex)
	d.tops, d.namespaces, d.types, d.sources = d.tops[:0], d.namespaces[:0], d.types[:0], d.sources[:0]
	d.lastNS, d.lastType = 0, 0
}

func (d *dictionary) namespace(path []byte) uint16 {
	if int(d.lastNS) < len(d.namespaces) && d.namespaces[d.lastNS].Path == string(path) {
		return d.lastNS
	}
	i, ok := d.nsIndex[string(path)]
	if !ok {
		s := string(path)
		i = d.addNamespace(Namespace{Path: s, Folded: sluice.FoldNamespace(s)})
	}
	d.lastNS = i
	return i
}

// addNamespace adds n, whose Top it sets.
func (d *dictionary) addNamespace(n Namespace) uint16 {
	if d.nsIndex == nil {
		d.nsIndex, d.topIndex = map[string]uint16{}, map[string]uint32{}
	}
	name := sluice.TopLevel(n.Folded)
	top, ok := d.topIndex[name]
	if !ok {
		top = uint32(len(d.tops))
		d.tops = append(d.tops, Top{Name: name})
		d.topIndex[name] = top
	}
	n.Top = top
	i := number(len(d.namespaces))
	d.namespaces = append(d.namespaces, n)
	d.nsIndex[n.Path] = i
	return i
}

func (d *dictionary) eventType(name []byte, class sluice.Class) uint16 {
	if int(d.lastType) < len(d.types) && d.types[d.lastType].Name == string(name) {
		return d.lastType
	}
	i, ok := d.typeIndex[string(name)]
	if !ok {
		i = d.addType(Type{Name: string(name), Class: class})
	}
	d.lastType = i
	return i
}

func (d *dictionary) addType(t Type) uint16 {
	if d.typeIndex == nil {
		d.typeIndex = map[string]uint16{}
	}
	i := number(len(d.types))
	d.types = append(d.types, t)
	d.typeIndex[t.Name] = i
	return i
}

func (d *dictionary) source(s string) uint16 {
	if n := len(d.sources); n > 0 && d.sources[n-1] == s {
		return uint16(n - 1)
	}
	i, ok := d.srcIndex[s]
	if !ok {
		if d.srcIndex == nil {
			d.srcIndex = map[string]uint16{}
		}
		i = number(len(d.sources))
		d.sources = append(d.sources, s)
		d.srcIndex[s] = i
	}
	return i
}

// A remap translates the numbers of one dictionary into those of another. A
// number is translated when it is first met.
type remap struct {
	ns, typ, src []int32
}

func (r *remap) reset(d *dictionary) {
	r.ns = unknown(r.ns, len(d.namespaces))
	r.typ = unknown(r.typ, len(d.types))
	r.src = unknown(r.src, len(d.sources))
}

func unknown(s []int32, n int) []int32 {
	s = s[:0]
	for range n {
		s = append(s, -1)
	}
	return s
}

// entry sets e's indexes, which belong to from, to those of to.
func (r *remap) entry(e *Entry, from, to *dictionary) {
	if r.ns[e.Namespace] < 0 {
		n := from.namespaces[e.Namespace]
		if i, ok := to.nsIndex[n.Path]; ok {
			r.ns[e.Namespace] = int32(i)
		} else {
			r.ns[e.Namespace] = int32(to.addNamespace(n))
		}
	}
	if r.typ[e.Type] < 0 {
		t := from.types[e.Type]
		if i, ok := to.typeIndex[t.Name]; ok {
			r.typ[e.Type] = int32(i)
		} else {
			r.typ[e.Type] = int32(to.addType(t))
		}
	}
	if r.src[e.Source] < 0 {
		r.src[e.Source] = int32(to.source(from.sources[e.Source]))
	}
	e.Namespace, e.Type, e.Source = uint16(r.ns[e.Namespace]), uint16(r.typ[e.Type]), uint16(r.src[e.Source])
}

// timestamp returns t in the resolution of the log.
func timestamp(t time.Time) int64 { return t.UnixMicro() }
