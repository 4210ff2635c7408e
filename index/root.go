package index

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// root says what is in the other pages of a chunk.
type root struct {
	terms      []termPage
	timesPage  int
	times      []bounds
	placesPage int
	places     []span // the first of each page
	idsPage    int
	ids        []uint64 // the first of each page
}

// termPage is a page of terms: none of them comes before key, and none before the
// page does not.
type termPage struct {
	key  string
	page int
}

// bounds are the earliest and the latest of some times.
type bounds struct{ low, high int64 }

// compare reports whether all times lie in one of the ranges, or none in any.
func (b bounds) compare(ranges []millis) (whole, none bool) {
	none = true
	for _, r := range ranges {
		if r.from <= b.low && b.high < r.to {
			return true, false
		}
		none = none && (r.from > b.high || r.to <= b.low)
	}
	return false, none
}

// termPage returns the index of the page in which key is, if it is; -1 when it
// comes before all.
func (r *root) termPage(key []byte) int {
	return sort.Search(len(r.terms), func(i int) bool { return r.terms[i].key > string(key) }) - 1
}

// parseRoot reads the root of the chunk that info describes.
func parseRoot(raw []byte, info *Info) (*root, int, error) {
	s := scan{b: raw}
	format, first, events := s.uint(), s.uint(), s.uint()
	if s.bad || format != Format || first != info.First || events != uint64(info.Events) ||
		info.Events <= 0 || info.Events > maxPositions {
		return nil, 0, fmt.Errorf("%w: it is the root of another chunk", ErrDamaged)
	}
	r := &root{}
	size := len(raw)
	r.terms = parseTermPages(&s, &size)
	r.timesPage = s.small(info.Pages)
	for range (info.Events + timeBlock - 1) / timeBlock {
		low := s.int()
		r.times = append(r.times, bounds{low, low + int64(s.uint())})
	}
	r.placesPage = s.small(info.Pages)
	for range s.count(3) {
		pos := s.small(info.Events - 1)
		r.places = append(r.places, span{pos: int32(pos), seq: s.uint(), accepted: s.int()})
	}
	r.idsPage = s.small(info.Pages)
	for range (info.Events + idBlock - 1) / idBlock {
		r.ids = append(r.ids, s.uint())
	}
	if s.bad || len(r.places) == 0 || r.places[0].pos != 0 {
		return nil, 0, fmt.Errorf("%w: the root is broken", ErrDamaged)
	}
	return r, size + 40*len(r.terms) + 16*len(r.times) + 24*len(r.places) + 8*len(r.ids), nil
}

// parseTermPages reads which terms are in which page; size grows by what their
// keys take.
func parseTermPages(s *scan, size *int) []termPage {
	n := s.count(3)
	pages := make([]termPage, 0, n)
	page, key := 0, []byte(nil)
	for range n {
		page += s.small(maxPages)
		shared := s.small(len(key))
		key = append(key[:shared], s.bytes(s.small(maxKey))...)
		pages = append(pages, termPage{key: string(key), page: page})
		*size += len(key)
	}
	return pages
}

// Limits of what pages may say.
const (
	maxKey   = 1 + MaxTermBytes
	maxPages = 1 << 24
)

// parsePlaces reads a page of places that begins with first and ends before end.
func parsePlaces(raw []byte, first span, end int) (spans, int, error) {
	s := scan{b: raw}
	out := spans{first: int(first.pos), end: end}
	at := first
	for len(s.b) > 0 {
		length := s.small(end - int(at.pos) - 1)
		at.pos += int32(length)
		at.seq += uint64(length) + s.uint()
		at.accepted += int64(s.uint())
		out.list = append(out.list, at)
	}
	if s.bad || len(out.list) == 0 || out.list[0] != first {
		return spans{}, 0, fmt.Errorf("%w: a page of places is broken", ErrDamaged)
	}
	return out, 24 * cap(out.list), nil
}

// parseTimes reads a page of n times.
func parseTimes(raw []byte, low int64, n int) ([]int64, int, error) {
	s := scan{b: raw}
	times := make([]int64, n)
	for i := range times {
		low += s.int()
		times[i] = low
	}
	if s.bad || len(s.b) > 0 {
		return nil, 0, fmt.Errorf("%w: a page of times is broken", ErrDamaged)
	}
	return times, 8 * n, nil
}

// orIDs adds the positions that a page of n ids has for hash.
func orIDs(raw []byte, first uint64, n int, hash uint64, set *bitset) error {
	if len(raw) < 2 {
		return errIDs
	}
	wide, short := int(raw[0]), int(raw[1])
	if raw = raw[2:]; wide > idBits || short > 32 || len(raw) != (n*(wide+short)+7)/8 {
		return errIDs
	}
	for i := range n {
		bit := i * (wide + short)
		if first += bitsAt(raw, bit, wide); first > hash {
			return nil
		}
		if first == hash {
			pos := bitsAt(raw, bit+wide, short)
			if pos >= uint64(set.n) {
				return errIDs
			}
			set.add(int(pos))
		}
	}
	return nil
}

// bitsAt returns the number of width bits, at most 56, that begins at a bit.
func bitsAt(raw []byte, bit, width int) uint64 {
	var v uint64
	if i := bit >> 3; i+8 <= len(raw) {
		v = binary.LittleEndian.Uint64(raw[i:])
	} else {
		for j, c := range raw[min(i, len(raw)):] {
			v |= uint64(c) << (8 * j)
		}
	}
	return v >> (bit & 7) & (1<<width - 1)
}

var (
	errIDs   = fmt.Errorf("%w: a page of ids is broken", ErrDamaged)
	errTerms = fmt.Errorf("%w: a page of terms is broken", ErrDamaged)
)

// termEntries goes through a page of terms.
type termEntries struct {
	scan
	key     []byte
	posting posting
}

// next reads an entry; false at the end, or when the page is broken.
func (e *termEntries) next() bool {
	if len(e.b) == 0 {
		return false
	}
	shared, own := e.lengths()
	if shared > len(e.key) {
		e.bad = true
		return false
	}
	e.key = append(e.key[:shared], e.bytes(own)...)
	e.posting = e.place()
	e.bad = e.bad || len(e.key) == 0
	return !e.bad
}

// lengths reads how many bytes a key shares with the one before, and how many are
// its own.
func (s *scan) lengths() (shared, own int) {
	b := s.bytes(1)
	if s.bad {
		return 0, 0
	}
	if shared, own = int(b[0]>>4), int(b[0]&nibble); shared == nibble {
		shared += s.small(maxKey)
	}
	if own == nibble {
		own += s.small(maxKey)
	}
	return shared, own
}

// place reads where a list is.
func (s *scan) place() posting {
	kind := s.bytes(1)
	if s.bad {
		return posting{}
	}
	if kind[0] == entrySingle {
		rest := s.b
		s.uint()
		return posting{events: 1, form: listDeltas, list: rest[:len(rest)-len(s.b)]}
	}
	p := posting{form: int(kind[0] &^ entryLong), events: s.small(maxPositions), length: s.small(MaxPage)}
	if kind[0]&entryLong == 0 {
		p.list = s.bytes(p.length)
	} else {
		p.page, p.offset = s.small(maxPages), s.small(MaxPage)
	}
	s.bad = s.bad || p.events == 0 || p.form >= listForms
	return p
}

// findTerm returns the list of a term in a page; one of no events when it is not
// there. It compares only what each entry does not share with the one before.
func findTerm(raw, key []byte) (posting, error) {
	s := scan{b: raw}
	same := 0 // bytes that key shares with the entry before, which comes before it
	for len(s.b) > 0 {
		shared, own := s.lengths()
		suffix := s.bytes(own)
		p := s.place()
		if s.bad {
			return posting{}, errTerms
		}
		if shared < same {
			return posting{}, nil // it comes behind key
		}
		if shared > same {
			continue
		}
		n := commonPrefix(suffix, key[same:])
		switch same += n; {
		case n == len(suffix) && same == len(key):
			return p, nil
		case n < len(suffix) && (same == len(key) || suffix[n] > key[same]):
			return posting{}, nil
		}
	}
	return posting{}, nil
}
