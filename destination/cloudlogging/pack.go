package cloudlogging

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/gzip"

	"github.com/sluicelog/sluice/destination"
)

// Limits of the API (https://cloud.google.com/logging/quotas).
const (
	// MaxEntry bounds one entry. Google counts in a form of its own that is
	// about as large as the JSON; what is smaller here and still too large there
	// is refused there.
	MaxEntry = 256 << 10
	// MaxRequest bounds a request, unpacked.
	MaxRequest = 10 << 20
	// packTarget is where a request is cut: with room for what encloses the
	// entries.
	packTarget = MaxRequest - 64<<10
)

const (
	// flushAt is how much is gathered before it is compressed.
	flushAt = 64 << 10
	// maxKeptBuffer bounds the buffers that are kept for the next request.
	maxKeptBuffer = 4 << 20
)

// pack is one request being made. It is used again for other requests.
type pack struct {
	raw  []byte       // gathered, not yet compressed
	out  bytes.Buffer // compressed
	zip  *gzip.Writer
	sent []int // which events of the batch the entries are, by index of the entry
}

// newPack takes the compressor that keeps nothing between its blocks: on blocks
// of flushAt it is as quick and as good as the usual ones, and thousands of
// requests that wait for their answers hold 800 KiB less each.
func newPack() *pack {
	zip, err := gzip.NewWriterLevel(nil, gzip.StatelessCompression)
	if err != nil {
		panic(err) // the level is a valid one
	}
	return &pack{zip: zip}
}

// fill makes a request of the events from next on and returns the index of the
// first that is left for another one. Entries beyond [MaxEntry] are left out and
// handed to tooLarge. The same events give the same bytes.
func (p *pack) fill(head string, events []destination.Event, next int, tooLarge func(i int, why string)) int {
	p.out.Reset()
	p.zip.Reset(&p.out)
	p.sent = p.sent[:0]
	p.raw = append(p.raw[:0], head...)
	flushed := 0
	for ; next < len(events); next++ {
		before := len(p.raw)
		if len(p.sent) > 0 {
			p.raw = append(p.raw, ',')
		}
		n := len(events[next].Payload)
		if n <= MaxEntry { // else it need not be written out to know
			start := len(p.raw)
			p.raw = appendEntry(p.raw, &events[next])
			n = len(p.raw) - start
		}
		if n > MaxEntry {
			p.raw = p.raw[:before]
			tooLarge(next, fmt.Sprintf("the entry has %d bytes; Cloud Logging takes at most %d (256 KiB): it was not sent", n, MaxEntry))
			continue
		}
		if flushed+len(p.raw) > packTarget {
			p.raw = p.raw[:before]
			break
		}
		p.sent = append(p.sent, next)
		if len(p.raw) >= flushAt {
			flushed += p.flush()
		}
	}
	p.raw = append(p.raw, tail...)
	p.flush()
	if err := p.zip.Close(); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	return next
}

// flush compresses what was gathered and returns how much that was.
func (p *pack) flush() int {
	n, err := p.zip.Write(p.raw)
	if err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	p.raw = p.raw[:0]
	return n
}

// body returns the request's body. It is released before p is used again.
func (p *pack) body() *destination.Body { return destination.NewBody(p.out.Bytes()) }

// kept reports whether p is worth keeping.
func (p *pack) kept() bool { return p.out.Cap() <= maxKeptBuffer && cap(p.raw) <= maxKeptBuffer }

// head returns what stands in front of the entries of a WriteLogEntriesRequest
// (https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/write).
// A log's name needs no escapes in JSON.
func head(logName string, dryRun bool) string {
	option := ""
	if dryRun {
		option = `"dryRun":true,`
	}
	return `{"logName":"` + logName + `","resource":{"type":"global"},` + option + `"partialSuccess":true,"entries":[`
}

const tail = "]}"
