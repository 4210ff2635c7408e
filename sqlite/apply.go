package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/store"
)

// request is one call of Apply on its way.
type request struct {
	changes []store.Change
	errs    []error
	done    chan struct{} // closed when errs is final
}

// Apply implements [store.Store]. Calls made at the same time share one
// transaction: whoever gets the turn writes what all the others have queued. An
// error of ctx means that nothing of the call was carried out; once the writing
// has begun, Apply waits for its end.
func (s *Store) Apply(ctx context.Context, changes ...store.Change) []error {
	if err := ctx.Err(); err != nil {
		return store.AllErrors(len(changes), err)
	}
	if len(changes) == 0 {
		return nil
	}
	r := &request{changes: changes, errs: make([]error, len(changes)), done: make(chan struct{})}
	if !s.join(r) {
		return store.AllErrors(len(changes), store.ErrClosed)
	}
	select {
	case <-r.done:
	case s.turn <- struct{}{}:
		// Those whom the last commit answered are about to call again: let them
		// queue up before this one begins.
		runtime.Gosched()
		s.writeQueue()
		<-s.turn
	case <-ctx.Done():
		if s.leave(r) {
			return store.AllErrors(len(changes), ctx.Err())
		}
	}
	<-r.done
	return store.Errors(r.errs)
}

func (s *Store) join(r *request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return false
	}
	s.queue = append(s.queue, r)
	return true
}

// leave takes r out of the queue unless it is being written already.
func (s *Store) leave(r *request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, q := range s.queue {
		if q == r {
			s.queue = append(s.queue[:i], s.queue[i+1:]...)
			return true
		}
	}
	return false
}

// writeQueue writes everything that is queued. The caller has the turn.
func (s *Store) writeQueue() {
	s.mu.Lock()
	queue := s.queue
	s.queue = nil
	s.mu.Unlock()
	for len(queue) > 0 {
		n := groupSize(queue)
		s.writeGroup(queue[:n])
		queue = queue[n:]
	}
}

// Limits of a group, so that its transaction fits into the WAL. A single call
// may be larger and is a group by itself.
const (
	groupChanges = 4096
	groupBytes   = checkpointPages * pageSize / 2
)

func groupSize(queue []*request) int {
	changes, bytes := 0, 0
	for i, r := range queue {
		changes += len(r.changes)
		for _, c := range r.changes {
			bytes += len(c.Value)
		}
		if i > 0 && (changes > groupChanges || bytes > groupBytes) {
			return i
		}
	}
	return len(queue)
}

// writeGroup carries out the requests of one group and answers them.
func (s *Store) writeGroup(group []*request) {
	var pending []*step
	for _, r := range group {
		for i := range r.changes {
			if r.errs[i] = r.changes[i].Check(); r.errs[i] == nil {
				pending = append(pending, &step{change: &r.changes[i], err: &r.errs[i]})
			}
		}
	}
	s.transact(pending)
	if len(pending) > 1 && errors.Is(*pending[0].err, store.ErrFull) {
		// Together they are too large; what fits by itself goes through.
		for i := range pending {
			s.transact(pending[i : i+1])
		}
	}
	for _, r := range group {
		close(r.done)
	}
}

// step is one change on its way, with the place of its answer.
type step struct {
	change  *store.Change
	err     *error
	version uint64 // given by the transaction, 0 for a deletion
}

// transact carries out steps in one transaction and sets all their answers.
func (s *Store) transact(steps []*step) {
	if len(steps) == 0 {
		return
	}
	if err := s.tryTransact(steps); err != nil {
		for _, st := range steps {
			*st.err = err
		}
		return
	}
	for _, st := range steps {
		if *st.err == nil && st.version != 0 && st.change.NewVersion != nil {
			*st.change.NewVersion = st.version
		}
	}
}

// tryTransact returns an error when the transaction did not happen, or may not
// have.
func (s *Store) tryTransact(steps []*step) error {
	if err := s.Cause(); err != nil {
		return err
	}
	failpoint.Here(failpoint.CommitBeginning)
	if _, err := s.begin.Exec(); err != nil {
		return s.writeError("begin", err)
	}
	reserved, err := s.carryOut(steps)
	if err != nil {
		return s.undo(s.writeError("write", err))
	}
	failpoint.Here(failpoint.CommitWriting)
	if _, err := s.commit.Exec(); err != nil {
		err = s.writeError("commit", err)
		if !errors.Is(err, store.ErrFull) {
			s.fail(fmt.Errorf("%w: %w", store.ErrFailed, err))
		}
		return s.undo(err)
	}
	if err := s.settle(time.Now()); err != nil {
		s.fail(fmt.Errorf("%w: %w", store.ErrFailed, err))
		return s.Cause()
	}
	failpoint.Here(failpoint.CommitWritten)
	s.reserved = reserved
	return nil
}

// settle returns when what was committed is on disk, and cannot get lost unseen. All
// that is not in the database itself was committed since a time.
func (s *Store) settle(since time.Time) error {
	if err := s.wal.settle(); err != nil {
		return fmt.Errorf("sync the write-ahead log again: %w", err)
	}
	if err := s.mark.settle(context.Background(), s.conn, s.wal.file, since); err != nil {
		return fmt.Errorf("mark that the write-ahead log holds changes: %w", err)
	}
	return nil
}

// undo takes the transaction back. SQLite does so by itself after some errors,
// and then has none to take back.
func (s *Store) undo(err error) error {
	_, _ = s.rollback.Exec()
	return cmp.Or(s.Cause(), err)
}

// versionsAhead is how many versions a write of the meta row reserves.
const versionsAhead = 1 << 20

// carryOut judges and carries out each step inside the open transaction. It
// returns what the transaction reserves.
func (s *Store) carryOut(steps []*step) (reserved uint64, err error) {
	reserved = s.reserved
	if highest := s.version + uint64(len(steps)); highest > reserved {
		reserved = highest + versionsAhead
		if _, err := s.reserve.Exec(int64(reserved), metaSum(metaReserved, int64(reserved))); err != nil {
			return 0, err
		}
	}
	for _, st := range steps {
		if *st.err, err = s.carryOutOne(st); err != nil {
			return 0, err
		}
	}
	return reserved, nil
}

// carryOutOne returns the answer for st, and as err what ends the transaction.
func (s *Store) carryOutOne(st *step) (answer, err error) {
	c := st.change
	if c.Value == nil && c.Version == 0 {
		var n int
		if err := s.exists.QueryRow(c.Key).Scan(&n); err != nil {
			return nil, err
		}
		return conflictUnless(n == 0), nil
	}
	n, err := s.changeRow(st)
	if err != nil {
		return nil, err
	}
	return conflictUnless(n == 1), nil
}

// changeRow returns how many rows the change found and changed: 0 or 1.
func (s *Store) changeRow(st *step) (int64, error) {
	c := st.change
	stmt, args := s.remove, []any{c.Key, int64(c.Version)}
	if c.Value != nil {
		s.version++
		st.version = s.version
		version := int64(st.version)
		sum := recordSum(c.Key, c.Value, version)
		stmt, args = s.replace, []any{c.Value, version, sum, c.Key, int64(c.Version)}
		if c.Version == 0 {
			stmt, args = s.create, []any{c.Key, c.Value, version, sum}
		}
	}
	result, err := stmt.Exec(args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func conflictUnless(ok bool) error {
	if ok {
		return nil
	}
	return store.ErrConflict
}

// writeError turns an error of the driver into one of the port. A sync that
// failed ends the writing for good: the kernel may have dropped the pages, and a
// second fsync would answer as if they were on disk.
func (s *Store) writeError(doing string, err error) error {
	err = fmt.Errorf("%s records: %w", doing, fileError(err))
	code := -1
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		code = e.Code()
	}
	switch {
	case errors.Is(err, store.ErrDamaged):
		s.fail(err)
		return s.Cause()
	case code&0xff == sqlite3.SQLITE_BUSY:
		return fmt.Errorf("%w: %w", store.ErrBusy, err)
	case code&0xff == sqlite3.SQLITE_FULL, code == sqlite3.SQLITE_IOERR_SHMSIZE:
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	case code == sqlite3.SQLITE_IOERR_FSYNC, code == sqlite3.SQLITE_IOERR_DIR_FSYNC:
		s.fail(fmt.Errorf("%w: %w", store.ErrFailed, err))
		return s.Cause()
	}
	return err
}
