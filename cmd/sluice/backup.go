package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sluicelog/sluice/backup"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/sqlite"
	"github.com/sluicelog/sluice/store"
)

// keyName is the key file's name in a data folder.
const keyName = "sluice.key"

// The names in a backup tell when it was made: what a later one copies never takes the
// place of what an earlier one lists.
const (
	controlCopy = "control-20060102T150405.000Z.db"
	keyCopy     = "sluice-20060102T150405.000Z.key"
)

// isKey reports whether a name in a backup is that of the key file. Earlier versions
// copied it under its own.
func isKey(name string) bool {
	_, err := time.Parse(keyCopy, name)
	return err == nil || name == keyName
}

// backupFlags makes a backup of a server that runs or not.
func backupFlags(fs *flag.FlagSet, env *Env) action {
	var o backupOptions
	fs.StringVar(&o.Data, "data", "", "the server's data `DIR`")
	fs.StringVar(&o.To, "to", "", "the backup's `DIR`: absent, empty, or with an earlier backup of the same server, to which only what is new is added")
	fs.BoolVar(&o.WithKey, "with-key", false, "copy the key file, too: whoever has the backup can then read the secrets of destinations")
	fs.StringVar(&o.KeyFile, "key-file", "", "the key `FILE`; DATA/"+keyName+" by default")
	fs.BoolVar(&o.JSON, "json", false, "print JSON")
	return func(ctx context.Context, _ []string) error {
		if o.Data == "" || o.To == "" {
			return usagef("--data and --to are needed").withHint("For example: sluice backup --data /var/lib/sluice --to /backup/sluice")
		}
		return makeBackup(ctx, o, env)
	}
}

type backupOptions struct {
	Data, To string
	WithKey  bool
	KeyFile  string
	JSON     bool
}

func (o *backupOptions) keyPath() string {
	if o.KeyFile != "" {
		return o.KeyFile
	}
	return filepath.Join(o.Data, keyName)
}

// makeBackup copies control state first and the log after it: so the log is never
// older than the cursors in it.
func makeBackup(ctx context.Context, o backupOptions, env *Env) (err error) {
	if within(o.To, o.Data) {
		return usagef("%s lies in %s: a backup there would be lost with the original", o.To, o.Data)
	}
	folder, err := backup.Open(o.To)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	m := backup.Manifest{Program: version(), MadeAt: time.Now().UTC(), Last: map[string]uint64{}}
	scratch := []string{folder.Scratch()}
	if local, err := os.MkdirTemp("", "sluice-backup-"); err == nil {
		defer func() { _ = os.RemoveAll(local) }() // what is left is of no use
		scratch = append(scratch, local)
	}
	sources, err := controlSources(ctx, o, m.MadeAt, scratch)
	if err != nil {
		return err
	}
	files, err := logSources(ctx, o.Data, sources[0].Path, &m)
	if err != nil {
		return err
	}
	res, err := folder.Write(ctx, m, append(sources, files...), lostBy(files))
	if err != nil {
		return err
	}
	if err := printBackup(&res, o, env); err != nil {
		return err
	}
	return lostPlaces(res.Lost)
}

// lostPlaces is nil when everything could be read.
func lostPlaces(lost map[string]int64) error {
	if len(lost) == 0 {
		return nil
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(lost)) {
		words = append(words, fmt.Sprintf("%d bytes of %s", lost[name], name))
	}
	return fmt.Errorf("the disk cannot read %s, and no backup before has that: these events are missing, and all else is in the backup", strings.Join(words, ", "))
}

// controlSources copies control state, and the key file when it is asked for, as they
// are now, to one of the folders, of which the first is on the disk of the backup. It
// returns what is to be copied before the log.
func controlSources(ctx context.Context, o backupOptions, now time.Time, folders []string) ([]backup.Source, error) {
	original := filepath.Join(o.Data, controlFile)
	if _, err := os.Stat(original); err != nil {
		return nil, err
	}
	control, err := copyControl(ctx, original, folders)
	if err != nil {
		return nil, err
	}
	if err := refuseUnknown(ctx, o.Data, control); err != nil {
		return nil, fmt.Errorf("nothing was copied: %s: %w", original, err)
	}
	source, err := wholeFile(now.Format(controlCopy), control)
	if err != nil || !o.WithKey {
		return []backup.Source{source}, err
	}
	key := filepath.Join(folders[0], keyName)
	if err := copyKey(o.keyPath(), key); err != nil {
		return nil, err
	}
	keySource, err := wholeFile(now.Format(keyCopy), key)
	return []backup.Source{source, keySource}, err
}

// copyControl copies control state to the first of the folders that can hold it. The
// file systems of networks often cannot: there are no locks, or no shared memory.
func copyControl(ctx context.Context, original string, folders []string) (path string, err error) {
	for _, folder := range folders {
		path = filepath.Join(folder, controlFile)
		failed := sqlite.Copy(ctx, original, path)
		if failed == nil {
			return path, nil
		}
		if err == nil {
			err = failed
		} else if err.Error() != failed.Error() {
			err = errors.Join(err, failed)
		}
		if errors.Is(failed, store.ErrDamaged) || ctx.Err() != nil {
			break
		}
	}
	return "", err
}

// wholeFile is all of a file that nobody changes.
func wholeFile(name, path string) (backup.Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return backup.Source{}, err
	}
	return backup.Source{Name: name, Path: path, Bytes: info.Size()}, nil
}

// copyKey copies a key file as it is at one moment: a rotation puts a longer one in its
// place.
func copyKey(from, to string) error {
	_, err := secret.OpenKeyFile(from)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("copy the key file: %w", err)
	}
	return nil
}

// logSources lists the files of the log, and completes m. Those that are being written
// come first: a short retention may remove them before all others are copied.
// The copy of control state says which log it is.
func logSources(ctx context.Context, data, control string, m *backup.Manifest) ([]backup.Source, error) {
	l, err := openLogOf(ctx, data, control)
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.engine.Close() }() // opened for reading only
	m.Log = l.id.String()
	names, err := l.engine.Partitions(ctx)
	if err != nil {
		return nil, err
	}
	var out []backup.Source
	for _, name := range names {
		files, err := l.engine.Files(name)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			m.Last[name] = max(m.Last[name], f.Last)
			out = append(out, backup.Source{
				Name: logFolder + "/" + name + "/" + f.Name, Path: filepath.Join(data, logFolder, name, f.Name),
				Bytes: f.Bytes, Closed: f.Closed, Salvage: true,
			})
		}
	}
	slices.SortStableFunc(out, func(a, b backup.Source) int {
		switch {
		case a.Closed == b.Closed:
			return 0
		case b.Closed:
			return -1
		}
		return 1
	})
	return out, nil
}

// lostBy says of a file of an earlier backup whether the log has lost it: retention
// removes the oldest of a partition, so what lies behind that is not its doing. Names
// sort as the numbers of what is in the files.
func lostBy(files []backup.Source) func(name string) bool {
	oldest := map[string]string{}
	for _, f := range files {
		if first, ok := oldest[path.Dir(f.Name)]; !ok || f.Name < first {
			oldest[path.Dir(f.Name)] = f.Name
		}
	}
	return func(name string) bool {
		first, ok := oldest[path.Dir(name)]
		return ok && name > first
	}
}

func printBackup(res *backup.Result, o backupOptions, env *Env) error {
	if o.JSON {
		return writeJSON(env.Stdout, map[string]any{
			"log": res.Manifest.Log, "made_at": res.Manifest.MadeAt, "last_seq": res.Manifest.Last, "files": len(res.Manifest.Files),
			"bytes": res.Manifest.Bytes(), "copied_files": res.Copied, "copied_bytes": res.CopiedBytes, "removed_files": res.Removed, "lost_bytes": res.Lost,
			"kept_files": len(res.Kept),
		})
	}
	_, err := fmt.Fprintf(env.Stdout, "The backup in %s is complete: %d files, %s. Copied this time: %d files, %s.\n",
		o.To, len(res.Manifest.Files), formatBytes(res.Manifest.Bytes()), res.Copied, formatBytes(res.CopiedBytes))
	if err == nil && len(res.Kept) > 0 {
		more := ""
		if n := len(res.Kept) - 1; n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		_, err = fmt.Fprintf(env.Stdout, "Of these the log itself has lost %s%s. They stay in the backup, and sluice restore puts them back.\n", res.Kept[0].Name, more)
	}
	if err == nil && !o.WithKey {
		_, err = fmt.Fprintf(env.Stdout, "The key file is not in it: keep a copy of %s elsewhere. Without it the secrets of streams are lost.\n", o.keyPath())
	}
	return err
}

// formatBytes writes a number of bytes as people say it: "3.2 GB".
func formatBytes(n int64) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if float64(n) >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// within reports whether path lies in dir, or is it.
func within(path, dir string) bool {
	a, err1 := filepath.Abs(path)
	b, err2 := filepath.Abs(dir)
	rel, err3 := filepath.Rel(b, a)
	return errors.Join(err1, err2, err3) == nil && (rel == "." || !strings.HasPrefix(rel, ".."))
}
