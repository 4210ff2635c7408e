package index

// Limits of a batch.
const (
	batchEvents = 1 << 10
	batchBytes  = 1 << 20 // of terms
)

// Batch is the terms of some events, read ahead of being added to a [Head]: while
// one goroutine adds a batch, another reads the next. The zero value is empty and
// ready. It must not be used by several goroutines at once.
type Batch struct {
	terms  Terms // of all events, one behind the other
	events []batched
}

// batched is what a head keeps of an event besides its terms.
type batched struct {
	seq      uint64
	accepted int64 // microseconds
	at       int64 // milliseconds
	id       uint64
	terms    int // where its terms end
}

// Add adds an event.
func (b *Batch) Add(e *Event) {
	b.terms.read(e)
	b.events = append(b.events, batched{seq: e.Seq, accepted: e.Accepted, at: e.Millis(), id: idHash(e.ID), terms: len(b.terms.ends)})
}

// Events returns how many events were added.
func (b *Batch) Events() int { return len(b.events) }

// Full reports whether it is time to add the batch to a head.
func (b *Batch) Full() bool { return len(b.events) >= batchEvents || len(b.terms.keys) >= batchBytes }

// Reset makes the batch empty; it keeps its memory.
func (b *Batch) Reset() {
	b.terms.clear()
	b.events = b.events[:0]
}
