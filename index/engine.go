package index

import (
	"context"
	"errors"
	"time"
)

// Format is the version of everything that depends on how events are indexed:
// which terms they have, how those are folded, and how chunks are laid out. An
// index of another format is made anew.
const Format = 1

// Engine keeps the indexes of partitions. Every engine keeps the same bytes and
// passes indextest.
//
// Nothing in an index is precious. An engine need not sync each chunk, but after
// a crash it has a prefix of what was appended, with the position that belongs to
// it: never a hole, never a chunk without its position.
type Engine interface {
	// Open opens the index of a partition and creates an empty one when there is
	// none. What an unfinished Renew left behind is removed. A partition is opened
	// once; a second Open before Close is an error. ErrDamaged says that the index
	// cannot be read: Renew makes another.
	Open(ctx context.Context, partition string) (Partition, error)

	// Renew begins an empty index of a partition beside the present one, which
	// stays what it is. The new one is filled by Append and answers like any
	// other. Closing it before Adopt gives it up; so does a crash. Only one index
	// of a partition is being made at a time: a second Renew before that is an error.
	Renew(ctx context.Context, partition string) (Partition, error)

	// Adopt makes an index that Renew began the partition's: Open gives it from
	// then on, also after a crash. The one before stays readable until its Close,
	// which then destroys it; it takes no further change. Whatever was appended to
	// the new one is kept. ErrFull says that nothing has changed for want of space
	// and that the caller may try again.
	Adopt(ctx context.Context, renewed Partition) error

	// Close closes the engine after its partitions.
	Close() error
}

// Partition is the stored index of one partition: sealed chunks, one behind the
// other, and the position up to which they cover the log. Append and Drop are
// called by one goroutine at a time; the others may run at once with them and
// with each other.
type Partition interface {
	// Position returns how far the index has got: the zero Position before the
	// first Append.
	Position(ctx context.Context) (Position, error)

	// Chunks returns the stored chunks, oldest first.
	Chunks(ctx context.Context) ([]Info, error)

	// Append stores a chunk behind all others, and p in place of the position, in
	// one step: after a crash both are there or neither. c may be nil: then only
	// the position moves, over numbers that the log has lost. p.Seq never
	// decreases and is not below the chunk's last number. ErrFull means that
	// nothing was stored for want of space and that the caller may try again;
	// ErrDamaged, of Drop too, that the index takes no change any more: after its
	// Close, Open says the same.
	Append(ctx context.Context, c *Sealed, p Position) error

	// Page returns a page of the chunk whose first event is number first, as
	// [Sealed] has it. The caller may keep it. ErrDamaged means that it is not
	// there, as after Drop, or that the engine cannot read it. The page's own
	// checksum is verified by the caller.
	Page(ctx context.Context, first uint64, page int) ([]byte, error)

	// Drop removes the chunks whose last event was accepted before t and returns
	// how many those were. The position stays. ErrFull says that the others could
	// not be removed for want of space, and that the caller may try again.
	Drop(ctx context.Context, t time.Time) (int, error)

	// Size returns the bytes that the index occupies on disk, or in memory.
	Size(ctx context.Context) (int64, error)

	// Close ends the use of the index. A second Close does nothing.
	Close() error
}

// Position is how far an index covers the log, and which log.
type Position struct {
	Log    [16]byte // the log's identity
	Format uint32   // [Format] of the program that wrote the index
	Seq    uint64   // every event up to it is in a chunk; the next to read is Seq+1
}

// Info describes a chunk. Numbers and times of acceptance never go back within
// a chunk or between chunks; times of events do.
type Info struct {
	First, Last uint64 // sequence numbers of its first and last event
	Events      int    // how many; fewer than the numbers between when some are missing
	// FirstAccepted and LastAccepted are in microseconds since 1970.
	FirstAccepted, LastAccepted int64
	// MinTime and MaxTime are the earliest and latest times of its events, in
	// milliseconds since 1970.
	MinTime, MaxTime int64
	Pages            int   // how many; 0 in a Head
	Bytes            int64 // of all pages
}

// Sealed is a chunk in the form in which it is stored. Page 0 is the root, which
// says what is in the others.
type Sealed struct {
	Info  Info
	Pages [][]byte // some KiB each, compressed, with checksums; MaxPage at most
}

// MaxPage bounds a stored page, in bytes. Only those of very unusual events come
// near it.
const MaxPage = 4 << 20

// Errors of engines and chunks, to be tested with errors.Is.
var (
	// ErrDamaged says that a part of the index cannot be read, or is not what it
	// should be. The index has to be made anew; what is sound still answers.
	ErrDamaged = errors.New("the index is damaged")
	// ErrFull says that nothing was stored for want of space.
	ErrFull = errors.New("no space left for the index")
	// ErrClosed says that the engine or the partition was closed.
	ErrClosed = errors.New("index is closed")
)
