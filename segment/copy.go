package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/sluicelog/sluice/eventlog"
)

// Stored is a file of a partition, as a copy has to take it.
type Stored struct {
	Name   string // in the partition's folder
	Bytes  int64  // from the start of the file; a block is never cut there
	Last   uint64 // highest sequence number, 0 when there is none
	Closed bool   // it never changes
}

// Files returns the files of a partition, oldest first. It may be called beside a
// process that writes: each file then is as it was at some moment of the call, and
// what was stored before the call is in them.
func (e *Engine) Files(name string) ([]Stored, error) {
	if err := eventlog.CheckPartition(name); err != nil {
		return nil, err
	}
	p := &partition{engine: e, name: name, dir: filepath.Join(e.dir, name), sum: eventlog.Checksum([]byte(name))}
	files, err := p.list()
	if err != nil {
		return nil, fmt.Errorf("list the files of partition %q: %w", name, err)
	}
	var out []Stored
	for i, f := range files {
		var next uint64
		if i+1 < len(files) {
			next = files[i+1].first
		}
		s, err := p.stored(f, next)
		if errors.Is(err, fs.ErrNotExist) {
			continue // trimmed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.path, err)
		}
		if s.Bytes > 0 {
			out = append(out, s)
		}
	}
	return out, nil
}

// stored describes a file. One without a footer is taken up to its last good
// block while it is the newest, and whole when damage follows in an older one. One
// that is being closed ends where its footer does: the rest of it is given back.
func (p *partition) stored(f *file, next uint64) (Stored, error) {
	s := Stored{Name: filepath.Base(f.path)}
	h, err := p.engine.opts.FS.Open(f.path, false)
	if err != nil {
		return s, err
	}
	defer func() { _ = h.Close() }() // it was only read
	length, _, err := h.Size()
	if err != nil {
		return s, err
	}
	if sum, err := readTrailer(h, length, &p.engine.opts, p.sum); err == nil {
		s.Bytes, s.Last, s.Closed = length, sum.last, true
		return s, nil
	}
	found := p.scan(f, h, length, next, true)
	s.Bytes, s.Last = found.end, found.last
	if next > 0 && len(found.notes) > found.good {
		s.Bytes = length
		if end, ok := p.unfinished(h, &found); ok {
			s.Bytes, s.Closed = end, true
		}
	}
	return s, found.err
}
