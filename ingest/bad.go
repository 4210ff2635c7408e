package ingest

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/sluicelog/sluice"
)

// maxListed is how many bad events an answer names.
const maxListed = 100

// badEvents collects why events are refused.
type badEvents struct {
	total  int // all of them
	listed []badEvent
	codes  map[string]int
}

// badEvent is an entry of the answer.
type badEvent struct {
	Index   int    `json:"index"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// addError notes an error of the scanner for the event at pos.
func (b *badEvents) addError(index, pos, n int, err error) {
	var e *sluice.EventError
	if !errors.As(err, &e) {
		e = &sluice.EventError{Code: sluice.CodeMalformedJSON, Message: err.Error()}
	}
	if n > 0 {
		pos = -1 // what is wrong is told without a place
	} else {
		pos += e.Offset
	}
	b.add(index, pos, e)
}

// add notes that the event is refused; of several reasons the first counts. The
// byte of the body at which reading stopped is told when pos is not negative.
func (b *badEvents) add(index, pos int, e *sluice.EventError) {
	if n := len(b.listed); n > 0 && b.listed[n-1].Index == index {
		return
	}
	b.total++
	if b.codes == nil {
		b.codes = make(map[string]int)
	}
	b.codes[e.Code]++
	if len(b.listed) == maxListed {
		return
	}
	message := e.Message
	if pos >= 0 {
		message = fmt.Sprintf("%s (byte %d of the body)", message, pos)
	}
	b.listed = append(b.listed, badEvent{index, e.Code, message, e.Hint})
}

// refusal is the answer to a request of so many events.
func (b *badEvents) refusal(events int) *refusal {
	message := fmt.Sprintf("%d of %d events are not acceptable; none was stored", b.total, events)
	hint := "correct the events that are listed and send the request again"
	if b.total > len(b.listed) {
		hint = fmt.Sprintf("the first %d are listed; correct them all and send the request again", len(b.listed))
	}
	return &refusal{
		status: http.StatusBadRequest, code: "invalid_events",
		message: message, hint: hint, events: b.listed, total: b.total,
	}
}
