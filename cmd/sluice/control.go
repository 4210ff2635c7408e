package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/sluicelog/sluice/sqlite"
	"github.com/sluicelog/sluice/store"
)

// advised is an error with what to do about it.
type advised struct {
	error
	advice string
}

func (e advised) Unwrap() error { return e.error }

// adviseRestore adds to an error that shows damage of the control state, or that it
// is gone, how the server comes back.
func adviseRestore(data string, err error) error {
	all, listing := listSnapshots(data)
	if lost, ok := errors.AsType[*sqlite.LostLog](err); ok {
		return adviseLostLog(data, err, withLost(all, snapshot{made: lost.Since})[0].made)
	}
	if listing != nil || len(all) == 0 {
		return advised{err, fmt.Sprintf("No snapshot is in %s: take the control-*.db of a backup with\n\n  sluice control restore --data %s --snapshot FILE", filepath.Join(data, snapshotFolder), data)}
	}
	newest := all[0].made
	return advised{err, fmt.Sprintf(`
The server does not run with it, so that nothing wrong is answered. The last
snapshot is of %s (%s ago). What can be
saved takes the place of the damaged file with

  sluice control restore --data %s

No accepted event is lost by that. What people changed since the snapshot is, and
deliveries since then are repeated: see "When control.db is damaged" in
docs/operations.md.`, newest.Format(clock+" UTC"), time.Since(newest).Round(time.Second), data)}
}

// adviseLostLog is adviseRestore when the write-ahead log is lost, and what is left
// is of a time.
func adviseLostLog(data string, err error, left time.Time) error {
	return advised{err, fmt.Sprintf(`
The server does not run with it, so that no change is forgotten that people were
told had been made. If that file was moved, or not copied with the others, put it
beside control.db again, and nothing is missing. If it is gone, the server goes on
with what there is of %s (%s ago) after

  sluice control restore --data %s

No accepted event is lost by that. What people changed since then is, and
deliveries since then are repeated: see "When control.db is damaged" in
docs/operations.md.`, left.UTC().Format(clock+" UTC"), time.Since(left).Round(time.Second), data)}
}

// withLost returns snapshots, the newest first, with a store among them that has
// lost its write-ahead log, for it is as old as the first change that was in there.
func withLost(all []snapshot, lost snapshot) []snapshot {
	at := slices.IndexFunc(all, func(s snapshot) bool { return s.made.Before(lost.made) })
	if at < 0 {
		at = len(all)
	}
	return slices.Insert(all, at, lost)
}

// restoreOptions are the flags of control restore.
type restoreOptions struct {
	Data     string
	Snapshot string // "" is the best there is
}

func controlRestoreFlags(fs *flag.FlagSet, env *Env) action {
	var o restoreOptions
	fs.StringVar(&o.Data, "data", "", "the server's data `DIR`")
	fs.StringVar(&o.Snapshot, "snapshot", "", "take this `FILE`, not the newest that is sound")
	return func(ctx context.Context, _ []string) error {
		if o.Data == "" {
			return usagef("--data is missing").withHint("It is the folder that the server was given.")
		}
		return controlRestore(ctx, o, env)
	}
}

// controlRestore puts the best that there is in the place of damaged control state.
func controlRestore(ctx context.Context, o restoreOptions, env *Env) error {
	path := filepath.Join(o.Data, controlFile)
	sources, err := restoreSources(ctx, o, path)
	if err != nil {
		return err
	}
	aside := path + ".damaged-" + time.Now().UTC().Format("20060102T150405Z")
	for _, from := range sources {
		err := sqlite.Replace(ctx, sqlite.Replacement{Path: path, From: from.path, Aside: aside, Adjust: func(ctx context.Context, s store.Store) error {
			return errors.Join(leaveOutNumbers(ctx, s), from.note(ctx, s))
		}})
		if errors.Is(err, store.ErrDamaged) {
			fmt.Fprintf(env.Stderr, "not taken: %v\n", err)
			continue
		}
		if err == nil {
			err = giveToOwner(o.Data, path, path+".lock")
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(env.Stdout, "%s\nThe replaced files are kept as %s.\n", from.says(), aside)
		return err
	}
	return errors.New("nothing was changed: there is no sound snapshot; bring control.db back from a backup and give it with --snapshot")
}

// restoreSources returns what may take the place of the store at path, the best
// first.
func restoreSources(ctx context.Context, o restoreOptions, path string) ([]snapshot, error) {
	if o.Snapshot != "" {
		made, err := time.Parse(snapshotName, filepath.Base(o.Snapshot))
		if err == nil {
			return []snapshot{{o.Snapshot, made}}, nil
		}
		info, err := os.Stat(o.Snapshot)
		if err != nil {
			return nil, err
		}
		return []snapshot{{o.Snapshot, info.ModTime()}}, nil
	}
	all, err := listSnapshots(o.Data)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() <= emptyStore {
		if len(all) == 0 {
			return nil, fmt.Errorf("%s holds neither %s nor a snapshot of it", o.Data, controlFile)
		}
		return all, nil
	}
	s, err := sqlite.OpenStore(path, sqlite.Options{})
	if err == nil && holdsLog(o.Data) {
		if _, err := logIdentity(ctx, s, o.Data); errors.Is(err, store.ErrDamaged) {
			return all, s.Close()
		}
	}
	switch {
	case err == nil:
		return nil, errors.Join(s.Close(), fmt.Errorf("%s is sound, and nothing was changed: --snapshot FILE goes back to a snapshot all the same", path))
	case !errors.Is(err, store.ErrDamaged):
		return nil, err
	}
	if lost, ok := errors.AsType[*sqlite.LostLog](err); ok {
		return withLost(all, snapshot{path, lost.Since}), nil
	}
	// When its write-ahead log alone is damaged the file has more than a snapshot.
	return append([]snapshot{{path: path}}, all...), nil
}

// says tells what the server goes on with.
func (s snapshot) says() string {
	if s.made.IsZero() {
		return "The control state is what could be read of the damaged file: the changes of its last moments are gone."
	}
	return fmt.Sprintf(`The control state is that of %s (%s ago).
What people changed since then is gone: streams, tokens, users and their rights
are as they were. Tokens and members that were removed since are valid again.
Deliveries since then are repeated.`, s.made.UTC().Format(clock+" UTC"), time.Since(s.made).Round(time.Second))
}

// note has the next start tell in the log that the control state was restored.
func (s snapshot) note(ctx context.Context, in store.Store) error {
	return changeIdentity(ctx, in, func(v *identity) {
		v.Restored = &restored{Event: newLogID().String(), At: time.Now().UTC(), MadeAt: s.made, Control: true}
	})
}

// numbersLost is how many numbers are left out after a restore: more streams,
// tokens and users than can have been made since the snapshot. A number that was
// given once is never given to something else: objects in buckets bear it.
const numbersLost = 1_000_000

// leaveOutNumbers raises every counter.
func leaveOutNumbers(ctx context.Context, s store.Store) error {
	var changes []store.Change
	for r, err := range s.List(ctx, "counter/") {
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(r.Value), 10, 64)
		if err != nil {
			return fmt.Errorf("read %s: %w", r.Key, err)
		}
		changes = append(changes, store.Change{Key: r.Key, Value: strconv.AppendInt(nil, n+numbersLost, 10), Version: r.Version})
	}
	return errors.Join(s.Apply(ctx, changes...)...)
}
