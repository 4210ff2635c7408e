package sink

import "math/bits"

// A Range is a run of event numbers, To exclusive.
type Range struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// seen is a set of event numbers; they are dense, so it is a row of bits.
type seen []uint64

// add reports whether n was absent.
func (s *seen) add(n uint64) bool {
	word, bit := n/64, uint64(1)<<(n%64)
	for uint64(len(*s)) <= word {
		*s = append(*s, 0)
	}
	if (*s)[word]&bit != 0 {
		return false
	}
	(*s)[word] |= bit
	return true
}

// missing counts the numbers below upto that are absent and returns the first
// ranges of them, at most limit.
func (s seen) missing(upto uint64, limit int) (count uint64, ranges []Range) {
	for n := uint64(0); n < upto; {
		word, end := ^uint64(0), min(upto, n/64*64+64)
		if n/64 < uint64(len(s)) {
			word = ^s[n/64]
		}
		word >>= n % 64
		skip := uint64(bits.TrailingZeros64(word))
		if n += skip; skip == 64 || n >= end {
			n = end
			continue
		}
		run := min(uint64(bits.TrailingZeros64(^(word >> skip))), end-n)
		count += run
		if last := len(ranges) - 1; last >= 0 && ranges[last].To == n {
			ranges[last].To += run
		} else if len(ranges) < limit {
			ranges = append(ranges, Range{n, n + run})
		}
		n += run
	}
	return count, ranges
}
