package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/index"
)

const (
	indexCacheKiB  = 1 << 10 // a connection: what is read often is kept by [index.Cache]
	indexPageShift = 24      // a page's key is its chunk's number and 24 bits of its own
)

// indexSchema is the version of these tables; what the chunks hold has its own in
// the position.
const indexSchema = 2

const indexTables = `
CREATE TABLE state(id INTEGER PRIMARY KEY CHECK (id = 1), schema INTEGER NOT NULL, ready INTEGER NOT NULL,
	log BLOB NOT NULL, format INTEGER NOT NULL, seq INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
CREATE TABLE chunks(number INTEGER PRIMARY KEY, first INTEGER NOT NULL UNIQUE, last INTEGER NOT NULL,
	events INTEGER NOT NULL, first_accepted INTEGER NOT NULL, last_accepted INTEGER NOT NULL,
	min_time INTEGER NOT NULL, max_time INTEGER NOT NULL, pages INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
CREATE TABLE pages(id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;`

// indexFile is the index of a partition in one file. What is not a page is kept
// in memory as well.
type indexFile struct {
	engine     *Index
	partition  string
	generation uint64
	ready      bool        // as it was when it was opened
	replaced   atomic.Bool // another is the partition's index now
	closed     atomic.Bool
	spoilt     atomic.Bool // a change met damage: Open shall not give it again

	writers *sql.DB // one connection
	readers *sql.DB
	page    *sql.Stmt // on the reading connections

	mu       sync.RWMutex // guards what follows; held for writing after a commit
	position index.Position
	chunks   []indexChunk
}

// indexChunk is a chunk with its number in the file.
type indexChunk struct {
	index.Info
	number int64
}

// file opens a generation, and creates it when it is absent or was left without
// tables. It returns what it has opened with an error, too: to be released.
func (x *Index) file(ctx context.Context, partition string, generation uint64, ready bool) (*indexFile, error) {
	f := &indexFile{engine: x, partition: partition, generation: generation}
	path := x.path(partition, generation)
	if err := createFile(path); err != nil {
		return f, err
	}
	cache := "cache_size(-" + strconv.Itoa(indexCacheKiB) + ")"
	var err error
	if f.writers, err = connect(path, x.opts, 1, cache, "synchronous(NORMAL)", "journal_mode(WAL)",
		"wal_autocheckpoint("+strconv.Itoa(checkpointPages)+")",
		"journal_size_limit("+strconv.Itoa(2*checkpointPages*pageSize)+")"); err != nil {
		return f, err
	}
	if f.readers, err = connect(path, x.opts, x.opts.Readers, readerCache, "query_only(1)"); err != nil {
		return f, err
	}
	if err = f.prepare(ctx, ready); err != nil {
		return f, headerError(path, indexError(err), index.ErrDamaged)
	}
	return f, nil
}

// prepare creates the tables in an empty file and reads what is kept in memory.
func (f *indexFile) prepare(ctx context.Context, ready bool) error {
	var n int
	if err := f.writers.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		if err := f.change(func(tx *sql.Tx) error {
			if _, err := tx.Exec(indexTables); err != nil {
				return err
			}
			_, err := tx.Exec("INSERT INTO state VALUES (1, ?, ?, zeroblob(16), 0, 0, ?)", indexSchema, ready, indexSum(index.Position{}, nil))
			return err
		}); err != nil {
			return err
		}
	}
	sum, err := f.readState(ctx)
	if err != nil {
		return err
	}
	if err := f.readChunks(ctx); err != nil {
		return err
	}
	if sum != indexSum(f.position, f.chunks) {
		return fmt.Errorf("%w: its chunks are not those that were stored", index.ErrDamaged)
	}
	f.page, err = f.readers.PrepareContext(ctx, "SELECT data FROM pages WHERE id = ?")
	return unreadable(ctx, err)
}

// readState also returns what indexSum has to be.
func (f *indexFile) readState(ctx context.Context) (sum int64, err error) {
	var version, seq int64
	var log []byte
	err = f.writers.QueryRowContext(ctx, "SELECT schema, ready, log, format, seq, sum FROM state").
		Scan(&version, &f.ready, &log, &f.position.Format, &seq, &sum)
	if err != nil {
		return 0, unreadable(ctx, err)
	}
	if version != indexSchema || copy(f.position.Log[:], log) != len(f.position.Log) {
		return 0, fmt.Errorf("%w: another program wrote it", index.ErrDamaged)
	}
	f.position.Seq = uint64(seq)
	return sum, nil
}

// indexSum is a checksum of what is kept in memory. A database verifies nothing
// of what it stores, and a chunk that is lost or a position that is wrong would be
// a hole that nobody sees. Pages have checksums of their own.
func indexSum(at index.Position, chunks []indexChunk) int64 {
	b := binary.LittleEndian.AppendUint32(slices.Clone(at.Log[:]), at.Format)
	b = binary.LittleEndian.AppendUint64(b, at.Seq)
	for i := range chunks {
		c := &chunks[i]
		for _, v := range [...]int64{c.number, int64(c.First), int64(c.Last), int64(c.Events), c.FirstAccepted, c.LastAccepted,
			c.MinTime, c.MaxTime, int64(c.Pages), c.Bytes} {
			b = binary.LittleEndian.AppendUint64(b, uint64(v))
		}
	}
	return int64(xxhash.Sum64(b))
}

func (f *indexFile) readChunks(ctx context.Context) error {
	rows, err := f.writers.QueryContext(ctx, `SELECT number, first, last, events, first_accepted, last_accepted,
		min_time, max_time, pages, bytes FROM chunks ORDER BY number`)
	if err != nil {
		return unreadable(ctx, err)
	}
	for rows.Next() {
		var c indexChunk
		if err := rows.Scan(&c.number, &c.First, &c.Last, &c.Events, &c.FirstAccepted, &c.LastAccepted,
			&c.MinTime, &c.MaxTime, &c.Pages, &c.Bytes); err != nil {
			return errors.Join(unreadable(ctx, err), rows.Close())
		}
		f.chunks = append(f.chunks, c)
	}
	return errors.Join(rows.Err(), rows.Close())
}

// unreadable says that the tables are not what they should be, if not the caller
// gave up, or the process lacks what it takes to read them, as descriptors: an index
// is too much work to be made anew for that.
func unreadable(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR:
			return err // see indexError
		}
	}
	return fmt.Errorf("%w: its tables cannot be read: %w", index.ErrDamaged, err)
}

// change carries out a transaction. It is short, and not cut off half-way by a
// caller who gives up. When it meets damage the file is not opened again.
func (f *indexFile) change(do func(tx *sql.Tx) error) error {
	tx, err := f.writers.Begin()
	if err == nil {
		if err = do(tx); err != nil {
			err = errors.Join(err, tx.Rollback())
		} else {
			failpoint.Here(failpoint.IndexWriting)
			err = tx.Commit()
			failpoint.Here(failpoint.IndexWritten)
		}
	}
	if err = headerError(f.engine.path(f.partition, f.generation), indexError(err), index.ErrDamaged); errors.Is(err, index.ErrDamaged) {
		f.spoilt.Store(true)
	}
	return err
}

// indexError turns an error of the driver into one of the port. What is asked of
// the database is always the same: when it finds fault with that, its tables are
// not what they were. What the disk cannot read is lost, too: another index takes the
// place of this one only if the same disk takes that.
func indexError(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch code := e.Code(); {
	case code&0xff == sqlite3.SQLITE_FULL, code == sqlite3.SQLITE_IOERR_SHMSIZE:
		return fmt.Errorf("%w: %w", index.ErrFull, err)
	case code&0xff == sqlite3.SQLITE_CORRUPT, code&0xff == sqlite3.SQLITE_NOTADB, code&0xff == sqlite3.SQLITE_ERROR,
		code&0xff == sqlite3.SQLITE_CONSTRAINT, code&0xff == sqlite3.SQLITE_MISMATCH, code == sqlite3.SQLITE_IOERR_SHORT_READ,
		code == sqlite3.SQLITE_IOERR_FSYNC, code == sqlite3.SQLITE_IOERR_DIR_FSYNC,
		code == sqlite3.SQLITE_IOERR_READ, code == sqlite3.SQLITE_IOERR_CORRUPTFS, // how SQLite calls EIO
		code == sqlite3.SQLITE_IOERR: // of the header, while the file is opened
		return fmt.Errorf("%w: %w", index.ErrDamaged, err)
	}
	return err
}

// usable reports why nothing can be asked of the index.
func (f *indexFile) usable(ctx context.Context) error {
	if f.closed.Load() {
		return index.ErrClosed
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// changeable reports why the index takes no change.
func (f *indexFile) changeable(ctx context.Context) error {
	if f.replaced.Load() {
		return fmt.Errorf("%w: another has replaced it", index.ErrClosed)
	}
	return f.usable(ctx)
}

// Position implements [index.Partition].
func (f *indexFile) Position(ctx context.Context) (index.Position, error) {
	if err := f.usable(ctx); err != nil {
		return index.Position{}, err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.position, nil
}

// Chunks implements [index.Partition].
func (f *indexFile) Chunks(ctx context.Context) ([]index.Info, error) {
	if err := f.usable(ctx); err != nil {
		return nil, err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	infos := make([]index.Info, len(f.chunks))
	for i := range f.chunks {
		infos[i] = f.chunks[i].Info
	}
	return infos, nil
}

// Append implements [index.Partition].
func (f *indexFile) Append(ctx context.Context, c *index.Sealed, to index.Position) error {
	if err := f.changeable(ctx); err != nil {
		return err
	}
	if err := index.CheckAppend(f.position, c, to); err != nil { // nobody else changes it
		return err
	}
	chunks := f.chunks
	number := int64(1)
	if n := len(chunks); n > 0 {
		number += chunks[n-1].number
	}
	if c != nil {
		chunks = append(chunks[:len(chunks):len(chunks)], indexChunk{c.Info, number})
	}
	err := f.change(func(tx *sql.Tx) error {
		if c != nil {
			if err := insertChunk(tx, number, c); err != nil {
				return err
			}
		}
		_, err := tx.Exec("UPDATE state SET log = ?, format = ?, seq = ?, sum = ?", to.Log[:], to.Format, int64(to.Seq), indexSum(to, chunks))
		return err
	})
	if err != nil {
		return fmt.Errorf("append to index %q: %w", f.partition, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.position, f.chunks = to, chunks
	return nil
}

func insertChunk(tx *sql.Tx, number int64, c *index.Sealed) error {
	i := &c.Info
	if _, err := tx.Exec("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", number, int64(i.First), int64(i.Last),
		i.Events, i.FirstAccepted, i.LastAccepted, i.MinTime, i.MaxTime, i.Pages, i.Bytes); err != nil {
		return err
	}
	insert, err := tx.Prepare("INSERT INTO pages VALUES (?, ?)")
	if err != nil {
		return err
	}
	for page, data := range c.Pages {
		if _, err := insert.Exec(number<<indexPageShift|int64(page), data); err != nil {
			return errors.Join(err, insert.Close())
		}
	}
	return insert.Close()
}

// Page implements [index.Partition].
func (f *indexFile) Page(ctx context.Context, first uint64, page int) ([]byte, error) {
	if err := f.usable(ctx); err != nil {
		return nil, err
	}
	number, ok := f.number(first)
	if !ok || page < 0 || page >= 1<<indexPageShift {
		return nil, fmt.Errorf("%w: there is no page %d of a chunk %d", index.ErrDamaged, page, first)
	}
	var data []byte
	err := f.page.QueryRowContext(ctx, number<<indexPageShift|int64(page)).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: there is no page %d of chunk %d", index.ErrDamaged, page, first)
	}
	if err != nil {
		if reason := f.usable(ctx); reason != nil {
			return nil, reason // which the driver has its own error for
		}
		return nil, indexError(err)
	}
	return data, nil
}

// number returns the number in the file of the chunk that begins at first.
func (f *indexFile) number(first uint64) (int64, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	low, high := 0, len(f.chunks)
	for low < high {
		if mid := (low + high) / 2; f.chunks[mid].First < first {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == len(f.chunks) || f.chunks[low].First != first {
		return 0, false
	}
	return f.chunks[low].number, true
}

// Drop implements [index.Partition]. Each chunk is a transaction of its own.
func (f *indexFile) Drop(ctx context.Context, t time.Time) (int, error) {
	for n := 0; ; n++ {
		if err := f.changeable(ctx); err != nil {
			return n, err
		}
		if len(f.chunks) == 0 || f.chunks[0].LastAccepted >= t.UnixMicro() {
			return n, nil
		}
		number := f.chunks[0].number
		err := f.change(func(tx *sql.Tx) error {
			if _, err := tx.Exec("DELETE FROM pages WHERE id >= ? AND id < ?", number<<indexPageShift, (number+1)<<indexPageShift); err != nil {
				return err
			}
			if _, err := tx.Exec("DELETE FROM chunks WHERE number = ?", number); err != nil {
				return err
			}
			_, err := tx.Exec("UPDATE state SET sum = ?", indexSum(f.position, f.chunks[1:]))
			return err
		})
		if err != nil {
			return n, fmt.Errorf("drop from index %q: %w", f.partition, err)
		}
		f.mu.Lock()
		f.chunks = f.chunks[1:]
		f.mu.Unlock()
	}
}

// Size implements [index.Partition]: the file without its WAL, of which pages
// that are free are a part.
func (f *indexFile) Size(ctx context.Context) (int64, error) {
	if err := f.usable(ctx); err != nil {
		return 0, err
	}
	var pages int64
	if err := f.readers.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
		return 0, indexError(err)
	}
	return pages * pageSize, nil
}

// makeReady makes the file the partition's index, durably.
func (f *indexFile) makeReady(ctx context.Context) error {
	if err := f.usable(ctx); err != nil {
		return err
	}
	if err := f.change(func(tx *sql.Tx) error {
		_, err := tx.Exec("UPDATE state SET ready = 1")
		return err
	}); err != nil {
		return err
	}
	_, err := f.writers.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)") // syncs the WAL
	return indexError(err)
}

// Close implements [index.Partition].
func (f *indexFile) Close() error {
	if f.closed.Swap(true) {
		return nil
	}
	return errors.Join(f.release(), f.engine.forget(f))
}

// release closes what is open.
func (f *indexFile) release() error {
	var errs []error
	if f.page != nil {
		errs = append(errs, f.page.Close())
	}
	if f.readers != nil {
		errs = append(errs, f.readers.Close())
	}
	if f.writers != nil {
		errs = append(errs, f.writers.Close())
	}
	return errors.Join(errs...)
}
