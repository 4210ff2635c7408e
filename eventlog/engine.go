package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Engine stores blocks: one durable sequence of them per partition. Every engine
// stores the same bytes, those that [Block] describes, and passes eventlogtest.
type Engine interface {
	// Open opens a partition and creates it when it is absent. A partition is
	// opened once; a second Open before Close is an error. Damage at rest is no
	// error: Open succeeds, keeps every readable block, and State names the rest.
	Open(ctx context.Context, partition string) (Partition, error)

	// Partitions returns the names of the partitions that exist, sorted.
	Partitions(ctx context.Context) ([]string, error)

	// Close closes the engine after its partitions.
	Close() error
}

// Partition is the stored sequence of blocks of one partition. Append and Trim
// are called by one goroutine at a time; Next, Since and State may run at once
// with them and with each other.
type Partition interface {
	// Append stores a block behind all others. The block's first sequence number
	// is higher than every one stored before; it need not follow without a gap.
	// The engine does not keep block after it returned.
	//
	// When Append returns nil, the block survives a power cut. [ErrFull] means
	// that nothing was stored for want of space: the caller may try again, and
	// succeeds once there is space. Any other error means that the block may or
	// may not be stored and that the partition takes no further block: it answers
	// [ErrFailed] from then on, because a failed fsync cannot be retried.
	Append(ctx context.Context, block []byte) error

	// Next returns the stored block that holds sequence number seq, or the first
	// one after it. It returns io.EOF when there is none yet. Blocks whose header
	// is damaged are passed over: the caller sees a header.First beyond the
	// number it asked for. Only the header's checksum has been verified.
	Next(ctx context.Context, seq uint64) (Stored, error)

	// Since returns the first block accepted at t or later, io.EOF when there is
	// none.
	Since(ctx context.Context, t time.Time) (Stored, error)

	// Trim removes blocks all of whose numbers are below seq, as far as the
	// engine's unit of removal allows (whole files, for example), oldest first
	// and never the newest block. A Stored that was returned before stays
	// readable.
	Trim(ctx context.Context, seq uint64) error

	// State describes what is stored.
	State() State

	// Close makes the partition end. A block being appended is finished first.
	Close() error
}

// Stored is a block as the engine keeps it: its header, and its bytes on demand.
type Stored struct {
	Header Header
	// ReaderAt reads the block's bytes; offset 0 is the first byte of its header.
	io.ReaderAt
}

// State describes a stored partition.
type State struct {
	First uint64 // first sequence number stored, 0 when there is none
	Last  Header // header of the newest block, zero when there is none
	Bytes int64  // what it occupies on disk, preallocated space included
	// Damage lists what could not be read, by place; sequence numbers are those
	// that its neighbours leave open. It is bounded: see MaxDamage.
	Damage []Damage
	// Reserved is the highest sequence number that a torn or damaged tail may
	// have used, 0 when there is none: the next block starts beyond it.
	Reserved uint64
}

// MaxDamage bounds the list in [State].
const MaxDamage = 1000

// Damage is a range of the stored bytes that is not a readable block.
type Damage struct {
	First, Last uint64 // sequence numbers, inclusive; 0, 0 when none can be told
	Where       string // file and byte range, in the engine's own terms
	Cause       string // "bad header checksum", "torn block at the end", "missing file", ...
}

func (d Damage) String() string {
	return fmt.Sprintf("events %d to %d: %s (%s)", d.First, d.Last, d.Cause, d.Where)
}

// Errors of engines, to be tested with errors.Is.
var (
	// ErrFull says that nothing was stored for want of space.
	ErrFull = errors.New("no space left for the log")
	// ErrFailed says that a write or a sync failed before: what is on disk is
	// not known, and only a new start can tell.
	ErrFailed = errors.New("the log's disk failed")
	// ErrClosed says that the engine, the partition or the log was closed.
	ErrClosed = errors.New("log is closed")
)
