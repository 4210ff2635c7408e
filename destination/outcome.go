package destination

import (
	"fmt"
	"time"
)

// Class says who must act on a failure.
type Class uint8

const (
	// Unavailable: nobody; the same bytes are sent again until it works.
	Unavailable Class = iota + 1
	// Misconfigured: the owner; the stream is held and probed slowly.
	Misconfigured
	// RejectedBatch: the batch was refused as such; it is split until the
	// offending event is alone.
	RejectedBatch
)

func (c Class) String() string {
	switch c {
	case Unavailable:
		return "unavailable"
	case Misconfigured:
		return "misconfigured"
	case RejectedBatch:
		return "rejected"
	}
	return "unknown"
}

// Error is a failed delivery.
type Error struct {
	Class Class
	// Status is the protocol's status, 0 when there was no answer.
	Status int
	// Message says what happened, in words an owner can act on, with the
	// destination's own words cut to a bounded length. It never holds a secret.
	Message string
	// RetryAfter is how long the destination asked to be left alone, 0 when it
	// did not.
	RetryAfter time.Duration
	// Gone says that the destination said it is gone for good (HTTP 410).
	Gone bool
	// TimedOut says that nobody answered in time.
	TimedOut bool
	// TooLarge says that the batch was refused for its size.
	TooLarge bool
	// NothingStored says that the far side certainly keeps nothing of the try: it
	// refused it, or the request was never sent. Only an [ObjectStore] sets it.
	NothingStored bool
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Class, e.Message) }
