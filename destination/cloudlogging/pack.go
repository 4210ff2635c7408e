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

// maxKeptBuffer bounds the buffers that are kept for the next request.
const maxKeptBuffer = 4 << 20

// pack is one request being made. It is used again for other requests.
type pack struct {
	entry []byte
	out   bytes.Buffer // compressed
	zip   *gzip.Writer
	sent  []int // which events of the batch the entries are, by index of the entry
}

func newPack() *pack {
	zip, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a valid one
	}
	return &pack{zip: zip}
}

// fill makes a request of the events from next on and returns the index of the
// first that is left for another one. Entries beyond [MaxEntry] are left out and
// handed to tooLarge.
func (p *pack) fill(head string, events []destination.Event, next int, tooLarge func(i int, why string)) int {
	p.out.Reset()
	p.zip.Reset(&p.out)
	p.sent = p.sent[:0]
	p.write([]byte(head))
	size := len(head)
	for ; next < len(events); next++ {
		p.entry = append(p.entry[:0], ',')
		p.entry = appendEntry(p.entry, &events[next])
		if n := len(p.entry) - 1; n > MaxEntry {
			tooLarge(next, fmt.Sprintf("the entry has %d bytes; Cloud Logging takes at most %d (256 KiB): it was not sent", n, MaxEntry))
			continue
		}
		if size+len(p.entry) > packTarget {
			break
		}
		if len(p.sent) == 0 {
			p.entry = p.entry[1:]
		}
		size += len(p.entry)
		p.write(p.entry)
		p.sent = append(p.sent, next)
	}
	p.write([]byte(tail))
	if err := p.zip.Close(); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	return next
}

func (p *pack) write(b []byte) {
	if _, err := p.zip.Write(b); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
}

// body returns the request's body. It is released before p is used again.
func (p *pack) body() *destination.Body { return destination.NewBody(p.out.Bytes()) }

// kept reports whether p is worth keeping.
func (p *pack) kept() bool { return p.out.Cap() <= maxKeptBuffer && cap(p.entry) <= maxKeptBuffer }

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
