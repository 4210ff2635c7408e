package segment

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/failpoint"
)

const suffix = ".seg"

// eventBytes is the least space that an event takes in a block: its entry in the
// directory. It bounds the numbers that a block without a readable header may
// have used.
const eventBytes = 12

// file is one file of a partition. Its fields are guarded by partition.mu once
// the file is in partition.files.
type file struct {
	first uint64 // the number in its name: none in the file is lower
	path  string

	summary       // index may be nil where footed
	readTo  int64 // readers go up to here
	length  int64 // of the file
	space   int64 // that it occupies
	footed  bool  // it has a good footer
	full    bool  // no block may be added: a footer or damage follows the last one
	checked bool  // its damage is in partition.damage
	gone    bool  // trimmed
	handle  File  // nil while it is not open

	notes, tail []note // while the partition is loaded
}

func fileName(first uint64) string { return fmt.Sprintf("%020d%s", first, suffix) }

// parseName returns the number in a file's name.
func parseName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && n > 0 && fileName(n) == name
}

// list returns the files of the partition's folder, oldest first.
func (p *partition) list() ([]*file, error) {
	entries, err := p.engine.opts.FS.ReadDir(p.dir)
	if err != nil {
		return nil, err
	}
	var files []*file
	for _, d := range entries {
		first, ok := parseName(d.Name())
		path := filepath.Join(p.dir, d.Name())
		if !ok || d.IsDir() {
			p.engine.opts.Logger.Warn("not part of the log", "path", path)
			continue
		}
		files = append(files, &file{first: first, path: path})
	}
	return files, nil
}

// note is damage in a file and the numbers of the blocks before and behind it in
// the same file, 0 when there are none.
type note struct {
	found
	prev, next uint64
}

// contents is what the scan of a file found.
type contents struct {
	summary
	notes  []note
	good   int   // notes before the last good block; the others are the tail
	footer bool  // a footer lies behind the last block
	err    error // the disk could not be read to the end
}

// scan reads the first limit bytes of a file from block to block. With verify it
// reads the blocks whole and takes one with a bad body for damage.
func (p *partition) scan(f *file, r io.ReaderAt, limit int64, nextFirst uint64, verify bool) contents {
	var s contents
	var c cursor
	var bad []found // blocks with a bad body since the last good one
	var prev uint64
	var buf []byte
	admit := p.admit(f, nextFirst)
	for {
		b := c.next(r, limit, admit)
		if b.kind == isEnd || b.kind == isFailed {
			s.err = b.err
			return s
		}
		if b.kind == isBlock && verify {
			if buf, s.err = whole(r, b, buf); s.err != nil {
				return s
			}
			if eventlog.VerifyBlock(buf) != nil {
				bad = append(bad, b)
				b.kind, b.known, b.used, b.cause = isDamage, true, b.size, "bad block body"
			}
		}
		if b.kind == isBlock || b.known {
			s.open(b.header.First)
		}
		switch b.kind {
		case isBlock:
			for i := range bad {
				s.add(&bad[i].header, bad[i].offset)
			}
			bad = bad[:0]
			s.add(&b.header, b.offset)
			s.good = len(s.notes)
		case isFooter:
			s.footer = true
			b.cause = "bad footer"
			fallthrough
		default:
			s.notes = append(s.notes, note{found: b, prev: prev})
		}
		if b.kind == isBlock || b.known {
			prev = b.header.Last()
		}
	}
}

// open tells the notes before a header which number follows them.
func (s *contents) open(next uint64) {
	for i := len(s.notes) - 1; i >= 0 && s.notes[i].next == 0; i-- {
		s.notes[i].next = next
	}
}

// whole returns the bytes of a block.
func whole(r io.ReaderAt, b found, buf []byte) ([]byte, error) {
	if b.bytes != nil {
		return append(buf[:0], b.bytes...), nil
	}
	if int64(cap(buf)) < b.size {
		buf = make([]byte, b.size)
	}
	buf = buf[:b.size]
	return buf, readAll(r, buf, b.offset)
}

// admit returns what decides whether a header belongs into f: nextFirst is the
// number in the next file's name, 0 when there is none.
func (p *partition) admit(f *file, nextFirst uint64) func(*eventlog.Header) bool {
	opts, first, sum := &p.engine.opts, f.first, p.sum
	return func(h *eventlog.Header) bool {
		return opts.wrote(h.Log) && h.Partition == sum && h.First >= first && (nextFirst == 0 || h.Last() < nextFirst)
	}
}

// load reads what is stored. Nobody else knows the partition yet.
func (p *partition) load() error {
	files, err := p.list()
	if err != nil {
		return err
	}
	newest := true
	var next uint64
	for _, f := range slices.Backward(files) {
		err := p.read(f, next, newest)
		if errors.Is(err, fs.ErrNotExist) {
			continue // trimmed meanwhile by the process that writes
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", f.path, err)
		}
		p.bytes += f.space
		if len(p.files) == 0 && f.blocks == 0 && len(f.notes) == 0 {
			p.spare = append(p.spare, f)
			continue
		}
		p.files = append(p.files, f)
		newest = newest && f.blocks == 0
		next = f.first
	}
	slices.Reverse(p.files)
	p.nameAll()
	return p.findLast()
}

// read fills in f. It believes the footer, except in the newest file. That one and
// files without a good footer are read whole and verified.
func (p *partition) read(f *file, next uint64, newest bool) error {
	write := newest && !p.engine.opts.ReadOnly
	h, err := p.engine.opts.FS.Open(f.path, write)
	if err != nil {
		return err
	}
	f.handle = h
	if write {
		// Blocks that are only in memory yet must not be taken for stored.
		if err := h.Sync(); err != nil {
			return fmt.Errorf("sync: %w", err)
		}
		failpoint.Here(failpoint.EndSynced)
		h.Uncache()
	}
	if f.length, f.space, err = h.Size(); err != nil {
		return err
	}
	f.readTo = f.length
	sum, err := readTrailer(h, f.length, &p.engine.opts, p.sum)
	if err == nil && sum.first >= f.first && (next == 0 || sum.last < next) {
		f.readTo, f.footed, f.full = sum.end, true, true
		if !newest {
			f.summary = sum
			return p.shut(f)
		}
	}
	s := p.scan(f, h, f.readTo, next, true)
	if s.err != nil {
		return s.err
	}
	f.summary = s.summary
	end, unfinished := p.unfinished(h, &s)
	if unfinished && !newest {
		s.notes, f.footed = nil, true
	}
	f.notes, f.tail = s.notes, s.notes[s.good:]
	f.checked, f.readTo = true, s.end
	f.full = f.full || s.footer || len(f.tail) > 0
	if newest {
		return nil
	}
	if err := p.shut(f); err != nil || !unfinished || p.engine.opts.ReadOnly {
		return err
	}
	return p.finish(f, end)
}

// unfinished reports whether all that is behind the last block is a good footer
// and unused space: the process ended before it gave that space back.
func (p *partition) unfinished(r io.ReaderAt, s *contents) (end int64, ok bool) {
	if !s.footer || len(s.notes) != 1 {
		return 0, false
	}
	sum, end, ok := p.footerAt(r, &s.notes[0].found)
	return end, ok && sum.blocks == s.blocks && sum.first == s.first && sum.last == s.last
}

// finish gives back the space behind a footer.
func (p *partition) finish(f *file, end int64) error {
	h, err := p.engine.opts.FS.Open(f.path, true)
	if err != nil {
		return err
	}
	err = h.Truncate(end)
	failpoint.Here(failpoint.RestCut)
	if err = errors.Join(err, h.Sync()); err == nil {
		f.length, f.space, err = h.Size()
	}
	failpoint.Here(failpoint.RestSynced)
	return errors.Join(err, h.Close())
}

// shut closes the handle of a file that is read now and then at most.
func (p *partition) shut(f *file) error {
	h := f.handle
	f.handle = nil
	return h.Close()
}

// findLast sets the header of the newest block and the numbers that a damaged
// end may have used.
func (p *partition) findLast() error {
	for _, f := range slices.Backward(p.files) {
		for _, n := range f.tail {
			p.reserved = max(p.reserved, n.mayReach(f.first))
		}
		if f.blocks == 0 {
			continue
		}
		b := make([]byte, eventlog.HeaderSize)
		err := readAll(f.handle, b, f.lastOffset)
		if err != nil {
			return fmt.Errorf("read newest block: %w", err)
		}
		h, err := eventlog.ParseHeader(b)
		if err != nil {
			return fmt.Errorf("read newest block: %w", err)
		}
		p.last = h
		return nil
	}
	return nil
}

// mayReach returns the highest number that damage at the end may have used.
func (n *note) mayReach(first uint64) uint64 {
	switch {
	case n.kind == isFooter:
		return 0
	case n.known:
		return n.header.Last()
	}
	return max(n.prev, first-1) + uint64(n.used)/eventBytes + 1
}
