package sluice

// Limits of a stream.
const (
	MaxStreamName    = 72 // characters
	MaxStreamHeaders = 20
)

// Status is what a stream does at this moment.
type Status string

const (
	StatusActive  Status = "active"
	StatusPaused  Status = "paused"
	StatusFailing Status = "failing" // the destination is unavailable; retried for ever
	StatusHeld    Status = "held"    // somebody has to act: misconfigured, gone, quarantine full
	StatusDone    Status = "done"    // reached its until
)

// StreamID names a stream for ever; ids are never reused.
type StreamID int64
