package deliver

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/eventlog"
)

// chunk holds the events of one scope in one block, shared by the lanes of the
// scope. When they are most of the block, they stay in the block's memory;
// otherwise they are copied, so that few events do not keep a block alive.
type chunk struct {
	first, last uint64    // the block's range
	accepted    time.Time // when the block was accepted
	before      uint64    // the scope's total before the first of events
	after       uint64    // and after the block
	bytes       int       // counted against the memory budget
	refs        atomic.Int32

	once   sync.Once
	block  *eventlog.Block
	idx    []uint16 // the scope's events in block; nil for all
	events []destination.Event
	err    error
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
	if c.idx != nil {
		return len(c.idx)
	}
	return int(c.block.Count)
}

// newChunk returns the chunk of the events idx (nil for all) of block b from
// index from on. before is the scope's total before them.
func newChunk(b *eventlog.Block, idx []uint16, before, after uint64) *chunk {
	return &chunk{first: b.First, last: b.Last(), accepted: b.Accepted, before: before, after: after, block: b, idx: idx}
}

// copyShare is the part of a block below which its events are copied.
const copyShare = 8

// fill makes the chunk's events and returns the memory they take.
func (c *chunk) fill() error {
	c.once.Do(func() {
		n, raw := c.len(), 0
		for i := range n {
			raw += int(c.block.Entries[c.index(i)].Len) + 1
		}
		var memory []byte
		if raw*copyShare < int(c.block.RawLen) {
			memory = make([]byte, 0, raw)
			c.bytes = raw
		} else {
			c.err = c.block.Load()
			c.bytes = c.block.MemSize()
		}
		c.events = make([]destination.Event, n)
		c.bytes += n * eventSize
		for i := range n {
			if c.err = c.event(&c.events[i], c.index(i), &memory); c.err != nil {
				return
			}
		}
		if memory != nil {
			c.block, c.idx = nil, make([]uint16, n) // idx keeps the length
		}
	})
	return c.err
}

const eventSize = 144 // bytes of a destination.Event

func (c *chunk) index(i int) int {
	if c.idx != nil {
		return int(c.idx[i])
	}
	return i
}

// event fills ev with event i of the block, copying its payload to memory when
// that is not nil.
func (c *chunk) event(ev *destination.Event, i int, memory *[]byte) error {
	payload, err := c.block.Payload(i)
	if err != nil {
		return err
	}
	if *memory != nil {
		start := len(*memory)
		*memory = append(append(*memory, payload...), '\n')
		payload = (*memory)[start : len(*memory)-1]
	}
	fillEvent(ev, c.block, i, payload)
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

// release gives up one lane's hold of the chunk.
func (c *chunk) release(d *Deliverer) {
	if c.refs.Add(-1) == 0 && d.used.Add(-int64(c.bytes)) <= d.quickBytes() {
		for _, p := range d.order {
			if p.waits.Load() {
				poke(p.freed)
			}
		}
	}
}
