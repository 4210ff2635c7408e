package index

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Sizes of pages before they are packed.
const (
	pageSize  = 16 << 10 // bytes; the last thing in a page may pass it
	inline    = 2 << 10  // bytes; a longer list lies in a page of lists
	timeBlock = 4096     // events in a page of times
	idBlock   = 2048     // ids in a page of them
)

// writer lays out a chunk. Its pages are: the root; pages of terms with their
// lists, and in between pages of long lists; times; places; ids.
type writer struct {
	info  Info
	pages [][]byte
	root  []byte // sections, in the order of the calls

	dict  pageWriter // of terms
	lists pageWriter // of long lists
	index []byte     // for the root: which terms lie in which page
	dicts int        // how many pages of terms
	last  []byte     // the term before
	front []byte     // what the index has of the page before
	at    int        // the number of the page before in the index

	deltas []byte // of the term that is being added
	list   []byte
}

// pageWriter is a page that is being filled: it has its number from the first byte on.
type pageWriter struct {
	raw  []byte
	page int
}

func newWriter(info Info) *writer {
	w := &writer{info: info, pages: make([][]byte, 1)}
	w.root = binary.AppendUvarint(w.root, Format)
	w.root = binary.AppendUvarint(w.root, info.First)
	w.root = binary.AppendUvarint(w.root, uint64(info.Events))
	return w
}

// reserve returns the number of a page that is stored later.
func (w *writer) reserve() int {
	w.pages = append(w.pages, nil)
	return len(w.pages) - 1
}

func (w *writer) store(page int, raw []byte, compress bool) {
	w.pages[page] = pack(w.info.First, page, raw, compress)
}

// flush stores p and makes it empty.
func (w *writer) flush(p *pageWriter) {
	if len(p.raw) > 0 {
		w.store(p.page, p.raw, true)
		p.raw = p.raw[:0]
	}
}

// term adds a term of a head. Terms come in the order of their keys.
func (w *writer) term(key []byte, l *lists, s *slot) {
	var form int
	w.deltas = l.deltas(s, w.deltas[:0])
	events := gaps(w.deltas)
	w.list, form = appendList(w.list[:0], w.deltas, events, w.info.Events)
	w.key(key)
	long := len(w.list) > inline
	d := append(w.dict.raw, entryKind(form, long))
	d = binary.AppendUvarint(d, uint64(events))
	d = binary.AppendUvarint(d, uint64(len(w.list)))
	if long {
		d = w.long(d)
	} else {
		d = append(d, w.list...)
	}
	w.end(d)
}

// single adds a term that has one event.
func (w *writer) single(key []byte, pos uint32) {
	w.key(key)
	w.end(binary.AppendUvarint(append(w.dict.raw, entrySingle), uint64(pos)))
}

// key adds the key of an entry.
func (w *writer) key(key []byte) {
	shared := 0
	if len(w.dict.raw) == 0 {
		w.dict.page = w.reserve()
		w.mark(key)
	} else {
		shared = commonPrefix(w.last, key)
	}
	d := appendShared(w.dict.raw, shared, len(key)-shared)
	w.dict.raw = append(d, key[shared:]...)
	w.last = append(w.last[:0], key...)
}

// end takes the page with another entry.
func (w *writer) end(raw []byte) {
	if w.dict.raw = raw; len(raw) >= pageSize {
		w.flush(&w.dict)
	}
}

// long puts the list into a page of lists and appends where.
func (w *writer) long(dst []byte) []byte {
	if len(w.lists.raw) == 0 {
		w.lists.page = w.reserve()
	}
	dst = binary.AppendUvarint(dst, uint64(w.lists.page))
	dst = binary.AppendUvarint(dst, uint64(len(w.lists.raw)))
	if w.lists.raw = append(w.lists.raw, w.list...); len(w.lists.raw) >= pageSize {
		w.flush(&w.lists)
	}
	return dst
}

// An entry of a page of terms is how many bytes its key shares with the one
// before and how many are its own, those, and its list: one byte says that it is
// one gap, or its form and whether it lies in another page, and with the latter
// come the number of its events, its length, and it or its page and offset.
const (
	entrySingle = 0xff
	entryLong   = 0x80
	nibble      = 15 // and above: the number follows, less 15
)

func entryKind(form int, long bool) byte {
	if long {
		return byte(form) | entryLong
	}
	return byte(form)
}

// appendShared appends two numbers, in one byte when they are small.
func appendShared(dst []byte, shared, own int) []byte {
	dst = append(dst, byte(min(shared, nibble)<<4|min(own, nibble)))
	if shared >= nibble {
		dst = binary.AppendUvarint(dst, uint64(shared-nibble))
	}
	if own >= nibble {
		dst = binary.AppendUvarint(dst, uint64(own-nibble))
	}
	return dst
}

// mark adds to the index that the page of terms which begins with key begins: the
// shortest string that lies behind every term before it.
func (w *writer) mark(key []byte) {
	if len(w.last) > 0 {
		key = key[:min(len(key), commonPrefix(w.last, key)+1)]
	}
	shared := commonPrefix(w.front, key)
	w.index = binary.AppendUvarint(w.index, uint64(w.dict.page-w.at))
	w.index = binary.AppendUvarint(w.index, uint64(shared))
	w.index = binary.AppendUvarint(w.index, uint64(len(key)-shared))
	w.index = append(w.index, key[shared:]...)
	w.front = append(w.front[:0], key...)
	w.at = w.dict.page
	w.dicts++
}

func commonPrefix(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// endTerms comes after the last term.
func (w *writer) endTerms() {
	w.flush(&w.dict)
	w.flush(&w.lists)
	w.root = binary.AppendUvarint(w.root, uint64(w.dicts))
	w.root = append(w.root, w.index...)
}

// times adds the times of all events: in the root the earliest and latest of each
// page, in the page the distance of each from the one before.
func (w *writer) times(times []int64) {
	w.root = binary.AppendUvarint(w.root, uint64(len(w.pages)))
	var raw []byte
	for block := range slices.Chunk(times, timeBlock) {
		low, high := slices.Min(block), slices.Max(block)
		w.root = appendInt(w.root, low)
		w.root = binary.AppendUvarint(w.root, uint64(high-low))
		raw = raw[:0]
		before := low
		for _, at := range block {
			raw = appendInt(raw, at-before)
			before = at
		}
		w.store(w.reserve(), raw, true)
	}
}

// places adds which numbers the events have and when they were accepted: in the
// root where each page begins.
func (w *writer) places(s *spans) {
	w.root = binary.AppendUvarint(w.root, uint64(len(w.pages)))
	count := len(w.root) // the number of pages goes here
	var pages []byte
	n := 0
	for list := s.list; len(list) > 0; n++ {
		begin := list[0]
		pages = binary.AppendUvarint(pages, uint64(begin.pos))
		pages = binary.AppendUvarint(pages, begin.seq)
		pages = appendInt(pages, begin.accepted)
		var raw []byte
		before := begin
		i := 0
		for ; i < len(list) && len(raw) < pageSize; i++ {
			length := uint64(list[i].pos - before.pos)
			raw = binary.AppendUvarint(raw, length)
			raw = binary.AppendUvarint(raw, list[i].seq-before.seq-length)
			raw = binary.AppendUvarint(raw, uint64(list[i].accepted-before.accepted))
			before = list[i]
		}
		list = list[i:]
		w.store(w.reserve(), raw, true)
	}
	w.root = append(binary.AppendUvarint(w.root[:count], uint64(n)), pages...)
}

// ids adds the hashes of the ids, by position, sorted: in the root the first of
// each page.
func (w *writer) ids(hashes []uint64) {
	order := make([]idAt, len(hashes))
	for pos, hash := range hashes {
		order[pos] = idAt(hash<<posBits | uint64(pos))
	}
	slices.Sort(order)
	w.root = binary.AppendUvarint(w.root, uint64(len(w.pages)))
	for block := range slices.Chunk(order, idBlock) {
		w.root = binary.AppendUvarint(w.root, block[0].hash())
		w.store(w.reserve(), appendIDs(nil, block), false)
	}
}

// idAt is an id's hash of idBits, and below it its event's position.
type idAt uint64

const posBits = 20 // of a position: see maxPositions

func (id idAt) hash() uint64 { return uint64(id >> posBits) }

func (id idAt) pos() uint64 { return uint64(id & (1<<posBits - 1)) }

// appendIDs appends ids in rising order, each as its distance from the one before
// and its position, in as many bits as the largest of each needs.
func appendIDs(dst []byte, ids []idAt) []byte {
	var gaps, places uint64
	before := ids[0].hash()
	for _, id := range ids {
		gaps, places = gaps|(id.hash()-before), places|id.pos()
		before = id.hash()
	}
	wide, short := bits.Len64(gaps), bits.Len64(places)
	dst = append(dst, byte(wide), byte(short))
	var out bitWriter
	before = ids[0].hash()
	for _, id := range ids {
		dst = out.put(dst, id.hash()-before, wide)
		dst = out.put(dst, id.pos(), short)
		before = id.hash()
	}
	return out.flush(dst)
}

// bitWriter packs numbers of up to 56 bits, lowest bits first.
type bitWriter struct {
	bits uint64
	n    int
}

func (b *bitWriter) put(dst []byte, v uint64, width int) []byte {
	b.bits |= v << b.n
	b.n += width
	whole := b.n >> 3
	dst = binary.LittleEndian.AppendUint64(dst, b.bits)[:len(dst)+whole]
	b.bits >>= 8 * whole
	b.n &= 7
	return dst
}

func (b *bitWriter) flush(dst []byte) []byte {
	if b.n > 0 {
		dst = append(dst, byte(b.bits))
	}
	return dst
}

// seal stores the root and returns the chunk.
func (w *writer) seal() *Sealed {
	w.store(0, w.root, true)
	s := &Sealed{Info: w.info, Pages: w.pages}
	s.Info.Pages = len(w.pages)
	for _, p := range w.pages {
		s.Info.Bytes += int64(len(p))
	}
	return s
}
