package index

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// dictionary numbers the terms of a head and has their lists. It is an open hash
// table over terms whose text lies in a few large pieces of memory. Hashes are
// those of [termHash].
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

// reserve makes room for n terms.
func (d *dictionary) reserve(n int) {
	for 2*(len(d.chains)+n) > len(d.table) {
		d.grow()
	}
}

// term returns the number of a term, a new one if need be. There is room for it.
func (d *dictionary) term(key []byte, hash uint32) uint32 {
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

// look appends the numbers of the terms from first to end-1 of a list, new ones if
// need be. Each of its loops reads memory that has nothing to do with what the
// loop has read before, so that the processor need not wait for one at a time.
func (d *dictionary) look(dst []uint32, l *termList, first, end int) []uint32 {
	d.reserve(end - first)
	mask := uint32(len(d.table) - 1)
	start := len(dst)
	for _, hash := range l.hashes[first:end] {
		s := d.table[hash&mask]
		if s.hash != hash {
			s.number = 0
		}
		dst = append(dst, s.number)
	}
	numbers := dst[start:]
	for i, n := range numbers {
		if n == 0 || !bytes.Equal(d.key(n-1), l.key(first+i)) {
			numbers[i] = none
			continue
		}
		numbers[i] = n - 1
	}
	for i, n := range numbers {
		if n == none {
			numbers[i] = d.term(l.key(first+i), l.hashes[first+i])
		}
	}
	return dst
}

// none is no number of a term.
const none = ^uint32(0)

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
	order := make([]ordered, len(d.chains))
	for i := range order {
		key := d.key(uint32(i))
		order[i] = ordered{high: prefix(key), low: prefix(key[min(8, len(key)):]), number: uint32(i)}
	}
	slices.SortFunc(order, func(a, b ordered) int {
		if c := cmp.Or(cmp.Compare(a.high, b.high), cmp.Compare(a.low, b.low)); c != 0 {
			return c
		}
		return bytes.Compare(d.key(a.number), d.key(b.number))
	})
	numbers := make([]uint32, len(order))
	for i := range order {
		numbers[i] = order[i].number
	}
	return numbers
}

// ordered is a term with the beginning of its key, by which most are told apart
// without a look at the keys.
type ordered struct {
	high, low uint64 // 8 bytes each, first ones highest, zeros behind the end
	number    uint32
}

// prefix returns the first 8 bytes of b as a number that compares as they do.
func prefix(b []byte) uint64 {
	if len(b) >= 8 {
		return binary.BigEndian.Uint64(b)
	}
	var whole [8]byte
	copy(whole[:], b)
	return binary.BigEndian.Uint64(whole[:])
}

func (d *dictionary) size() int {
	return d.lists.size() + slotSize*cap(d.table) + textPiece*len(d.text) + 4*cap(d.types)
}
