package index

import (
	"context"
	"runtime"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// Limits of a head.
const (
	// ChunkEvents is how many events a chunk has, if its terms are not unusually many.
	ChunkEvents = 128 << 10
	// MaxHead is how much memory a head takes, in bytes, before it is full.
	MaxHead = 32 << 20
)

// Head is the chunk that is being filled. It answers queries meanwhile, each by
// what it held at one moment. Events are added by one goroutine at a time.
type Head struct {
	mu      sync.RWMutex // guards everything below; held for writing by AddBatch alone
	dict    dictionary
	slots   []uint32 // of the terms that are being added
	spans   spans
	times   []int64 // in milliseconds, by position
	ids     []uint64
	minTime int64
	maxTime int64
}

var _ Part = (*Head)(nil)

// NewHead returns an empty head.
func NewHead() *Head { return &Head{} }

// Next returns an empty head that expects as many terms as h has: it is quicker
// than a new one that gets them.
func (h *Head) Next() *Head {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var next Head
	next.dict.reserve(h.dict.terms)
	return &next
}

// Add adds an event. Its number is higher than that of the event before.
func (h *Head) Add(e *Event) {
	var b Batch
	b.Add(e)
	h.AddBatch(&b)
}

// AddBatch adds the events of a batch, whose numbers are higher than those before.
func (h *Head) AddBatch(b *Batch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for events, first := b.events, 0; len(events) > 0; {
		n := 1
		for n < len(events) && events[n].terms-first <= lookAhead {
			n++
		}
		h.add(events[:n], &b.terms.termList, first)
		first = events[n-1].terms
		events = events[n:]
		runtime.Gosched() // others go first
	}
}

// yieldTerms is after how many terms that are sealed others go first.
const yieldTerms = 256

// lookAhead is how many terms are looked up before the first of them is used. The
// memory that they lie in is waited for together then, not one after the other.
const lookAhead = 512

// add adds events whose terms begin with the one numbered first.
func (h *Head) add(events []batched, terms *termList, first int) {
	h.slots = h.dict.look(h.slots[:0], terms, first, events[len(events)-1].terms)
	slots := h.slots
	for i := range events {
		e := &events[i]
		pos := uint32(len(h.times))
		for _, n := range slots[:e.terms-first] {
			h.dict.add(&h.dict.table[n], pos)
		}
		slots, first = slots[e.terms-first:], e.terms
		h.spans.add(e.seq, e.accepted)
		if pos == 0 {
			h.minTime, h.maxTime = e.at, e.at
		}
		h.minTime, h.maxTime = min(h.minTime, e.at), max(h.maxTime, e.at)
		h.times = append(h.times, e.at)
		h.ids = append(h.ids, e.id)
	}
}

const (
	idBits  = 40
	idShift = 64 - idBits
)

// idHash is the hash that ids are compared by, of idBits bits.
func idHash(id []byte) uint64 { return xxhash.Sum64(id) >> idShift }

// Events returns how many events were added.
func (h *Head) Events() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.times)
}

// Full reports whether it is time to seal the head.
func (h *Head) Full() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.times) >= ChunkEvents || h.size()+h.dict.growth() >= MaxHead
}

// Size returns the memory that the head takes, in bytes, roughly.
func (h *Head) Size() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.size()
}

func (h *Head) size() int {
	return h.dict.size() + 24*cap(h.spans.list) + 8*cap(h.times) + 8*cap(h.ids)
}

// Info implements [Part].
func (h *Head) Info() Info {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.info()
}

func (h *Head) info() Info {
	n := len(h.times)
	if n == 0 {
		return Info{}
	}
	first, last := h.spans.hit(0), h.spans.hit(n-1)
	return Info{First: first.Seq, Last: last.Seq, Events: n, FirstAccepted: first.Accepted,
		LastAccepted: last.Accepted, MinTime: h.minTime, MaxTime: h.maxTime}
}

// Find implements [Part].
func (h *Head) Find(ctx context.Context, q *Query) (*Result, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	found := headAnswers{head: h, places: h.spans, times: h.times}
	set, err := evaluate(ctx, q, &headSource{h})
	if err != nil || set == nil {
		return &Result{}, err
	}
	return &Result{part: &found, set: set, n: set.count()}, nil
}

// headSource answers for a head while its lock is held.
type headSource struct{ *Head }

func (h *headSource) facts() Info { return h.info() }

func (h *headSource) accepted(_ context.Context, from, to int64) (first, end int, err error) {
	return h.spans.acceptedSince(from), h.spans.acceptedSince(to), nil
}

func (h *headSource) lookup(_ context.Context, t Term) (posting, error) {
	s := h.dict.find(appendKey(nil, t))
	if s == nil {
		return posting{}, nil
	}
	list := h.dict.deltas(s, nil)
	return posting{events: gaps(list), list: list}, nil
}

func (h *headSource) or(_ context.Context, p posting, set *bitset) error {
	return orList(set, listDeltas, p.events, p.list)
}

func (h *headSource) orID(_ context.Context, id uint64, set *bitset) error {
	for pos, other := range h.ids {
		if id == other {
			set.add(pos)
		}
	}
	return nil
}

func (h *headSource) orTimes(_ context.Context, ranges []millis, within, set *bitset) error {
	orTimes(h.times, 0, ranges, within, set)
	return nil
}

// headAnswers is what a result needs of a head: what was there when it was found.
// The lists only grow, so their beginnings stay as they are.
type headAnswers struct {
	head   *Head
	places spans
	times  []int64
}

func (h *headAnswers) spansOf(context.Context, int) (spans, error) { return h.places, nil }

func (h *headAnswers) positionOf(_ context.Context, seq uint64) (int, error) {
	return h.places.positionOf(seq), nil
}

func (h *headAnswers) days(_ context.Context, set *bitset, add func(int64, int)) error {
	countDays(h.times, 0, set, add)
	return nil
}

func (h *headAnswers) types(ctx context.Context, set *bitset, add func(string, int)) error {
	h.head.mu.RLock()
	defer h.head.mu.RUnlock()
	spare := newBitset(len(h.head.times)) // set may be of fewer
	var list []byte
	for _, term := range h.head.dict.types {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		key := h.head.dict.key(term)
		list = h.head.dict.deltas(h.head.dict.find(key), list[:0])
		n, err := countList(set, spare, listDeltas, 0, list)
		if err != nil {
			return err
		}
		if n > 0 {
			add(string(key[1:]), n)
		}
	}
	return nil
}

// Seal returns the head as a chunk; the head stays as it is, and takes no further
// event. A head without events has no chunk: nil.
func (h *Head) Seal() *Sealed {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if len(h.times) == 0 {
		return nil
	}
	w := newWriter(h.info())
	var key []byte
	for i, term := range h.dict.sorted() {
		if i%yieldTerms == 0 {
			runtime.Gosched()
		}
		key = term.appendKey(key[:0], &h.dict)
		if term.single {
			w.single(key, term.pos)
		} else {
			w.term(key, &h.dict.lists, &h.dict.table[term.slot])
		}
	}
	w.endTerms()
	w.times(h.times)
	w.places(&h.spans)
	w.ids(h.ids)
	return w.seal()
}
