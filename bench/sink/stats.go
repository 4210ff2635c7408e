package sink

import (
	"bytes"
	"sync"

	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/bench/histogram"
)

// MaxMissingRanges is how many ranges of missing events [PathStats] lists.
const MaxMissingRanges = 10_000

// PathStats says what came to one path. Times are nanoseconds since 1970, 0 for
// never.
type PathStats struct {
	Requests   uint64 `json:"requests"`
	Events     uint64 `json:"events"`     // of the corpus, repeated ones too
	Unique     uint64 `json:"unique"`     // different ones
	Duplicates uint64 `json:"duplicates"` // Events - Unique
	Disordered uint64 `json:"disordered"` // first came after a later one of the same connection
	Foreign    uint64 `json:"foreign"`    // not of the corpus, such as Sluice's own
	First      int64  `json:"first"`      // when the first request was complete
	LastNew    int64  `json:"last_new"`   // when the last new event was
	// Missing counts the events below the number asked for that never came;
	// MissingRanges lists the first of them.
	Missing       uint64  `json:"missing"`
	MissingRanges []Range `json:"missing_ranges"`
}

// A path counts what comes to one URL path.
type path struct {
	delayed bool // some request asked for a delay

	mu    sync.Mutex // guards what follows
	stats PathStats
	seen  seen
	next  []uint64 // by connection: 1 + the highest number seen
	e2e   histogram.Histogram
}

// count takes the body of a request that was complete at now.
func (p *path) count(body []byte, now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Requests++
	if p.stats.First == 0 {
		p.stats.First = now
	}
	for len(body) > 0 {
		line := body
		if end := bytes.IndexByte(body, '\n'); end >= 0 {
			line, body = body[:end], body[end+1:]
		} else {
			body = nil
		}
		p.line(line, now)
	}
}

// line counts the events of a line: one, or those of an array.
func (p *path) line(line []byte, now int64) {
	if s, ok := corpus.ParseStamp(line); ok {
		p.event(s, now)
		return
	}
	found := false
	for {
		at := bytes.Index(line, []byte(corpus.Marker))
		if at < 0 {
			break
		}
		line = line[at:]
		s, ok := corpus.ParseStamp(line)
		if !ok {
			break
		}
		p.event(s, now)
		found = true
		line = line[corpus.SentOffset:]
	}
	if !found {
		p.stats.Foreign++
	}
}

func (p *path) event(s corpus.Stamp, now int64) {
	p.stats.Events++
	if !p.seen.add(s.Seq) {
		p.stats.Duplicates++
		return
	}
	p.stats.Unique++
	p.stats.LastNew = now
	p.e2e.Record(now - s.Sent)
	for len(p.next) <= s.Connection {
		p.next = append(p.next, 0)
	}
	if s.Seq < p.next[s.Connection] {
		p.stats.Disordered++
		return
	}
	p.next[s.Connection] = s.Seq + 1
}

// snapshot returns the counts, what of the numbers below upto is missing, and
// adds the latencies to e2e unless the path was a slow one.
func (p *path) snapshot(upto uint64, e2e *histogram.Histogram) PathStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	if upto > 0 {
		s.Missing, s.MissingRanges = p.seen.missing(upto, MaxMissingRanges)
	}
	if !p.delayed {
		e2e.Merge(&p.e2e)
	}
	return s
}
