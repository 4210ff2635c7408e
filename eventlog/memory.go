package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"sync"
	"time"
)

// CheckPartition returns an error unless name can be the name of a partition:
// lower-case letters, digits, '-', '_' and '.', a letter or digit first, at most
// 64 bytes.
func CheckPartition(name string) error {
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		case i > 0 && (c == '-' || c == '_' || c == '.'):
		default:
			return fmt.Errorf("partition name %q: character %q is not allowed there", name, c)
		}
	}
	if name == "" || len(name) > 64 {
		return fmt.Errorf("partition name %q: has to have 1 to 64 bytes", name)
	}
	return nil
}

// MemoryOptions say how a [Memory] behaves. The functions make every way in which
// an engine can fail happen in a test; they may block, which delays the append.
type MemoryOptions struct {
	// Log is the identity of the log; blocks of another one are refused.
	Log LogID
	// Capacity is how many bytes of blocks there is space for in all; 0: no limit.
	Capacity int64
	// Before is called ahead of storing a block; when it returns an error, the
	// block is not stored. An error that is ErrFull is returned as such, any other
	// makes the partition fail.
	Before func(partition string, block []byte) error
	// After is called when a block has been stored and can be read, but Append has
	// not returned. An error makes the partition fail although the block is stored.
	After func(partition string, block []byte) error
	// Reading is called ahead of Next for a number; an error is its answer.
	Reading func(partition string, seq uint64) error
}

// Memory is an engine without a disk: the model that other engines are compared
// with. It starts no goroutines and knows no time. All methods may be called at
// once.
type Memory struct {
	mu    sync.Mutex
	opts  MemoryOptions
	parts map[string]*memoryPartition
	size  int64
	over  bool // closed or restarted
}

var (
	_ Engine    = (*Memory)(nil)
	_ Partition = (*memoryHandle)(nil)
)

// NewMemory returns an empty engine.
func NewMemory(opts MemoryOptions) *Memory {
	return &Memory{opts: opts, parts: map[string]*memoryPartition{}}
}

// memoryPartition is what is stored of a partition; the engine's mu guards it.
type memoryPartition struct {
	blocks   []memoryBlock
	last     Header
	reserved uint64
	damage   []Damage
	open     *memoryHandle
}

// memoryBlock is never changed, only replaced.
type memoryBlock struct {
	Header
	bytes []byte
}

// memoryHandle is an open partition.
type memoryHandle struct {
	m      *Memory
	name   string
	stored *memoryPartition
	// turn is full while Append or Close runs, so that Close waits for a block that
	// is being appended. It is a channel because the functions of the options may
	// block for simulated time, which a waiting mutex would stop.
	turn   chan struct{}
	failed error // of whoever has the turn
	closed bool  // guarded by m.mu
}

// Open opens a partition: see [Engine].
func (m *Memory) Open(ctx context.Context, name string) (Partition, error) {
	if err := errors.Join(ctx.Err(), CheckPartition(name)); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return nil, ErrClosed
	}
	p := m.parts[name]
	if p == nil {
		p = &memoryPartition{}
		m.parts[name] = p
	}
	if p.open != nil {
		return nil, fmt.Errorf("partition %q is open already", name)
	}
	p.open = &memoryHandle{m: m, name: name, stored: p, turn: make(chan struct{}, 1)}
	return p.open, nil
}

// Partitions returns the names of the partitions, sorted.
func (m *Memory) Partitions(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return nil, ErrClosed
	}
	names := make([]string, 0, len(m.parts))
	for name := range m.parts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// Close closes the engine and the partitions that are open. What was stored is
// kept for Restart.
func (m *Memory) Close() error {
	m.mu.Lock()
	m.over = true
	var open []*memoryHandle
	for _, p := range m.parts {
		if p.open != nil {
			open = append(open, p.open)
		}
	}
	m.mu.Unlock()
	for _, p := range open {
		_ = p.Close() // it cannot fail
	}
	return nil
}

// Restart closes m as if its process had been killed and returns an engine with
// everything that m stored and with the options given. It does not wait for an
// Append that is under way: whatever m stores from now on is lost.
func (m *Memory) Restart(opts MemoryOptions) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over = true
	n := NewMemory(opts)
	n.size = m.size
	for name, p := range m.parts {
		if p.open != nil {
			p.open.closed = true
		}
		n.parts[name] = p.restart()
	}
	return n
}

// restart returns a copy of p as it is found at a start: a lost block at the end
// is not the newest one any more, but its numbers stay reserved.
func (p *memoryPartition) restart() *memoryPartition {
	n := &memoryPartition{blocks: slices.Clone(p.blocks), reserved: p.reserved, damage: slices.Clone(p.damage)}
	if len(n.blocks) > 0 {
		n.last = n.blocks[len(n.blocks)-1].Header
	}
	if p.last.Count > 0 && p.last.Last() > n.highest() {
		n.reserved = p.last.Last()
	}
	return n
}

// highest returns the highest number that is stored or reserved.
func (p *memoryPartition) highest() uint64 {
	if p.last.Count == 0 {
		return p.reserved
	}
	return max(p.reserved, p.last.Last())
}

// SetCapacity changes [MemoryOptions.Capacity].
func (m *Memory) SetCapacity(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opts.Capacity = n
}

// Lose makes the stored block that holds seq unreadable, as if its header had
// been damaged. It reports whether there was one.
func (m *Memory) Lose(partition string, seq uint64) bool {
	return m.edit(partition, seq, func(p *memoryPartition, i int) {
		b := &p.blocks[i]
		p.damage = append(p.damage, Damage{First: b.First, Last: b.Last(), Where: "memory", Cause: "bad block header"})
		m.size -= int64(len(b.bytes))
		p.blocks = slices.Delete(p.blocks, i, i+1)
	})
}

// Corrupt flips the lowest bit of the byte at offset of the stored block that
// holds seq; the header's checksum is not looked at again. It reports whether
// there was such a byte.
func (m *Memory) Corrupt(partition string, seq uint64, offset int) bool {
	done := false
	m.edit(partition, seq, func(p *memoryPartition, i int) {
		if b := bytes.Clone(p.blocks[i].bytes); offset < len(b) {
			b[offset] ^= 1
			p.blocks[i].bytes, done = b, true
		}
	})
	return done
}

func (m *Memory) edit(partition string, seq uint64, change func(p *memoryPartition, i int)) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.parts[partition]
	if p == nil {
		return false
	}
	i := p.find(seq)
	if i == len(p.blocks) || p.blocks[i].First > seq {
		return false
	}
	p.blocks = slices.Clone(p.blocks)
	change(p, i)
	return true
}

// find returns the index of the first block that ends at seq or later.
func (p *memoryPartition) find(seq uint64) int {
	return sort.Search(len(p.blocks), func(i int) bool { return p.blocks[i].Last() >= seq })
}

// Append stores a block: see [Partition].
func (p *memoryHandle) Append(_ context.Context, block []byte) error {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if p.failed != nil {
		return fmt.Errorf("%w: %w", ErrFailed, p.failed)
	}
	err := p.store(block)
	if err == nil || errors.Is(err, ErrFull) || errors.Is(err, ErrClosed) {
		return err
	}
	p.failed = err
	return fmt.Errorf("%w: %w", ErrFailed, err)
}

func (p *memoryHandle) store(block []byte) error {
	p.m.mu.Lock()
	opts, closed := p.m.opts, p.closed
	p.m.mu.Unlock()
	if closed {
		return ErrClosed
	}
	h, err := ParseHeader(block)
	if err == nil && h.Size() != len(block) {
		err = fmt.Errorf("block has %d bytes instead of %d", len(block), h.Size())
	}
	if err == nil && (h.Log != opts.Log || h.Partition != Checksum([]byte(p.name))) {
		err = errors.New("block belongs to another log or partition")
	}
	if err == nil && opts.Before != nil {
		err = opts.Before(p.name, block)
	}
	if err == nil {
		err = p.keep(h, block)
	}
	if err == nil && opts.After != nil {
		err = opts.After(p.name, block)
		if errors.Is(err, ErrFull) {
			err = errors.New(err.Error()) // the block is stored: there is nothing to try again
		}
	}
	return err
}

func (p *memoryHandle) keep(h Header, block []byte) error {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	switch n := int64(len(block)); {
	case p.closed:
		return ErrClosed
	case h.First <= p.stored.highest():
		return fmt.Errorf("block starts at %d, not beyond %d", h.First, p.stored.highest())
	case p.m.opts.Capacity > 0 && p.m.size+n > p.m.opts.Capacity:
		return fmt.Errorf("%w: capacity of %d bytes", ErrFull, p.m.opts.Capacity)
	}
	p.stored.blocks = append(p.stored.blocks, memoryBlock{h, bytes.Clone(block)})
	p.stored.last = h
	p.m.size += int64(len(block))
	return nil
}

// Next returns the block that holds seq or the first one after it: see [Partition].
func (p *memoryHandle) Next(ctx context.Context, seq uint64) (Stored, error) {
	if f := p.m.opts.Reading; f != nil {
		if err := f(p.name, seq); err != nil {
			return Stored{}, err
		}
	}
	return p.get(ctx, func(s *memoryPartition) int { return s.find(seq) })
}

// Since returns the first block accepted at t or later: see [Partition].
func (p *memoryHandle) Since(ctx context.Context, t time.Time) (Stored, error) {
	return p.get(ctx, func(s *memoryPartition) int {
		return sort.Search(len(s.blocks), func(i int) bool { return !s.blocks[i].Accepted.Before(t) })
	})
}

func (p *memoryHandle) get(ctx context.Context, find func(*memoryPartition) int) (Stored, error) {
	if err := ctx.Err(); err != nil {
		return Stored{}, err
	}
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	if p.closed {
		return Stored{}, ErrClosed
	}
	i := find(p.stored)
	if i == len(p.stored.blocks) {
		return Stored{}, io.EOF
	}
	b := &p.stored.blocks[i]
	return Stored{Header: b.Header, ReaderAt: bytes.NewReader(b.bytes)}, nil
}

// Trim removes every block all of whose numbers are below seq except the newest:
// see [Partition].
func (p *memoryHandle) Trim(ctx context.Context, seq uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	n := min(p.stored.find(seq), max(0, len(p.stored.blocks)-1))
	for i := range n {
		p.m.size -= int64(len(p.stored.blocks[i].bytes))
	}
	p.stored.blocks = slices.Clone(p.stored.blocks[n:])
	p.stored.damage = slices.DeleteFunc(p.stored.damage, func(d Damage) bool {
		return len(p.stored.blocks) > 0 && d.Last < p.stored.blocks[0].First
	})
	return nil
}

// State describes what is stored: see [Partition].
func (p *memoryHandle) State() State {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	s := State{Last: p.stored.last, Reserved: p.stored.reserved, Damage: slices.Clone(p.stored.damage)}
	s.Damage = s.Damage[:min(len(s.Damage), MaxDamage)]
	for i := range p.stored.blocks {
		s.Bytes += int64(len(p.stored.blocks[i].bytes))
	}
	if len(p.stored.blocks) > 0 {
		s.First = p.stored.blocks[0].First
	}
	return s
}

// Close ends the partition: see [Partition].
func (p *memoryHandle) Close() error {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	p.closed = true
	if p.stored.open == p {
		p.stored.open = nil
	}
	return nil
}
