package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/index"
)

// Index keeps the indexes of partitions, each in a file of its own in one folder.
// Open it with [OpenIndex].
//
// The file is called <partition>-<generation>.db. Its state says whether it is
// ready: a generation that is being made is not, and becomes so by one
// transaction. The newest that is ready is the partition's index; others are
// removed when the partition is opened.
type Index struct {
	dir  string
	opts Options

	mu     sync.Mutex // guards what follows, and replaced in each file
	closed bool
	opened map[string]*indexFile // what Open or Adopt gave
	making map[string]*indexFile // what Renew gave
	spoilt map[string]uint64     // generations that took no change for damage
}

var (
	_ index.Engine    = (*Index)(nil)
	_ index.Partition = (*indexFile)(nil)
)

// OpenIndex opens the indexes in the folder dir and creates it, with mode 0700,
// when it is absent. One process at a time may use them: who has the control
// state beside them open is the one.
func OpenIndex(dir string, o Options) (*Index, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	return &Index{dir: dir, opts: o.withDefaults(), opened: map[string]*indexFile{}, making: map[string]*indexFile{},
		spoilt: map[string]uint64{}}, nil
}

// Open implements [index.Engine].
func (x *Index) Open(ctx context.Context, partition string) (index.Partition, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.closed:
		return nil, index.ErrClosed
	case x.opened[partition] != nil:
		return nil, fmt.Errorf("open index %q: it is open", partition)
	}
	f, err := x.newestReady(ctx, partition)
	if err == nil && f.generation == x.spoilt[partition] {
		err = errors.Join(fmt.Errorf("%w: it takes no change", index.ErrDamaged), f.release())
	}
	if err != nil {
		return nil, fmt.Errorf("open index %q: %w", partition, err)
	}
	x.opened[partition] = f
	return f, nil
}

// newestReady opens the partition's index and removes the other generations, but
// for one that is being made.
func (x *Index) newestReady(ctx context.Context, partition string) (*indexFile, error) {
	generations, err := x.generations(partition)
	if err != nil {
		return nil, err
	}
	if made := x.making[partition]; made != nil {
		generations = slices.DeleteFunc(generations, func(g uint64) bool { return g == made.generation })
	}
	if len(generations) == 0 {
		return x.file(ctx, partition, 1, true)
	}
	for i, g := range generations {
		oldest := i == len(generations)-1
		f, err := x.file(ctx, partition, g, oldest)
		if err == nil && !f.ready && oldest {
			err = fmt.Errorf("%w: it was not finished", index.ErrDamaged)
		}
		if err != nil && (oldest || !errors.Is(err, index.ErrDamaged)) {
			return nil, errors.Join(err, f.release())
		}
		if err == nil && f.ready {
			if err := x.remove(partition, generations[i+1:]...); err != nil {
				return nil, errors.Join(err, f.release())
			}
			return f, nil
		}
		if err := errors.Join(f.release(), x.remove(partition, g)); err != nil {
			return nil, err
		}
	}
	return nil, nil // not reached: the oldest is the last
}

// generations lists the files of a partition, newest first.
func (x *Index) generations(partition string) ([]uint64, error) {
	entries, err := os.ReadDir(x.dir)
	if err != nil {
		return nil, err
	}
	var list []uint64
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), partition+"-")
		number, db := strings.CutSuffix(rest, ".db")
		if g, err := strconv.ParseUint(number, 10, 63); ok && db && err == nil && g > 0 {
			list = append(list, g)
		}
	}
	slices.SortFunc(list, func(a, b uint64) int { return cmp.Compare(b, a) })
	return list, nil
}

func (x *Index) path(partition string, generation uint64) string {
	return filepath.Join(x.dir, partition+"-"+strconv.FormatUint(generation, 10)+".db")
}

// remove removes generations, each with what SQLite keeps beside it.
func (x *Index) remove(partition string, generations ...uint64) error {
	var errs []error
	for _, g := range generations {
		path := x.path(partition, g)
		for _, name := range []string{path, path + "-wal", path + "-shm"} {
			if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
			failpoint.Here(failpoint.IndexUnlinked)
		}
	}
	return errors.Join(errs...)
}

// Renew implements [index.Engine].
func (x *Index) Renew(ctx context.Context, partition string) (index.Partition, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.closed:
		return nil, index.ErrClosed
	case x.making[partition] != nil:
		return nil, fmt.Errorf("renew index %q: it is being made anew", partition)
	}
	generations, err := x.generations(partition)
	if err != nil {
		return nil, fmt.Errorf("renew index %q: %w", partition, err)
	}
	next := uint64(1)
	if len(generations) > 0 {
		next += generations[0]
	}
	f, err := x.file(ctx, partition, next, false)
	if err != nil {
		return nil, fmt.Errorf("renew index %q: %w", partition, errors.Join(err, f.release(), x.remove(partition, next)))
	}
	failpoint.Here(failpoint.IndexRenewed)
	x.making[partition] = f
	return f, nil
}

// Adopt implements [index.Engine].
func (x *Index) Adopt(ctx context.Context, renewed index.Partition) error {
	f, ok := renewed.(*indexFile)
	if !ok || f.engine != x {
		return errors.New("adopt index: it belongs to another engine")
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.making[f.partition] != f {
		return fmt.Errorf("adopt index %q: it is not being made", f.partition)
	}
	if err := f.makeReady(ctx); err != nil {
		return fmt.Errorf("adopt index %q: %w", f.partition, err)
	}
	failpoint.Here(failpoint.IndexSwitched)
	delete(x.making, f.partition)
	before := x.opened[f.partition]
	x.opened[f.partition] = f
	if before != nil {
		before.replaced.Store(true)
		return nil // its Close removes it
	}
	generations, err := x.generations(f.partition)
	if err == nil {
		generations = slices.DeleteFunc(generations, func(g uint64) bool { return g >= f.generation })
		err = x.remove(f.partition, generations...)
		failpoint.Here(failpoint.IndexErased)
	}
	if err != nil {
		return fmt.Errorf("remove what index %q replaced: %w", f.partition, err)
	}
	return nil
}

// forget takes note that f was closed, and removes it when it is of no use.
func (x *Index) forget(f *indexFile) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if f.spoilt.Load() {
		x.spoilt[f.partition] = f.generation
	}
	if x.opened[f.partition] == f {
		delete(x.opened, f.partition)
		return nil
	}
	if x.making[f.partition] == f {
		delete(x.making, f.partition)
	}
	return x.remove(f.partition, f.generation)
}

// Close implements [index.Engine]. Partitions are closed before.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	return nil
}
