package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/sluicelog/sluice/failpoint"
)

const (
	reserveFile = "reserve"
	// reserveSize is what a start and some deliveries write into control state, many
	// times over.
	reserveSize  = 4 << 20
	reservePause = 5 * time.Second // between two looks whether it is there
)

// A reserve is a file that takes space for the day on which something else has
// filled the disk to the last byte: a start gives that space back, because control
// state has to note who owns the log now before anything is delivered, shown, or
// removed by retention. While the server runs, and there is room again, the file is
// made anew.
type reserve struct {
	path  string
	floor uint64                 // of free space, which is left alone
	free  func() (uint64, error) // space of the data folder
	lg    *slog.Logger
}

func newReserve(cfg *Config, lg *slog.Logger) *reserve {
	return &reserve{path: filepath.Join(cfg.Data, reserveFile), floor: uint64(cfg.FreeFloor), lg: lg,
		free: func() (uint64, error) { return freeSpace(cfg.Data) }}
}

// short reports whether there is less space than a start may need.
func (r *reserve) short() bool {
	free, err := r.free()
	return err == nil && free < reserveSize
}

// release gives the space back when there is too little for a start.
func (r *reserve) release(ctx context.Context) error {
	if !r.short() {
		return nil
	}
	err := os.Remove(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the start may get along without it
	}
	if err == nil {
		r.lg.WarnContext(ctx, "the disk is full: the reserve was given back to start with; free some space before the next start", "path", r.path, "bytes", reserveSize)
	}
	return err
}

// advise adds to the error of a start what to do, when it may be for want of space.
func (r *reserve) advise(err error) error {
	if err == nil || !r.short() {
		return err
	}
	if _, there := os.Stat(r.path); there == nil {
		return err // that of a server that runs
	}
	return fmt.Errorf("%w\nthe disk of %s is full, and what was kept in reserve is used up: free %s there and start again; the server then delivers, and retention frees space",
		err, filepath.Dir(r.path), formatSize(reserveSize))
}

// run makes the file whenever it is absent and there is room for it, until ctx ends.
func (r *reserve) run(ctx context.Context) error {
	tick := time.NewTicker(reservePause)
	defer tick.Stop()
	for {
		if err := r.keep(); err != nil {
			r.lg.WarnContext(ctx, "no space kept in reserve", "path", r.path, "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// keep makes the file unless it is there. It is not synced: after a power cut the
// next run makes it whole.
func (r *reserve) keep() error {
	if info, err := os.Stat(r.path); err == nil && info.Size() == reserveSize {
		return nil
	}
	if free, err := r.free(); err != nil || free < r.floor+reserveSize {
		return err
	}
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	failpoint.Here(failpoint.ReserveWriting)
	// Bytes that no file system makes smaller.
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{}), reserveSize)
	if err = errors.Join(err, f.Close()); err != nil {
		err = errors.Join(err, os.Remove(r.path))
	}
	failpoint.Here(failpoint.ReserveWritten)
	return err
}
