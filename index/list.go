package index

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// A posting list is the set of positions that a term has, in the shortest of four
// forms. A gap is how many positions lie between one that it has and the one
// before.
const (
	listDeltas = 0 // each gap as a varint
	listRuns   = 1 // of each run the gap before it and its length less one, as varints
	listBits   = 2 // one bit a position, lowest first
	listRice   = 3 // each gap in bits: see appendRice
	listForms  = 4
)

// noGap is a gap of nothing; other gaps have no such byte.
var noGap = []byte{0}

// appendList appends a list of events positions below n, which is given in the
// form listDeltas, in the shortest form, which it returns.
func appendList(dst, deltas []byte, events, n int) ([]byte, int) {
	bits := (n + 7) / 8
	runs := events - bytes.Count(deltas[1:], noGap)
	if 2*runs < min(len(deltas), bits) { // two bytes a run, but mostly more
		return appendRuns(dst, deltas), listRuns
	}
	start := len(dst)
	if events > 1 {
		dst = appendRice(dst, deltas, riceWidth(events, n))
		if rice := len(dst) - start; rice < min(len(deltas), bits) {
			return dst, listRice
		}
	}
	if bits < len(deltas) {
		return appendBits(dst[:start], deltas, bits), listBits
	}
	return append(dst[:start], deltas...), listDeltas
}

// riceWidth is how many low bits of a gap stand for themselves in a list of so
// many of n positions: with gaps by chance, the fewest bits in all.
func riceWidth(events, n int) int { return max(0, bits.Len(uint(n*7/10/events))-1) }

// appendRice appends gaps in Golomb-Rice coding: the low bits of the gap, then as
// many zeros as what is above them says, and a one. It gives up, with more bytes
// than the deltas have, when that takes too many zeros.
func appendRice(dst, deltas []byte, width int) []byte {
	limit := len(dst) + len(deltas)
	var out bitWriter
	for i := 0; i < len(deltas); {
		gap := uint64(deltas[i])
		if i++; gap >= 0x80 {
			var n int
			gap, n = binary.Uvarint(deltas[i-1:])
			i += n - 1
		}
		low := gap & (1<<width - 1)
		gap >>= width
		if bits := width + int(gap) + 1; gap < 32 && bits <= 56 {
			dst = out.put(dst, low|1<<(bits-1), bits)
			continue
		}
		dst = out.put(dst, low, width)
		for ; gap >= 32; gap -= 32 {
			if dst = out.put(dst, 0, 32); len(dst) > limit {
				return dst
			}
		}
		dst = out.put(dst, 1<<gap, int(gap)+1)
	}
	return out.flush(dst)
}

func appendBits(dst, deltas []byte, size int) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, size)...)
	next := uint64(0)
	for i := 0; i < len(deltas); next++ {
		gap, n := binary.Uvarint(deltas[i:])
		i += n
		next += gap
		dst[start+int(next>>3)] |= 1 << (next & 7)
	}
	return dst
}

func appendRuns(dst, deltas []byte) []byte {
	for i := 0; i < len(deltas); {
		gap, n := binary.Uvarint(deltas[i:])
		more := uint64(0)
		for i += n; i < len(deltas) && deltas[i] == 0; i++ {
			more++
		}
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, gap), more)
	}
	return dst
}

// orRuns adds the positions of a list in the form listRuns to set.
func orRuns(set *bitset, list []byte) error {
	pos := uint64(0)
	for in := (scan{b: list}); len(in.b) > 0; {
		gap, more := in.uint(), in.uint()
		if pos += gap; in.bad || gap > maxPositions || pos >= uint64(set.n) || more >= uint64(set.n)-pos {
			return errList
		}
		set.fill(int(pos), int(pos+more+1))
		pos += more + 1
	}
	return nil
}

// bitReader reads what a bitWriter wrote; beyond the end there are zeros.
type bitReader struct {
	b    []byte
	bits uint64
	n    int // bits that are left in bits
}

// fill makes bits hold 56 at least, if there are as many.
func (r *bitReader) fill() {
	if len(r.b) >= 8 {
		r.bits |= binary.LittleEndian.Uint64(r.b) << r.n
		whole := (63 - r.n) >> 3
		r.b = r.b[whole:]
		r.n += 8 * whole
		r.bits &= ^uint64(0) >> (64 - r.n)
		return
	}
	for r.n <= 56 && len(r.b) > 0 {
		r.bits |= uint64(r.b[0]) << r.n
		r.b = r.b[1:]
		r.n += 8
	}
}

// take reads a number of up to 32 bits.
func (r *bitReader) take(width int) uint64 {
	if r.n < width {
		r.fill()
	}
	v := r.bits & (1<<width - 1)
	r.bits >>= width
	r.n -= min(width, r.n)
	return v
}

// zeros reads zeros and the one behind them, and returns how many zeros they were.
func (r *bitReader) zeros() (n int, ok bool) {
	for {
		if r.bits != 0 {
			zeros := bits.TrailingZeros64(r.bits)
			r.bits >>= zeros + 1
			r.n -= zeros + 1
			return n + zeros, true
		}
		n += r.n
		if r.n = 0; len(r.b) == 0 {
			return n, false
		}
		r.fill()
	}
}

func orBits(set *bitset, list []byte) error {
	if len(list) != (set.n+7)/8 || set.n%8 != 0 && list[len(list)-1]>>(set.n%8) != 0 {
		return errList
	}
	i := 0
	for ; len(list) >= 8; list = list[8:] {
		set.words[i] |= binary.LittleEndian.Uint64(list)
		i++
	}
	for j, c := range list {
		set.words[i] |= uint64(c) << (8 * j)
	}
	return nil
}

// maxPositions bounds the events of a chunk, whoever wrote it.
const maxPositions = 1 << posBits

var errList = fmt.Errorf("%w: a list of positions is broken", ErrDamaged)
