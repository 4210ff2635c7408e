package index

import (
	"context"
	"iter"
)

// Part is a part of an index that answers queries: a [Chunk], or the [Head] that
// is being filled. Its methods may be called at once.
type Part interface {
	// Info describes the part as it is now.
	Info() Info

	// Find returns the events of the part that meet q. An error wraps ErrDamaged
	// when a page cannot be read or does not verify. What is found in a Head is
	// what it held at one moment.
	//
	// Ids are compared by a hash of 40 bits: whoever shows an event that was found
	// by its id compares the id itself.
	Find(ctx context.Context, q *Query) (*Result, error)
}

// Hit is an event that was found.
type Hit struct {
	Seq      uint64
	Accepted int64 // microseconds since 1970
}

// Result is a set of events of one part. It does not change, whatever becomes of
// the part, and may be used by several goroutines at once. It holds some 16 KiB,
// and no lock or file; but a chunk's pages are read as they are needed.
type Result struct {
	part answers
	set  *bitset
	n    int
}

// answers is what a part knows of the events that were found in it, each by its
// position.
type answers interface {
	// spansOf returns the spans of the positions around pos, of which there are
	// some, and positionOf the first position with a number of at least seq.
	spansOf(ctx context.Context, pos int) (spans, error)
	positionOf(ctx context.Context, seq uint64) (int, error)
	days(ctx context.Context, set *bitset, add func(day int64, n int)) error
	types(ctx context.Context, set *bitset, add func(eventType string, n int)) error
}

// Count returns how many events were found.
func (r *Result) Count() int { return r.n }

// Newest goes through the events with numbers lower than below, newest first. An
// error ends it.
func (r *Result) Newest(ctx context.Context, below uint64) iter.Seq2[Hit, error] {
	return func(yield func(Hit, error) bool) {
		if r.n == 0 {
			return
		}
		pos, err := r.part.positionOf(ctx, below)
		if err != nil {
			yield(Hit{}, err)
			return
		}
		var s spans
		for pos = r.set.last(pos); pos >= 0; pos = r.set.last(pos) {
			if !r.yield(ctx, &s, pos, yield) {
				return
			}
		}
	}
}

// Oldest goes through the events with numbers of at least from, oldest first. An
// error ends it.
func (r *Result) Oldest(ctx context.Context, from uint64) iter.Seq2[Hit, error] {
	return func(yield func(Hit, error) bool) {
		if r.n == 0 {
			return
		}
		pos, err := r.part.positionOf(ctx, from)
		if err != nil {
			yield(Hit{}, err)
			return
		}
		var s spans
		for pos = r.set.next(pos); pos >= 0; pos = r.set.next(pos + 1) {
			if !r.yield(ctx, &s, pos, yield) {
				return
			}
		}
	}
}

// yield yields the event at pos; s is kept from one to the next.
func (r *Result) yield(ctx context.Context, s *spans, pos int, yield func(Hit, error) bool) bool {
	if !s.has(pos) {
		var err error
		if *s, err = r.part.spansOf(ctx, pos); err != nil {
			yield(Hit{}, err)
			return false
		}
	}
	return yield(s.hit(pos), nil)
}

// Days tells add how many events happened on which day, counted from 1970-01-01
// in UTC. A day may be told more than once: the caller adds up.
func (r *Result) Days(ctx context.Context, add func(day int64, n int)) error {
	if r.n == 0 {
		return nil
	}
	return r.part.days(ctx, r.set, add)
}

// Types tells add how many events have which type, folded, each type once.
// Events without a type are not told.
func (r *Result) Types(ctx context.Context, add func(eventType string, n int)) error {
	if r.n == 0 {
		return nil
	}
	return r.part.types(ctx, r.set, add)
}
