package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/sluicelog/sluice/store"
)

// Peek returns the records whose keys start with prefix, read from the file at
// path without taking its lock: another process may have it open and write. It
// is for tools that look at a server's state from outside. A file of an older
// schema has to be opened by a server first.
func Peek(ctx context.Context, path, prefix string) (records []store.Record, err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	if err := checkIdleLog(path); err != nil {
		return nil, fmt.Errorf("read control state %s: %w", path, err)
	}
	db, err := connect(path, Options{}.withDefaults(), 1, "query_only(1)")
	if err != nil {
		return nil, fmt.Errorf("read control state %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, selectRecords, prefix, prefixEnd(prefix))
	if err != nil {
		return nil, fmt.Errorf("read control state %s: %w", path, fileError(err))
	}
	for rows.Next() {
		r, err := scanRecord(rows)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read control state %s: %w", path, err), rows.Close())
		}
		records = append(records, r)
	}
	return records, errors.Join(fileError(rows.Err()), rows.Close())
}
