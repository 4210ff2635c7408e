package sqlite

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sluicelog/sluice/store"
)

// recordSum is the checksum of a record, over its key, value and version. The
// database verifies nothing of what it stores, and finds a damaged page only when
// its structure is wrong.
func recordSum(key string, value []byte, version int64) int64 {
	const odd = 0x9e3779b97f4a7c15 // no other value of one part alone gives the same sum
	h := xxhash.Sum64(value)
	h = h*odd + xxhash.Sum64String(key)
	h = h*odd + uint64(version)
	return int64(h)
}

// metaSum is the checksum of a row of the table meta.
func metaSum(name string, value int64) int64 { return recordSum(name, nil, value) }

// verifyRecord reports that a record is not the one that was written.
func verifyRecord(key string, value []byte, version, sum int64) error {
	if recordSum(key, value, version) != sum {
		return fmt.Errorf("%w: record %q does not verify", store.ErrDamaged, key)
	}
	return nil
}

// scanRecord reads and verifies a row of [selectRecords].
func scanRecord(rows *sql.Rows) (store.Record, error) {
	var key string
	var value []byte
	var numbers [2]any // which database/sql reads without a detour
	if err := rows.Scan(&key, &value, &numbers[0], &numbers[1]); err != nil {
		return store.Record{}, fmt.Errorf("%w: a record cannot be read: %w", store.ErrDamaged, err)
	}
	version, _ := numbers[0].(int64) // another type does not verify
	sum, _ := numbers[1].(int64)
	err := verifyRecord(key, value, version, sum)
	return store.Record{Key: key, Value: present(value), Version: uint64(version)}, err
}

// present tells an empty value, which the driver reads as nil, from none.
func present(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

// fileError makes an error of the driver that shows damage one of the port. What
// is asked of the database is always the same: when it finds fault with that, its
// tables are not what they were.
func fileError(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok || errors.Is(err, store.ErrDamaged) {
		return err
	}
	switch code := e.Code(); {
	case code&0xff == sqlite3.SQLITE_CORRUPT, code&0xff == sqlite3.SQLITE_NOTADB, code&0xff == sqlite3.SQLITE_ERROR,
		code&0xff == sqlite3.SQLITE_CONSTRAINT, code&0xff == sqlite3.SQLITE_MISMATCH, code == sqlite3.SQLITE_IOERR_SHORT_READ:
		return fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	return err
}
