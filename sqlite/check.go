package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/sluicelog/sluice/store"
)

// Check reads the whole file and reports damage of its structure, of its meta rows
// and of any record as [store.ErrDamaged]; the store has failed then. It takes time
// in proportion to the file, two processors of it, and can run beside everything
// else. Only damage of the structure makes a record vanish without a trace, so
// what passes is whole.
func (s *Store) Check(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	var structure, records error
	var wg sync.WaitGroup
	wg.Go(func() { structure = checkStructure(ctx, s.readers) })
	records = errors.Join(checkMeta(ctx, s.readers), checkRecords(ctx, s.readers))
	wg.Wait()
	if err := errors.Join(structure, records); err != nil {
		return s.readError(ctx, fmt.Errorf("check control state: %w", err))
	}
	return nil
}

// querier is a database or one connection to it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// checkStructure has SQLite account for every byte of every page, and compare the
// order of the keys.
func checkStructure(ctx context.Context, q querier) error {
	rows, err := q.QueryContext(ctx, "PRAGMA quick_check(10)")
	if err != nil {
		return err
	}
	var found []error
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return errors.Join(err, rows.Close())
		}
		if line != "ok" {
			found = append(found, fmt.Errorf("%w: %s", store.ErrDamaged, line))
		}
	}
	return errors.Join(append(found, rows.Err(), rows.Close())...)
}

// checkRecords verifies every record.
func checkRecords(ctx context.Context, q querier) error {
	rows, err := q.QueryContext(ctx, "SELECT key, value, version, sum FROM records")
	if err != nil {
		return err
	}
	var key, value sql.RawBytes
	var version, sum int64
	for rows.Next() {
		if err = rows.Scan(&key, &value, &version, &sum); err != nil {
			err = fmt.Errorf("%w: a record cannot be read: %w", store.ErrDamaged, err)
			break
		}
		if err = verifyRecord(string(key), value, version, sum); err != nil {
			break
		}
	}
	return errors.Join(err, rows.Err(), rows.Close())
}

// checkMeta verifies the rows of the table meta.
func checkMeta(ctx context.Context, q querier) error {
	for _, name := range []string{metaSchema, metaReserved} {
		if _, err := metaValue(ctx, q, name); err != nil {
			return err
		}
	}
	return nil
}
