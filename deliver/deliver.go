// Package deliver carries events from the log to destinations.
//
// A stream's delivery through one partition is a lane. One tail reader per
// partition hands each new block, decoded once, to the lanes that are up to
// date; a lane that has nothing to do has no position of its own and costs
// nothing. A lane that is paused, failing or slow is behind: it has a cursor and
// reads the log by itself when its turn comes. No lane has a goroutine: ready
// lanes queue for a fixed set of senders, and a lane that waits holds no events.
//
// What became of each event is counted by lane, in a record that only the
// flusher writes. The running totals of namespaces in the blocks make the rest
// of the ledger derivable, so that counts need no reading of events: events that
// disappeared show as a jump of the total, and are expired.
package deliver

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// Options say how a Deliverer works.
type Options struct {
	// Memory bounds the bytes of events held for delivery; 64 MiB by default.
	// Half of it serves lanes whose destinations answer quickly.
	Memory int
	// Senders is the number of quick sends at once; 16 by default.
	Senders int
	// Emit appends an event about a stream to the log, with a fixed id, so that
	// a repeat is a duplicate. It returns when the event is durable.
	Emit func(ctx context.Context, e Notice) error
	// Protect is how long a stream's pending events outlive retention after it
	// fell behind; 8 days by default.
	Protect time.Duration
	// Retention by partition; zero keeps events for ever.
	Retention map[string]Retention
	// QuarantineBytes bounds the copies of a lane; 64 MiB by default.
	QuarantineBytes int
	// StuckAfter and StuckTries say when an event that alone keeps failing while
	// others pass is quarantined; 1 h and 20 by default.
	StuckAfter time.Duration
	StuckTries int
	// Grace is how long what is being sent when Run's context ends may go on; 0 cuts it
	// off at once.
	Grace time.Duration
	// Spool is a folder of ours for objects that are on their way to a bucket.
	// Load makes it and removes what is in it. Without one, destinations that keep
	// objects are held.
	Spool  string
	Logger *slog.Logger
}

// Retention bounds what a partition keeps. Pending events of a stream are kept
// for [Options.Protect] whatever it says.
type Retention struct {
	Age   time.Duration // by acceptance; 0 for no limit
	Bytes int64         // stored; 0 for no limit
}

// Notice is an event about a stream that delivery itself writes.
type Notice struct {
	ID        string
	Type      string // "stream.gap", "stream.gap_expected"
	Namespace string // the stream's top-level namespace, "" for the instance
	Stream    sluice.StreamID
	Title     string `json:",omitempty"` // the stream's, then; "" in records of earlier versions
	Time      time.Time
	Fields    map[string]any
}

// Stream is what delivery knows of a stream.
type Stream struct {
	ID        sluice.StreamID
	Namespace string // folded top-level namespace, or sluice.Instance
	Title     string // how people call it
	Version   uint64 // grows with each change
	Filter    sluice.Filter
	// Start holds, by partition, where the stream begins. A partition that it
	// does not name is not delivered.
	Start map[string]Start
	// Until ends the stream: events accepted later are not its own. Zero: never.
	Until  time.Time
	Strict bool
	Paused bool
	// Open makes the destination; it is called when it is first needed and after
	// each change of Version.
	Open func() (destination.Destination, error)
}

// Start is the position after which a stream begins in one partition.
type Start struct {
	Seq   uint64 `json:"seq"`   // the last event before the stream
	Total uint64 `json:"total"` // events of the stream's scope up to it
}

// State is what a stream does, at one moment.
type State struct {
	Status sluice.Status
	Ledger sluice.Ledger
	Lanes  []LaneState // by partition, in the log's order
}

// LaneState is what one lane of a stream does.
type LaneState struct {
	Partition   string
	Status      sluice.Status
	Ledger      sluice.Ledger
	Cursor      uint64    // every event up to it is settled
	Behind      bool      // reads the log by itself
	BehindSince time.Time // zero when it is up to date
	LastSuccess time.Time
	LastError   *Failure // nil when there was none since the last success
	NextRetry   time.Time
	Trying      *Trying // nil when no try is under way
	// OldestPending is when the oldest pending event was accepted, zero when
	// there is none.
	OldestPending time.Time
	Errors        map[string]uint64 // failed sends since the start, by class
	Sends         uint64            // since the start
	// QuarantineUsed is how much of the quarantine is used, from 0 to 1: of its bytes
	// or of its events, whichever is more.
	QuarantineUsed float64
	// GapExpected is 0, or which part of the time that the oldest pending events have
	// left is over, in percent, as it was announced.
	GapExpected int
}

// Failure is a failed delivery, as owners see it.
type Failure struct {
	Time    time.Time `json:"time"`
	Class   string    `json:"class"` // "unavailable", "misconfigured", "rejected", "quarantine_full"
	Status  int       `json:"status,omitempty"`
	Message string    `json:"message"`
	Tries   int       `json:"tries"` // in a row
}

// Quarantined is an event that a destination refused.
type Quarantined struct {
	Partition string          `json:"partition"`
	Seq       uint64          `json:"seq"`
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Namespace string          `json:"namespace"`
	Accepted  time.Time       `json:"accepted_at"`
	Time      time.Time       `json:"time"`
	At        time.Time       `json:"quarantined_at"`
	Reason    string          `json:"reason"`
	Hash      string          `json:"hash"` // of the id, in hexadecimal; part of what is sent
	Payload   json.RawMessage `json:"payload"`
}
