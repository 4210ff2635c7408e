package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// tracked is a file that is followed, as FILE.offset describes it: which file it
// is, and how much of it is answered for.
type tracked struct {
	// ID is made at random when the file is first seen. It goes into the
	// idempotency keys, so it is on disk before the first request.
	ID     string `json:"id"`
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
	// Offset is up to where every line is answered for.
	Offset int64 `json:"offset"`
	// Before is the last bytes before Offset, by which a file that was
	// truncated and written anew is recognised.
	Before []byte `json:"before"`
}

// maxBefore bounds tracked.Before, in bytes.
const maxBefore = 256

// is reports whether info is about the tracked file.
func (t *tracked) is(info fs.FileInfo) bool {
	device, inode := fileID(info)
	return t.Device == device && t.Inode == inode
}

func fileID(info fs.FileInfo) (device, inode uint64) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0
	}
	return uint64(st.Dev), st.Ino
}

// state is FILE.offset, held by one process at a time.
type state struct {
	path string
	lock *os.File
	// current is the file that it is about, nil when there is none yet.
	current *tracked
	saved   time.Time // when it was written, by an earlier run
}

func openState(path string) (*state, error) {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open offset: %w", err)
	}
	s := &state{path: path, lock: lock}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("open offset: another process follows this file (it holds %s.lock)", path)
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	var text []byte
	if err == nil {
		s.saved = info.ModTime()
		text, err = os.ReadFile(path)
	}
	if err == nil {
		s.current = &tracked{}
		err = json.Unmarshal(text, s.current)
	}
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("open offset: %s: %w", path, err)
	}
	return s, nil
}

func (s *state) close() { s.lock.Close() }

// begin makes sure that t is the followed file on disk, before its first line is
// sent. Everything of the file before is answered for by then.
func (s *state) begin(t *tracked) error {
	if s.current == t {
		return nil
	}
	s.current = t
	return s.save(*t)
}

// acknowledge notes that everything up to the end of lines, which are of one
// file, is answered for.
func (s *state) acknowledge(lines []line) error {
	last := lines[len(lines)-1]
	next := *last.file
	next.Offset, next.Before = last.end, nil
	for i := len(lines) - 1; i >= 0 && len(next.Before) < maxBefore; i-- {
		l := lines[i]
		newline := l.end - l.offset - int64(len(l.data))
		if newline > 1 {
			break // a line that was cut
		}
		next.Before = append(append(append([]byte(nil), l.data...), "\n"[:newline]...), next.Before...)
	}
	next.Before = next.Before[max(0, len(next.Before)-maxBefore):]
	return s.save(next)
}

// save replaces FILE.offset; when it returns nil, it is on disk.
func (s *state) save(t tracked) error {
	text, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("save offset: %w", err)
	}
	tmp := s.path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("save offset: %w", err)
	}
	if _, err = f.Write(append(text, '\n')); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, s.path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(s.path))
	}
	if err != nil {
		return fmt.Errorf("save offset: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
