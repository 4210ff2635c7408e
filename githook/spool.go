package githook

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrSpoolFull says that the spool has reached its limit.
var ErrSpoolFull = errors.New("the spool is full")

const (
	readySuffix = ".ndjson"
	draftSuffix = ".draft"
	tempSuffix  = ".tmp"
	// maxSpoolFiles bounds the number of pushes that wait, whatever their size.
	maxSpoolFiles = 20_000
	// draftAge is when a draft's writer is taken to have died.
	draftAge = time.Minute
	// maxLost bounds the record of pushes that found no room, in bytes.
	maxLost = 256 << 10
)

// Spool is a folder of events that wait to be sent: one file for each push,
// named so that older ones sort first. Every method may be called by several
// processes at once.
type Spool struct {
	dir   string // inside the repository: sluice/spool
	limit int64
	// mode is that of the repository's folder: whoever may push may write here.
	mode fs.FileMode
}

// Spool returns the repository's spool.
func (r *Repository) Spool(cfg Config) *Spool {
	mode := fs.FileMode(0o700)
	if info, err := os.Stat(r.GitDir); err == nil {
		mode = info.Mode().Perm() | 0o700
	}
	return &Spool{dir: filepath.Join(r.GitDir, "sluice", "spool"), limit: cfg.SpoolLimit, mode: mode}
}

// Dir returns the spool's folder.
func (s *Spool) Dir() string { return s.dir }

// Draft is a push that is safe in the spool and not yet to be sent, because
// something is still added to it. When its writer dies, it is sent as it is.
type Draft struct {
	spool *Spool
	path  string
}

// Draft writes a push to the spool. When it returns nil, the events survive a
// power cut. It returns ErrSpoolFull when there is no room.
func (s *Spool) Draft(events []event) (*Draft, error) {
	text, err := encode(events)
	if err != nil {
		return nil, err
	}
	if err := s.make(); err != nil {
		return nil, fmt.Errorf("make spool: %w", err)
	}
	if err := s.room(int64(len(text))); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%020d-%s%s", events[0].CreatedAt, rand.Text(), draftSuffix)
	d := &Draft{spool: s, path: filepath.Join(s.dir, name)}
	if err := writeFile(d.path, text, s.fileMode()); err != nil {
		return nil, fmt.Errorf("spool push: %w", err)
	}
	return d, nil
}

// make makes the spool's folders, with the repository's mode whatever the umask.
func (s *Spool) make() error {
	if _, err := os.Stat(s.dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(s.dir, s.mode); err != nil {
		return err
	}
	parent := filepath.Dir(s.dir)
	for _, dir := range []string{parent, s.dir} {
		if err := os.Chmod(dir, s.mode); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return errors.Join(syncDir(filepath.Dir(parent)), syncDir(parent))
}

func (s *Spool) fileMode() fs.FileMode { return s.mode &^ 0o111 }

// Finish replaces the draft's events and lets them be sent. The events have the
// ids that they had.
func (d *Draft) Finish(events []event) error {
	text, err := encode(events)
	if err == nil {
		err = writeFile(d.path, text, d.spool.fileMode())
	}
	// Even when the better version could not be written, the draft is there.
	if moved := os.Rename(d.path, strings.TrimSuffix(d.path, draftSuffix)+readySuffix); moved != nil {
		return moved
	}
	return errors.Join(err, syncDir(d.spool.dir))
}

// room reports ErrSpoolFull when size bytes more are too many.
func (s *Spool) room(size int64) error {
	files, err := s.files()
	if err != nil {
		return err
	}
	total := size
	for _, f := range files {
		total += f.size
	}
	if total > s.limit || len(files) >= maxSpoolFiles {
		return ErrSpoolFull
	}
	return nil
}

// spoolFile is a push that waits.
type spoolFile struct {
	path    string
	size    int64
	changed time.Time
}

// files lists what waits, the oldest first, drafts included.
func (s *Spool) files() ([]spoolFile, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read spool: %w", err)
	}
	var files []spoolFile
	for _, e := range entries {
		name := e.Name()
		if strings.HasSuffix(name, tempSuffix) {
			removeStale(s.dir, e)
		}
		if !strings.HasSuffix(name, readySuffix) && !strings.HasSuffix(name, draftSuffix) {
			continue
		}
		if info, err := e.Info(); err == nil {
			files = append(files, spoolFile{filepath.Join(s.dir, name), info.Size(), info.ModTime()})
		}
	}
	return files, nil
}

// ready lists what may be sent, the oldest first. It adopts drafts whose writer
// is gone, and removes what a writer that died left half written.
func (s *Spool) ready() ([]spoolFile, error) {
	files, err := s.files()
	if err != nil {
		return nil, err
	}
	var ready []spoolFile
	for _, f := range files {
		stem, draft := strings.CutSuffix(f.path, draftSuffix)
		if draft {
			f.path = stem + readySuffix
			if time.Since(f.changed) < draftAge || os.Rename(stem+draftSuffix, f.path) != nil {
				continue
			}
		}
		ready = append(ready, f)
	}
	return ready, nil
}

func removeStale(dir string, e fs.DirEntry) {
	if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > draftAge {
		os.Remove(filepath.Join(dir, e.Name()))
	}
}

// Waiting returns how many pushes and bytes wait.
func (s *Spool) Waiting() (pushes int, bytes int64, err error) {
	files, err := s.files()
	for _, f := range files {
		bytes += f.size
	}
	return len(files), bytes, err
}

// noteLost remembers, as far as it can, a push that was not recorded.
func (s *Spool) noteLost(at time.Time, events int, cause error) {
	path := filepath.Join(filepath.Dir(s.dir), "lost.log")
	if info, err := os.Stat(path); err == nil && info.Size() > maxLost {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, s.fileMode())
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintf(f, "%s %d ref updates: %v\n", at.UTC().Format(time.RFC3339), events, cause)
}

// writeFile replaces a file; when it returns nil, the content is on disk under
// its name.
func writeFile(path string, content []byte, mode fs.FileMode) error {
	tmp := path + tempSuffix
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	if _, err = f.Write(content); err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
