package ingest

import (
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
)

// Stats is what the surface has done since it was made.
type Stats struct {
	// Requests counts answers by the first digit of their status: "2xx".
	Requests map[string]uint64
	// Accepted counts events that were stored, by class.
	Accepted map[sluice.Class]uint64
	// Duplicates counts events that had been stored before.
	Duplicates uint64
	// Refused counts bad events by code, "other" for codes without a counter
	// of their own. Good events of the same requests are not counted.
	Refused map[string]uint64
	// WireBytes and RawBytes count bytes of bodies as sent and as unpacked.
	WireBytes, RawBytes uint64
	// Time is how long all answered requests took together.
	Time time.Duration
	// Memory is how many bytes the requests in progress hold at this moment.
	Memory int64
}

// refusedCodes are the codes of bad events.
var refusedCodes = [...]string{
	sluice.CodeMalformedJSON, sluice.CodeNotAnObject, sluice.CodeTooDeep, sluice.CodeInvalidUTF8, sluice.CodeTooLarge,
	sluice.CodeDuplicateKey, sluice.CodeMissingID, sluice.CodeMissingType, sluice.CodeMissingNamespace,
	sluice.CodeBadID, sluice.CodeBadTime, sluice.CodeBadType, sluice.CodeBadKind, sluice.CodeBadNamespace,
	sluice.CodeForeignNamespace, "other",
}

// counters is what Stats is made of.
type counters struct {
	requests            [6]atomic.Uint64 // by first digit of the status
	audit, git          atomic.Uint64
	duplicates          atomic.Uint64
	refused             map[string]*atomic.Uint64 // the map never changes
	wireBytes, rawBytes atomic.Uint64
	time                atomic.Int64
}

func newCounters() counters {
	refused := make(map[string]*atomic.Uint64, len(refusedCodes))
	for _, code := range refusedCodes {
		refused[code] = new(atomic.Uint64)
	}
	return counters{refused: refused}
}

func (c *counters) request(status int, took time.Duration) {
	c.requests[status/100].Add(1)
	c.time.Add(int64(took))
}

func (c *counters) stored(appended map[string]eventlog.Appended) {
	for partition, a := range appended {
		if partition == string(sluice.Git) {
			c.git.Add(uint64(a.Accepted))
		} else {
			c.audit.Add(uint64(a.Accepted))
		}
		c.duplicates.Add(uint64(a.Duplicates))
	}
}

func (c *counters) refusedEvents(b *badEvents) {
	for code, n := range b.codes {
		counter := c.refused[code]
		if counter == nil {
			counter = c.refused["other"]
		}
		counter.Add(uint64(n))
	}
}

// Stats returns the figures of this moment.
func (h *Handler) Stats() Stats {
	c := &h.stats
	s := Stats{
		Requests:   make(map[string]uint64),
		Accepted:   map[sluice.Class]uint64{sluice.Audit: c.audit.Load(), sluice.Git: c.git.Load()},
		Duplicates: c.duplicates.Load(),
		Refused:    make(map[string]uint64, len(c.refused)),
		WireBytes:  c.wireBytes.Load(), RawBytes: c.rawBytes.Load(),
		Time:   time.Duration(c.time.Load()),
		Memory: h.bodies.held.Load() + h.work.held.Load(),
	}
	for digit, name := range [...]string{2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"} {
		if name != "" {
			s.Requests[name] = c.requests[digit].Load()
		}
	}
	for code, n := range c.refused {
		s.Refused[code] = n.Load()
	}
	return s
}
