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
	lock    *os.File // held while the store is open
	writers *sql.DB  // one connection, the next field
	readers *sql.DB
	closed  atomic.Bool

	// turn is held, by a token in it, by the one who writes: it guards conn, the
	// writing statements and the fields up to failed.
	turn     chan struct{}
	conn     *sql.Conn
	version  uint64 // the newest given to a record
	reserved uint64 // what the file reserves: version never passes it
	failed   error  // why no further change is taken

	mu    sync.Mutex // guards queue; never held while writing
	queue []*request // what waits for its turn, oldest first
}

var _ store.Store = (*Store)(nil)

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key string) (store.Record, error) {
	if err := s.usable(ctx); err != nil {
		return store.Record{}, err
	}
	r := store.Record{Key: key}
	err := s.get.QueryRowContext(ctx, key).Scan(&r.Value, &r.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Record{}, store.ErrNotFound
	}
	if err != nil {
		return store.Record{}, s.readError(ctx, fmt.Errorf("read record %q: %w", key, err))
	}
	r.Value = present(r.Value)
	return r, nil
}

// present tells an empty value, which the driver reads as nil, from none.
func present(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
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
	pageRecords = 256
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
		var r store.Record
		if err := rows.Scan(&r.Key, &r.Value, &r.Version); err != nil {
			return nil, false, fmt.Errorf("list records: %w", err)
		}
		r.Value = present(r.Value)
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
	return ctx.Err()
}

// readError names the reason behind err when the caller gave up or the store was
// closed meanwhile: the driver's own error for it is another.
func (s *Store) readError(ctx context.Context, err error) error {
	if reason := s.usable(ctx); reason != nil {
		return reason
	}
	return err
}

// Check reads the whole file and reports damage in its structure. It takes time
// in proportion to the file and can run beside everything else.
func (s *Store) Check(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	rows, err := s.readers.QueryContext(ctx, "PRAGMA quick_check(10)")
	if err != nil {
		return s.readError(ctx, fmt.Errorf("check control state: %w", err))
	}
	var found []error
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return errors.Join(fmt.Errorf("check control state: %w", err), rows.Close())
		}
		if line != "ok" {
			found = append(found, fmt.Errorf("control state is damaged: %s", line))
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		found = append(found, s.readError(ctx, fmt.Errorf("check control state: %w", err)))
	}
	return errors.Join(found...)
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
	return errors.Join(append(errs, s.lock.Close())...)
}
