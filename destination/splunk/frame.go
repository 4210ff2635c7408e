package splunk

import (
	"bytes"
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

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

// flushAt is how much is gathered before it is compressed.
const flushAt = 64 << 10

// packer turns events into a compressed body. It is used by one goroutine at a
// time and belongs to a pool between requests.
type packer struct {
	raw []byte // gathered, not yet compressed
	out bytes.Buffer
	zip *gzip.Writer
}

// newPacker takes the quickest level: it is half of the work of the usual one, and
// what it leaves is a tenth more.
func newPacker() *packer {
	p := &packer{raw: make([]byte, 0, flushAt+4096)}
	p.zip, _ = gzip.NewWriterLevel(&p.out, gzip.BestSpeed) // fails for unknown levels only
	return p
}

// pack returns the body of a request with the events: objects one after another,
// gzipped. The same events give the same bytes. The slice is the packer's.
func (p *packer) pack(f frame, events []destination.Event) []byte {
	p.raw = p.raw[:0]
	p.out.Reset()
	p.zip.Reset(&p.out)
	for i := range events {
		if i > 0 {
			p.raw = append(p.raw, '\n')
		}
		p.raw = f.append(p.raw, &events[i])
		if len(p.raw) >= flushAt {
			p.flush()
		}
	}
	p.flush()
	_ = p.zip.Close() // a buffer does not fail
	return p.out.Bytes()
}

func (p *packer) flush() {
	_, _ = p.zip.Write(p.raw) // a buffer does not fail
	p.raw = p.raw[:0]
}

// maxKept bounds what an idle packer holds: one large event must not stay.
const maxKept = 2 << 20

func takePacker(pool *sync.Pool) *packer {
	if p, ok := pool.Get().(*packer); ok {
		return p
	}
	return newPacker()
}

func returnPacker(pool *sync.Pool, p *packer) {
	if cap(p.raw)+p.out.Cap() <= maxKept {
		pool.Put(p)
	}
}
