// Package backup keeps a copy of files that belong together, in a folder that
// holds one complete copy at every moment, and puts it back.
//
// Files that never change once they are closed are copied once; a later backup
// into the same folder adds what is new. What makes a backup is its list of
// files, [Manifest], which is replaced in one step when everything that it names
// is on disk: a backup that is cut off leaves the one before.
//
// Whoever calls decides which files there are, and in which order they are copied.
package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sluicelog/sluice/failpoint"
)

// ManifestName is the name of the list of files in a backup's folder.
const ManifestName = "backup.json"

// format is the version of the layout. A folder of another one is refused.
const format = 1

// partial ends the names of files that are being written.
const partial = ".partial"

// Limits of what is read from a folder that anybody may have changed.
const (
	maxManifest = 64 << 20
	maxFiles    = 1 << 20
)

// ErrDamaged says that a backup is not what was written.
var ErrDamaged = errors.New("the backup is damaged")

// Manifest says what a backup is of, and of which files it consists.
type Manifest struct {
	Format  int       `json:"format"`
	Program string    `json:"program"` // version that made it
	Log     string    `json:"log"`     // identity of the log
	MadeAt  time.Time `json:"made_at"`
	// Last is the highest sequence number of each partition.
	Last  map[string]uint64 `json:"last_seq"`
	Files []File            `json:"files"`
}

// File is a file of a backup. Of one that is still written in the original, its
// first Bytes are the file.
type File struct {
	Name   string `json:"name"` // below the folder, with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	Closed bool   `json:"closed,omitempty"` // it never changes
}

// Bytes returns the size of all files.
func (m *Manifest) Bytes() (n int64) {
	for i := range m.Files {
		n += m.Files[i].Bytes
	}
	return n
}

// Source is a file to be copied.
type Source struct {
	Name   string // in the backup
	Path   string
	Bytes  int64 // to be copied from its start
	Closed bool
	// Salvage copies it also when places of it cannot be read: what is there of it is
	// better than nothing, and whoever reads it finds what is not.
	Salvage bool
}

// Result is what [Folder.Write] did.
type Result struct {
	Manifest    Manifest
	Copied      int   // files
	CopiedBytes int64 // of these
	Removed     int   // files that the original no longer has
	// Lost are the bytes that could not be read, by name of the file.
	Lost map[string]int64
	Kept []File // of the backup before, missed by the original
}

// Write makes the folder a backup of the sources, which are copied in their order,
// unless the backup that is there has them. m says all but the files. A closed source
// that is gone is left out: retention removed it. A file of that backup which is no
// source any more leaves it, unless missed, called with its name, says that the original
// has not removed but lost it: then this is the only one.
func (f *Folder) Write(ctx context.Context, m Manifest, sources []Source, missed func(name string) bool) (res Result, err error) {
	before, err := earlier(f.dir, &m)
	if err != nil {
		return res, err
	}
	m.Format, m.Files, res.Lost = format, nil, map[string]int64{}
	for _, src := range sources {
		file, copied, lost, err := add(ctx, f.dir, src, before)
		if errors.Is(err, errGone) && src.Closed {
			continue
		}
		if err != nil {
			return res, fmt.Errorf("back up %s: %w", src.Name, err)
		}
		if copied {
			res.Copied++
			res.CopiedBytes += file.Bytes
		}
		if lost > 0 {
			res.Lost[file.Name] = lost
		}
		m.Files = append(m.Files, file)
	}
	res.Kept = kept(f.dir, before, m.Files, missed)
	m.Files = append(m.Files, res.Kept...)
	if err := writeManifest(f.dir, &m); err != nil {
		return res, err
	}
	res.Manifest = m
	res.Removed, err = sweep(f.dir, m.Files, before)
	return res, err
}

// earlier returns the files of the backup that is in dir, none when there is none. A
// backup of another log than that of next is refused, and one that goes further: its
// newest files would be removed.
func earlier(dir string, next *Manifest) (map[string]File, error) {
	m, err := Read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if m.Log != next.Log {
		return nil, fmt.Errorf("%s holds the backup of another log (%s): choose another folder", dir, m.Log)
	}
	for name, last := range m.Last {
		if now := next.Last[name]; now < last {
			return nil, fmt.Errorf("the backup in %s has %s events up to number %d, and the log ends with %d now: an older state was put back, or its end is lost. Keep that backup, and choose another folder", dir, name, last, now)
		}
	}
	out := make(map[string]File, len(m.Files))
	for _, f := range m.Files {
		out[f.Name] = f
	}
	return out, nil
}

// kept returns the files of the backup before that the original misses, by name, as
// far as they are there.
func kept(dir string, before map[string]File, now []File, missed func(name string) bool) (list []File) {
	before = maps.Clone(before)
	for _, f := range now {
		delete(before, f.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		f := before[name]
		info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
		if err == nil && info.Size() == f.Bytes && missed(name) {
			list = append(list, f)
		}
	}
	return list
}

// add copies a source unless the backup has it. What could not be copied whole is
// copied again by the next backup.
func add(ctx context.Context, dir string, src Source, before map[string]File) (f File, copied bool, lost int64, err error) {
	to := filepath.Join(dir, filepath.FromSlash(src.Name))
	was, ok := before[src.Name]
	if ok && was.Closed && src.Closed && was.Bytes == src.Bytes {
		if info, err := os.Stat(to); err == nil && info.Size() == src.Bytes {
			return was, false, 0, nil
		}
	}
	f = File{Name: src.Name, Bytes: src.Bytes, Closed: src.Closed}
	if !src.Salvage {
		f.SHA256, err = Copy(ctx, src.Path, to, src.Bytes)
		return f, true, 0, err
	}
	f.SHA256, lost, err = copySalvaged(ctx, src, to, was.Bytes)
	f.Closed = f.Closed && lost == 0
	return f, true, lost, err
}

// copySalvaged is Copy for a source that is salvaged, of which to has the first bytes
// that the backup before has copied.
func copySalvaged(ctx context.Context, src Source, to string, had int64) (digest string, lost int64, err error) {
	in, err := open(src.Path)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = in.Close() }() // it was only read
	s := &salvage{from: in}
	if earlier, err := os.Open(to); err == nil {
		defer func() { _ = earlier.Close() }() // it was only read
		s.before = io.NewSectionReader(earlier, 0, had)
	}
	digest, err = put(ctx, s, src.Path, to, src.Bytes)
	return digest, s.lost, err
}

// errGone says that a source is not there: not that its copy cannot be made.
var errGone = errors.New("the original is gone")

// open opens a source.
func open(path string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", errGone, err)
	}
	return f, err
}

// Copy copies the first n bytes of a file to a new one that is durable under
// its name afterwards, and returns their digest.
func Copy(ctx context.Context, from, to string, n int64) (digest string, err error) {
	in, err := open(from)
	if err != nil {
		return "", err
	}
	defer func() { _ = in.Close() }() // it was only read
	return put(ctx, in, from, to, n)
}

// put is Copy of what in yields.
func put(ctx context.Context, in io.Reader, from, to string, n int64) (digest string, err error) {
	if err := makeFolder(filepath.Dir(to)); err != nil {
		return "", err
	}
	out, err := os.OpenFile(to+partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	written, err := io.Copy(io.MultiWriter(out, hash), &reader{ctx, io.LimitReader(in, n)})
	if err == nil && written < n {
		err = fmt.Errorf("%s has %d bytes instead of %d: %w", from, written, n, ErrDamaged)
	}
	failpoint.Here(failpoint.FileCopied)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return "", errors.Join(err, os.Remove(to+partial))
	}
	failpoint.Here(failpoint.FileSynced)
	if err := os.Rename(to+partial, to); err != nil {
		return "", err
	}
	failpoint.Here(failpoint.FileNamed)
	return hex.EncodeToString(hash.Sum(nil)), syncFolder(filepath.Dir(to))
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r *reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(b)
}

func writeManifest(dir string, m *Manifest) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	name := filepath.Join(dir, ManifestName)
	f, err := os.OpenFile(name+partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the list of files: %w", err)
	}
	failpoint.Here(failpoint.ManifestWritten)
	if err := os.Rename(name+partial, name); err != nil {
		return err
	}
	failpoint.Here(failpoint.ManifestNamed)
	return syncFolder(dir)
}

// Read returns the list of files of the backup in dir. It is an error that is
// [fs.ErrNotExist] when there is none.
func Read(dir string) (Manifest, error) {
	var m Manifest
	f, err := os.Open(filepath.Join(dir, ManifestName))
	if err != nil {
		return m, err
	}
	defer func() { _ = f.Close() }() // it was only read
	// A member that is not known is one whose name is damaged: without it a list may
	// look whole and name nothing.
	list := json.NewDecoder(io.LimitReader(f, maxManifest))
	list.DisallowUnknownFields()
	if err := list.Decode(&m); err != nil {
		return m, fmt.Errorf("%w: read the list of files in %s: %w", ErrDamaged, dir, err)
	}
	if m.Format != format {
		return m, fmt.Errorf("the backup in %s has format %d, and this program knows %d: use the version that made it, or a newer one", dir, m.Format, format)
	}
	if len(m.Files) > maxFiles {
		return m, fmt.Errorf("%w: it lists more than %d files", ErrDamaged, maxFiles)
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Name)) || f.Bytes < 0 {
			return m, fmt.Errorf("%w: it lists %q", ErrDamaged, f.Name)
		}
	}
	return m, nil
}

// left reports whether a file that no list names is what a backup that was cut off
// has left. Whatever else lies in the folder was put there by somebody.
func left(name string) bool {
	name = strings.TrimSuffix(name, partial)
	for _, pattern := range []string{ManifestName, "control-*.db", "sluice-*.key", "log/*/*.seg"} {
		if is, err := path.Match(pattern, name); is && err == nil {
			return true
		}
	}
	return false
}

// sweep removes what backups have written to dir and the list does not name: files of
// the one before, and of those that were cut off.
func sweep(dir string, files []File, before map[string]File) (removed int, err error) {
	listed := map[string]bool{ManifestName: true}
	for _, f := range files {
		listed[f.Name] = true
	}
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() {
			if top, _, _ := strings.Cut(name, "/"); top != "." && top != "log" {
				return filepath.SkipDir // no backup has made it
			}
			return nil
		}
		if _, was := before[name]; listed[name] || !was && !left(name) {
			return nil
		}
		if !strings.HasSuffix(name, partial) {
			removed++
		}
		return os.Remove(file)
	})
	failpoint.Here(failpoint.BackupSwept)
	return removed, err
}

// Verify reads every file of a backup and compares it with the list.
func Verify(ctx context.Context, dir string, m *Manifest) error {
	for _, f := range m.Files {
		if err := verify(ctx, dir, f); err != nil {
			return err
		}
	}
	return nil
}

func verify(ctx context.Context, dir string, f File) error {
	in, err := os.Open(filepath.Join(dir, filepath.FromSlash(f.Name)))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	defer func() { _ = in.Close() }() // it was only read
	hash := sha256.New()
	n, err := io.Copy(hash, &reader{ctx, io.LimitReader(in, f.Bytes)})
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Name, err)
	}
	if n != f.Bytes {
		return fmt.Errorf("%w: %s has %d bytes instead of %d", ErrDamaged, f.Name, n, f.Bytes)
	}
	return f.same(hex.EncodeToString(hash.Sum(nil)))
}

func (f *File) same(digest string) error {
	if digest != f.SHA256 {
		return fmt.Errorf("%w: %s is not what was written", ErrDamaged, f.Name)
	}
	return nil
}

// Extract copies a file of the backup in dir to a path, durably, and verifies it.
func Extract(ctx context.Context, dir string, f File, to string) error {
	digest, err := Copy(ctx, filepath.Join(dir, filepath.FromSlash(f.Name)), to, f.Bytes)
	if err != nil {
		return fmt.Errorf("restore %s: %w", f.Name, err)
	}
	if err := f.same(digest); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// makeFolder makes a folder and its parents, durably.
func makeFolder(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(parent)
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
