package segment_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/eventlog/eventlogtest"
	"github.com/sluicelog/sluice/segment"
	"github.com/sluicelog/sluice/segment/segmenttest"
)

// copyingFS is a disk that copies on write: it can be full within what it has
// allocated, in the middle of a block.
type copyingFS struct {
	*segmenttest.Disk
	full bool
}

func (c *copyingFS) Create(name string) (segment.File, error) {
	f, err := c.Disk.Create(name)
	return copyingFile{f, c}, err
}

type copyingFile struct {
	segment.File
	fs *copyingFS
}

func (f copyingFile) WriteAt(b []byte, offset int64) (int, error) {
	if !f.fs.full {
		return f.File.WriteAt(b, offset)
	}
	n, err := f.File.WriteAt(b[:len(b)/2], offset)
	return n, errors.Join(err, fmt.Errorf("%w: the disk has no place for the copy", eventlog.ErrFull))
}

// What is left of a block that had no place is no damage behind a shorter one.
func TestFullWithinAllocatedSpace(t *testing.T) {
	disk := segmenttest.NewDisk(1)
	fsys := &copyingFS{Disk: disk}
	e, err := segment.Open("log", options(fsys))
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Open(t.Context(), "audit")
	if err != nil {
		t.Fatal(err)
	}
	m := eventlogtest.Maker{Log: logID(), Partition: "audit", Next: 1}
	if err := p.Append(t.Context(), m.Block(3, 1000)); err != nil {
		t.Fatal(err)
	}
	fsys.full = true
	lost := m
	if err := p.Append(t.Context(), lost.Block(3, 8000)); !errors.Is(err, eventlog.ErrFull) || errors.Is(err, eventlog.ErrFailed) {
		t.Fatalf("on a full disk: got %v, want %v", err, eventlog.ErrFull)
	}
	fsys.full = false
	if err := p.Append(t.Context(), m.Block(3, 1000)); err != nil {
		t.Fatal(err)
	}
	for _, how := range []segmenttest.Crash{segmenttest.Kill, segmenttest.Lose} {
		_, p, err := openLog(disk.Clone().Restart(how))
		if err != nil {
			t.Fatal(err)
		}
		if s := p.State(); len(s.Damage) != 0 || s.Last.First != 4 {
			t.Errorf("after crash %v: got damage %v and the last block at %d, want none and 4", how, s.Damage, s.Last.First)
		}
	}
}
