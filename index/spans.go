package index

import "sort"

// spans are runs of events with consecutive numbers that were accepted at one
// time, as the events of a block are, for the positions from first to end-1.
type spans struct {
	first, end int
	list       []span
}

// span begins at a position; the next one ends it.
type span struct {
	pos      int32
	seq      uint64
	accepted int64
}

func (s *spans) has(pos int) bool { return s.first <= pos && pos < s.end }

// hit returns the event at a position that s has.
func (s *spans) hit(pos int) Hit {
	i := sort.Search(len(s.list), func(i int) bool { return int(s.list[i].pos) > pos }) - 1
	sp := &s.list[i]
	return Hit{Seq: sp.seq + uint64(pos-int(sp.pos)), Accepted: sp.accepted}
}

// positionOf returns the first position with a number of at least seq, s.end when
// there is none.
func (s *spans) positionOf(seq uint64) int {
	i := sort.Search(len(s.list), func(i int) bool { return s.list[i].seq > seq }) - 1
	if i < 0 {
		return s.first
	}
	end := s.end
	if i+1 < len(s.list) {
		end = int(s.list[i+1].pos)
	}
	pos := int(s.list[i].pos)
	if ahead := seq - s.list[i].seq; ahead < uint64(end-pos) {
		return pos + int(ahead)
	}
	return end
}

// acceptedSince returns the first position accepted at t or later, s.end when
// there is none.
func (s *spans) acceptedSince(t int64) int {
	i := sort.Search(len(s.list), func(i int) bool { return s.list[i].accepted >= t })
	if i == len(s.list) {
		return s.end
	}
	return int(s.list[i].pos)
}

// add appends an event at position s.end.
func (s *spans) add(seq uint64, accepted int64) {
	if n := len(s.list); n == 0 || s.list[n-1].accepted != accepted ||
		s.list[n-1].seq+uint64(s.end-int(s.list[n-1].pos)) != seq {
		s.list = append(s.list, span{pos: int32(s.end), seq: seq, accepted: accepted})
	}
	s.end++
}
