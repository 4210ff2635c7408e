package index

import (
	"bytes"
	"context"
	"fmt"
	"sort"
)

// Chunk is a stored chunk, of which pages are read as they are needed.
type Chunk struct {
	info  Info
	from  Partition
	cache *Cache
}

var _ Part = (*Chunk)(nil)

// NewChunk returns the chunk that from describes as info. It reads nothing.
func NewChunk(from Partition, info Info, cache *Cache) *Chunk {
	return &Chunk{info: info, from: from, cache: cache}
}

// Info implements [Part].
func (c *Chunk) Info() Info { return c.info }

// Find implements [Part].
func (c *Chunk) Find(ctx context.Context, q *Query) (*Result, error) {
	set, err := evaluate(ctx, q, c)
	if err != nil || set == nil {
		return &Result{}, err
	}
	return &Result{part: c, set: set, n: set.count()}, nil
}

func (c *Chunk) facts() Info { return c.info }

// raw returns a page of terms or lists.
func (c *Chunk) raw(ctx context.Context, page int) ([]byte, error) {
	return cached(ctx, c, page, func(raw []byte) ([]byte, int, error) { return raw, len(raw), nil })
}

// cached returns what parse makes of a page, from the cache or from the engine.
// parse returns the memory that its result takes, too.
func cached[T any](ctx context.Context, c *Chunk, page int, parse func(raw []byte) (T, int, error)) (T, error) {
	key := cacheKey{c.from, c.info.First, page}
	var none T
	if v, ok := c.cache.get(key); ok {
		if v, ok := v.(T); ok {
			return v, nil
		}
		return none, fmt.Errorf("%w: page %d of chunk %d has two uses", ErrDamaged, page, c.info.First)
	}
	stored, err := c.from.Page(ctx, c.info.First, page)
	if err != nil {
		return none, fmt.Errorf("read page %d of chunk %d: %w", page, c.info.First, err)
	}
	raw, err := unpack(c.info.First, page, stored)
	if err != nil {
		return none, err
	}
	v, size, err := parse(raw)
	if err != nil {
		return none, fmt.Errorf("%w: page %d of chunk %d is not what it should be", err, page, c.info.First)
	}
	c.cache.put(key, v, size)
	return v, nil
}

func (c *Chunk) root(ctx context.Context) (*root, error) {
	return cached(ctx, c, 0, func(raw []byte) (*root, int, error) { return parseRoot(raw, &c.info) })
}

func (c *Chunk) accepted(ctx context.Context, from, to int64) (first, end int, err error) {
	if first, err = c.acceptedSince(ctx, from); err != nil {
		return 0, 0, err
	}
	end, err = c.acceptedSince(ctx, to)
	return first, end, err
}

// acceptedSince returns the first position accepted at t or later.
func (c *Chunk) acceptedSince(ctx context.Context, t int64) (int, error) {
	r, err := c.root(ctx)
	if err != nil {
		return 0, err
	}
	i := sort.Search(len(r.places), func(i int) bool { return r.places[i].accepted >= t }) - 1
	if i < 0 {
		return 0, nil
	}
	s, err := c.places(ctx, r, i)
	return s.acceptedSince(t), err
}

func (c *Chunk) positionOf(ctx context.Context, seq uint64) (int, error) {
	if seq > c.info.Last {
		return c.info.Events, nil
	}
	if seq <= c.info.First {
		return 0, nil
	}
	r, err := c.root(ctx)
	if err != nil {
		return 0, err
	}
	i := sort.Search(len(r.places), func(i int) bool { return r.places[i].seq > seq }) - 1
	s, err := c.places(ctx, r, max(i, 0))
	return s.positionOf(seq), err
}

func (c *Chunk) spansOf(ctx context.Context, pos int) (spans, error) {
	r, err := c.root(ctx)
	if err != nil {
		return spans{}, err
	}
	i := sort.Search(len(r.places), func(i int) bool { return int(r.places[i].pos) > pos }) - 1
	return c.places(ctx, r, i)
}

// places reads page i of places.
func (c *Chunk) places(ctx context.Context, r *root, i int) (spans, error) {
	return cached(ctx, c, r.placesPage+i, func(raw []byte) (spans, int, error) {
		end := c.info.Events
		if i+1 < len(r.places) {
			end = int(r.places[i+1].pos)
		}
		return parsePlaces(raw, r.places[i], end)
	})
}

// times reads page i of times.
func (c *Chunk) times(ctx context.Context, r *root, i int) ([]int64, error) {
	return cached(ctx, c, r.timesPage+i, func(raw []byte) ([]int64, int, error) {
		return parseTimes(raw, r.times[i].low, min(timeBlock, c.info.Events-i*timeBlock))
	})
}

func (c *Chunk) orTimes(ctx context.Context, ranges []millis, within, set *bitset) error {
	r, err := c.root(ctx)
	if err != nil {
		return err
	}
	for i, bounds := range r.times {
		first := i * timeBlock
		end := min(first+timeBlock, c.info.Events)
		if pos := within.next(first); pos < 0 || pos >= end {
			continue
		}
		switch whole, none := bounds.compare(ranges); {
		case whole:
			set.fill(first, end)
		case !none:
			times, err := c.times(ctx, r, i)
			if err != nil {
				return err
			}
			orTimes(times, first, ranges, within, set)
		}
	}
	return nil
}

func (c *Chunk) days(ctx context.Context, set *bitset, add func(int64, int)) error {
	r, err := c.root(ctx)
	if err != nil {
		return err
	}
	for i, bounds := range r.times {
		first := i * timeBlock
		n := set.countIn(first, min(first+timeBlock, c.info.Events))
		day := floorDiv(bounds.low, millisPerDay)
		switch {
		case n == 0:
		case day == floorDiv(bounds.high, millisPerDay):
			add(day, n)
		default:
			times, err := c.times(ctx, r, i)
			if err != nil {
				return err
			}
			countDays(times, first, set, add)
		}
	}
	return nil
}

func (c *Chunk) orID(ctx context.Context, hash uint64, set *bitset) error {
	r, err := c.root(ctx)
	if err != nil {
		return err
	}
	i := max(0, sort.Search(len(r.ids), func(i int) bool { return r.ids[i] >= hash })-1)
	for ; i < len(r.ids) && r.ids[i] <= hash; i++ {
		raw, err := c.raw(ctx, r.idsPage+i)
		if err != nil {
			return err
		}
		if err := orIDs(raw, r.ids[i], min(idBlock, c.info.Events-i*idBlock), hash, set); err != nil {
			return err
		}
	}
	return nil
}

func (c *Chunk) lookup(ctx context.Context, t Term) (posting, error) {
	r, err := c.root(ctx)
	if err != nil {
		return posting{}, err
	}
	key := appendKey(nil, t)
	i := r.termPage(key)
	if i < 0 {
		return posting{}, nil
	}
	raw, err := c.raw(ctx, r.terms[i].page)
	if err != nil {
		return posting{}, err
	}
	return findTerm(raw, key)
}

func (c *Chunk) or(ctx context.Context, p posting, set *bitset) error {
	list, err := c.list(ctx, p)
	if err != nil {
		return err
	}
	return orList(set, p.form, p.events, list)
}

// list returns a list, wherever it lies.
func (c *Chunk) list(ctx context.Context, p posting) ([]byte, error) {
	if p.list != nil {
		return p.list, nil
	}
	raw, err := c.raw(ctx, p.page)
	if err != nil {
		return nil, err
	}
	if p.offset > len(raw) || p.length > len(raw)-p.offset {
		return nil, errList
	}
	return raw[p.offset : p.offset+p.length], nil
}

func (c *Chunk) types(ctx context.Context, set *bitset, add func(string, int)) error {
	r, err := c.root(ctx)
	if err != nil {
		return err
	}
	prefix := []byte{byte(FieldType)}
	spare := newBitset(set.n)
	whole := set.count() == c.info.Events // then the lists need not be read
	for i := max(0, r.termPage(prefix)); i < len(r.terms); i++ {
		raw, err := c.raw(ctx, r.terms[i].page)
		if err != nil {
			return err
		}
		entries := termEntries{scan: scan{b: raw}}
		for entries.next() {
			if order := bytes.Compare(entries.key[:1], prefix); order < 0 {
				continue
			} else if order > 0 {
				return nil
			}
			if whole {
				add(string(entries.key[1:]), entries.posting.events)
				continue
			}
			list, err := c.list(ctx, entries.posting)
			if err != nil {
				return err
			}
			n, err := countList(set, spare, entries.posting.form, entries.posting.events, list)
			if err != nil {
				return err
			}
			if n > 0 {
				add(string(entries.key[1:]), n)
			}
		}
		if entries.bad {
			return errTerms
		}
	}
	return nil
}
