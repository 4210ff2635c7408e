package index

import (
	"bytes"
	"slices"
)

// dictionary numbers the terms of a head and has their lists. It is an open hash
// table over terms whose text lies in a few large pieces of memory. Hashes are
// those of [Terms], with a seed: nobody can choose terms that collide.
type dictionary struct {
	lists
	table []slot   // a power of two, at most half full
	text  [][]byte // pieces of textPiece bytes
	types []uint32 // the terms of FieldType
}

// slot names a term, with the hash beside it: what misses costs memory that was
// not touched before.
type slot struct {
	hash   uint32
	number uint32 // of the term, + 1
}

const (
	textPiece = 1 << 18 // bytes
	slotSize  = 8
)

// key returns term number i: its field in one byte, then its value.
func (d *dictionary) key(i uint32) []byte {
	c := &d.chains[i]
	start := c.text % textPiece
	return d.text[c.text/textPiece][start : start+uint32(c.len)]
}

// term returns the number of a term, a new one if need be.
func (d *dictionary) term(key []byte, hash uint32) uint32 {
	if 2*len(d.chains) >= len(d.table) {
		d.grow()
	}
	i := hash & uint32(len(d.table)-1)
	for d.table[i].number != 0 {
		if d.table[i].hash == hash && bytes.Equal(d.key(d.table[i].number-1), key) {
			return d.table[i].number - 1
		}
		i = (i + 1) & uint32(len(d.table)-1)
	}
	n := d.begin()
	d.chains[n].text, d.chains[n].len = d.keep(key), uint16(len(key))
	d.table[i] = slot{hash, n + 1}
	if Field(key[0]) == FieldType {
		d.types = append(d.types, n)
	}
	return n
}

// keep copies a term's text and returns its place.
func (d *dictionary) keep(key []byte) uint32 {
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
	for i := hash & uint32(len(d.table)-1); d.table[i].number != 0; i = (i + 1) & uint32(len(d.table)-1) {
		if d.table[i].hash == hash && bytes.Equal(d.key(d.table[i].number-1), key) {
			return d.table[i].number - 1, true
		}
	}
	return 0, false
}

// appendKey appends a term as dictionaries have it.
func appendKey(dst []byte, t Term) []byte { return append(append(dst, byte(t.Field)), t.Value...) }

// grow makes the table four times as large.
func (d *dictionary) grow() {
	before := d.table
	d.table = make([]slot, max(1<<12, 4*len(before)))
	for _, s := range before {
		if s.number == 0 {
			continue
		}
		i := s.hash & uint32(len(d.table)-1)
		for d.table[i].number != 0 {
			i = (i + 1) & uint32(len(d.table)-1)
		}
		d.table[i] = s
	}
}

// sorted returns the numbers of all terms, in the order of their keys.
func (d *dictionary) sorted() []uint32 {
	numbers := make([]uint32, len(d.chains))
	for i := range numbers {
		numbers[i] = uint32(i)
	}
	slices.SortFunc(numbers, func(a, b uint32) int { return bytes.Compare(d.key(a), d.key(b)) })
	return numbers
}

func (d *dictionary) size() int {
	return d.lists.size() + slotSize*cap(d.table) + textPiece*len(d.text) + 4*cap(d.types)
}
