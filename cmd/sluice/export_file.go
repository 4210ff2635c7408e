package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// exportOutput is where an export goes.
type exportOutput interface {
	write(chunk []byte) error
	size() int64
	events() uint64
	// last makes ready for writing, behind whole events, and returns the id of the
	// last one, "" when there is none.
	last() (id string, err error)
	// takeBack takes the last event away.
	takeBack() error
	resumable() bool
	finish() error
}

// exportStream is an export to standard output, of which nothing is taken back.
type exportStream struct {
	w    io.Writer
	form exportForm
	n    int64
}

func (s *exportStream) size() int64           { return s.n }
func (s *exportStream) events() uint64        { return s.form.count() }
func (s *exportStream) last() (string, error) { return "", nil }
func (s *exportStream) takeBack() error       { return errors.New("what was printed cannot be taken back") }
func (s *exportStream) resumable() bool       { return s.n == 0 }

func (s *exportStream) write(chunk []byte) error {
	n, err := s.w.Write(s.form.convert(chunk))
	s.n += int64(n)
	if err != nil {
		return fmt.Errorf("write the export: %w", &fs.PathError{Op: "write", Path: "standard output", Err: err})
	}
	return nil
}

func (s *exportStream) finish() error {
	_, err := s.w.Write(s.form.end())
	return err
}

const (
	partSuffix  = ".part"
	stateSuffix = ".part.json"
)

// exportPart is a file that an export fills: FILE.part, until it is whole.
// FILE.part.json says of which export.
type exportPart struct {
	path    string
	options *exportOptions
	form    exportForm
	f       *os.File
	n       int64
	had     uint64 // events that were there
}

// openPart opens FILE.part, which has to be that of the same export or absent.
func openPart(o *exportOptions) (*exportPart, error) {
	p := &exportPart{path: o.output, options: o, form: o.form()}
	if info, err := os.Stat(p.path); err == nil && info.IsDir() {
		return nil, usagef("--output %s is a folder", p.path)
	}
	if err := p.lock(); err != nil {
		return nil, fmt.Errorf("begin the export: %w", err)
	}
	if err := p.begin(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// lock opens FILE.part for one process at a time: what a second one cuts off, the
// first has written already. A file system without locks has to do without.
func (p *exportPart) lock() error {
	var err error
	if p.f, err = os.OpenFile(p.path+partSuffix, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	err = syscall.Flock(int(p.f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	mine, err1 := p.f.Stat()
	there, err2 := os.Stat(p.path + partSuffix) // it may have got its name meanwhile
	if errors.Is(err, syscall.EWOULDBLOCK) || err1 != nil || err2 != nil || !os.SameFile(mine, there) {
		p.close()
		return fmt.Errorf("another export writes %s: wait for its end", p.path+partSuffix)
	}
	return nil
}

// begin goes on with FILE.part, or makes it that of this export.
func (p *exportPart) begin() error {
	want, err := json.Marshal(p.options.ExportQuery)
	if err != nil {
		return err
	}
	info, err := p.f.Stat()
	if err != nil {
		return fmt.Errorf("begin the export: %w", err)
	}
	have, err := os.ReadFile(p.path + stateSuffix)
	fresh := errors.Is(err, fs.ErrNotExist)
	switch {
	case p.options.restart || fresh && info.Size() == 0:
		err = errors.Join(p.truncate(0), os.WriteFile(p.path+stateSuffix, want, 0o600))
	case fresh:
		return fmt.Errorf("%s is not from here: remove it, or use --restart", p.path+partSuffix)
	case err == nil && string(have) != string(want):
		return fmt.Errorf("%s is from another export: finish that one with the same flags, or use --restart", p.path+partSuffix)
	default:
		p.n = info.Size()
	}
	if err != nil {
		return fmt.Errorf("begin the export: %w", err)
	}
	return nil
}

func (p *exportPart) close() {
	if p.f != nil {
		p.f.Close()
	}
}

func (p *exportPart) size() int64     { return p.n }
func (p *exportPart) events() uint64  { return p.had + p.form.count() }
func (p *exportPart) resumable() bool { return true }

func (p *exportPart) write(chunk []byte) error {
	n, err := p.f.Write(p.form.convert(chunk))
	p.n += int64(n)
	return err
}

func (p *exportPart) last() (string, error) {
	id, at, err := p.form.cut(p.f, p.n)
	if err == nil {
		err = p.truncate(at)
	}
	if err != nil {
		return "", fmt.Errorf("go on with %s: %w", p.path+partSuffix, err)
	}
	if id == "" {
		p.form, p.had = p.options.form(), 0
		return "", nil
	}
	p.form.resume()
	c := p.form.counter()
	if _, err := io.Copy(counting{c}, io.NewSectionReader(p.f, 0, p.n)); err != nil {
		return "", fmt.Errorf("go on with %s: %w", p.path+partSuffix, err)
	}
	p.had = c.count()
	return id, nil
}

// counting has a form count what is written to it.
type counting struct{ form exportForm }

func (c counting) Write(b []byte) (int, error) {
	c.form.convert(b)
	return len(b), nil
}

func (p *exportPart) takeBack() error {
	_, at, err := p.form.cut(p.f, p.n-1)
	if err != nil {
		return err
	}
	return p.truncate(at)
}

// truncate cuts the file, which goes on there.
func (p *exportPart) truncate(at int64) error {
	if err := p.f.Truncate(at); err != nil {
		return err
	}
	p.n = at
	_, err := p.f.Seek(at, io.SeekStart)
	return err
}

// finish gives the file its name when it is on disk, and lets go of it after that.
func (p *exportPart) finish() error {
	_, err := p.f.Write(p.form.end())
	if err == nil {
		err = p.f.Sync()
	}
	if err == nil {
		err = os.Rename(p.path+partSuffix, p.path)
	}
	if err == nil {
		err = os.Remove(p.path + stateSuffix)
	}
	if err = errors.Join(err, p.f.Close()); err != nil {
		return fmt.Errorf("finish the export: %w", err)
	}
	p.n += int64(len(p.form.end()))
	p.f = nil
	return syncDir(filepath.Dir(p.path))
}
