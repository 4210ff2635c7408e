package store

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Memory is a [Store] in memory: the reference that every other engine is
// compared with, and the store of tests in simulated time. It starts no
// goroutine and holds its lock for short computations only, so it works inside
// a testing/synctest bubble.
type Memory struct {
	mu      sync.Mutex
	before  func(Change) error // nil for none
	after   func(Change) error // nil for none
	closed  bool
	version uint64            // the newest given to any record
	records map[string]Record // values are never changed in place
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{records: make(map[string]Record)}
}

// SetBefore has f called before each change from now on, without any lock held;
// nil ends that. An error from f becomes the answer for that change, which is then
// not carried out: a test injects [ErrFull] here, or blocks to play a slow disk.
func (m *Memory) SetBefore(f func(Change) error) { m.set(&m.before, f) }

// SetAfter is the same for after a change was carried out: the error of f becomes
// the answer although the record has changed, as when a connection breaks before
// the answer arrives.
func (m *Memory) SetAfter(f func(Change) error) { m.set(&m.after, f) }

func (m *Memory) set(hook *func(Change) error, f func(Change) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*hook = f
}

// call calls a hook, when it is set.
func (m *Memory) call(hook *func(Change) error, c Change) error {
	m.mu.Lock()
	f := *hook
	m.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(c)
}

// Snapshot returns an open store that holds what m holds now, without its hooks.
// It is what a process finds that starts after this one was killed: m can still
// be written by what is left of the old one, and the snapshot does not see it.
func (m *Memory) Snapshot() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Memory{version: m.version, records: maps.Clone(m.records)}
}

// Get implements [Store].
func (m *Memory) Get(ctx context.Context, key string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return Record{}, ErrClosed
	}
	r, ok := m.records[key]
	if !ok {
		return Record{}, ErrNotFound
	}
	return r.clone(), nil
}

// Apply implements [Store]. Changes are carried out in their order.
func (m *Memory) Apply(ctx context.Context, changes ...Change) []error {
	errs := make([]error, len(changes))
	for i, c := range changes {
		errs[i] = m.apply(ctx, c)
	}
	return Errors(errs)
}

func (m *Memory) apply(ctx context.Context, c Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return err
	}
	if err := m.call(&m.before, c); err != nil {
		return err
	}
	if err := m.put(c); err != nil {
		return err
	}
	return m.call(&m.after, c)
}

func (m *Memory) put(c Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	if m.records[c.Key].Version != c.Version {
		return ErrConflict
	}
	if c.Value == nil {
		delete(m.records, c.Key)
		return nil
	}
	m.version++
	m.records[c.Key] = Record{Key: c.Key, Value: slices.Clone(c.Value), Version: m.version}
	if c.NewVersion != nil {
		*c.NewVersion = m.version
	}
	return nil
}

// List implements [Store]. It yields the records of the moment it began.
func (m *Memory) List(ctx context.Context, prefix string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		records, err := m.matching(prefix)
		if err != nil {
			yield(Record{}, err)
			return
		}
		for _, r := range records {
			if err := ctx.Err(); err != nil {
				yield(Record{}, err)
				return
			}
			if !yield(r.clone(), nil) {
				return
			}
		}
	}
}

func (m *Memory) matching(prefix string) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	var records []Record
	for key, r := range m.records {
		if strings.HasPrefix(key, prefix) {
			records = append(records, r)
		}
	}
	slices.SortFunc(records, func(a, b Record) int { return strings.Compare(a.Key, b.Key) })
	return records, nil
}

// Close implements [Store]. The records stay, for Snapshot.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// clone gives the caller bytes of its own.
func (r Record) clone() Record {
	r.Value = slices.Clone(r.Value)
	return r
}
