package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/store"
)

// schema is the version of the tables that this program writes. A file with an
// older one is migrated when it is opened; a newer one is refused.
const schema = 2

// The tables, word for word as the file keeps them: other words are damage. A sum
// is that of [recordSum] and [metaSum].
const (
	metaTable    = "CREATE TABLE meta(name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT, WITHOUT ROWID"
	recordsTable = "CREATE TABLE records(key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT, WITHOUT ROWID"

	// Those of schema 1, which had no checksums.
	metaTable1    = "CREATE TABLE meta(name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT, WITHOUT ROWID"
	recordsTable1 = "CREATE TABLE records(key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL) STRICT, WITHOUT ROWID"
)

// Rows of the table meta. The reserved number is a version of records that is at
// least as high as every one ever given, so that none repeats, even for a key that
// was deleted and created again.
const (
	metaSchema   = "schema"
	metaReserved = "reserved"
)

// prepareSchema creates the tables in an empty file, brings those of an older
// schema up to date, and otherwise checks that they are ours. It returns the
// reserved version number.
func prepareSchema(ctx context.Context, c *sql.Conn) (reserved uint64, err error) {
	tables, err := readTables(ctx, c)
	if err != nil {
		return 0, err
	}
	if len(tables) == 0 {
		return 0, inTransaction(ctx, c, func(tx *sql.Tx) error { return createTables(ctx, tx, 0) })
	}
	meta, haveMeta := tables["meta"]
	records, haveRecords := tables["records"]
	if !haveMeta && !haveRecords {
		return 0, errors.New("the file is a database of something else")
	}
	if meta == metaTable1 && records == recordsTable1 {
		if err := migrate(ctx, c); err != nil {
			return 0, fmt.Errorf("migrate from schema 1: %w", err)
		}
		return metaValue(ctx, c, metaReserved)
	}
	if meta != metaTable || records != recordsTable {
		return 0, otherTables(ctx, c)
	}
	found, err := metaValue(ctx, c, metaSchema)
	if err != nil {
		return 0, err
	}
	if found != schema {
		return 0, newerSchema(found)
	}
	return metaValue(ctx, c, metaReserved)
}

// readTables returns the statements that made the tables, by name.
func readTables(ctx context.Context, c *sql.Conn) (map[string]string, error) {
	rows, err := c.QueryContext(ctx, "SELECT name, coalesce(sql, '') FROM sqlite_schema")
	if err != nil {
		return nil, err
	}
	tables := map[string]string{}
	for rows.Next() {
		var name, statement string
		if err := rows.Scan(&name, &statement); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		tables[name] = statement
	}
	return tables, errors.Join(rows.Err(), rows.Close())
}

// otherTables tells tables of a newer program from damaged ones.
func otherTables(ctx context.Context, c *sql.Conn) error {
	var found uint64
	err := c.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = '"+metaSchema+"'").Scan(&found)
	if err == nil && found > schema {
		return newerSchema(found)
	}
	return fmt.Errorf("%w: its tables are not those that were made", store.ErrDamaged)
}

func newerSchema(found uint64) error {
	return fmt.Errorf("the file has schema %d and this program knows schemas up to %d only: "+
		"use the version of the program that wrote it, or a newer one", found, schema)
}

func inTransaction(ctx context.Context, c *sql.Conn, do func(*sql.Tx) error) error {
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	failpoint.Here(failpoint.SchemaWriting)
	err = tx.Commit()
	failpoint.Here(failpoint.SchemaWritten)
	return err
}

func createTables(ctx context.Context, tx *sql.Tx, reserved int64) error {
	if _, err := tx.ExecContext(ctx, metaTable+";"+recordsTable); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO meta(name, value, sum) VALUES (?, ?, ?), (?, ?, ?)",
		metaSchema, schema, metaSum(metaSchema, schema), metaReserved, reserved, metaSum(metaReserved, reserved))
	return err
}

// metaValue returns the value of a row of meta, which it verifies.
func metaValue(ctx context.Context, q querier, name string) (uint64, error) {
	var value, sum int64
	err := q.QueryRowContext(ctx, "SELECT value, sum FROM meta WHERE name = ?", name).Scan(&value, &sum)
	if errors.Is(err, sql.ErrNoRows) || err == nil && metaSum(name, value) != sum {
		return 0, fmt.Errorf("%w: meta row %q does not verify", store.ErrDamaged, name)
	}
	if err != nil {
		return 0, fmt.Errorf("read meta row %q: %w", name, err)
	}
	return uint64(value), nil
}

// migrate gives the records of schema 1 their checksums. All of it is one
// transaction: a file that was left half-way is one of schema 1.
func migrate(ctx context.Context, c *sql.Conn) error {
	if err := checkStructure(ctx, c); err != nil {
		return err
	}
	return inTransaction(ctx, c, func(tx *sql.Tx) error { return migrateIn(ctx, tx) })
}

func migrateIn(ctx context.Context, tx *sql.Tx) error {
	var reserved int64
	if err := tx.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = 'reserved'").Scan(&reserved); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DROP TABLE meta; ALTER TABLE records RENAME TO records_1"); err != nil {
		return err
	}
	if err := createTables(ctx, tx, reserved); err != nil {
		return err
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO records(key, value, version, sum) VALUES (?, ?, ?, ?)")
	if err != nil {
		return err
	}
	for last, more := "", true; more && err == nil; {
		last, more, err = migratePage(ctx, tx, insert, last)
	}
	if err := errors.Join(err, insert.Close()); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "DROP TABLE records_1")
	return err
}

// migratePage copies records behind the key last. It returns the last key that it
// copied.
func migratePage(ctx context.Context, tx *sql.Tx, insert *sql.Stmt, last string) (_ string, more bool, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT key, value, version FROM records_1 WHERE key > ? ORDER BY key LIMIT ?", last, pageRecords)
	if err != nil {
		return "", false, err
	}
	var page []store.Record
	for rows.Next() {
		var r store.Record
		if err := rows.Scan(&r.Key, &r.Value, &r.Version); err != nil {
			return "", false, errors.Join(err, rows.Close())
		}
		page = append(page, r)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return "", false, err
	}
	for _, r := range page {
		version := int64(r.Version)
		if _, err := insert.ExecContext(ctx, r.Key, present(r.Value), version, recordSum(r.Key, r.Value, version)); err != nil {
			return "", false, err
		}
		last = r.Key
	}
	return last, len(page) == pageRecords, nil
}
