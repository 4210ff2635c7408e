package index

import (
	"container/list"
	"sync"
)

// Cache keeps pages that were read, unpacked, within a number of bytes: those used
// last. One cache serves all partitions, by all goroutines at once.
type Cache struct {
	limit int

	mu      sync.Mutex // guards what follows
	size    int
	entries map[cacheKey]*list.Element
	order   *list.List // of *cacheEntry, the one used last in front
}

// cacheKey names a page.
type cacheKey struct {
	from  Partition
	first uint64
	page  int
}

type cacheEntry struct {
	key   cacheKey
	value any
	size  int
}

// NewCache returns a cache of at most limit bytes.
func NewCache(limit int) *Cache {
	return &Cache{limit: limit, entries: map[cacheKey]*list.Element{}, order: list.New()}
}

func (c *Cache) get(key cacheKey) (any, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cacheEntry).value, true
}

func (c *Cache) put(key cacheKey, value any, size int) {
	const overhead = 200 // bytes, of the entry itself
	size += overhead
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[key]; ok || size > c.limit {
		return
	}
	c.entries[key] = c.order.PushFront(&cacheEntry{key, value, size})
	for c.size += size; c.size > c.limit; {
		oldest := c.order.Back()
		e := c.order.Remove(oldest).(*cacheEntry)
		delete(c.entries, e.key)
		c.size -= e.size
	}
}

// Forget removes the pages of a partition that is closed.
func (c *Cache) Forget(from Partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, e := range c.entries {
		if key.from == from {
			c.order.Remove(e)
			c.size -= e.Value.(*cacheEntry).size
			delete(c.entries, key)
		}
	}
}
