package ingest

import (
	"bytes"

	"github.com/sluicelog/sluice"
)

// place is where in a body an event is looked for, and which one it would be.
type place struct{ pos, index int }

// parse goes through the whole body: it puts events into the batches until these
// are full, checks all others, and collects the bad ones. at.index is the number
// of events afterwards.
func (wk *worker) parse(body []byte) {
	wk.body, wk.at = body, place{}
	if wk.at.pos = skipSpace(body, 0); wk.at.pos < len(body) && body[wk.at.pos] == '[' {
		wk.array = true
		wk.at.pos++
	}
	for wk.event() {
	}
}

// empty reports whether the body holds nothing but white space.
func (wk *worker) empty() bool { return wk.at.index == 0 && !wk.array }

// refill empties the batches and puts the next events into them. All of them
// have been checked.
func (wk *worker) refill() {
	wk.at = wk.rest
	wk.reset()
	for !wk.full && wk.event() {
	}
}

// event takes the next event; false at the end of the body, or where events can
// no longer be told apart.
func (wk *worker) event() bool {
	if wk.array {
		return wk.eventOfArray()
	}
	return wk.eventOfSequence()
}

// eventOfSequence takes the next event of a sequence: objects with white space
// between them, usually one on each line.
func (wk *worker) eventOfSequence() bool {
	pos := skipSpace(wk.body, wk.at.pos)
	if pos == len(wk.body) {
		return false
	}
	n := wk.scan(pos)
	if n == 0 {
		return wk.nextLine(pos)
	}
	end := pos + n
	next := end
	for next < len(wk.body) && isBlank(wk.body[next]) {
		next++
	}
	if next < len(wk.body) && wk.body[next] != '\n' && (wk.body[next] != '{' || next == end) {
		wk.bad.add(wk.at.index, next, &sluice.EventError{
			Code:    sluice.CodeMalformedJSON,
			Message: "something follows the event on its line",
			Hint:    "send each event on a line of its own, or all in one array",
		})
		return wk.nextLine(pos)
	}
	wk.took(end)
	return true
}

// nextLine goes on behind the line on which the unreadable event at pos starts,
// so that later bad events are named too and the index of an event that has a
// line of its own is that of the line. A line that looks like the inside of an
// object that was spread over several lines ends the search.
func (wk *worker) nextLine(pos int) bool {
	wk.at.index++
	i := bytes.IndexByte(wk.body[pos:], '\n')
	if i < 0 {
		wk.at.pos = len(wk.body)
		return false
	}
	wk.at.pos = pos + i + 1
	return wk.at.pos < len(wk.body) && bytes.IndexByte([]byte(" \t\"}]"), wk.body[wk.at.pos]) < 0
}

// eventOfArray takes the next event of an array; at.pos is behind its bracket or
// the last event.
func (wk *worker) eventOfArray() bool {
	pos := skipSpace(wk.body, wk.at.pos)
	var c byte // 0 at the end of the body
	if pos < len(wk.body) {
		c = wk.body[pos]
	}
	switch {
	case c == ']':
		wk.endOfArray(pos + 1)
		return false
	case wk.at.index > 0 && c != ',':
		wk.broken(pos, "the array does not go on with a comma or its end")
		return false
	case c == ',' && wk.at.index > 0:
		pos++
	}
	n := wk.scan(pos)
	if n == 0 {
		wk.at.index++
		return false
	}
	wk.took(pos + n)
	return true
}

// endOfArray makes sure that nothing follows the array.
func (wk *worker) endOfArray(pos int) {
	if pos = skipSpace(wk.body, pos); pos < len(wk.body) {
		wk.broken(pos, "something follows the array")
	}
}

// broken notes that the body is malformed behind its last event.
func (wk *worker) broken(pos int, message string) {
	wk.bad.add(wk.at.index, pos, &sluice.EventError{
		Code: sluice.CodeMalformedJSON, Message: message,
		Hint: "send one array of JSON objects, or the objects alone, one on each line",
	})
	wk.at.index++
}

// scan reads the event at pos, puts it into its batch unless that is full, and
// returns its length, 0 when its end is unknown.
func (wk *worker) scan(pos int) int {
	wk.ids.index = wk.at.index
	out, env, n, err := wk.scanner.Scan(wk.out[:0], wk.body[pos:])
	wk.out = out
	if err != nil {
		wk.bad.addError(wk.at.index, pos, n, err)
		return n
	}
	if !wk.full && wk.bad.total == 0 {
		wk.keep(&env)
		wk.rest = place{pos + n, wk.at.index + 1}
	}
	return n
}

// took goes on behind an event that ended at end.
func (wk *worker) took(end int) {
	wk.at.pos = end
	wk.at.index++
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == '\n' || isBlank(b[i])) {
		i++
	}
	return i
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }
