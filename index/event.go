package index

// Event is what an index is told of an event: the payload, and what the log's
// directory has of it. An index keeps none of its memory.
type Event struct {
	Seq       uint64
	Accepted  int64  // microseconds since 1970, never less than that of the event before
	Time      int64  // microseconds since 1970: when it happened, or Accepted
	Type      string // "repo.create"
	Namespace string // its path, "" for the instance; case does not matter
	Source    string
	ID        []byte // as it stands in the payload, without quotes
	Payload   []byte // one JSON object as the log stores it: valid, no white space between tokens
}

// Millis is what an index keeps of Time: whole milliseconds, rounded down. Ranges
// are compared with it.
func (e *Event) Millis() int64 { return floorDiv(e.Time, 1000) }

// floorDiv divides and rounds down, for times before 1970 too.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
