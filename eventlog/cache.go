package eventlog

import (
	"sort"
	"sync"
)

// tail holds the newest blocks of a partition, as they were written, so that
// those who follow the log need not decode them. The partition's lock guards it.
type tail struct {
	limit  int // bytes; the newest block stays whatever its size
	blocks []*Block
	bytes  int
}

func (t *tail) add(b *Block) {
	t.blocks = append(t.blocks, b)
	t.bytes += b.MemSize()
	drop := 0
	for t.bytes > t.limit && drop < len(t.blocks)-1 {
		t.bytes -= t.blocks[drop].MemSize()
		t.blocks[drop] = nil
		drop++
	}
	t.blocks = t.blocks[drop:]
}

// find returns the block that holds seq or, when seq lies between two blocks of
// the tail, the later one; nil when the tail does not tell.
func (t *tail) find(seq uint64) *Block {
	i := sort.Search(len(t.blocks), func(i int) bool { return t.blocks[i].Last() >= seq })
	if i == len(t.blocks) || i == 0 && t.blocks[0].First > seq {
		return nil
	}
	return t.blocks[i]
}

// cache keeps blocks that were read from the engine, so that lanes that lag
// alike decode them once. Least recently used blocks leave first.
type cache struct {
	limit int

	mu     sync.Mutex
	bytes  int
	blocks map[cacheKey]*cached
	clock  uint64
}

type cacheKey struct {
	partition string
	first     uint64 // number of the first event
}

type cached struct {
	b    *Block
	size int
	used uint64
}

func newCache(limit int) *cache {
	return &cache{limit: limit, blocks: map[cacheKey]*cached{}}
}

// get returns the cached block that starts at seq. Readers ask for the number
// after the block before, so that is what they hit.
func (c *cache) get(partition string, seq uint64) *Block {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.blocks[cacheKey{partition, seq}]
	if e == nil {
		return nil
	}
	c.clock++
	e.used = c.clock
	return e.b
}

func (c *cache) put(partition string, b *Block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := cacheKey{partition, b.First}
	if c.blocks[key] != nil {
		return
	}
	// What the block will occupy once it is decoded.
	size := b.MemSize() + int(b.RawLen)
	c.clock++
	c.blocks[key] = &cached{b: b, size: size, used: c.clock}
	c.bytes += size
	for c.bytes > c.limit && len(c.blocks) > 1 {
		c.evict()
	}
}

// evict removes the least recently used block. The cache holds few blocks when
// they are large; when they are small, a sample of them is enough.
func (c *cache) evict() {
	var oldest cacheKey
	var e *cached
	n := 0
	for key, x := range c.blocks {
		if e == nil || x.used < e.used {
			oldest, e = key, x
		}
		if n++; n == 64 {
			break
		}
	}
	c.bytes -= e.size
	delete(c.blocks, oldest)
}
