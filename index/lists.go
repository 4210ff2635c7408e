package index

import "encoding/binary"

// slot is a term of a head in its table, with all that adding an event to its list
// needs: memory that was not touched for long is what costs most. Terms are told
// apart by what is here and not by their texts. That two of the few 100,000 terms
// of a head have the same 64 bits of a hash whose keys nobody knows, the same
// length and the same ending has a chance of one in 10^12.
type slot struct {
	hash   uint64
	ending uint32          // see ending
	number uint32          // of the term, + 1; 0 when the slot is free
	next   uint32          // the position behind the last one
	filled uint8           // bytes of tail
	tail   [tailBytes]byte // the end of the list
}

const (
	slotSize  = 32
	tailBytes = 11
	maxGap    = (posBits + 6) / 7 // bytes of a gap
)

// lists are the posting lists of a head, each in the form listDeltas. The end of a
// list is in its slot, what does not fit there comes before it in a chain of
// blocks. The blocks of a chain become larger from one to the next: most terms are
// rare, and a few are everywhere.
type lists struct {
	terms  int
	chains []*[chainPiece]chain // by number of the term
	pieces [][]byte             // memory of the blocks, blockPiece bytes each
	free   uint32               // where the next block begins
}

// chain is what is seldom needed of a term: the blocks of its list and the place of
// its text. A block begins with the place of the one behind it.
type chain struct {
	first uint32 // place of the first block
	at    uint32 // place of the next byte
	end   uint32 // of the last block
	bytes uint32 // in blocks
	text  uint32 // place of the term in the dictionary's text
	len   uint16 // of the term
	level uint16 // of the next block
}

const (
	blockPiece = 1 << 18 // bytes
	blockNext  = 4       // bytes of a block before its contents
	chainPiece = 1 << 12
	chainSize  = 24
)

// blockSize returns the bytes of a block by its level.
func blockSize(level uint16) uint32 { return 32 << min(level, 5) }

func (l *lists) chain(number uint32) *chain { return &l.chains[number/chainPiece][number%chainPiece] }

// begin begins the list of a new term and returns its number.
func (l *lists) begin() uint32 {
	if l.terms%chainPiece == 0 {
		l.chains = append(l.chains, new([chainPiece]chain))
	}
	l.terms++
	return uint32(l.terms - 1)
}

// add adds a position to a term's list, if it is not there: positions never fall.
func (l *lists) add(s *slot, pos uint32) {
	if pos < s.next {
		return
	}
	gap := pos - s.next
	s.next = pos + 1
	if s.filled > tailBytes-maxGap {
		l.flush(s)
	}
	for gap >= 0x80 {
		s.tail[s.filled] = byte(gap) | 0x80
		s.filled++
		gap >>= 7
	}
	s.tail[s.filled] = byte(gap)
	s.filled++
}

// flush moves the end of a list from its slot into blocks.
func (l *lists) flush(s *slot) {
	c := l.chain(s.number - 1)
	tail := s.tail[:s.filled]
	c.bytes += uint32(len(tail))
	for len(tail) > 0 {
		if c.at == c.end {
			l.extend(c)
		}
		n := copy(l.pieces[c.at/blockPiece][c.at%blockPiece:][:c.end-c.at], tail)
		c.at += uint32(n)
		tail = tail[n:]
	}
	s.filled = 0
}

// gaps counts the gaps of a list, or a part of it.
func gaps(list []byte) (n int) {
	for _, b := range list {
		n += int(^b >> 7)
	}
	return n
}

// extend adds a block to a chain.
func (l *lists) extend(c *chain) {
	size := blockSize(c.level)
	if left := -l.free % blockPiece; left < size {
		l.free += left
		l.pieces = append(l.pieces, make([]byte, blockPiece))
	}
	place := l.free
	l.free += size
	if c.level == 0 {
		c.first = place
	} else {
		binary.LittleEndian.PutUint32(l.following(c.end-blockSize(c.level-1)), place)
	}
	c.level++
	c.at, c.end = place+blockNext, place+size
}

// following returns where it is kept which block follows the one at a place.
func (l *lists) following(place uint32) []byte {
	return l.pieces[place/blockPiece][place%blockPiece:][:blockNext]
}

// single returns the position of the only event of a list, if it has one.
func (s *slot) single() (pos uint32, ok bool) {
	first, n := binary.Uvarint(s.tail[:s.filled])
	return s.next - 1, n == int(s.filled) && first == uint64(s.next-1)
}

// deltas appends a list to dst.
func (l *lists) deltas(s *slot, dst []byte) []byte {
	c := l.chain(s.number - 1)
	place, left := c.first, c.bytes
	for level := uint16(0); left > 0; level++ {
		n := min(left, blockSize(level)-blockNext)
		start := place%blockPiece + blockNext
		dst = append(dst, l.pieces[place/blockPiece][start:start+n]...)
		if left -= n; left > 0 {
			place = binary.LittleEndian.Uint32(l.following(place))
		}
	}
	return append(dst, s.tail[:s.filled]...)
}

func (l *lists) size() int { return chainPiece*chainSize*len(l.chains) + blockPiece*len(l.pieces) }
