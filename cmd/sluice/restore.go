package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sluicelog/sluice/backup"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/sqlite"
	"github.com/sluicelog/sluice/store"
)

// restoreFlags makes a data folder from a backup, or verifies one.
func restoreFlags(fs *flag.FlagSet, env *Env) action {
	var o restoration
	fs.StringVar(&o.From, "from", "", "the backup's `DIR`")
	fs.StringVar(&o.Data, "data", "", "the data `DIR` to make: absent or empty")
	fs.StringVar(&o.KeyFile, "key-file", "", "copy of the key `FILE`, when the backup has none; becomes DATA/"+keyName)
	fs.BoolVar(&o.Check, "check", false, "only read the whole backup and compare it with its checksums")
	return func(ctx context.Context, _ []string) error {
		if o.From == "" || o.Data == "" == !o.Check {
			return usagef("--from and either --data or --check are needed").withHint("For example: sluice restore --from /backup/sluice --data /var/lib/sluice")
		}
		return restore(ctx, o, env)
	}
}

type restoration struct {
	From, Data, KeyFile string
	Check               bool
}

func restore(ctx context.Context, o restoration, env *Env) error {
	m, err := backup.Read(o.From)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s holds no complete backup: %w", o.From, err)
	}
	if err != nil {
		return err
	}
	if err := backup.Verify(ctx, o.From, &m); err != nil {
		return err
	}
	if o.Check {
		_, err := fmt.Fprintf(env.Stdout, "The backup of %s is whole: %d files, %s.\n", m.MadeAt.Format("2006-01-02 15:04:05 UTC"), len(m.Files), formatBytes(m.Bytes()))
		return err
	}
	if err := emptyFolder(o.Data); err != nil {
		return err
	}
	sealed, err := restoreFiles(ctx, o, &m)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "Restored the state of %s into %s. The log has a new identity; the streams go on where they stood then, and send again what was delivered since.\n",
		m.MadeAt.Format("2006-01-02 15:04:05 UTC"), o.Data)
	if err == nil {
		err = tellKeys(filepath.Join(o.Data, keyName), sealed, env)
	}
	return err
}

// tellKeys says what is to be done before the start when the key file is not there, or
// lacks keys. sealed counts the values that each key has sealed.
func tellKeys(path string, sealed map[string]int, env *Env) error {
	ring, err := secret.OpenKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		_, err := fmt.Fprintf(env.Stdout, "The backup has no key file: put your copy at %s before the start.\n", path)
		return err
	}
	if err != nil {
		return err
	}
	lost := 0
	for id, n := range sealed {
		if !slices.Contains(ring.Keys(), id) {
			lost += n
		}
	}
	if lost > 0 {
		_, err = fmt.Fprintf(env.Stdout, "The key file lacks the keys of %d of the secrets in the backup: it is an older one, or another server's. Put the right copy at %s before the start; without it these secrets have to be entered anew.\n", lost, path)
	}
	return err
}

func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(dir, 0o700)
	}
	for _, e := range entries {
		if e.Name() != "lost+found" {
			return fmt.Errorf("%s is not empty: choose an absent or empty folder", dir)
		}
	}
	return err
}

// restoreFiles copies everything. Control state comes last: without it no server
// starts on what is there. It returns how many values each key has sealed.
func restoreFiles(ctx context.Context, o restoration, m *backup.Manifest) (sealed map[string]int, err error) {
	if o.KeyFile != "" {
		if err := restoreKey(ctx, o); err != nil {
			return nil, err
		}
	}
	var state string
	for _, f := range m.Files {
		to := filepath.FromSlash(f.Name)
		switch {
		case strings.HasPrefix(f.Name, "control-"):
			state = f.Name
			continue
		case isKey(f.Name) && o.KeyFile != "":
			continue
		case isKey(f.Name):
			to = keyName
		}
		if err := backup.Extract(ctx, o.From, f, filepath.Join(o.Data, to)); err != nil {
			return nil, err
		}
	}
	if state == "" {
		return nil, fmt.Errorf("%w: it holds no control state", backup.ErrDamaged)
	}
	failpoint.Here(failpoint.RestoreFilled)
	err = sqlite.Replace(ctx, sqlite.Replacement{
		Path: filepath.Join(o.Data, controlFile), From: filepath.Join(o.From, state), Aside: filepath.Join(o.Data, controlFile+".before"),
		Adjust: func(ctx context.Context, s store.Store) (err error) {
			sealed, err = control.CountSealed(ctx, s)
			return errors.Join(err, renewIdentity(ctx, s, m), leaveOutNumbers(ctx, s))
		},
	})
	if err != nil {
		return nil, err
	}
	return sealed, giveAllToOwner(o.Data)
}

// restoreKey comes first: what is no key file leaves the folder empty, for another
// try.
func restoreKey(ctx context.Context, o restoration) error {
	info, err := os.Stat(o.KeyFile)
	if err != nil {
		return fmt.Errorf("copy the key file: %w", err)
	}
	to := filepath.Join(o.Data, keyName)
	if _, err := backup.Copy(ctx, o.KeyFile, to, info.Size()); err != nil {
		return err
	}
	if _, err := secret.OpenKeyFile(to); err != nil {
		return errors.Join(fmt.Errorf("copy the key file %s: %w", o.KeyFile, err), os.Remove(to))
	}
	return nil
}

// renewIdentity gives the restored log an identity of its own: the original may
// live on, and what each of them writes under its identity must not be taken for
// the other's.
func renewIdentity(ctx context.Context, s store.Store, m *backup.Manifest) error {
	return changeIdentity(ctx, s, func(v *identity) {
		v.Earlier = append(v.Earlier, v.ID)
		v.ID = newLogID().String()
		v.Restored = &restored{At: time.Now().UTC(), MadeAt: m.MadeAt}
	})
}

// changeIdentity changes the record of the log's identity in a store that no
// server has open.
func changeIdentity(ctx context.Context, s store.Store, change func(*identity)) error {
	_, err := store.Update(ctx, s, identityKey, func(v *identity, found bool) error {
		if !found {
			return errors.New("the control state does not know its log")
		}
		change(v)
		return nil
	})
	return err
}

// tellRestored appends the event of a restoration, once: its id is fixed, so that
// a repeat is a duplicate.
func (p *parts) tellRestored(ctx context.Context) error {
	was := p.identity.Restored
	if was == nil {
		return nil
	}
	err := p.control.TellRestored(ctx, control.Restoration{ID: cmp.Or(was.Event, p.identity.ID), At: was.At, MadeAt: was.MadeAt, ControlOnly: was.Control})
	if err != nil {
		return err
	}
	_, err = store.Update(ctx, p.store, identityKey, func(v *identity, _ bool) error {
		v.Restored = nil
		return nil
	})
	return err
}

// tellPause lies between two tries to tell of a restoration on a full disk.
const tellPause = 5 * time.Second

// tell carries tell out, by a stage of its own when there is no space for that now:
// deliveries and retention, which make some, must not wait.
func (s *server) tell(ctx context.Context, all *stages, fail func(error), tell func(context.Context) error) error {
	full := func(err error) bool { return errors.Is(err, eventlog.ErrFull) || errors.Is(err, store.ErrFull) }
	err := tell(ctx)
	if !full(err) {
		return err
	}
	s.lg.WarnContext(ctx, "restoration not told yet", "err", err)
	all.start("restoration", fail, func(ctx context.Context) error {
		tick := time.NewTicker(tellPause)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := tell(ctx); !full(err) && ctx.Err() == nil {
					return err
				}
			case <-ctx.Done():
				return nil
			}
		}
	})
	return nil
}
