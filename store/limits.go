package store

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Errors that say that a store takes no changes, beside those of one record.
var (
	// ErrClosed is the answer of every method after Close.
	ErrClosed = errors.New("the store is closed")
	// ErrFailed means that a write or a sync failed in a way that leaves open
	// what is on disk. The store takes no further change and answers no read until
	// it is opened again: a failed fsync is never retried, and what memory holds may
	// not be there after a restart, so that nobody may be told of it.
	ErrFailed = errors.New("the store has failed and answers nothing until it is opened again")
	// ErrDamaged means that what is stored is not what was applied: a record that
	// does not verify, or a file that is not as it was left. Nothing of it is
	// answered, and from then on the store answers every call with this error. It
	// takes a copy from before to go on.
	ErrDamaged = errors.New("control state is damaged")
)

// Check reports why no store can carry out c: a key that is empty, too long, not
// UTF-8 or holds a NUL byte, or a value that is too long. Every engine calls it
// before it judges the version.
func (c Change) Check() error {
	switch {
	case c.Key == "":
		return errors.New("change record: the key is empty")
	case len(c.Key) > MaxKey:
		return fmt.Errorf("change record: the key has %d bytes, at most %d are allowed", len(c.Key), MaxKey)
	case !utf8.ValidString(c.Key) || strings.ContainsRune(c.Key, 0):
		return fmt.Errorf("change record: the key %q is not text", c.Key)
	case len(c.Value) > MaxValue:
		return fmt.Errorf("change record %q: the value has %d bytes, at most %d are allowed", c.Key, len(c.Value), MaxValue)
	}
	return nil
}

// Errors collects the answers of one Apply: it turns a slice without any error
// into nil, as Apply promises.
func Errors(errs []error) []error {
	for _, err := range errs {
		if err != nil {
			return errs
		}
	}
	return nil
}

// AllErrors answers n changes, none of which was carried out, with one error.
func AllErrors(n int, err error) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}
