package deliver

import (
	"crypto/rand"
	"fmt"
	"time"
)

// gap counts n events as expired that lay between first and last. The lane's
// total moves over them; the caller moves the cursor. The lane is locked.
func (l *lane) gap(n, first, last uint64, cause string) {
	l.rec.Expired += n
	l.rec.Total += n
	l.rec.Hole = nil
	l.p.d.opts.Logger.Warn("events expired before delivery", "stream", l.s.id, "partition", l.p.name,
		"first", first, "last", last, "events", n, "cause", cause)
	l.notice("stream.gap", map[string]any{
		"partition": l.p.name, "first_seq": first, "last_seq": last, "events": n, "cause": cause,
	})
}

// notice puts an event about the stream into the lane's outbox, with its id, in
// the same record as what it reports.
func (l *lane) notice(kind string, fields map[string]any) {
	l.rec.Outbox = append(l.rec.Outbox, Notice{
		ID: newID(time.Now()), Type: kind, Namespace: l.s.scope, Stream: l.s.id, Time: time.Now().UTC(), Fields: fields,
	})
	l.mark()
}

// finish ends the lane at end: what is accepted later is not its own. The lane
// is locked.
func (l *lane) finish(end Start) {
	l.rec.End = &end
	if l.upToDate() {
		l.rec.Cursor, l.rec.Total = end.Seq, end.Total
	}
	l.fallBehind(time.Now())
	l.mark()
	l.p.d.wake(l)
}

// newID returns a UUIDv7 (RFC 9562, section 5.7).
func newID(now time.Time) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
