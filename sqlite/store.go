package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync"
	"sync/atomic"

	"github.com/sluicelog/sluice/store"
)

// Store is control state in one file. Open it with [OpenStore].
type Store struct {
	statements
	path    string
	opts    Options
	lock    *os.File // held while the store is open
	writers *sql.DB  // one connection, the next field
	readers *sql.DB
	closed  atomic.Bool

	failure sync.Once
	failed  chan struct{} // closed when the store has failed
	cause   error         // why; set before failed is closed

	// turn is held, by a token in it, by the one who writes: it guards conn, the
	// writing statements and the fields up to reserved.
	turn     chan struct{}
	conn     *sql.Conn
	version  uint64 // the newest given to a record
	wal      growth
	mark     mark
	reserved uint64 // what the file reserves: version never passes it

	mu    sync.Mutex // guards queue; never held while writing
	queue []*request // what waits for its turn, oldest first
}

var _ store.Store = (*Store)(nil)

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key string) (store.Record, error) {
	if err := s.usable(ctx); err != nil {
		return store.Record{}, err
	}
	var value []byte
	var version, sum int64
	err := s.get.QueryRowContext(ctx, key).Scan(&value, &version, &sum)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Record{}, store.ErrNotFound
	}
	if err == nil {
		err = verifyRecord(key, value, version, sum)
	}
	if err != nil {
		return store.Record{}, s.readError(ctx, fmt.Errorf("read record %q: %w", key, err))
	}
	return store.Record{Key: key, Value: present(value), Version: uint64(version)}, nil
}

// List implements [store.Store]. It reads pages, each in a transaction of its
// own: a caller may take its time, and change records on the way, without
// keeping the WAL from being emptied.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		from, end := prefix, prefixEnd(prefix)
		for more := true; more; {
			var page []store.Record
			var err error
			page, more, err = s.page(ctx, from, end)
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
				from = r.Key + "\x00" // the next key that there can be
			}
			if err != nil {
				yield(store.Record{}, err)
				return
			}
		}
	}
}

// Limits of a page of List.
const (
	pageRecords = 512
	pageBytes   = 1 << 20
)

// page reads records with from <= key < end.
func (s *Store) page(ctx context.Context, from, end string) (page []store.Record, more bool, err error) {
	if err := s.usable(ctx); err != nil {
		return nil, false, err
	}
	rows, err := s.list.QueryContext(ctx, from, end)
	if err != nil {
		return nil, false, s.readError(ctx, fmt.Errorf("list records: %w", err))
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	size := 0
	for len(page) < pageRecords && size < pageBytes {
		if !rows.Next() {
			if err := rows.Err(); err != nil {
				return nil, false, s.readError(ctx, fmt.Errorf("list records: %w", err))
			}
			return page, false, nil
		}
		r, err := scanRecord(rows)
		if err != nil {
			return nil, false, s.readError(ctx, fmt.Errorf("list records: %w", err))
		}
		page = append(page, r)
		size += len(r.Value)
	}
	return page, true, nil
}

// prefixEnd is the first string behind all keys that start with prefix. Keys are
// UTF-8 and compared as bytes, so none has or comes after 0xff.
func prefixEnd(prefix string) string {
	end := []byte(prefix)
	if len(end) == 0 || end[len(end)-1] == 0xff {
		return "\xff"
	}
	end[len(end)-1]++
	return string(end)
}

// usable reports why nothing can be asked of the store.
func (s *Store) usable(ctx context.Context) error {
	if s.closed.Load() {
		return store.ErrClosed
	}
	if err := s.Cause(); err != nil {
		return err
	}
	return ctx.Err()
}

// readError names the reason behind err when the caller gave up or the store was
// closed meanwhile: the driver's own error for it is another. When it shows
// damage the store has failed.
func (s *Store) readError(ctx context.Context, err error) error {
	if reason := s.usable(ctx); reason != nil {
		return reason
	}
	if err = fileError(err); errors.Is(err, store.ErrDamaged) {
		s.fail(err)
	}
	return err
}

// fail ends the taking of changes; the first cause counts.
func (s *Store) fail(cause error) {
	s.failure.Do(func() {
		s.cause = cause
		close(s.failed)
	})
}

// Failed returns a channel that is closed when the store has failed for good,
// with [store.ErrFailed] or [store.ErrDamaged]. A server ends then.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Cause returns why the store has failed, nil while it has not.
func (s *Store) Cause() error {
	select {
	case <-s.failed:
		return s.cause
	default:
		return nil
	}
}

// Close implements [store.Store]. Changes that wait for their turn are carried
// out first. A second Close does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.closed.Swap(true) // under mu: nothing joins the queue from here on
	s.mu.Unlock()
	if again {
		return nil
	}
	s.turn <- struct{}{} // for good
	s.writeQueue()
	return s.release()
}

// release closes what is open, the lock last. A connection whose statements were
// still open would live on unseen, with its files and their locks.
func (s *Store) release() error {
	var errs []error
	for _, stmt := range s.prepared {
		errs = append(errs, stmt.Close())
	}
	if s.readers != nil {
		errs = append(errs, s.readers.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	if s.writers != nil {
		errs = append(errs, s.writers.Close())
	}
	return errors.Join(append(errs, s.wal.close(), s.mark.close(), s.lock.Close())...)
}
