package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/store"
)

// Options of a store. The zero value is right for a server.
type Options struct {
	// Readers is how many connections read at once; 4 when zero.
	Readers int
	// BusyTimeout is how long to wait for another program that has the file open,
	// a backup for instance; 5 seconds when zero.
	BusyTimeout time.Duration
	// Locked, when set, is called by [OpenStore] once it holds the lock, before it
	// reads or writes anything else; an error ends the opening.
	Locked func() error
}

func (o Options) withDefaults() Options {
	if o.Readers == 0 {
		o.Readers = 4
	}
	if o.BusyTimeout == 0 {
		o.BusyTimeout = 5 * time.Second
	}
	return o
}

// OpenStore opens the control state in the file at path and creates it, with
// mode 0600, when it is absent; its folder must exist. One process at a time may
// have it open: a lock on the file path+".lock" is held until Close, and an
// error says who holds it. A file of a newer schema is refused, one of an older
// one becomes one of this.
//
// All of it is verified before it is used, which takes a third of a second for
// 100,000 records. What does not verify is refused with [store.ErrDamaged], and
// left as it is as long as its write-ahead log is what is damaged, or lost: see
// [LostLog].
func OpenStore(path string, o Options) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open control state: %w", err)
	}
	lock, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	if o.Locked != nil {
		err = o.Locked()
	}
	if err == nil {
		err = checkLog(path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open control state %s: %w", path, err), lock.Close())
	}
	s, err := openLocked(path, o, lock)
	if err != nil {
		return nil, fmt.Errorf("open control state %s: %w", path, err)
	}
	return s, nil
}

// openLocked opens and verifies a store, of which the caller has the lock: it is
// given back when the store is closed, and with an error.
func openLocked(path string, o Options, lock *os.File) (*Store, error) {
	s := &Store{lock: lock, path: path, opts: o.withDefaults(), turn: make(chan struct{}, 1), failed: make(chan struct{}),
		wal: growth{path: path + "-wal"}}
	if err := s.open(path, s.opts); err != nil {
		return nil, errors.Join(headerError(path, fileError(err), store.ErrDamaged), s.release())
	}
	return s, nil
}

// headerError returns err, and as damaged when SQLite takes no change because of what
// the file's header says: the version of the format that is needed to write it
// (https://www.sqlite.org/fileformat2.html#file_format_version_numbers).
func headerError(path string, err, damaged error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok || e.Code()&0xff != sqlite3.SQLITE_READONLY {
		return err
	}
	f, open := os.Open(path)
	if open != nil {
		return err
	}
	defer f.Close()
	var header [19]byte
	const writeVersion = 18
	if _, read := io.ReadFull(f, header[:]); read != nil || header[writeVersion] == 1 || header[writeVersion] == 2 {
		return err
	}
	return fmt.Errorf("%w: its header has the version %d: %w", damaged, header[writeVersion], err)
}

func (s *Store) open(path string, o Options) error {
	if err := createFile(path); err != nil {
		return err
	}
	failpoint.Here(failpoint.StateCreated)
	err := s.mark.open(path)
	if err != nil {
		return err
	}
	if s.writers, err = connect(path, o, 1, "synchronous(FULL)", "journal_mode(WAL)",
		"wal_autocheckpoint("+strconv.Itoa(checkpointPages)+")",
		"journal_size_limit("+strconv.Itoa(2*checkpointPages*pageSize)+")"); err != nil {
		return err
	}
	if s.readers, err = connect(path, o, o.Readers, readerCache, "query_only(1)"); err != nil {
		return err
	}
	ctx := context.Background()
	if s.conn, err = s.writers.Conn(ctx); err != nil {
		return err
	}
	if err := checkMode(ctx, s.conn); err != nil {
		return err
	}
	if s.reserved, err = prepareSchema(ctx, s.conn); err != nil {
		return err
	}
	failpoint.Here(failpoint.StatePrepared)
	s.version = s.reserved
	if err := s.prepare(ctx); err != nil {
		return err
	}
	return errors.Join(s.Check(ctx), s.settleFound(ctx))
}

// settleFound marks a write-ahead log that was found with commits in it, when who
// wrote them did not: an earlier version of this program, or one that was killed.
func (s *Store) settleFound(ctx context.Context) error {
	frames, err := uncopied(ctx, s.conn)
	if err != nil || frames == 0 {
		return err
	}
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	return s.settle(info.ModTime()) // of the last checkpoint
}

// checkMode proves that commits will be durable: SQLite answers a mode that the
// file system cannot do with another one, not with an error.
func checkMode(ctx context.Context, c *sql.Conn) error {
	var journal string
	if err := c.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&journal); err != nil {
		return err
	}
	var synchronous int
	if err := c.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous); err != nil {
		return err
	}
	if journal != "wal" || synchronous != 2 {
		return fmt.Errorf("the file system cannot keep a write-ahead log (journal mode %s, synchronous %d): "+
			"use a local disk", journal, synchronous)
	}
	return nil
}

// Sizes of the file. A commit that fills the WAL pays for copying it into the
// database; 1,000 small pages keep that to some 7 ms.
const (
	pageSize        = 4096 // bytes
	checkpointPages = 1000
)

// readerCache is 512 KiB for each connection that only reads: what it keeps is good
// until the next change.
const readerCache = "cache_size(-512)"

func connect(path string, o Options, conns int, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_pragma": append([]string{
		"busy_timeout(" + strconv.FormatInt(o.BusyTimeout.Milliseconds(), 10) + ")",
		"page_size(" + strconv.Itoa(pageSize) + ")",
	}, pragmas...)}
	q.Set("mode", "rw")
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// createFile makes an absent file, so that it has its mode from the first byte
// on (SQLite gives its own files the same), and its name survives a power cut.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), syncDir(filepath.Dir(path)))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// statements are those of a [Store], prepared once.
type statements struct {
	begin, commit, rollback         *sql.Stmt
	create, replace, remove, exists *sql.Stmt
	reserve                         *sql.Stmt
	get, list                       *sql.Stmt // on the reading connections

	prepared []*sql.Stmt // all of them, to be closed
}

// selectRecords answers what [scanRecord] reads.
const selectRecords = "SELECT key, value, version, sum FROM records WHERE key >= ? AND key < ? ORDER BY key"

type preparer interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

func (s *Store) prepare(ctx context.Context) error {
	for _, p := range []struct {
		stmt  **sql.Stmt
		on    preparer
		query string
	}{
		{&s.begin, s.conn, "BEGIN IMMEDIATE"},
		{&s.commit, s.conn, "COMMIT"},
		{&s.rollback, s.conn, "ROLLBACK"},
		{&s.create, s.conn, "INSERT INTO records(key, value, version, sum) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"},
		{&s.replace, s.conn, "UPDATE records SET value = ?, version = ?, sum = ? WHERE key = ? AND version = ?"},
		{&s.remove, s.conn, "DELETE FROM records WHERE key = ? AND version = ?"},
		{&s.exists, s.conn, "SELECT count(*) FROM records WHERE key = ?"},
		{&s.reserve, s.conn, "UPDATE meta SET value = ?, sum = ? WHERE name = '" + metaReserved + "'"},
		{&s.get, s.readers, "SELECT value, version, sum FROM records WHERE key = ?"},
		{&s.list, s.readers, selectRecords},
	} {
		stmt, err := p.on.PrepareContext(ctx, p.query)
		if err != nil {
			return fmt.Errorf("prepare %q: %w", p.query, err)
		}
		*p.stmt = stmt
		s.prepared = append(s.prepared, stmt)
	}
	return nil
}
