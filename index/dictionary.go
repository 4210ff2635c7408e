package index

import (
	"bytes"
	"hash/maphash"
	"slices"
)

// dictionary numbers the terms of a head. It is an open hash table over terms
// whose text lies in a few large pieces of memory. The hash has a seed: nobody can
// choose terms that collide.
type dictionary struct {
	seed  maphash.Seed // set with the first table
	table []uint32     // number of a term + 1; a power of two, at most half full
	terms []entry
	text  [][]byte // pieces of textPiece bytes
	types []uint32 // the terms of FieldType
}

// entry is a term: a field in one byte and a value.
type entry struct {
	hash  uint32
	place uint32 // number of the piece and offset in it
	len   uint16
}

const (
	textPiece = 1 << 18 // bytes
	entrySize = 12
)

// key returns term number i.
func (d *dictionary) key(i uint32) []byte {
	e := &d.terms[i]
	start := e.place % textPiece
	return d.text[e.place/textPiece][start : start+uint32(e.len)]
}

// term returns the number of a term, a new one if need be.
func (d *dictionary) term(key []byte) uint32 {
	if 2*len(d.terms) >= len(d.table) {
		d.grow()
	}
	hash := uint32(maphash.Bytes(d.seed, key))
	i := hash & uint32(len(d.table)-1)
	for d.table[i] != 0 {
		n := d.table[i] - 1
		if d.terms[n].hash == hash && bytes.Equal(d.key(n), key) {
			return n
		}
		i = (i + 1) & uint32(len(d.table)-1)
	}
	n := uint32(len(d.terms))
	d.table[i] = n + 1
	d.terms = append(d.terms, entry{hash: hash, place: d.put(key), len: uint16(len(key))})
	if Field(key[0]) == FieldType {
		d.types = append(d.types, n)
	}
	return n
}

// put copies a term's text and returns its place.
func (d *dictionary) put(key []byte) uint32 {
	last := len(d.text) - 1
	if last < 0 || len(d.text[last])+len(key) > textPiece {
		d.text = append(d.text, make([]byte, 0, textPiece))
		last++
	}
	place := uint32(last)*textPiece + uint32(len(d.text[last]))
	d.text[last] = append(d.text[last], key...)
	return place
}

// find returns the number of a term that is there.
func (d *dictionary) find(t Term) (uint32, bool) {
	if len(d.table) == 0 {
		return 0, false
	}
	key := appendKey(nil, t)
	hash := uint32(maphash.Bytes(d.seed, key))
	for i := hash & uint32(len(d.table)-1); d.table[i] != 0; i = (i + 1) & uint32(len(d.table)-1) {
		n := d.table[i] - 1
		if d.terms[n].hash == hash && bytes.Equal(d.key(n), key) {
			return n, true
		}
	}
	return 0, false
}

// appendKey appends a term as dictionaries have it.
func appendKey(dst []byte, t Term) []byte { return append(append(dst, byte(t.Field)), t.Value...) }

// grow doubles the table.
func (d *dictionary) grow() {
	if d.table == nil {
		d.seed = maphash.MakeSeed()
	}
	d.table = make([]uint32, max(1<<12, 2*len(d.table)))
	for n := range d.terms {
		i := d.terms[n].hash & uint32(len(d.table)-1)
		for d.table[i] != 0 {
			i = (i + 1) & uint32(len(d.table)-1)
		}
		d.table[i] = uint32(n + 1)
	}
}

// sorted returns the numbers of all terms, in the order of their keys.
func (d *dictionary) sorted() []uint32 {
	numbers := make([]uint32, len(d.terms))
	for i := range numbers {
		numbers[i] = uint32(i)
	}
	slices.SortFunc(numbers, func(a, b uint32) int { return bytes.Compare(d.key(a), d.key(b)) })
	return numbers
}

func (d *dictionary) size() int {
	return 4*cap(d.table) + entrySize*cap(d.terms) + textPiece*len(d.text) + 4*cap(d.types)
}

// lists are the posting lists of a head: for each term a chain of its positions
// from the newest on. Adding touches the term and the end of the chains' memory,
// nothing else.
type lists struct {
	terms  []chain
	pieces [][]link
	links  int
}

// chain is a term's list.
type chain struct {
	newest uint32 // number of its last link
	events uint32
}

// link is a position and the number of the link before it in its chain.
type link struct{ pos, before uint32 }

// linkPiece is how many links there are in a piece.
const linkPiece = 1 << 15

func (l *lists) link(i uint32) *link { return &l.pieces[i/linkPiece][i%linkPiece] }

// add adds a position to a term's list, if it is not there: positions never fall.
func (l *lists) add(term, pos uint32) {
	if int(term) == len(l.terms) {
		l.terms = append(l.terms, chain{})
	}
	c := &l.terms[term]
	if c.events > 0 && l.link(c.newest).pos == pos {
		return
	}
	if l.links%linkPiece == 0 {
		l.pieces = append(l.pieces, make([]link, linkPiece))
	}
	*l.link(uint32(l.links)) = link{pos: pos, before: c.newest}
	c.newest = uint32(l.links)
	c.events++
	l.links++
}

func (l *lists) count(term uint32) int { return int(l.terms[term].events) }

// or adds a term's positions to set.
func (l *lists) or(term uint32, set *bitset) {
	c := l.terms[term]
	for at := c.newest; c.events > 0; c.events-- {
		k := l.link(at)
		set.add(int(k.pos))
		at = k.before
	}
}

// countIn counts a term's positions that are in set.
func (l *lists) countIn(term uint32, set *bitset) (n int) {
	c := l.terms[term]
	for at := c.newest; c.events > 0; c.events-- {
		k := l.link(at)
		if int(k.pos) < set.n && set.has(int(k.pos)) {
			n++
		}
		at = k.before
	}
	return n
}

// positions appends a term's positions, rising.
func (l *lists) positions(term uint32, dst []uint32) []uint32 {
	c := l.terms[term]
	n := int(c.events)
	dst = slices.Grow(dst, n)[:len(dst)+n]
	for at, i := c.newest, len(dst)-1; n > 0; n, i = n-1, i-1 {
		k := l.link(at)
		dst[i], at = k.pos, k.before
	}
	return dst
}

func (l *lists) size() int { return 8*cap(l.terms) + 8*linkPiece*len(l.pieces) }
