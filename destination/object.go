package destination

import (
	"context"
	"io"
	"time"
)

// ObjectStore is a Destination that keeps objects of many events, which are never
// changed: a bucket. Delivery hands it no batches. It cuts the log into ranges by
// [ObjectLimits], encodes a range into a file of its own, writes down what it is
// about to store (the plan: key, range, version of the encoder), and calls Put
// with it until that succeeds. A plan is tried with the same key and the same
// events only, also after a restart, so that a store that never replaces an
// object holds each event once. It is made anew only when the stream was changed
// and no try of it can have stored anything (see Error.NothingStored).
//
// Send is left for single events, those that somebody takes out of quarantine.
type ObjectStore interface {
	Destination

	// ObjectLimits says when an object is complete. All of them are positive.
	ObjectLimits() ObjectLimits

	// Version is the version of the encoder for new objects.
	Version() int

	// Encoder returns an encoder that writes to w. The same version and events
	// give the same lines in the same order. Versions that were ever shipped stay
	// known; another one is an error.
	Encoder(version int, w io.Writer) (ObjectEncoder, error)

	// Key returns the key of an object. Different names have different keys.
	Key(name ObjectName) string

	// Put stores the object under its key and waits for the outcome. It does not
	// retry. A nil error promises that the far side keeps an object durably under
	// that key; existed says that it was there before and was left as it was. The
	// context carries the deadline, as for Send. An object is never split, so the
	// class of an error is never RejectedBatch. An error says NothingStored only
	// when that is beyond doubt: not after an answer that was lost, or one that
	// something in between may have given.
	Put(ctx context.Context, o *Object) (existed bool, err *Error)
}

// ObjectLimits says when an object is complete: when it has reached the first of
// them.
type ObjectLimits struct {
	Bytes  int64         // as stored, compressed
	Events int           //
	Age    time.Duration // of its first event, counted from the acceptance
}

// ObjectEncoder writes the content of one object. It is used by one goroutine.
type ObjectEncoder interface {
	// Add writes an event. It does not keep e.
	Add(e *Event) error
	// Written returns how many bytes the writer got so far. What the encoder
	// still holds does not count; it is bounded.
	Written() int64
	// Close writes what is left. The writer stays open.
	Close() error
}

// ObjectName is what an object's key is made of.
type ObjectName struct {
	Log         string // the identity of the log
	Stream      int64
	Partition   string
	First, Last uint64    // sequence numbers of the first and last event
	Accepted    time.Time // when the first event was accepted
	// Variant tells names of the same numbers, but other events between, apart.
	// It is lower-case hexadecimal digits, or "", as for most objects.
	Variant string
}

// Object is an object that is to be stored.
type Object struct {
	Key    string
	Size   int64
	SHA256 [32]byte
	// Content holds Size bytes. It may still be read for a moment after Put has
	// returned; an error is then of no consequence.
	Content io.ReaderAt
	// FirstID and LastID are the ids of the first and last event, Count is how
	// many there are: what an object says about itself.
	FirstID, LastID string
	Count           int
}
