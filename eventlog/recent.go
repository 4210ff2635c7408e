package eventlog

// RecentEvents is the number of events of a partition within which duplicates
// are found.
const RecentEvents = 500_000

// sameHash bounds how many events of one hash are compared with a new one, so
// that a source that reuses an id cannot make each event cost a thousand reads.
const sameHash = 16

// recent finds the sequence numbers of the last RecentEvents events by the hash
// of their id. It is a ring of entries in order of their numbers, and chains of
// them by hash; 20 bytes an event, without pointers. Its owner locks it.
type recent struct {
	ring  []recentEntry
	heads []int32 // by hash, index into ring plus one, newest first
	next  int     // where the next entry goes
	count int
}

type recentEntry struct {
	hash uint64
	seq  uint64
	link int32 // older entry with the same head, index plus one
}

// grow gives a recent its memory when it is first used, in steps, so that a
// quiet partition costs little.
func (r *recent) grow(capacity int) {
	size := 1024
	for size < capacity {
		size *= 2
	}
	old := r.entries()
	r.ring = make([]recentEntry, min(size, RecentEvents))
	r.heads = make([]int32, size)
	r.next, r.count = 0, 0
	for _, e := range old {
		r.add(e.hash, e.seq)
	}
}

// entries returns what r holds, oldest first.
func (r *recent) entries() []recentEntry {
	out := make([]recentEntry, 0, r.count)
	for i := range r.count {
		out = append(out, r.ring[(r.next-r.count+i+2*len(r.ring))%len(r.ring)])
	}
	return out
}

func (r *recent) head(hash uint64) *int32 { return &r.heads[hash&uint64(len(r.heads)-1)] }

// add remembers the event with the next sequence number; it forgets the oldest
// one when it is full.
func (r *recent) add(hash, seq uint64) {
	if r.count == len(r.ring) {
		if len(r.ring) < RecentEvents {
			r.grow(2*len(r.ring) + 1)
		} else {
			r.unlink(r.next)
			r.count--
		}
	}
	h := r.head(hash)
	r.ring[r.next] = recentEntry{hash: hash, seq: seq, link: *h}
	*h = int32(r.next) + 1
	r.count++
	if r.next++; r.next == len(r.ring) {
		r.next = 0
	}
}

// unlink takes entry i out of its chain.
func (r *recent) unlink(i int) {
	p := r.head(r.ring[i].hash)
	for *p != int32(i)+1 {
		p = &r.ring[*p-1].link
	}
	*p = r.ring[i].link
}

// truncate forgets all events with numbers above seq: they were not stored.
func (r *recent) truncate(seq uint64) {
	for r.count > 0 {
		i := (r.next - 1 + len(r.ring)) % len(r.ring)
		if r.ring[i].seq <= seq {
			return
		}
		r.unlink(i)
		r.next = i
		r.count--
	}
}

// find appends to seqs the numbers of the newest events with this hash, newest
// first, at most sameHash of them.
func (r *recent) find(seqs []uint64, hash uint64) []uint64 {
	if r.count == 0 {
		return seqs
	}
	for i := *r.head(hash); i != 0 && len(seqs) < sameHash; i = r.ring[i-1].link {
		if r.ring[i-1].hash == hash {
			seqs = append(seqs, r.ring[i-1].seq)
		}
	}
	return seqs
}
