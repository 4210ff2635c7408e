package sluice

import (
	"fmt"
	"time"
)

// Code classifies an [Error]; each surface turns it into its own status in one
// function.
type Code string

const (
	Invalid      Code = "invalid"       // the request is wrong and would be again
	Unauthorized Code = "unauthorized"  // no or unknown credentials
	Forbidden    Code = "forbidden"     // known, and not allowed
	NotFound     Code = "not_found"     // absent, or not for the caller to see
	Conflict     Code = "conflict"      // somebody else was faster, or a name is taken
	TooLarge     Code = "too_large"     // over a limit of size
	RateLimited  Code = "rate_limited"  // come back later: the token's own limit
	Busy         Code = "busy"          // come back later: the server's limit
	NoSpace      Code = "no_space"      // the disk is below its floor
	Internal     Code = "internal"      // our fault; details are in the log
	Unsupported  Code = "not_supported" // well-formed, and not offered here
)

// Error is an error that a person may read: what is wrong, and what to do. It
// never holds a secret or an event's payload.
type Error struct {
	Code    Code
	Message string
	Hint    string
	Wait    time.Duration // until another try can do better; 0 is not known
}

func (e *Error) Error() string { return e.Message }

// Errorf returns an [Error] without a hint.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithHint returns a copy of e that tells what to do.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}
