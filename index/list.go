package index

import (
	"encoding/binary"
	"fmt"
)

// A posting list is the set of positions that a term has, in the shortest of
// three forms.
const (
	listDeltas = 0 // of each position the distance from the one before, less one
	listRuns   = 1 // of each run the distance from the end of the one before, and its length less one
	listBits   = 2 // one bit a position, lowest first
	listForms  = 3
)

// appendList appends a list that has the form listDeltas, of rising positions
// below n, in the shortest form, which it returns. runs is how many runs there
// are. That deltas compress better than bits is left out.
func appendList(dst, deltas []byte, runs, n int) ([]byte, int) {
	switch bits := (n + 7) / 8; {
	case 2*runs < min(len(deltas), bits): // two bytes a run, but mostly more
		return appendRuns(dst, deltas), listRuns
	case bits < len(deltas):
		return appendBits(dst, deltas, bits), listBits
	}
	return append(dst, deltas...), listDeltas
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

// orList adds the positions of a list to set.
func orList(set *bitset, form int, list []byte) error {
	if form == listBits {
		return orBits(set, list)
	}
	pos := uint64(0)
	for i := 0; i < len(list); {
		gap := uint64(list[i])
		if gap < 0x80 {
			i++
		} else {
			var n int
			if gap, n = binary.Uvarint(list[i:]); n <= 0 {
				return errList
			}
			i += n
		}
		if pos += gap; gap > maxPositions || pos >= uint64(set.n) {
			return errList
		}
		if form == listDeltas {
			set.add(int(pos))
			pos++
			continue
		}
		more, n := binary.Uvarint(list[i:])
		if n <= 0 || more >= uint64(set.n)-pos {
			return errList
		}
		i += n
		set.fill(int(pos), int(pos+more+1))
		pos += more + 1
	}
	return nil
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
const maxPositions = 1 << 20

var errList = fmt.Errorf("%w: a list of positions is broken", ErrDamaged)
