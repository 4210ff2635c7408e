package index

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Memory is the engine that keeps indexes in memory: the reference for all
// others. Closing a partition keeps its contents for the next Open.
type Memory struct {
	mu     sync.Mutex // guards what follows and every memoryPartition
	closed bool
	parts  map[string]*memoryPartition // what Open gives
	opened map[string]bool
	making map[string]*memoryPartition
}

var (
	_ Engine    = (*Memory)(nil)
	_ Partition = (*memoryPartition)(nil)
)

// NewMemory returns an engine without indexes.
func NewMemory() *Memory {
	return &Memory{parts: map[string]*memoryPartition{}, opened: map[string]bool{}, making: map[string]*memoryPartition{}}
}

// Open implements [Engine].
func (m *Memory) Open(_ context.Context, partition string) (Partition, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	if m.opened[partition] {
		return nil, fmt.Errorf("open index %q: it is open", partition)
	}
	p := &memoryPartition{engine: m, name: partition}
	if kept := m.parts[partition]; kept != nil {
		p.position, p.chunks = kept.position, kept.chunks
	}
	m.parts[partition], m.opened[partition] = p, true
	return p, nil
}

// Renew implements [Engine].
func (m *Memory) Renew(_ context.Context, partition string) (Partition, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	if m.making[partition] != nil {
		return nil, fmt.Errorf("renew index %q: it is being made anew", partition)
	}
	p := &memoryPartition{engine: m, name: partition}
	m.making[partition] = p
	return p, nil
}

// Adopt implements [Engine].
func (m *Memory) Adopt(_ context.Context, renewed Partition) error {
	p, ok := renewed.(*memoryPartition)
	if !ok || p.engine != m {
		return fmt.Errorf("adopt index: it belongs to another engine")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.making[p.name] != p || p.closed {
		return fmt.Errorf("adopt index %q: it is not being made", p.name)
	}
	delete(m.making, p.name)
	if before := m.parts[p.name]; before != nil {
		before.replaced = true
	}
	m.parts[p.name], m.opened[p.name] = p, true
	return nil
}

// Close implements [Engine].
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

type memoryPartition struct {
	engine   *Memory // whose mu guards what follows
	name     string
	position Position
	chunks   []*Sealed // never changed in place
	closed   bool
	replaced bool
}

// use takes the lock, or says why the partition cannot be used.
func (p *memoryPartition) use(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	p.engine.mu.Lock()
	if p.closed || p.engine.closed {
		p.engine.mu.Unlock()
		return ErrClosed
	}
	return nil
}

func (p *memoryPartition) Position(ctx context.Context) (Position, error) {
	if err := p.use(ctx); err != nil {
		return Position{}, err
	}
	defer p.engine.mu.Unlock()
	return p.position, nil
}

func (p *memoryPartition) Chunks(ctx context.Context) ([]Info, error) {
	if err := p.use(ctx); err != nil {
		return nil, err
	}
	defer p.engine.mu.Unlock()
	infos := make([]Info, len(p.chunks))
	for i, c := range p.chunks {
		infos[i] = c.Info
	}
	return infos, nil
}

func (p *memoryPartition) Append(ctx context.Context, c *Sealed, to Position) error {
	if err := p.use(ctx); err != nil {
		return err
	}
	defer p.engine.mu.Unlock()
	if p.replaced {
		return ErrClosed
	}
	if err := CheckAppend(p.position, c, to); err != nil {
		return err
	}
	if c != nil {
		p.chunks = append(slices.Clip(p.chunks), c)
	}
	p.position = to
	return nil
}

// CheckAppend reports why a chunk, or nil, cannot be appended with the position
// to to an index that has the position from. Every engine calls it.
func CheckAppend(from Position, c *Sealed, to Position) error {
	switch {
	case from != (Position{}) && (from.Log != to.Log || from.Format != to.Format):
		return fmt.Errorf("append to index: it covers another log, or has another format")
	case to.Seq < from.Seq:
		return fmt.Errorf("append to index: the position goes back from %d to %d", from.Seq, to.Seq)
	case c == nil:
		return nil
	case c.Info.First <= from.Seq || c.Info.Last < c.Info.First || to.Seq < c.Info.Last || len(c.Pages) == 0:
		return fmt.Errorf("append to index: a chunk of the events %d to %d does not lie between the positions %d and %d",
			c.Info.First, c.Info.Last, from.Seq, to.Seq)
	}
	return nil
}

func (p *memoryPartition) Page(ctx context.Context, first uint64, page int) ([]byte, error) {
	if err := p.use(ctx); err != nil {
		return nil, err
	}
	defer p.engine.mu.Unlock()
	for _, c := range p.chunks {
		if c.Info.First == first && page < len(c.Pages) {
			return slices.Clone(c.Pages[page]), nil
		}
	}
	return nil, fmt.Errorf("%w: there is no page %d of a chunk %d", ErrDamaged, page, first)
}

func (p *memoryPartition) Drop(ctx context.Context, t time.Time) (int, error) {
	if err := p.use(ctx); err != nil {
		return 0, err
	}
	defer p.engine.mu.Unlock()
	if p.replaced {
		return 0, ErrClosed
	}
	n := 0
	for n < len(p.chunks) && p.chunks[n].Info.LastAccepted < t.UnixMicro() {
		n++
	}
	p.chunks = p.chunks[n:]
	return n, nil
}

func (p *memoryPartition) Size(ctx context.Context) (int64, error) {
	if err := p.use(ctx); err != nil {
		return 0, err
	}
	defer p.engine.mu.Unlock()
	var size int64
	for _, c := range p.chunks {
		size += c.Info.Bytes
	}
	return size, nil
}

func (p *memoryPartition) Close() error {
	m := p.engine
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	switch {
	case m.making[p.name] == p:
		delete(m.making, p.name)
	case m.parts[p.name] == p:
		delete(m.opened, p.name)
	}
	return nil
}

// Reopen returns an engine with the indexes of m, which is closed, as another
// start would find them.
func (m *Memory) Reopen() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	again := NewMemory()
	for name, p := range m.parts {
		again.parts[name] = &memoryPartition{engine: again, name: name, position: p.position, chunks: p.chunks}
	}
	return again
}
