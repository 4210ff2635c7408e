package segment_test

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/eventlog/eventlogtest"
	"github.com/sluicelog/sluice/segment"
)

// failingFS is a file system whose disk can lose a page, or be away.
type failingFS struct {
	segment.FS
	lost      atomic.Int64 // offset of 4 KiB of lostFile that cannot be read; -1 for none
	lostFile  string
	away      atomic.Bool  // neither reads nor writes work
	transient atomic.Int64 // so many reads fail from now on
}

type failingFile struct {
	segment.File
	fs   *failingFS
	name string
}

func (f *failingFS) Open(name string, write bool) (segment.File, error) {
	h, err := f.FS.Open(name, write)
	return &failingFile{h, f, name}, err
}

func (f *failingFS) Create(name string) (segment.File, error) {
	if f.away.Load() {
		return nil, syscall.EIO
	}
	h, err := f.FS.Create(name)
	return &failingFile{h, f, name}, err
}

func (f *failingFile) ReadAt(b []byte, offset int64) (int, error) {
	at := f.fs.lost.Load()
	switch {
	case f.fs.away.Load(), f.fs.transient.Add(-1) >= 0,
		at >= 0 && f.name == f.fs.lostFile && offset < at+4096 && offset+int64(len(b)) > at:
		return 0, syscall.EIO
	}
	return f.File.ReadAt(b, offset)
}

// openFailing opens the sample's log on a file system that can fail.
func openFailing(t *testing.T, s *sample) (*failingFS, eventlog.Partition) {
	t.Helper()
	fs := &failingFS{FS: s.disk}
	fs.lost.Store(-1)
	e, err := segment.Open("log", segment.Options{SegmentSize: segment.MinSegmentSize, Log: logID(), FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Open(t.Context(), "audit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return fs, p
}

// wantAll holds that every block of the sample is there.
func wantAll(t *testing.T, s *sample, p eventlog.Partition) {
	t.Helper()
	next := uint64(1)
	for _, want := range s.places {
		b, err := p.Next(t.Context(), next)
		if err != nil {
			t.Fatalf("block that starts at %d: %v", want.first, err)
		}
		if b.Header.First != want.first {
			t.Fatalf("next block: got %d, want %d", b.Header.First, want.first)
		}
		next = b.Header.Last() + 1
	}
	if _, err := p.Next(t.Context(), next); !errors.Is(err, io.EOF) {
		t.Errorf("after the last block: got %v, want EOF", err)
	}
}

// TestDiskThatIsAwayIsNoDamage: what cannot be read because nothing can is there
// once the disk is back.
func TestDiskThatIsAwayIsNoDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSample(t)
		fs, p := openFailing(t, s)
		fs.away.Store(true)
		for _, block := range s.places {
			if _, err := p.Next(t.Context(), block.first); !errors.Is(err, syscall.EIO) || errors.Is(err, eventlog.ErrDamaged) {
				t.Fatalf("block %d of a disk that is away: got %v, want the disk's error", block.first, err)
			}
		}
		fs.away.Store(false)
		wantAll(t, s, p)
		if got := p.State().Damage; len(got) > 0 {
			t.Errorf("damage: got %v, want none", got)
		}
	})
}

// TestReadThatFailsForAMomentIsNoDamage: reading again helps.
func TestReadThatFailsForAMomentIsNoDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSample(t)
		fs, p := openFailing(t, s)
		fs.transient.Store(3)
		wantAll(t, s, p)
		if got := p.State().Damage; len(got) > 0 {
			t.Errorf("damage: got %v, want none", got)
		}
	})
}

// TestPageThatIsLostCostsItsBlock: the disk works but for one page, with the head
// of a block or in the middle of it.
func TestPageThatIsLostCostsItsBlock(t *testing.T) {
	for name, into := range map[string]int64{"head": 0, "middle": 4096} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSample(t)
				fs, p := openFailing(t, s)
				block := s.places[2]
				fs.lostFile = block.file
				fs.lost.Store(block.offset + into)
				for _, b := range s.places {
					stored, err := p.Next(t.Context(), b.first)
					if err != nil {
						t.Fatalf("block %d: %v", b.first, err)
					}
					_, err = eventlogtest.Read(stored)
					switch lost := b == block; {
					case lost && into == 0 && stored.Header.First != b.last+1:
						t.Errorf("instead of the block whose head is lost: got block %d, want %d", stored.Header.First, b.last+1)
					case lost && into > 0 && !errors.Is(err, eventlog.ErrDamaged):
						t.Errorf("block whose middle is lost: got %v, want damage", err)
					case !lost && (err != nil || stored.Header.First != b.first):
						t.Errorf("block %d: got block %d, %v", b.first, stored.Header.First, err)
					}
				}
				if got, want := len(p.State().Damage), 1; into == 0 && got != want {
					t.Errorf("places of damage: got %d, want %d", got, want)
				}
			})
		})
	}
}
