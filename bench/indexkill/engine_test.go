package indexkill

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite"

	"github.com/sluicelog/sluice/index"
)

// say writes a line to whoever waits for it, in one piece.
func say(format string, args ...any) error {
	_, err := fmt.Fprintf(os.Stdout, format+"\n", args...)
	return err
}

// loud is an engine that says what it is about to do, and what it has done. It
// has the database write back what is in its log much more often than that would.
type loud struct {
	index.Engine
	dir string
}

// loudPartition is a partition of it.
type loudPartition struct {
	index.Partition
	dir   string
	seals int
}

// checkpointEvery is the number of seals after which a partition has the database
// write back.
const checkpointEvery = 3

func (e loud) Open(ctx context.Context, partition string) (index.Partition, error) {
	p, err := e.Engine.Open(ctx, partition)
	if err != nil {
		return nil, err
	}
	return &loudPartition{Partition: p, dir: e.dir}, nil
}

func (e loud) Renew(ctx context.Context, partition string) (index.Partition, error) {
	if err := say("renewing"); err != nil {
		return nil, err
	}
	p, err := e.Engine.Renew(ctx, partition)
	if err != nil {
		return nil, err
	}
	return &loudPartition{Partition: p, dir: e.dir}, nil
}

func (e loud) Adopt(ctx context.Context, renewed index.Partition) error {
	p, ok := renewed.(*loudPartition)
	if !ok {
		return fmt.Errorf("adopt a partition of another engine: %T", renewed)
	}
	return between("adopting", "adopted", func() error { return e.Engine.Adopt(ctx, p.Partition) })
}

func (p *loudPartition) Append(ctx context.Context, c *index.Sealed, to index.Position) error {
	err := between("sealing", "sealed", func() error { return p.Partition.Append(ctx, c, to) })
	if p.seals++; err != nil || p.seals%checkpointEvery != 0 {
		return err
	}
	return between("checkpointing", "checkpointed", func() error {
		_ = checkpoint(ctx, p.dir) // another index may go at this moment
		return nil
	})
}

// checkpoint has the indexes in a folder written back, as far as nobody hinders
// that.
func checkpoint(ctx context.Context, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil {
		return err
	}
	for _, file := range files {
		db, err := sql.Open("sqlite", "file:"+file+"?mode=rw")
		if err != nil {
			return err
		}
		_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
		if err := errors.Join(err, db.Close()); err != nil {
			return fmt.Errorf("write back %s: %w", file, err)
		}
	}
	return nil
}

func (p *loudPartition) Drop(ctx context.Context, t time.Time) (n int, err error) {
	err = between("dropping", "dropped", func() error {
		n, err = p.Partition.Drop(ctx, t)
		return err
	})
	return n, err
}

// between says one thing before f, and another one after it.
func between(before, after string, f func() error) error {
	if err := say(before); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	return say(after)
}
