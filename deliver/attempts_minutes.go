package deliver

import (
	"encoding/binary"
	"time"
)

// minute counts what a lane did in one minute.
type minute struct {
	at                         int64 // minutes since 1970
	delivered, bytes, failures uint64
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

func (m *minute) add(o minute) {
	m.at = o.at
	m.delivered += o.delivered
	m.bytes += o.bytes
	m.failures += o.failures
}

// minuteLog holds minutes, a few bytes each, in their order: the differences of
// the times, and the counts. Minutes without anything take no room.
type minuteLog struct {
	b     []byte
	first int64 // 0 when it is empty
	last  int64
}

// add appends a minute unless it is there already.
func (l *minuteLog) add(m minute) {
	if m.at <= l.last {
		return
	}
	if l.first == 0 {
		l.first = m.at
	}
	l.b = binary.AppendUvarint(l.b, uint64(m.at-l.last))
	l.b = binary.AppendUvarint(l.b, m.delivered)
	l.b = binary.AppendUvarint(l.b, m.bytes)
	l.b = binary.AppendUvarint(l.b, m.failures)
	l.last = m.at
}

// maxMinute is beyond every minute that a clock shows. Its year, as those before it,
// has four digits, so that times can be written.
const maxMinute = 4_000_000_000

// readMinutes returns the minutes in b. What cannot be read ends it.
func readMinutes(b []byte) []minute {
	r := &reader{b: b}
	var out []minute
	at := int64(0)
	for len(r.b) > 0 {
		at += r.step(maxMinute - at)
		m := minute{at: at, delivered: r.uvarint(), bytes: r.uvarint(), failures: r.uvarint()}
		if r.bad {
			break
		}
		out = append(out, m)
	}
	return out
}

const minutesADay = 24 * 60

func dayOf(minute int64) int64 { return minute / minutesADay }
