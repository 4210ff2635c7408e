package cloudlogging

import (
	"fmt"

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

// pack is one request: a gzipped body.
type pack struct {
	body []byte
	sent []int // which events of the batch the entries are, by index of the entry
}

// pack makes a request of the events from next on and returns the index of the
// first that is left for another one. Entries beyond [MaxEntry] are left out and
// handed to tooLarge. The same events give the same bytes.
func (w *Writer) pack(head string, events []destination.Event, next int, tooLarge func(i int, why string)) (pack, int) {
	var out pack
	out.body = w.packers.Pack(func(p *destination.Packer) {
		p.Raw = append(p.Raw, head...)
		for next < len(events) && out.add(p, &events[next], next, tooLarge) {
			next++
		}
		p.Raw = append(p.Raw, tail...)
	})
	return out, next
}

// add adds the entry of event i, or hands it to tooLarge. It reports false when
// the request is full.
func (out *pack) add(p *destination.Packer, e *destination.Event, i int, tooLarge func(i int, why string)) bool {
	before := len(p.Raw)
	if len(out.sent) > 0 {
		p.Raw = append(p.Raw, ',')
	}
	n := len(e.Payload)
	if n <= MaxEntry { // else it need not be written out to know
		start := len(p.Raw)
		p.Raw = appendEntry(p.Raw, e)
		n = len(p.Raw) - start
	}
	switch {
	case n > MaxEntry:
		p.Raw = p.Raw[:before]
		tooLarge(i, fmt.Sprintf("the entry has %d bytes; Cloud Logging takes at most %d (256 KiB): it was not sent", n, MaxEntry))
		return true
	case p.Len() > packTarget:
		p.Raw = p.Raw[:before]
		return false
	}
	out.sent = append(out.sent, i)
	p.Flush()
	return true
}

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
