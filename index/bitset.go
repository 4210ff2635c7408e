package index

import "math/bits"

// bitset is a set of positions in a part.
type bitset struct {
	words []uint64
	n     int // positions are 0 to n-1; bits beyond are 0
}

func newBitset(n int) *bitset { return &bitset{words: make([]uint64, (n+63)/64), n: n} }

func (b *bitset) add(pos int) { b.words[pos>>6] |= 1 << (pos & 63) }

// fill adds the positions from first to end-1.
func (b *bitset) fill(first, end int) {
	if first >= end {
		return
	}
	i, j := first>>6, (end-1)>>6
	low, high := ^uint64(0)<<(first&63), ^uint64(0)>>(63-(end-1)&63)
	if i == j {
		b.words[i] |= low & high
		return
	}
	b.words[i] |= low
	for k := i + 1; k < j; k++ {
		b.words[k] = ^uint64(0)
	}
	b.words[j] |= high
}

func (b *bitset) and(other *bitset) {
	for i, w := range other.words[:len(b.words)] {
		b.words[i] &= w
	}
}

func (b *bitset) andNot(other *bitset) {
	for i, w := range other.words[:len(b.words)] {
		b.words[i] &^= w
	}
}

func (b *bitset) clear() { clear(b.words) }

func (b *bitset) count() int {
	n := 0
	for _, w := range b.words {
		n += bits.OnesCount64(w)
	}
	return n
}

// countBoth counts the positions that are in other too, which may have fewer.
func (b *bitset) countBoth(other *bitset) int {
	n := 0
	for i, w := range other.words {
		n += bits.OnesCount64(w & b.words[i])
	}
	return n
}

// countIn counts the positions from first to end-1.
func (b *bitset) countIn(first, end int) int {
	n := 0
	for pos := first; pos < end; {
		w := b.words[pos>>6] >> (pos & 63)
		step := min(64-pos&63, end-pos)
		n += bits.OnesCount64(w << (64 - step))
		pos += step
	}
	return n
}

func (b *bitset) empty() bool {
	for _, w := range b.words {
		if w != 0 {
			return false
		}
	}
	return true
}

// next returns the first position at pos or above, -1 when there is none.
func (b *bitset) next(pos int) int {
	if pos >= b.n {
		return -1
	}
	i := pos >> 6
	if w := b.words[i] >> (pos & 63); w != 0 {
		return pos + bits.TrailingZeros64(w)
	}
	for i++; i < len(b.words); i++ {
		if w := b.words[i]; w != 0 {
			return i<<6 + bits.TrailingZeros64(w)
		}
	}
	return -1
}

// last returns the highest position below end, -1 when there is none.
func (b *bitset) last(end int) int {
	if end = min(end, b.n); end <= 0 {
		return -1
	}
	i := (end - 1) >> 6
	if w := b.words[i] << (63 - (end-1)&63); w != 0 {
		return end - 1 - bits.LeadingZeros64(w)
	}
	for i--; i >= 0; i-- {
		if w := b.words[i]; w != 0 {
			return i<<6 + 63 - bits.LeadingZeros64(w)
		}
	}
	return -1
}
