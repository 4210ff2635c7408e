package control

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"unique"

	"github.com/sluicelog/sluice/eventlog"
)

// What an hour of a top-level namespace counts by itself, in each partition. What
// is beyond is summed: types under otherTypes, namespaces under otherNamespaces.
const (
	maxCountTypes      = 64   // of a namespace
	maxCountNamespaces = 1000 //
	maxCountPairs      = 4096 // of namespace and type
	maxCountNames      = 64 << 10
	otherTypes         = "other"
	otherNamespaces    = "*" // every other path is empty or begins with a slash
)

// tally counts the events of a top-level namespace in one hour, in one partition,
// by path below it and type.
type tally struct {
	upto  uint64 // of one that is stored: the last event of the partition that it counts
	rows  []row
	index map[string]int32 // of rows by path, when there are more than fewRows
	pairs int
	names int // bytes
}

type row struct {
	path  string // folded; "" is the top-level namespace itself
	cells []cell
}

type cell struct {
	name typeName
	n    uint64
}

// typeName is the name of an event type; equal ones are one pointer.
type typeName = unique.Handle[string]

var otherType = unique.Make(otherTypes)

func internTypes(types []eventlog.Type) []typeName {
	out := make([]typeName, len(types))
	for i := range types {
		out[i] = unique.Make(types[i].Name)
	}
	return out
}

const fewRows = 32

// add counts n events, within the bounds.
func (t *tally) add(path string, eventType typeName, n uint64) {
	at := t.find(path)
	if at < 0 && path != "" && (len(t.rows) >= maxCountNamespaces || t.names+len(path) > maxCountNames) {
		path = otherNamespaces
		at = t.find(path)
	}
	if at >= 0 && t.rows[at].count(eventType, n) {
		return
	}
	if path != otherNamespaces && (t.pairs >= maxCountPairs || t.names+len(eventType.Value()) > maxCountNames) {
		t.add(otherNamespaces, eventType, n)
		return
	}
	if at >= 0 && len(t.rows[at].cells) >= maxCountTypes || t.names+len(eventType.Value()) > maxCountNames {
		if eventType = otherType; at >= 0 && t.rows[at].count(eventType, n) {
			return
		}
	}
	t.put(path, eventType, n)
}

// put adds a pair that is not there, whatever the bounds.
func (t *tally) put(path string, eventType typeName, n uint64) {
	at := t.find(path)
	if at < 0 {
		at = t.newRow(path)
	}
	r := &t.rows[at]
	r.cells = append(r.cells, cell{eventType, n})
	t.pairs++
	t.names += len(eventType.Value())
}

// count adds to a type that the row has, and reports whether it does.
func (r *row) count(eventType typeName, n uint64) bool {
	for i := range r.cells {
		if r.cells[i].name == eventType {
			r.cells[i].n += n
			return true
		}
	}
	return false
}

// find returns the index of the row of a path, -1 for none.
func (t *tally) find(path string) int {
	if t.index != nil {
		if i, ok := t.index[path]; ok {
			return int(i)
		}
		return -1
	}
	for i := range t.rows {
		if t.rows[i].path == path {
			return i
		}
	}
	return -1
}

func (t *tally) newRow(path string) int {
	path = strings.Clone(path) // the block is not kept in memory
	at := len(t.rows)
	t.rows = append(t.rows, row{path: path})
	t.names += len(path)
	switch {
	case t.index != nil:
		t.index[path] = int32(at)
	case len(t.rows) > fewRows:
		t.index = make(map[string]int32, 4*fewRows)
		for i := range t.rows {
			t.index[t.rows[i].path] = int32(i)
		}
	}
	return at
}

// blockPairs counts the events of a block by namespace and type. Its memory is
// used again.
type blockPairs struct {
	list []pair
	at   []uint32 // by namespace and type: the place in list, and 1; else 0
}

// pair is what events of a block have in common: indexes into its lists.
type pair struct {
	namespace, eventType uint16
	n                    uint32
}

// maxMatrix bounds blockPairs.at. In a block of more combinations, an event is a
// pair of its own.
const maxMatrix = 1 << 16

// count returns the pairs of a block; they are valid until the next call.
func (x *blockPairs) count(b *eventlog.Directory) []pair {
	x.list = x.list[:0]
	width := len(b.Types)
	matrix := len(b.Namespaces)*width <= maxMatrix
	if matrix && len(x.at) < len(b.Namespaces)*width {
		x.at = make([]uint32, len(b.Namespaces)*width)
	}
	for i := range b.Entries {
		e := &b.Entries[i]
		if !matrix {
			x.list = append(x.list, pair{e.Namespace, e.Type, 1})
			continue
		}
		at := &x.at[int(e.Namespace)*width+int(e.Type)]
		if *at == 0 {
			x.list = append(x.list, pair{e.Namespace, e.Type, 0})
			*at = uint32(len(x.list))
		}
		x.list[*at-1].n++
	}
	if matrix {
		for _, p := range x.list {
			x.at[int(p.namespace)*width+int(p.eventType)] = 0
		}
	}
	return x.list
}

// A tally is stored as: version; upto; names, each with its length; rows. A row is
// the number of its path among the names, the number of its cells, and these: the
// number of the type among the names, and the count. Numbers are uvarints.
const tallyVersion = 1

func (t *tally) encode() []byte {
	names, list := map[string]uint64{}, []string(nil)
	number := func(s string) uint64 {
		i, ok := names[s]
		if !ok {
			i = uint64(len(list))
			names[s], list = i, append(list, s)
		}
		return i
	}
	body := make([]byte, 0, 4*t.pairs+4*len(t.rows))
	for _, r := range t.rows {
		body = binary.AppendUvarint(body, number(r.path))
		body = binary.AppendUvarint(body, uint64(len(r.cells)))
		for _, c := range r.cells {
			body = binary.AppendUvarint(body, number(c.name.Value()))
			body = binary.AppendUvarint(body, c.n)
		}
	}
	out := append(make([]byte, 0, len(body)+t.names+64), tallyVersion)
	out = binary.AppendUvarint(out, t.upto)
	out = binary.AppendUvarint(out, uint64(len(list)))
	for _, s := range list {
		out = binary.AppendUvarint(out, uint64(len(s)))
		out = append(out, s...)
	}
	return append(out, body...)
}

var errTallyRecord = errors.New("the record is damaged, or of another version")

// tallyReader reads a record; after the first fault everything is zero.
type tallyReader struct {
	b   []byte
	bad bool
}

func (r *tallyReader) fail() { r.b, r.bad = nil, true }

func (r *tallyReader) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

// count reads how many items follow, each of one byte or more.
func (r *tallyReader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *tallyReader) string() string {
	n := r.count()
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

// at reads which of the names follows, -1 for none of them.
func (r *tallyReader) at(names []string) int {
	i := r.uvarint()
	if i >= uint64(len(names)) {
		r.fail()
		return -1
	}
	return int(i)
}

func (r *tallyReader) name(names []string) string {
	if i := r.at(names); i >= 0 {
		return names[i]
	}
	return ""
}

func decodeTally(b []byte) (*tally, error) {
	if len(b) == 0 || b[0] != tallyVersion {
		return nil, errTallyRecord
	}
	r := &tallyReader{b: b[1:]}
	t := &tally{upto: r.uvarint()}
	names := make([]string, r.count())
	for i := range names {
		names[i] = r.string()
	}
	types := make([]typeName, len(names)) // those that were met
	for len(r.b) > 0 {
		path := r.name(names)
		at := t.find(path)
		if at < 0 {
			at = t.newRow(path)
		}
		n := r.count()
		cells := slices.Grow(t.rows[at].cells, n)
		for range n {
			i := r.at(names)
			if i < 0 {
				break
			}
			if types[i] == (typeName{}) {
				types[i] = unique.Make(names[i])
			}
			cells = append(cells, cell{types[i], r.uvarint()})
			t.pairs++
			t.names += len(names[i])
		}
		t.rows[at].cells = cells
	}
	if r.bad {
		return nil, errTallyRecord
	}
	return t, nil
}
