package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/rest"
	"github.com/sluicelog/sluice/sqlite"
	"github.com/sluicelog/sluice/store"
)

// Snapshots of the control state lie beside it, named for when they were made.
const (
	snapshotFolder = "snapshots"
	snapshotName   = "control-20060102T150405Z.db"
	snapshotPeriod = time.Hour
	snapshotLook   = time.Minute // how often it is looked whether one is due
	snapshotsKept  = 24          // the last of each hour
)

// snapshot is one that was found.
type snapshot struct {
	path string
	made time.Time
}

// listSnapshots returns those in a data folder, the newest first.
func listSnapshots(data string) ([]snapshot, error) {
	folder := filepath.Join(data, snapshotFolder)
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var found []snapshot
	for _, e := range entries {
		if made, ok := snapshotTime(e.Name()); ok {
			found = append(found, snapshot{filepath.Join(folder, e.Name()), made})
		}
	}
	slices.SortFunc(found, func(a, b snapshot) int { return b.made.Compare(a.made) })
	return found, nil
}

// snapshotTime reads the name of a snapshot.
func snapshotTime(name string) (made time.Time, ok bool) {
	made, err := time.Parse(snapshotName, name)
	return made, err == nil && made.Format(snapshotName) == name
}

// surplus returns the snapshots that are not kept, of all, the newest first: every
// one but the last of its hour, and those beyond snapshotsKept.
func surplus(all []snapshot) (out []snapshot) {
	kept := 0
	for i, s := range all {
		sameHour := i > 0 && all[i-1].made.Truncate(time.Hour).Equal(s.made.Truncate(time.Hour))
		if sameHour || kept == snapshotsKept {
			out = append(out, s)
		} else {
			kept++
		}
	}
	return out
}

// snapshots makes them while the server runs: one an hour, and one when it stops.
type snapshots struct {
	db    *sqlite.Store
	data  string
	floor uint64                 // of free space that is left alone
	free  func() (uint64, error) // space of the data folder
	lg    *slog.Logger
	taken time.Time // when the last one was made, zero when that is long ago; run's own

	mu      sync.Mutex // guards figures
	figures rest.Snapshots
}

func newSnapshots(cfg *Config, db *sqlite.Store, lg *slog.Logger) *snapshots {
	return &snapshots{db: db, data: cfg.Data, floor: uint64(cfg.FreeFloor), lg: lg,
		free: func() (uint64, error) { return freeSpace(cfg.Data) }}
}

// run makes snapshots until ctx ends, and then the last one. It ends early when the
// control state is found to be damaged.
func (s *snapshots) run(ctx context.Context) error {
	if err := s.begin(); err != nil {
		return err
	}
	tick := time.NewTicker(snapshotLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if s.taken.IsZero() || time.Since(s.taken) >= snapshotPeriod {
				if err := s.take(ctx); err != nil {
					return err
				}
			} else if _, err := s.makeRoom(0); err != nil {
				s.lg.WarnContext(ctx, "old snapshots of control state not removed", "err", err)
			}
		case <-ctx.Done():
			return s.take(context.WithoutCancel(ctx))
		}
	}
}

// begin makes the folder, and removes what a process that died has left in it.
func (s *snapshots) begin() error {
	folder := filepath.Join(s.data, snapshotFolder)
	if err := errors.Join(os.MkdirAll(folder, 0o700), sqlite.SweepSnapshots(folder)); err != nil {
		return err
	}
	all, err := listSnapshots(s.data)
	if err != nil {
		return err
	}
	if len(all) > 0 {
		if age := time.Since(all[0].made); age >= 0 && age < snapshotPeriod {
			s.taken = time.Now().Add(-age) // by the clock that does not jump
		}
	}
	s.count(all, nil)
	return nil
}

// take makes a snapshot. Failing is worth a warning only, for the ones before are
// there, but for damage that shows on the way.
func (s *snapshots) take(ctx context.Context) error {
	if s.db.Cause() != nil {
		return nil // it was told, and there is nothing to keep
	}
	began := time.Now()
	name, err := s.name(began.UTC())
	if err == nil {
		err = s.write(ctx, filepath.Join(s.data, snapshotFolder, name))
	}
	if errors.Is(err, store.ErrDamaged) {
		return err
	}
	if err == nil {
		s.taken = began
		s.lg.DebugContext(ctx, "snapshot of control state made", "took", time.Since(began))
	} else if ctx.Err() == nil {
		s.lg.WarnContext(ctx, "snapshot of control state not made", "err", err)
	}
	all, listing := listSnapshots(s.data)
	for _, old := range surplus(all) {
		listing = errors.Join(listing, os.Remove(old.path))
		failpoint.Here(failpoint.SnapshotDropped)
	}
	if listing != nil {
		s.lg.WarnContext(ctx, "old snapshots of control state not removed", "err", listing)
	}
	all, _ = listSnapshots(s.data) // it was told already
	s.count(all, err)
	return nil
}

// name returns the name of a snapshot that is made now. It is behind those that are
// there, also when the clock was ahead for a while: what has the last name is what a
// restore takes. As much later as it is made, so that those of other hours are kept.
func (s *snapshots) name(now time.Time) (string, error) {
	all, err := listSnapshots(s.data)
	if len(all) > 0 && all[0].made.After(now) {
		now = all[0].made.Add(time.Second)
		if !s.taken.IsZero() {
			now = all[0].made.Add(max(time.Second, time.Since(s.taken)))
		}
	}
	return now.Format(snapshotName), err
}

func (s *snapshots) write(ctx context.Context, path string) error {
	var need uint64
	for _, end := range []string{"", "-wal"} {
		if info, err := os.Stat(filepath.Join(s.data, controlFile+end)); err == nil {
			need += uint64(info.Size())
		}
	}
	if room, err := s.makeRoom(need); err != nil {
		return err
	} else if !room {
		return fmt.Errorf("it may need %s, and what is free below %s is not for snapshots", formatBytes(int64(need)), formatSize(int64(s.floor)))
	}
	return s.db.Snapshot(ctx, path)
}

// makeRoom removes old snapshots, but never the newest, until need bytes can be
// written without going below the floor. It reports whether that is so.
func (s *snapshots) makeRoom(need uint64) (bool, error) {
	for {
		free, err := s.free()
		if err != nil || free >= s.floor+need {
			return err == nil, err
		}
		all, err := listSnapshots(s.data)
		if err != nil || len(all) < 2 {
			return false, err
		}
		if err := os.Remove(all[len(all)-1].path); err != nil {
			return false, err
		}
	}
}

func (s *snapshots) count(all []snapshot, failed error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.figures.Kept = len(all)
	if len(all) > 0 {
		s.figures.Newest = all[0].made
	}
	if failed != nil {
		s.figures.Failures++
	}
}

// Figures are for the metrics.
func (s *snapshots) Figures() rest.Snapshots {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.figures
}
