package deliver

import (
	"strings"
	"time"
)

// troubleRecord says why a lane fails or is held. It is durable, so that a start
// does not show a stream as active that is not.
type troubleRecord struct {
	Since   time.Time `json:"since"` // of the first failure in a row
	Held    bool      `json:"held,omitempty"`
	Failure Failure   `json:"failure"` // the last one
}

// maxTroubleWords bounds a message in the record, in bytes.
const maxTroubleWords = 512

// troubled puts the last failure into the record. The lane is locked.
func (l *lane) troubled() {
	t := &troubleRecord{Since: l.failure.Time.UTC(), Held: l.held, Failure: *l.failure}
	t.Failure.Time = t.Since
	if before := l.rec.Trouble; before != nil {
		t.Since = before.Since
	}
	if len(t.Failure.Message) > maxTroubleWords {
		t.Failure.Message = strings.ToValidUTF8(t.Failure.Message[:maxTroubleWords], "") + "..."
	}
	l.rec.Trouble = t
	l.mark()
}

// untroubled takes the trouble out of the record. The lane is locked.
func (l *lane) untroubled() {
	if l.rec.Trouble != nil {
		l.rec.Trouble = nil
		l.mark()
	}
}

// remember takes up what the record says: the lane is failing or held, as before
// the start, until its next try, which comes at once.
func (l *lane) remember() {
	t := l.rec.Trouble
	if t == nil || !l.rec.Behind {
		l.rec.Trouble = nil // nothing would be tried
		return
	}
	f := t.Failure
	l.failure, l.tries, l.held = &f, max(f.Tries, 1), t.Held
}
