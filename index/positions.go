package index

import (
	"encoding/binary"
	"math/bits"
)

// block is how many positions of a list are read at once: reading them apart from
// their use keeps both loops short, and their state in registers.
const block = 256

// positions reads a list in the form listDeltas or listRice.
type positions struct {
	rice  bool
	in    bitReader
	width int // of the low bits of a gap
	left  int // of a list in the form listRice
	next  int // the position behind the last one
	n     int // all positions are below it
}

// newPositions reads a list of events positions below n.
func newPositions(form, events, n int, list []byte) positions {
	p := positions{rice: form == listRice, in: bitReader{b: list}, n: n}
	if p.rice {
		p.left, p.width = events, riceWidth(events, n)
	}
	return p
}

// read reads further positions, in rising order; none are left when it fills none of dst.
func (p *positions) read(dst []uint32) (filled int, err error) {
	if !p.rice {
		return p.readDeltas(dst)
	}
	dst = dst[:min(len(dst), p.left)]
	p.left -= len(dst)
	for i := p.readShort(dst); i < len(dst); i++ {
		pos := p.next + int(p.in.take(p.width))
		high, ok := p.in.zeros()
		if pos += high << p.width; !ok || high > maxPositions || pos >= p.n {
			return 0, errList
		}
		dst[i] = uint32(pos)
		p.next = pos + 1
	}
	return len(dst), nil
}

// readShort reads gaps of up to 56 bits, which most are, until there is another one
// or the list is near its end.
func (p *positions) readShort(dst []uint32) (filled int) {
	b, word, n := p.in.b, p.in.bits, uint(p.in.n)
	width, low, next := uint(p.width)&63, uint64(1)<<p.width-1, uint64(p.next)
	for filled < len(dst) {
		high := uint(bits.TrailingZeros64(word >> width))
		if width+high >= n && len(b) >= 8 {
			word |= binary.LittleEndian.Uint64(b) << (n & 63) // what is there already is the same
			b = b[(63-n)>>3:]
			n |= 56
			high = uint(bits.TrailingZeros64(word >> width))
		}
		used := width + high + 1
		pos := next + word&low + uint64(high)<<width
		if used > n || pos >= uint64(p.n) {
			break
		}
		word >>= used & 63
		n -= used
		dst[filled] = uint32(pos)
		next = pos + 1
		filled++
	}
	p.in.b, p.in.bits, p.in.n, p.next = b, word&(1<<n-1), int(n), int(next)
	return filled
}

func (p *positions) readDeltas(dst []uint32) (filled int, err error) {
	list := p.in.b
	next := p.next
	i := 0
	for ; filled < len(dst) && i < len(list); filled++ {
		gap := uint64(list[i])
		if gap < 0x80 {
			i++
		} else {
			var n int
			if gap, n = binary.Uvarint(list[i:]); n <= 0 {
				return 0, errList
			}
			i += n
		}
		if gap > maxPositions || next+int(gap) >= p.n {
			return 0, errList
		}
		next += int(gap)
		dst[filled] = uint32(next)
		next++
	}
	p.in.b, p.next = list[i:], next
	return filled, nil
}

// orList adds the positions of a list, of which there are events, to set.
func orList(set *bitset, form, events int, list []byte) error {
	switch form {
	case listBits:
		return orBits(set, list)
	case listRuns:
		return orRuns(set, list)
	}
	p := newPositions(form, events, set.n, list)
	var some [block]uint32
	for {
		n, err := p.read(some[:])
		if n == 0 || err != nil {
			return err
		}
		for _, pos := range some[:n] {
			set.add(int(pos))
		}
	}
}

// countList counts the positions of a list that are in set, which may have fewer
// positions than spare: that is used, and as large as the list's part.
func countList(set, spare *bitset, form, events int, list []byte) (count int, err error) {
	if form == listBits || form == listRuns {
		spare.clear()
		err := orList(spare, form, events, list)
		return spare.countBoth(set), err
	}
	p := newPositions(form, events, spare.n, list)
	var some [block]uint32
	for {
		n, err := p.read(some[:])
		if n == 0 || err != nil {
			return count, err
		}
		for _, pos := range some[:n] {
			if int(pos) >= set.n {
				return count, nil
			}
			count += int(set.words[pos>>6] >> (pos & 63) & 1)
		}
	}
}
