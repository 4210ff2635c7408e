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
	table []slot   // a power of two, at most three quarters full
	text  [][]byte // pieces of textPiece bytes
	types []uint32 // the terms of FieldType
}

const textPiece = 1 << 18 // bytes

// ending is made of the last bytes of a term and its length.
func ending(key []byte) uint32 {
	n := len(key)
	if n >= 3 {
		return uint32(key[n-1]) | uint32(key[n-2])<<8 | uint32(key[n-3])<<16 | uint32(n)<<24
	}
	return uint32(key[n-1]) | uint32(n)<<24
}

// key returns term number i: its field in one byte, then its value.
func (d *dictionary) key(i uint32) []byte {
	c := d.chain(i)
	start := c.text % textPiece
	return d.text[c.text/textPiece][start : start+uint32(c.len)]
}

// reserve makes room for n terms.
func (d *dictionary) reserve(n int) {
	size := max(1<<12, len(d.table))
	for 4*(d.terms+n) > 3*size {
		size *= 2
	}
	if size != len(d.table) {
		d.grow(size)
	}
}

// look appends the slots of the terms from first to end-1 of a list, new ones if
// need be. They are valid until it is called again. Its loop reads memory that has
// nothing to do with what it has read before, so that the processor need not wait
// for one at a time.
func (d *dictionary) look(dst []uint32, l *termList, first, end int) []uint32 {
	d.reserve(end - first)
	mask := uint64(len(d.table) - 1)
	for i := first; i < end; i++ {
		hash, tail := l.hashes[i], ending(l.key(i))
		at := hash & mask
		s := &d.table[at]
		for s.number != 0 && (s.hash != hash || s.ending != tail) {
			at = (at + 1) & mask
			s = &d.table[at]
		}
		if s.number == 0 {
			s.hash, s.ending, s.number = hash, tail, d.insert(l.key(i))+1
		}
		dst = append(dst, uint32(at))
	}
	return dst
}

// insert begins a new term and returns its number.
func (d *dictionary) insert(key []byte) uint32 {
	n := d.begin()
	c := d.chain(n)
	c.text, c.len = d.keep(key), uint16(len(key))
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

// find returns the slot of a term that is there, nil of another.
func (d *dictionary) find(key []byte) *slot {
	if len(d.table) == 0 {
		return nil
	}
	hash, mask := termHash(key), uint64(len(d.table)-1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &d.table[i]
		if s.number == 0 {
			return nil
		}
		if s.hash == hash && bytes.Equal(d.key(s.number-1), key) {
			return s
		}
	}
}

// appendKey appends a term as dictionaries have it.
func appendKey(dst []byte, t Term) []byte { return append(append(dst, byte(t.Field)), t.Value...) }

// grow makes the table larger.
func (d *dictionary) grow(size int) {
	before := d.table
	d.table = make([]slot, size)
	mask := uint64(len(d.table) - 1)
	for n := range before {
		s := &before[n]
		if s.number == 0 {
			continue
		}
		i := s.hash & mask
		for d.table[i].number != 0 {
			i = (i + 1) & mask
		}
		d.table[i] = *s
	}
}

// sorted returns all terms in the order of their keys.
func (d *dictionary) sorted() []ordered {
	order := make([]ordered, d.terms)
	for i := range d.table {
		s := &d.table[i]
		if s.number == 0 {
			continue
		}
		o := &order[s.number-1]
		if pos, ok := s.single(); ok {
			o.pos, o.single = pos, true
		} else {
			o.slot = uint32(i)
		}
	}
	for i := range order {
		o := &order[i]
		key := d.key(uint32(i))
		o.high, o.low, o.number, o.len = prefix(key), prefix(key[min(8, len(key)):]), uint32(i), uint16(len(key))
	}
	slices.SortFunc(order, func(a, b ordered) int {
		switch {
		case a.high != b.high:
			return cmp.Compare(a.high, b.high)
		case a.low != b.low:
			return cmp.Compare(a.low, b.low)
		}
		return bytes.Compare(d.key(a.number), d.key(b.number))
	})
	return order
}

// ordered is a term with the beginning of its key, by which most are told apart,
// and where its list is, or the position of its only event: then there is no need
// to look elsewhere.
type ordered struct {
	high, low uint64 // 8 bytes each, first ones highest, zeros behind the end
	number    uint32
	slot, pos uint32 // one of them
	len       uint16 // of the key
	single    bool   // there is one event
}

// appendKey appends the key of a term of d.
func (o *ordered) appendKey(dst []byte, d *dictionary) []byte {
	if o.len > 16 {
		return append(dst, d.key(o.number)...)
	}
	dst = binary.BigEndian.AppendUint64(dst, o.high)
	dst = binary.BigEndian.AppendUint64(dst, o.low)
	return dst[:len(dst)-16+int(o.len)]
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

// growth returns by how much the size rises when the table grows, if that is near.
func (d *dictionary) growth() int {
	if 16*d.terms < 11*len(d.table) {
		return 0
	}
	return slotSize * len(d.table)
}
