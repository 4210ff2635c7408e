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

// appendList appends the list of rising positions below n in the form that it
// returns.
func appendList(dst []byte, positions []uint32, n int) ([]byte, int) {
	start := len(dst)
	form := chooseForm(positions, n)
	switch form {
	case listBits:
		dst = append(dst, make([]byte, (n+7)/8)...)
		for _, p := range positions {
			dst[start+int(p>>3)] |= 1 << (p & 7)
		}
	case listRuns:
		next := uint32(0)
		for i := 0; i < len(positions); {
			j := i + 1
			for j < len(positions) && positions[j] == positions[j-1]+1 {
				j++
			}
			dst = binary.AppendUvarint(dst, uint64(positions[i]-next))
			dst = binary.AppendUvarint(dst, uint64(j-i-1))
			next = positions[j-1] + 1
			i = j
		}
	default:
		next := uint32(0)
		for _, p := range positions {
			dst = binary.AppendUvarint(dst, uint64(p-next))
			next = p + 1
		}
	}
	return dst, form
}

// chooseForm estimates which form is shortest. Two bytes a run stand for what are
// mostly more; that deltas compress better than bits is left out.
func chooseForm(positions []uint32, n int) int {
	runs := 1
	for i := 1; i < len(positions); i++ {
		if positions[i] != positions[i-1]+1 {
			runs++
		}
	}
	deltas := len(positions)
	switch bits := (n + 7) / 8; {
	case 2*runs < min(deltas, bits):
		return listRuns
	case bits < deltas:
		return listBits
	}
	return listDeltas
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
