package index

import "encoding/binary"

// lists are the posting lists of a head, each in the form listDeltas in a chain of
// blocks. The blocks of a chain become larger from one to the next: most terms are
// rare, and a few are everywhere.
type lists struct {
	chains []chain  // by number of the term
	pieces [][]byte // memory of the blocks, blockPiece bytes each
	free   uint32   // where the next block begins
}

// chain is a term's list. A block begins with the place of the one behind it.
type chain struct {
	first  uint32 // place of the first block
	at     uint32 // place of the next byte
	end    uint32 // of the last block
	next   uint32 // the position behind the last one
	events uint32
	runs   uint32 // runs of positions without a gap
	text   uint32 // place of the term in the dictionary's text
	len    uint16 // of the term
	level  uint16 // of the last block
}

const (
	blockPiece = 1 << 18 // bytes
	blockNext  = 4       // bytes of a block before its contents
	chainSize  = 32
)

// blockSize returns the bytes of a block by its level.
func blockSize(level uint16) uint32 { return 8 << min(level, lastLevel) }

// lastLevel is from where on blocks do not become larger.
const lastLevel = 7

// bytes returns how many bytes the list has.
func (c *chain) bytes() uint32 {
	level := min(c.level, lastLevel)
	before := blockSize(level) - blockSize(0) - blockNext*uint32(level) // in blocks that become larger
	before += uint32(c.level-level) * (blockSize(lastLevel) - blockNext)
	return before + c.at + blockSize(c.level) - c.end - blockNext
}

// block returns the place of a new block.
func (l *lists) block(size uint32) uint32 {
	if left := -l.free % blockPiece; left < size {
		l.free += left
		l.pieces = append(l.pieces, make([]byte, blockPiece))
	}
	l.free += size
	return l.free - size
}

func (l *lists) byteAt(place uint32) *byte { return &l.pieces[place/blockPiece][place%blockPiece] }

// following returns where it is kept which block follows the one at a place.
func (l *lists) following(place uint32) []byte {
	return l.pieces[place/blockPiece][place%blockPiece:][:blockNext]
}

// begin begins the list of a new term and returns its number.
func (l *lists) begin() uint32 {
	size := blockSize(0)
	first := l.block(size)
	l.chains = append(l.chains, chain{first: first, at: first + blockNext, end: first + size})
	return uint32(len(l.chains) - 1)
}

// add adds a position to a term's list, if it is not there: positions never fall.
func (l *lists) add(term, pos uint32) {
	c := &l.chains[term]
	if pos < c.next {
		return
	}
	gap := pos - c.next
	if gap > 0 || c.events == 0 {
		c.runs++
	}
	c.next = pos + 1
	c.events++
	if gap < 0x80 && c.at != c.end {
		*l.byteAt(c.at) = byte(gap)
		c.at++
		return
	}
	for gap >= 0x80 {
		l.put(c, byte(gap)|0x80)
		gap >>= 7
	}
	l.put(c, byte(gap))
}

// put adds a byte to the end of a chain.
func (l *lists) put(c *chain, b byte) {
	if c.at == c.end {
		l.extend(c)
	}
	*l.byteAt(c.at) = b
	c.at++
}

// extend adds a block to a chain.
func (l *lists) extend(c *chain) {
	before := c.end - blockSize(c.level)
	c.level++
	size := blockSize(c.level)
	place := l.block(size)
	binary.LittleEndian.PutUint32(l.following(before), place)
	c.at, c.end = place+blockNext, place+size
}

func (l *lists) count(term uint32) int { return int(l.chains[term].events) }

// deltas appends a term's list to dst.
func (l *lists) deltas(term uint32, dst []byte) []byte {
	c := &l.chains[term]
	place, left := c.first, c.bytes()
	for level := uint16(0); ; level++ {
		n := min(left, blockSize(level)-blockNext)
		start := place%blockPiece + blockNext
		dst = append(dst, l.pieces[place/blockPiece][start:start+n]...)
		if left -= n; left == 0 {
			return dst
		}
		place = binary.LittleEndian.Uint32(l.following(place))
	}
}

func (l *lists) size() int { return chainSize*cap(l.chains) + blockPiece*len(l.pieces) }
