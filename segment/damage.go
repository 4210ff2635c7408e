package segment

import (
	"fmt"
	"path/filepath"

	"github.com/sluicelog/sluice/eventlog"
)

// named is an entry of State.Damage.
type named struct {
	file *file // that it lies in or before
	eventlog.Damage
}

// name says which numbers are lost with n, which lies in f: before is the last
// number ahead of f, next the number in the next file's name, 0 when there is none.
func (n *note) name(f *file, before, next uint64) eventlog.Damage {
	d := eventlog.Damage{Cause: n.cause,
		Where: fmt.Sprintf("%s bytes %d to %d", filepath.Base(f.path), n.offset, n.offset+n.size-1)}
	switch {
	case n.kind == isFooter:
		return d
	case n.known:
		d.First, d.Last = n.header.First, n.header.Last()
		return d
	case n.prev != 0:
		before = n.prev
	}
	switch {
	case n.next != 0:
		next = n.next
	case next == 0:
		next = n.mayReach(f.first) + 1
	}
	if before+1 < next {
		d.First, d.Last = before+1, next-1
	}
	return d
}

// missing names the numbers between two files that neither holds.
func missing(before uint64, f *file) eventlog.Damage {
	return eventlog.Damage{First: before + 1, Last: f.first - 1, Cause: "missing file, or numbers that were never used",
		Where: "before " + filepath.Base(f.path)}
}

// covers reports whether the damage in f explains that the numbers behind its
// last block are in no file.
func (f *file) covers() bool {
	for i := range f.tail {
		if f.tail[i].kind != isFooter && !f.tail[i].known {
			return true
		}
	}
	return false
}

// highest returns the last number that f is known to have used.
func (f *file) highest() uint64 {
	last := f.last
	for i := range f.tail {
		if f.tail[i].known {
			last = max(last, f.tail[i].header.Last())
		}
	}
	return last
}

// nameAll names the damage that was found while the partition was loaded.
func (p *partition) nameAll() {
	var before uint64
	covered := true
	for i, f := range p.files {
		if !covered && before+1 < f.first {
			p.note(f, missing(before, f))
		}
		before = max(before, f.first-1)
		var next uint64
		if i+1 < len(p.files) {
			next = p.files[i+1].first
		}
		for j := range f.notes {
			p.note(f, f.notes[j].name(f, before, next))
		}
		covered = f.covers()
		before = max(before, f.highest())
	}
	for _, f := range p.files {
		f.notes = nil
	}
}

// note adds to the list of damage. The caller holds p.mu or is alone.
func (p *partition) note(f *file, d eventlog.Damage) {
	if len(p.damage) < eventlog.MaxDamage {
		p.damage = append(p.damage, named{f, d})
	}
}

// badFooter names the footer of f, whose trailer is good and whose index is not.
func (p *partition) badFooter(f *file) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.footed {
		n := note{found: found{kind: isFooter, offset: f.readTo, size: f.length - f.readTo, cause: "bad footer"}}
		p.note(f, n.name(f, 0, 0))
		f.footed = false // it is named once
	}
}

// examine names all damage of f, which a reader has just met, and rebuilds its
// index. A file is examined once. Reading r nil says that it cannot be opened.
func (p *partition) examine(f *file, r File) {
	p.mu.Lock()
	if f.checked || f.gone {
		p.mu.Unlock()
		return
	}
	f.checked = true
	next, before := p.around(f)
	limit := f.readTo
	p.mu.Unlock()
	if r == nil {
		d := eventlog.Damage{First: f.first, Last: f.last, Where: filepath.Base(f.path), Cause: "missing file"}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.note(f, d)
		return
	}
	s := p.scan(f, r, limit, next, false)
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.err != nil {
		f.checked = false // another time
		return
	}
	for i := range s.notes {
		p.note(f, s.notes[i].name(f, before, next))
	}
	f.index = s.index
}

// around returns the number in the next file's name, 0 when there is none, and
// the last one ahead of f. The caller holds p.mu.
func (p *partition) around(f *file) (next, before uint64) {
	before = f.first - 1
	for i, g := range p.files {
		if g != f {
			continue
		}
		if i > 0 {
			before = max(before, p.files[i-1].last)
		}
		if i+1 < len(p.files) {
			next = p.files[i+1].first
		}
	}
	return next, before
}
