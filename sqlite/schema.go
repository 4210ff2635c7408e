package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// schema is the version of the tables that this program writes. A file with an
// older one is migrated here when there is one; a newer one is refused.
const schema = 1

// tables are those of schema 1. The meta row "reserved" is a version number of
// records that is at least as high as every one ever given, so that a number
// never repeats, even for a key that was deleted and created again.
const tables = `
CREATE TABLE meta(name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE records(key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta(name, value) VALUES ('schema', 1), ('reserved', 0);`

// prepareSchema creates the tables in an empty file and otherwise checks that
// they are ours. It returns the reserved version number.
func prepareSchema(ctx context.Context, c *sql.Conn) (reserved uint64, err error) {
	var n int
	if err := c.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n); err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, createTables(ctx, c)
	}
	if err := c.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE name IN ('meta', 'records')").Scan(&n); err != nil {
		return 0, err
	}
	if n != 2 {
		return 0, errors.New("the file is a database of something else")
	}
	found, err := metaValue(ctx, c, "schema")
	if err != nil {
		return 0, err
	}
	if found != schema {
		return 0, fmt.Errorf("the file has schema %d and this program knows schema %d only: "+
			"use the version of the program that wrote it, or a newer one", found, schema)
	}
	return metaValue(ctx, c, "reserved")
}

func createTables(ctx context.Context, c *sql.Conn) error {
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, tables); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func metaValue(ctx context.Context, c *sql.Conn, name string) (uint64, error) {
	var value int64
	err := c.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", name).Scan(&value)
	if err != nil {
		return 0, fmt.Errorf("read meta row %q: %w", name, err)
	}
	return uint64(value), nil
}
