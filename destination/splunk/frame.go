package splunk

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// Limits of one request. Splunk Cloud documents 1 MB.
const (
	maxEvents = 1000
	maxBytes  = 900_000 // before compression
)

// maxTime is the longest that appendTime writes.
const maxTime = len("-9223372036854.775808")

// frame is what stands around each event of a request.
type frame struct {
	middle []byte // between the time and the event
}

var (
	frameHead = []byte(`{"time":`)
	frameTail = []byte(`}`)
)

func newFrame(c Config) frame {
	var b []byte
	for _, f := range []struct{ name, value string }{{"source", c.Source}, {"sourcetype", c.SourceType}, {"index", c.Index}} {
		if f.value == "" {
			continue
		}
		quoted, _ := json.Marshal(f.value) // a string always has a JSON form
		b = append(b, `,"`+f.name+`":`...)
		b = append(b, quoted...)
	}
	return frame{middle: append(b, `,"event":`...)}
}

// overhead is the most that an event takes beside its payload.
func (f frame) overhead() int {
	return len(frameHead) + maxTime + len(f.middle) + len(frameTail) + 1
}

// next returns how many of the events make the next request, one at least, and
// at most how many bytes they take in it.
func (f frame) next(events []destination.Event) (n, size int) {
	for n < len(events) && n < maxEvents {
		more := len(events[n].Payload) + f.overhead()
		if n > 0 && size+more > maxBytes {
			break
		}
		size += more
		n++
	}
	return n, size
}

// append writes one event.
func (f frame) append(b []byte, e *destination.Event) []byte {
	b = append(b, frameHead...)
	b = appendTime(b, e.Time)
	b = append(b, f.middle...)
	b = append(b, e.Payload...)
	return append(b, frameTail...)
}

// appendTime writes seconds since 1970 with six decimals. It does not go through
// floating point, which cannot hold them.
func appendTime(b []byte, t time.Time) []byte {
	micros := t.UnixMicro()
	if micros < 0 {
		b = append(b, '-')
	}
	seconds, rest := micros/1e6, micros%1e6
	b = strconv.AppendUint(b, magnitude(seconds), 10)
	point := len(b)
	b = strconv.AppendUint(b, 1e6+magnitude(rest), 10) // seven digits: all zeros are there
	b[point] = '.'
	return b
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return uint64(-n)
	}
	return uint64(n)
}

// pack gathers the body of a request with the events: objects one after another.
func (f frame) pack(p *destination.Packer, events []destination.Event) {
	for i := range events {
		if i > 0 {
			p.Raw = append(p.Raw, '\n')
		}
		p.Raw = f.append(p.Raw, &events[i])
		p.Flush()
	}
}
