package index

import (
	"bytes"
	"slices"
)

// dictionary numbers the terms of a head. It is an open hash table over terms
// whose text lies in a few large pieces of memory. Hashes are those of [Terms],
// with a seed: nobody can choose terms that collide.
type dictionary struct {
	table []uint32 // number of a term + 1; a power of two, at most half full
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
func (d *dictionary) term(key []byte, hash uint32) uint32 {
	if 2*len(d.terms) >= len(d.table) {
		d.grow()
	}
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
func (d *dictionary) find(key []byte, hash uint32) (uint32, bool) {
	if len(d.table) == 0 {
		return 0, false
	}
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
