package eventlog

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// RecentEvents is the number of events of a partition within which duplicates
// are found.
const RecentEvents = 500_000

// sameHash bounds how many events of one hash are compared with a new one, so
// that a source that reuses an id cannot make each event cost a thousand reads.
const sameHash = 16

// recent finds the sequence numbers of the newest events by the hash of their
// id. It is a ring of entries in order of their numbers, and chains of them by
// hash, newest first; 28 bytes an event, without pointers. Its owner locks it.
//
// An entry that is overwritten is not taken out of its chain, for a source that
// uses one id for everything would make that chain as long as the ring. Instead
// a chain ends where an entry is not older than the one before it.
type recent struct {
	limit int    // entries that it keeps
	seed  uint64 // odd; nobody can choose ids that fall into one chain
	ring  []recentEntry
	heads []int32 // newest entry of each chain, index into ring plus one
	shift uint    // of a seeded hash to the index of its head
	next  int     // where the next entry goes
	count int
}

type recentEntry struct {
	hash uint64
	seq  uint64 // taken back: removed
	link int32  // older entry of the chain, index plus one; it may be overwritten
}

// removed is the number of an entry that was truncated.
const removed = math.MaxUint64

// newRecent returns an empty recent for limit entries that has memory for some.
func newRecent(limit, capacity int) *recent {
	r := &recent{limit: limit, seed: rand.Uint64() | 1}
	r.grow(capacity)
	return r
}

// grow makes room in steps, so that a quiet partition costs little.
func (r *recent) grow(capacity int) {
	size := 1024
	for size < min(capacity, r.limit) {
		size *= 2
	}
	old := r.entries()
	r.ring = make([]recentEntry, min(size, r.limit))
	r.heads = make([]int32, size)
	r.shift = uint(64 - bits.TrailingZeros(uint(size)))
	r.next, r.count = 0, 0
	for _, e := range old {
		r.add(e.hash, e.seq)
	}
}

// entries returns what r holds, oldest first.
func (r *recent) entries() []recentEntry {
	out := make([]recentEntry, 0, r.count)
	for i := range r.count {
		out = append(out, r.ring[(r.next-r.count+i+len(r.ring))%len(r.ring)])
	}
	return out
}

func (r *recent) chain(hash uint64) uint64 { return hash * r.seed >> r.shift }

// add remembers the event seq, which is higher than all before; it forgets the
// oldest one when it is full.
func (r *recent) add(hash, seq uint64) {
	if r.count == len(r.ring) && len(r.ring) < r.limit {
		r.grow(2 * len(r.ring))
	}
	h := &r.heads[r.chain(hash)]
	r.ring[r.next] = recentEntry{hash: hash, seq: seq, link: *h}
	*h = int32(r.next) + 1
	r.count = min(r.count+1, len(r.ring))
	if r.next++; r.next == len(r.ring) {
		r.next = 0
	}
}

// truncate forgets all events with numbers above seq: they were not stored. What
// they made r forget does not come back.
func (r *recent) truncate(seq uint64) {
	for r.count > 0 {
		i := (r.next - 1 + len(r.ring)) % len(r.ring)
		e := &r.ring[i]
		if e.seq <= seq {
			return
		}
		r.heads[r.chain(e.hash)] = e.link
		e.seq = removed
		r.next = i
		r.count--
	}
}

// find appends to seqs the numbers of the newest events with this hash, newest
// first, at most sameHash of them.
func (r *recent) find(seqs []uint64, hash uint64) []uint64 {
	chain, newer := r.chain(hash), uint64(removed)
	for i := r.heads[chain]; i != 0 && len(seqs) < sameHash; {
		e := &r.ring[i-1]
		if e.seq >= newer || r.chain(e.hash) != chain {
			break // overwritten
		}
		if e.hash == hash {
			seqs = append(seqs, e.seq)
		}
		newer, i = e.seq, e.link
	}
	return seqs
}
