package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// follower yields the lines of a file that grows, is rotated (renamed, with a
// new file in its place) or truncated. It reads a rotated file to its end before
// the next one.
type follower struct {
	path  string
	state *state
	once  bool
	poll  time.Duration
	say   func(format string, args ...any)
}

// opened is a file being read.
type opened struct {
	*os.File
	tracked *tracked
	lines   *splitter
	// leaving says that another file had its place when its end was last seen.
	leaving bool
}

func (f *follower) run(ctx context.Context, yield func(line) error) error {
	current, err := f.resume(ctx)
	for err == nil {
		finished := current
		if err = f.read(ctx, finished, yield); err == nil {
			current, err = f.next(ctx, finished)
		}
		finished.Close()
	}
	return err
}

// resume opens the file where the last run stopped.
func (f *follower) resume(ctx context.Context) (*opened, error) {
	t := f.state.current
	if t == nil {
		return f.fresh(ctx)
	}
	name, err := f.find(t)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return f.elsewhere(ctx, t, func() {
			f.say("the file that was read last is gone: what was written to it after offset %d may not have been sent", t.Offset)
		})
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	same, err := unchanged(file, t)
	if err == nil && same {
		return f.at(file, t, t.Offset)
	}
	file.Close()
	if err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	return f.elsewhere(ctx, t, func() { f.say("%s was truncated: it is read from its start", name) })
}

// elsewhere opens what was written since the last run, when the file that it was at is
// gone, or another one: a new file may have got its number. Where a file is copied and
// truncated, a copy goes on at the same place. Else lost tells what may be missing.
func (f *follower) elsewhere(ctx context.Context, t *tracked, lost func()) (*opened, error) {
	siblings, err := f.siblings()
	if err != nil {
		return nil, err
	}
	for _, s := range siblings {
		if t.Offset == 0 || !s.ModTime().After(f.state.saved) {
			continue
		}
		file, err := f.copyOf(t, s)
		if err != nil {
			return nil, err
		}
		if file != nil {
			t.Device, t.Inode = fileID(s)
			return f.at(file, t, t.Offset)
		}
	}
	lost()
	return f.after(ctx, f.state.saved, nil)
}

// copyOf opens a rotated file when it has what was read of t, nil when it has not, or
// is gone.
func (f *follower) copyOf(t *tracked, info fs.FileInfo) (*os.File, error) {
	file, err := os.Open(filepath.Join(filepath.Dir(f.path), info.Name()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	same, err := unchanged(file, t)
	if err == nil && same {
		return file, nil
	}
	file.Close()
	return nil, err
}

// unchanged reports whether file still has what was read of it.
func unchanged(file *os.File, t *tracked) (bool, error) {
	info, err := file.Stat()
	if err != nil || info.Size() < t.Offset {
		return false, err
	}
	before := make([]byte, len(t.Before))
	if _, err := file.ReadAt(before, t.Offset-int64(len(before))); err != nil && err != io.EOF {
		return false, err
	}
	return bytes.Equal(before, t.Before), nil
}

// fresh opens the followed path at its start, and waits until it is there.
func (f *follower) fresh(ctx context.Context) (*opened, error) {
	for waiting := false; ; waiting = true {
		o, err := f.open(f.path)
		if !errors.Is(err, fs.ErrNotExist) || f.once {
			return o, err
		}
		if !waiting {
			f.say("waiting for %s to appear", f.path)
		}
		if err := f.pause(ctx); err != nil {
			return nil, err
		}
	}
}

// open opens a file that was not read before.
func (f *follower) open(name string) (*opened, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	return f.at(file, nil, 0)
}

// at reads file from offset; t is nil when it was not read before.
func (f *follower) at(file *os.File, t *tracked, offset int64) (*opened, error) {
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", file.Name())
	}
	if err == nil {
		_, err = file.Seek(offset, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("follow: %w", err)
	}
	if t == nil {
		t = &tracked{ID: rand.Text()}
		t.Device, t.Inode = fileID(info)
	}
	o := &opened{File: file, tracked: t, lines: newSplitter(file, offset)}
	o.lines.tail = slices.Clone(t.Before)
	return o, nil
}

// read yields the lines of o until another file has its place and nothing more
// is written to it (nil), or until the end is all that is asked for (io.EOF).
func (f *follower) read(ctx context.Context, o *opened, yield func(line) error) error {
	for {
		data, offset, err := o.lines.next()
		if err == nil {
			o.leaving = false
			if err := yield(line{data: data, offset: offset, end: o.lines.offset, file: o.tracked}); err != nil {
				return err
			}
			continue
		}
		if err != io.EOF {
			return fmt.Errorf("follow: %w", err)
		}
		left, err := f.atEnd(o)
		if err != nil {
			return err
		}
		if left && o.leaving || f.once && !left {
			if err := yieldRest(o, yield); err != nil || left {
				return err
			}
			return io.EOF
		}
		o.leaving = left
		if err := f.pause(ctx); err != nil {
			return err
		}
	}
}

// atEnd looks around at the end of o: when o was truncated, it goes on in its copy, or
// starts again. It reports whether o has left its place.
func (f *follower) atEnd(o *opened) (left bool, err error) {
	info, err := o.Stat()
	if err != nil {
		return false, fmt.Errorf("follow: %w", err)
	}
	same, err := unchanged(o.File, o.lines.read())
	if err != nil {
		return false, fmt.Errorf("follow: %w", err)
	}
	if !same {
		if info, err = f.truncated(o); err != nil {
			return false, err
		}
	}
	there, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // between the two steps of a rotation, or gone for good
	}
	if err != nil {
		return false, fmt.Errorf("follow: %w", err)
	}
	return !os.SameFile(info, there), nil
}

// truncated has o go on in the newest of the rotated files when that is a copy, for
// something may have been written between the last read and the truncation; else at
// its start. It returns which file is read now.
func (f *follower) truncated(o *opened) (fs.FileInfo, error) {
	siblings, err := f.siblings()
	if err != nil {
		return nil, err
	}
	if n := len(siblings); n > 0 && len(o.lines.tail) > 0 {
		file, err := f.copyOf(o.lines.read(), siblings[n-1])
		if err != nil {
			return nil, err
		}
		if file != nil {
			return f.move(o, file)
		}
	}
	f.say("%s was truncated: it is read from its start", o.Name())
	again, err := f.at(o.File, nil, 0)
	if err != nil {
		return nil, err
	}
	o.tracked, o.lines = again.tracked, again.lines
	return o.Stat()
}

// move has o go on in a copy of its file.
func (f *follower) move(o *opened, file *os.File) (fs.FileInfo, error) {
	info, err := file.Stat()
	if err == nil {
		_, err = file.Seek(o.lines.position(), io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("follow: %w", err)
	}
	t := &tracked{ID: o.tracked.ID, Offset: o.lines.offset} // the sender has the other one
	t.Device, t.Inode = fileID(info)
	o.Close()
	o.File, o.tracked, o.lines.in = file, t, file
	return info, nil
}

// yieldRest yields what stands behind the last newline when it is a whole
// object: nobody will end the line.
func yieldRest(o *opened, yield func(line) error) error {
	rest := bytes.TrimSpace(o.lines.buf)
	if len(rest) == 0 || rest[0] != '{' || !json.Valid(rest) {
		return nil
	}
	data, offset := o.lines.rest()
	return yield(line{data: data, offset: offset, end: o.lines.offset, file: o.tracked})
}

// next opens the file that was written after o, which may have been removed meanwhile.
func (f *follower) next(ctx context.Context, o *opened) (*opened, error) {
	info, err := o.Stat()
	if err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	return f.after(ctx, info.ModTime(), o.tracked)
}

// after opens the oldest file that was written after a time and is not the one that
// was read, if any: one that has been rotated away too, or the one in its place.
func (f *follower) after(ctx context.Context, at time.Time, read *tracked) (*opened, error) {
	siblings, err := f.siblings()
	if err != nil {
		return nil, err
	}
	for _, s := range siblings {
		if s.ModTime().After(at) && (read == nil || !read.is(s)) {
			return f.open(filepath.Join(filepath.Dir(f.path), s.Name()))
		}
	}
	return f.fresh(ctx)
}

// siblings lists what the followed file was rotated to, the oldest first.
func (f *follower) siblings() ([]fs.FileInfo, error) {
	entries, err := os.ReadDir(filepath.Dir(f.path))
	if err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	rotated := regexp.MustCompile(`^[.-][0-9][0-9.TZ_-]*$`)
	var found []fs.FileInfo
	for _, e := range entries {
		suffix, ok := strings.CutPrefix(e.Name(), filepath.Base(f.path))
		if !ok || !rotated.MatchString(suffix) {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			found = append(found, info)
		}
	}
	slices.SortFunc(found, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), strings.Compare(b.Name(), a.Name()))
	})
	return found, nil
}

// find returns the present name of a tracked file, "" when it is gone.
func (f *follower) find(t *tracked) (string, error) {
	info, err := f.locate(t)
	if err != nil || info == nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(f.path), info.Name()), nil
}

// locate looks for a tracked file at its place and among the rotated ones.
func (f *follower) locate(t *tracked) (fs.FileInfo, error) {
	if info, err := os.Stat(f.path); err == nil && t.is(info) {
		return info, nil
	}
	siblings, err := f.siblings()
	if err != nil {
		return nil, err
	}
	for _, s := range siblings {
		if t.is(s) {
			return s, nil
		}
	}
	return nil, nil
}

func (f *follower) pause(ctx context.Context) error {
	select {
	case <-time.After(f.poll):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
