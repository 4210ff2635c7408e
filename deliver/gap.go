package deliver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
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

// lose moves the cursor to the end of hole h, up to which there were to.Total
// events, and returns where it stands: the end of the stream may lie in the hole.
// What was delivered of it is counted as such, and the rest expires. A loss that
// does not show yet is remembered. A stream of which nothing is left before its end
// is there at once. The lane is locked.
func (l *lane) lose(to Start, h hole) Start {
	if end := l.rec.End; end != nil && (to.Seq >= end.Seq || to.Total >= end.Total) {
		to = *end
	}
	for seq := range l.beyond {
		if seq <= to.Seq {
			delete(l.beyond, seq)
			l.rec.Delivered++
			l.rec.Total++
		}
	}
	l.suspects = slices.DeleteFunc(l.suspects, func(s suspect) bool { return s.seq <= to.Seq })
	if to.Total > l.rec.Total {
		l.gap(to.Total-l.rec.Total, h.First, min(h.Last, to.Seq), h.Cause)
	} else if to.Seq > l.rec.Cursor {
		l.rec.Hole = &h
	}
	to.Total = l.rec.Total
	l.moveTo(to)
	l.mark()
	return to
}

// endsAt reports whether the stream ends at or before a position.
func (l *lane) endsAt(at Start) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rec.End != nil && at.Seq >= l.rec.End.Seq
}

// notice puts an event about the stream into the lane's outbox, with its id, in
// the same record as what it reports.
func (l *lane) notice(kind string, fields map[string]any) {
	conf, _ := l.s.config()
	l.rec.Outbox = append(l.rec.Outbox, Notice{
		ID: newID(time.Now()), Type: kind, Namespace: l.s.scope, Stream: l.s.id, Title: conf.Title, Time: time.Now().UTC(), Fields: fields,
	})
	l.mark()
}

// finish ends the lane at end: what is accepted later is not its own. The lane
// is locked.
func (l *lane) finish(end Start) {
	l.rec.End = &end
	// A turn finds out by itself that nothing of the stream lies between.
	if l.upToDate() || l.rec.Total == end.Total && l.rec.Cursor < end.Seq && l.phase != running {
		l.rec.Cursor, l.rec.Total = end.Seq, end.Total
	}
	l.miss(end)
	l.fallBehind(time.Now())
	l.mark()
	l.p.d.wake(l)
}

// miss counts what was lost before the end of the stream of a lane that has passed
// it, and did not show until the end was known. The lane is locked.
func (l *lane) miss(end Start) {
	if h := l.rec.Hole; h != nil && l.rec.Cursor >= end.Seq && end.Total > l.rec.Total {
		l.gap(end.Total-l.rec.Total, h.First, h.Last, h.Cause)
	}
}

// findEnd finds out what is stored of a stream that has an until: how much that is,
// and where the stream ends, when a later block is stored already. It asks the log
// and not the clock, which may have been set back since. Only a lane that reads by
// itself needs the end: the tail tells others.
func (d *Deliverer) findEnd(ctx context.Context, l *lane, conf *Stream) error {
	l.mu.Lock()
	l.looked = l.looked || l.rec.End != nil || conf.Until.IsZero()
	looked := l.looked
	l.mu.Unlock()
	if looked {
		return nil
	}
	end, last, err := d.endOf(ctx, l, conf)
	if err != nil {
		return fmt.Errorf("find the end of stream %d: %w", conf.ID, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looked = true
	if l.rec.End != nil {
		return nil // the tail has told it meanwhile
	}
	l.seen, l.over = end.Total, !last
	if last || !l.rec.Behind {
		return nil
	}
	l.rec.End = &Start{Seq: max(end.Seq, l.rec.Cursor), Total: max(end.Total, l.rec.Total)}
	l.miss(*l.rec.End)
	l.mark()
	return nil
}

// endOf returns the last position that is stored of a stream up to its until, and
// whether that is the last one of all.
func (d *Deliverer) endOf(ctx context.Context, l *lane, conf *Stream) (end Start, last bool, err error) {
	seq, err := d.log.Since(ctx, l.p.name, conf.Until.Add(time.Nanosecond))
	if err != nil {
		return Start{}, false, err
	}
	at, err := d.log.AcceptedAt(ctx, l.p.name, seq)
	if errors.Is(err, io.EOF) || err == nil && !at.After(conf.Until) {
		end.Seq, end.Total = d.log.Position(l.p.name, l.s.scope)
		return end, true, nil
	}
	if err != nil {
		return Start{}, false, err
	}
	total, err := d.log.Before(ctx, l.p.name, l.s.scope, seq)
	return Start{Seq: seq - 1, Total: total}, false, err
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
