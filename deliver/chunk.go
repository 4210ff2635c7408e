package deliver

import (
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/eventlog"
)

// chunk holds the events of one scope in one block, shared by the lanes of the
// scope. Many events stay in the block's memory; few are copied, so that they do
// not keep a block alive.
type chunk struct {
	first, last uint64 // the block's range
	made        time.Time
	before      uint64 // the scope's total before the first of events
	after       uint64 // and after the block
	size        int    // bytes of its events, and of what describes them
	bytes       int    // counted against the memory budget, beside the block
	refs        atomic.Int32

	block  *eventlog.Block
	idx    []uint16            // the scope's events in block; nil for all
	events []destination.Event // copied; nil when they are in block
	kept   *kept               // the block's memory; nil when events are copied
}

// kept counts the chunks that keep a block in memory.
type kept struct {
	bytes  int
	chunks atomic.Int32
}

// portion is what a lane wants of a chunk.
type portion struct {
	chunk *chunk
	pick  []uint16 // indexes into the chunk's events; nil for all
	taken int      // how many were sent
}

func (p *portion) len() int {
	if p.pick != nil {
		return len(p.pick)
	}
	return p.chunk.len()
}

// at returns the index in the chunk of the portion's i-th event.
func (p *portion) at(i int) int {
	if p.pick != nil {
		return int(p.pick[i])
	}
	return i
}

func (c *chunk) len() int {
	switch {
	case c.events != nil:
		return len(c.events)
	case c.idx != nil:
		return len(c.idx)
	}
	return int(c.block.Count)
}

// newChunk returns the chunk of the events idx (nil for all) of block b. before is
// the scope's total before them, size what chunkBytes tells.
func newChunk(b *eventlog.Block, idx []uint16, before, after uint64, size int) *chunk {
	return &chunk{first: b.First, last: b.Last(), made: time.Now(), before: before, after: after, block: b, idx: idx,
		size: size, bytes: chunkSize + 2*len(idx)}
}

// chunkBytes returns the bytes of the events idx (nil for all) of block b, and of
// what describes them.
func chunkBytes(b *eventlog.Block, idx []uint16) int {
	if idx == nil {
		return int(b.RawLen) + len(b.Entries)*eventSize
	}
	n := len(idx) * (eventSize + 1)
	for _, i := range idx {
		n += int(b.Entries[i].Len)
	}
	return n
}

const (
	// The part of a block below which its events are copied. Lanes that get much
	// of a block are served first, so it goes soon. A lane that is not, and a send
	// that hangs, would keep blocks for long: once there are several, less is left
	// in blocks.
	copyShare     = 64
	copyShareSlow = 8
	manyPortions  = 8
	manySlow      = 16

	chunkSize = 256 // bytes that a chunk takes itself, and its place in a queue
)

// copy gives the chunk memory of its own.
func (c *chunk) copy() error {
	events := make([]destination.Event, c.len())
	memory := make([]byte, 0, c.size-len(events)*eventSize)
	for i := range events {
		at := c.index(i)
		payload, err := c.block.Payload(at)
		if err != nil {
			return err
		}
		start := len(memory)
		memory = append(append(memory, payload...), '\n')
		fillEvent(&events[i], c.block, at, memory[start:len(memory)-1])
	}
	c.bytes += c.size
	c.events, c.block, c.idx = events, nil, nil
	return nil
}

const eventSize = 144 // bytes of a destination.Event

func (c *chunk) index(i int) int {
	if c.idx != nil {
		return int(c.idx[i])
	}
	return i
}

// event fills ev with the chunk's i-th event.
func (c *chunk) event(i int, ev *destination.Event) error {
	if c.events != nil {
		*ev = c.events[i]
		return nil
	}
	at := c.index(i)
	payload, err := c.block.Payload(at)
	if err != nil {
		return err
	}
	fillEvent(ev, c.block, at, payload)
	return nil
}

// fillEvent describes event i of block b.
func fillEvent(ev *destination.Event, b *eventlog.Block, i int, payload []byte) {
	e := &b.Entries[i]
	*ev = destination.Event{
		Seq:       b.First + uint64(i),
		ID:        payload[e.IDOffset : e.IDOffset+uint32(e.IDLen)],
		Hash:      e.Hash,
		Type:      b.Types[e.Type].Name,
		Time:      e.EventTime(),
		Accepted:  b.Accepted,
		Namespace: b.Namespaces[e.Namespace].Path,
		Payload:   payload,
	}
}

// hold keeps the chunk for one lane; release gives it up.
func (c *chunk) hold(d *Deliverer) {
	if c.refs.Add(1) != 1 {
		return
	}
	n := c.bytes
	if c.kept != nil && c.kept.chunks.Add(1) == 1 {
		n += c.kept.bytes
	}
	d.used.Add(int64(n))
}

func (c *chunk) release(d *Deliverer) {
	if c.refs.Add(-1) != 0 {
		return
	}
	n := c.bytes
	if c.kept != nil && c.kept.chunks.Add(-1) == 0 {
		n += c.kept.bytes
	}
	if d.used.Add(-int64(n)) > d.quickBytes() {
		return
	}
	for _, p := range d.order {
		if p.waits.Load() {
			poke(p.freed)
		}
	}
}
