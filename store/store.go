// Package store is the port of control state: the small records that say what
// streams, lanes, namespaces and tokens there are.
//
// A [Store] holds records by key. The one operation that changes anything is a
// compare-and-set of one record: there is no transaction over several. What
// must be unique or bounded is held by claim records, whose key is the rule and
// the value (see [Claim]). So the same code runs on one file of SQLite and on a
// replicated key-value service.
package store

import (
	"context"
	"errors"
	"iter"
)

// Store holds records. All methods may be called at once. A record is answered as
// it was applied or not at all: an engine verifies what it reads from a disk, and
// answers [ErrDamaged] for what does not verify.
type Store interface {
	// Get returns the record of key, or ErrNotFound.
	Get(ctx context.Context, key string) (Record, error)

	// Apply carries out each change by itself, in any order, and returns one
	// error for each, nil where it was carried out. A change whose Version is
	// not the record's present one gets ErrConflict and changes nothing. When
	// Apply returns, every carried out change survives a power cut.
	//
	// Several changes in one call share one sync; they are not a transaction:
	// after a crash some may be there and others not. A nil slice means that all
	// were carried out.
	Apply(ctx context.Context, changes ...Change) []error

	// List yields the records whose keys start with prefix, in the order of
	// their keys. Changes made meanwhile may or may not be seen. The second
	// value is an error that ends the listing.
	List(ctx context.Context, prefix string) iter.Seq2[Record, error]

	// Close ends the store; everything applied is durable.
	Close() error
}

// Record is a value under a key. Version is a number that the store chooses,
// never 0, and that no two states of the same key ever share.
type Record struct {
	Key     string
	Value   []byte
	Version uint64
}

// Change replaces, creates or deletes one record.
type Change struct {
	Key string
	// Value is the new value; nil deletes the record.
	Value []byte
	// Version is the version that the record must have now; 0 means that it
	// must not exist.
	Version uint64
	// NewVersion is set by Apply to the version the record has now, when the
	// change was carried out and did not delete it. Callers that need it pass a
	// pointer.
	NewVersion *uint64
}

// Limits of every store.
const (
	MaxKey = 1024 // bytes
	// MaxValue is the most bytes of a value. A record holds the largest event there
	// can be, as a copy in quarantine, and what is said of it.
	MaxValue = 33 << 20
)

// Errors of a store, to be tested with errors.Is.
var (
	ErrNotFound = errors.New("no such record")
	ErrConflict = errors.New("the record has changed")
	ErrFull     = errors.New("no space left for control state")
	// ErrBusy says that nothing was carried out, for another program writes to what
	// the engine keeps. It is done some time: who has to apply something tries again.
	ErrBusy = errors.New("control state is locked by another program")
)
